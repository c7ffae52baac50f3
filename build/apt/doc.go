// Package apt reads what apt reads: the lists of repositories in sources.list
// and sources.list.d, in both of their formats, and a repository's Release
// file.
//
//	sources, err := apt.ReadSources(os.DirFS("/"))
//	for _, s := range sources {
//		fmt.Println(s.URI, s.Suite, s.Components)
//	}
//
// It is pure: no network, no apt. Formats: sources.list(5), apt_auth.conf(5)
// and https://wiki.debian.org/DebianRepository/Format.
package apt
