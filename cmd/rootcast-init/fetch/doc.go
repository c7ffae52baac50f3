// Package fetch brings the packed root from a server to the node, as a stream
// that survives what servers and networks do:
//
//	urls, err := fetch.Parse("http://10.0.0.1//install/rootimg.sfs,oci://registry/nodes@sha256:…")
//	root, err := fetch.Open(ctx, fetch.Options{URLs: urls, SHA256: digest, CA: pool, Log: logf})
//	if root.Size > memory { … }
//	_, err = io.Copy(file, root) // without an error: the whole file, of that digest
//
// After a cut it goes on at the byte where it was, from the next URL, or from the
// same one if there is no other. When every URL has failed it waits, longer each
// time and for a random part of that time, so that a thousand nodes do not come
// back in step. Schemes are http, https, tftp, and oci for a blob of a registry
// (oci+http for one without TLS).
//
// The bytes that Read returns are not to be trusted before it has returned
// [io.EOF]: only then are size and SHA-256 known to be right. The package does
// not ask the environment for a proxy, and trusts only the certificates that it
// is given.
package fetch
