// Package node holds what convert tells the first stage of a node about the
// root that it will find or fetch: one JSON file in the initrd, [Path]. Both sides
// read and write it through this package, which therefore needs nothing else.
package node
