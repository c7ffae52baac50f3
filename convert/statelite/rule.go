package statelite

import (
	"strings"
)

// Option is what a rule does with its path, as the table spells it.
type Option string

// The options. Parse turns rw into tmpfs, and "tmpfs,rw" into link, as liteimg does.
const (
	Tmpfs          Option = "tmpfs"
	Persistent     Option = "persistent"
	LocalDisk      Option = "localdisk"
	ReadOnly       Option = "ro"
	Concat         Option = "con"
	Link           Option = "link"
	LinkPersistent Option = "link,persistent"
	LinkReadOnly   Option = "link,ro"
	LinkConcat     Option = "link,con"
)

// options lists them for people.
const options = "tmpfs, rw, persistent, localdisk, ro, con, link, link,ro, link,persistent, link,con"

// parseOption reads an option; nothing stands for tmpfs.
func parseOption(text string) (o Option, ok bool) {
	switch o := Option(text); o {
	case "", "rw":
		return Tmpfs, true
	case "tmpfs,rw":
		return Link, true
	case Tmpfs, Persistent, LocalDisk, ReadOnly, Concat, Link, LinkPersistent, LinkReadOnly, LinkConcat:
		return o, true
	}
	return "", false
}

// Plain is the option without "link", which changes nothing on the node: one of
// tmpfs, persistent, localdisk, ro and con.
func (o Option) Plain() Option {
	if o == Link {
		return Tmpfs
	}
	return Option(strings.TrimPrefix(string(o), "link,"))
}

// isLink tells whether liteimg would put a symlink into the image.
func (o Option) isLink() bool { return strings.HasPrefix(string(o), "link") }

// Rule says what becomes of a path of the node.
type Rule struct {
	Path   string `json:"path"` // absolute; a directory ends with a slash
	Option Option `json:"option"`
	Line   int    `json:"-"` // where the rule stands in the file that was parsed
}

// Name is the path as package fs takes it: relative, without a slash at its end.
func (r Rule) Name() string { return strings.Trim(r.Path, "/") }

// IsDir tells whether the rule is written for a directory.
func (r Rule) IsDir() bool { return strings.HasSuffix(r.Path, "/") }

// Rules are the rules of a node.
type Rules struct {
	// Rules are sorted by path, so that a directory comes before what is in it.
	Rules []Rule

	// Skipped names the images of the table whose rows were not asked for.
	Skipped []string
}

// Above returns the rule for the nearest directory above r.
func (s *Rules) Above(r Rule) (above Rule, ok bool) {
	for _, a := range s.Rules {
		if a.IsDir() && a.Path != r.Path && strings.HasPrefix(r.Path, a.Path) {
			above, ok = a, true // a later one is deeper
		}
	}
	return above, ok
}

// Volatile tells whether a name, as [Rule.Name] returns it, is in a file system
// that the booted system brings along, which would hide whatever is mounted there.
func Volatile(name string) bool {
	switch top, _, _ := strings.Cut(name, "/"); top {
	case "proc", "sys", "dev", "run":
		return true
	}
	return false
}
