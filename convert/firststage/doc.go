// Package firststage holds the programs of cmd/rootcast-init, one for each
// architecture, that make puts into bin/ before it builds rootcast.
//
//	program, err := firststage.Program("arm64")
package firststage
