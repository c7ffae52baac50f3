// Package recipes holds the profiles that rootcast comes with: a folder for each
// distribution and each of compute and login, with lists of packages, a list of what
// the packed image leaves out, and a script that makes the root one of a node.
//
//	written, kept, err := recipes.Install("rocky9.4", "aarch64", "compute", "/etc/rootcast/osimages/rocky9")
//
// The folders are part of the program, so that a definition can be made where
// nothing but the program is. The package makes no definitions and builds nothing.
package recipes
