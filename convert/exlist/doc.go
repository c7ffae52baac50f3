// Package exlist decides which files of an image stay out of the packed root,
// by xCAT's exclude lists.
//
//	list, err := exlist.Read("compute.exlist")
//	tree.Prune(list.Drops)
//
// A list has one pattern a line, as find(1) takes them after "find . -path":
// names start with "./", and "*" matches "/" too, so "./usr/share/doc*" drops
// the directory with all that is in it. A pattern after "+" keeps what it
// matches, whatever else drops it and wherever it stands. A leading "-" changes
// nothing, "#" starts a comment, and "#INCLUDE:FILE#" reads another list, whose
// path is relative to the list that names it.
//
// Patterns match as find's do in the locale C.UTF-8, but for a range that ends
// in a symbol, such as "[a-[.c.]]", which glibc reads in its own way. Blanks
// around a pattern do not belong to it. [List.Explain] tells what each rule does.
//
// Unlike xCAT, the directories above a kept file are kept with it (the kernel
// makes none by itself), and an include that cannot be read, or that includes the
// list that names it, is an error.
package exlist
