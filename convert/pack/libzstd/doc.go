// Package libzstd compresses by libzstd with parameters that no Go binding sets,
// and with a search for matches of its own (finder.c).
//
//	e, err := libzstd.New(libzstd.Level(3))
//	defer e.Close()
//	frame, err := e.Encode(dst, plain)
//
// The library itself is the one that github.com/DataDog/zstd brings along and compiles.
package libzstd
