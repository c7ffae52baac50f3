package osimage

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SyncRule is a line of a synclist.
type SyncRule struct {
	Kind SyncKind
	// Sources are absolute paths of this machine, which may be patterns as a shell
	// has them. Of SyncExecute and SyncExecuteAlways it is one, the script.
	Sources []string
	// Dest is an absolute path of the image; "" for scripts.
	Dest string
	// Nodes is the range of nodes that the line is for; "" if it is for all, and thus
	// for images.
	Nodes string
	// File and Line are where it stands.
	File string
	Line int
}

// SyncKind is what a line asks for, by the clause that it stands in.
type SyncKind int

// The clauses of a synclist.
const (
	SyncCopy          SyncKind = iota // above all clauses: sources are copied
	SyncAppend                        // APPEND: sources go to the end of a file
	SyncMerge                         // MERGE: entries of accounts join those of a file
	SyncExecute                       // EXECUTE: a script of the node when its file changed
	SyncExecuteAlways                 // EXECUTEALWAYS: a script of the node
)

// String is the clause as synclists spell it; "" for copies, which stand in none.
func (k SyncKind) String() string {
	switch k {
	case SyncAppend:
		return "APPEND:"
	case SyncMerge:
		return "MERGE:"
	case SyncExecute:
		return "EXECUTE:"
	case SyncExecuteAlways:
		return "EXECUTEALWAYS:"
	case SyncCopy:
	}
	return ""
}

// MergeFiles are the files that entries can be merged into.
func MergeFiles() []string { return []string{"/etc/passwd", "/etc/shadow", "/etc/group"} }

// IntoDir tells whether the sources can only go into the directory Dest, whatever
// is there.
func (r SyncRule) IntoDir() bool {
	return len(r.Sources) > 1 || strings.HasSuffix(r.Dest, "/") || slices.ContainsFunc(r.Sources, IsPattern)
}

// IsPattern tells a pattern from the path of one file.
func IsPattern(source string) bool { return strings.ContainsAny(source, "*?[") }

// ReadSynclists reads synclists in xCAT's syntax, one after the other:
//
//	# a comment begins in the first column
//	/install/files/hosts -> /etc/hosts
//	/install/files/a /install/files/b.d/* -> /etc/site/
//	/install/files/ntp.conf -> (node[1-3],login) /etc/ntp.conf
//	APPEND:
//	/install/files/limits -> /etc/security/limits.conf
//	MERGE:
//	/install/files/users -> /etc/passwd
//	EXECUTE:
//	/install/files/hosts.post
//
// $NAME and ${NAME} are those of env. A clause lasts to the next one or the end
// of its file. The error is Problems, with all that could be read returned beside it.
func ReadSynclists(files []string, env map[string]string) ([]SyncRule, error) {
	var rules []SyncRule
	var problems Problems
	for _, file := range files {
		r := syncReader{file: filepath.Clean(file), env: env}
		if err := r.read(); err != nil {
			problems = append(problems, Problem{r.file, r.line, err.Error()})
		}
		rules, problems = append(rules, r.rules...), append(problems, r.problems...)
	}
	return rules, problems.err()
}

// syncReader reads one list.
type syncReader struct {
	file     string
	env      map[string]string
	line     int
	clause   SyncKind
	rules    []SyncRule
	problems Problems
}

func (r *syncReader) read() error {
	f, err := os.Open(r.file)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.IsDir() {
		return fmt.Errorf("%s is a directory", r.file)
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		r.line++
		if strings.HasPrefix(lines.Text(), "#") || strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		if err := r.add(strings.TrimSpace(lines.Text())); err != nil {
			r.problems = append(r.problems, Problem{r.file, r.line, err.Error()})
		}
	}
	if err := lines.Err(); err != nil {
		r.line++
		return err
	}
	return nil
}

// add takes a line with something on it.
func (r *syncReader) add(text string) error {
	for kind := SyncAppend; kind <= SyncExecuteAlways; kind++ {
		rest, ok := strings.CutPrefix(text, kind.String())
		if ok && rest != "" {
			return fmt.Errorf("%s stands on a line of its own, before those that it is for", kind)
		}
		if ok {
			r.clause = kind
			return nil
		}
	}
	rule := SyncRule{Kind: r.clause, File: r.file, Line: r.line}
	var err error
	if r.clause == SyncExecute || r.clause == SyncExecuteAlways {
		err = rule.script(text)
	} else {
		err = rule.arrow(text)
	}
	if err == nil {
		err = rule.expand(r.env)
	}
	if err == nil {
		err = rule.check()
	}
	if err == nil {
		r.rules = append(r.rules, rule)
	}
	return err
}

func (r *SyncRule) script(text string) error {
	if words := strings.Fields(text); len(words) > 1 {
		return fmt.Errorf("%q: below %s stands one script a line", text, r.Kind)
	}
	r.Sources = []string{text}
	return nil
}

// arrow reads "SOURCE... -> [(NODES)] DEST".
func (r *SyncRule) arrow(text string) error {
	words := strings.Fields(text)
	i := slices.Index(words, "->")
	switch {
	case strings.HasPrefix(text, "#"):
		return errors.New("a comment begins in the first column")
	case i < 0:
		return fmt.Errorf("%q is not SOURCE... -> DEST, with blanks around the arrow", text)
	case slices.Contains(words[i+1:], "->"):
		return fmt.Errorf("%q has more than one arrow", text)
	case i == 0:
		return fmt.Errorf("%q has no source before the arrow", text)
	}
	r.Sources = words[:i:i]
	dest := strings.Join(words[i+1:], " ")
	if rest, ok := strings.CutPrefix(dest, "("); ok {
		nodes, after, closed := strings.Cut(rest, ")")
		if r.Nodes = strings.ReplaceAll(nodes, " ", ""); !closed || r.Nodes == "" {
			return fmt.Errorf("%q: nodes are written -> (node1,node2) DEST", text)
		}
		dest = strings.TrimSpace(after)
	}
	if r.Dest = dest; dest == "" || strings.Contains(dest, " ") {
		return fmt.Errorf("%q: behind the arrow stands one path", text)
	}
	return nil
}

// expand puts variables in.
func (r *SyncRule) expand(env map[string]string) error {
	var unknown []string
	get := func(name string) string {
		value, ok := env[name]
		if !ok && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
		return value
	}
	for i, source := range r.Sources {
		r.Sources[i] = os.Expand(source, get)
	}
	r.Dest = os.Expand(r.Dest, get)
	if unknown != nil {
		return fmt.Errorf("environvar has no %s", strings.Join(unknown, ", "))
	}
	return nil
}

func (r *SyncRule) check() error {
	for _, source := range r.Sources {
		if err := absolute(source); err != nil {
			return err
		}
		if _, err := filepath.Match(source, ""); err != nil {
			return fmt.Errorf("%s is no pattern: a [ without its ]", source)
		}
	}
	if r.Dest == "" {
		return nil
	}
	if err := absolute(r.Dest); err != nil {
		return err
	}
	switch {
	case slices.Contains(strings.Split(r.Dest, "/"), ".."):
		return fmt.Errorf("%s: a path of the image without .. is wanted", r.Dest)
	case r.Kind == SyncMerge && !slices.Contains(MergeFiles(), r.Dest):
		return fmt.Errorf("MERGE: is for %s, not for %s; write the line below APPEND: or above all clauses", strings.Join(MergeFiles(), ", "), r.Dest)
	case r.Kind == SyncAppend && strings.HasSuffix(r.Dest, "/"):
		return fmt.Errorf("APPEND: %s is a directory", r.Dest)
	}
	return nil
}

func absolute(path string) error {
	switch {
	case !filepath.IsAbs(path):
		return fmt.Errorf("%q is no absolute path", path)
	case strings.Contains(path, "\x00"):
		return fmt.Errorf("%q has a zero byte in it", path)
	}
	return nil
}
