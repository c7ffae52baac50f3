// Package repomd finds repositories of RPM packages and reads what they say of
// themselves, in repodata/repomd.xml:
//
//	dirs, err := repomd.Find(os.DirFS("/srv/rocky9.4"))   // BaseOS, AppStream
//	index, err := repomd.Parse(text)
//	index.Time()                                          // when it was made
//
// It reads no packages and no lists of packages, asks no server and checks no
// signature.
package repomd
