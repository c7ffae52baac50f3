// Package tarsplit reads the record that containers/storage keeps of a layer's
// plain tar (github.com/vbatts/tar-split): its headers and padding, and which
// file's bytes stand between them.
//
//	record, err := tarsplit.Read(unzipped)
//	for _, piece := range record.Pieces { … }
//
// It opens no file: convert/image does, and makes a tar of both.
package tarsplit
