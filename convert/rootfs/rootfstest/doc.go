// Package rootfstest makes layers and trees for tests out of a few lines of
// text, and turns trees back into the same language.
//
//	tree := rootfstest.Tree(t, `
//		dir  etc 0755
//		file etc/hosts 0644 1:2 "127.0.0.1 localhost\n"
//		link etc/hosts.old etc/hosts`, `
//		wh   etc/hosts`)
//	rootfstest.Diff(t, tree, `
//		dir  . 0755
//		dir  etc 0755
//		file etc/hosts.old 0644 1:2 "127.0.0.1 localhost\n"`)
//
// A line is a verb, a path and fields, which may be quoted as in Go. The verbs
// are dir, file, symlink, link, char, block, fifo, wh (a whiteout of the path)
// and opq (an opaque marker in the directory). The fields are a mode with a
// leading 0, an owner UID:GID, mtime=SECONDS, xattr:NAME=VALUE, size=N (that
// many bytes of a fixed pattern), and by verb the content, the target, or the
// two device numbers. What is not said is 0, or empty.
//
// [Merge] is a second, naive implementation of the rules for layers, to compare with.
package rootfstest
