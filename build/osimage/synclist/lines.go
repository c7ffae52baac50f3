package synclist

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// maxText is more than any file has whose lines are looked at.
const maxText = 64 << 20

// appendTo puts what source has to the end of a file of the image, unless the file
// has these lines, one behind the other, already.
func (a *applier) appendTo(dest, source string) error {
	more, err := readText(source)
	if err != nil {
		return err
	}
	return a.edit(dest, &a.report.Appended, func(text []byte) ([]byte, error) {
		lines := withEnd(more)
		text = withEnd(text)
		if len(lines) == 0 || bytes.HasPrefix(text, lines) || bytes.Contains(text, append([]byte("\n"), lines...)) {
			return text, nil
		}
		return append(text, lines...), nil
	})
}

func withEnd(text []byte) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return append(slices.Clip(text), '\n')
	}
	return text
}

// mergeInto puts the entries of source into a file of accounts of the image: in
// the place of those of the same name, others behind them.
func (a *applier) mergeInto(dest, source string) error {
	more, err := readText(source)
	if err != nil {
		return err
	}
	entries, err := readEntries(more, source, dest)
	if err != nil {
		return err
	}
	return a.edit(dest, &a.report.Merged, func(text []byte) ([]byte, error) {
		var out strings.Builder
		done := map[string]bool{}
		for line := range strings.Lines(string(withEnd(text))) {
			name, _, _ := strings.Cut(line, ":")
			if i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name }); i >= 0 {
				if line = entries[i].line; done[name] { // it was there twice
					continue
				}
				done[name] = true
			}
			out.WriteString(line)
		}
		for _, e := range entries {
			if !done[e.name] {
				out.WriteString(e.line)
			}
		}
		return []byte(out.String()), nil
	})
}

// entry is a line of a file of accounts, with its line break.
type entry struct{ name, line string }

// readEntries reads what is to be merged into dest; of a name the last entry counts.
func readEntries(text []byte, source, dest string) ([]entry, error) {
	fields := map[string]int{"/etc/passwd": 7, "/etc/shadow": 9, "/etc/group": 4}[dest] // passwd(5), shadow(5), group(5)
	var entries []entry
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line, ":")
		switch have := strings.Count(line, ":") + 1; {
		case have != fields: // the line may hold a password, and is not shown
			return nil, fmt.Errorf("%s:%d: an entry of %s has %d fields with colons between them, and this has %d", source, n, dest, fields, have)
		case name == "" || strings.ContainsAny(name, " \t"):
			return nil, fmt.Errorf("%s:%d: the entry has no name", source, n)
		}
		entries = slices.DeleteFunc(entries, func(e entry) bool { return e.name == name })
		entries = append(entries, entry{name, line + "\n"})
	}
	return entries, nil
}

// edit changes the content of a file of the image, which keeps all else but its
// time; where a symlink leads to it, that stays. It is put into list if it changed.
func (a *applier) edit(dest string, list *[]string, change func([]byte) ([]byte, error)) error {
	real, err := a.tree.inside(dest)
	if err != nil {
		return err
	}
	f, err := a.tree.open(real)
	if err != nil {
		return err
	}
	defer f.Close()
	old, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(old) > maxText {
		err = fmt.Errorf("it has more than %d bytes", maxText)
	}
	if err != nil {
		return fmt.Errorf("reading %s of the image: %w", dest, err)
	}
	text, err := change(slices.Clip(old))
	if err != nil || bytes.Equal(text, old) {
		return err
	}
	*list = append(*list, dest)
	return a.tree.replace(real, bytes.NewReader(text), func(to *os.File) error { return a.keep(to, f, dest) })
}

func readText(source string) ([]byte, error) {
	info, err := os.Stat(source)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the source: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", source)
	case info.Size() > maxText:
		return nil, fmt.Errorf("%s has more than %d bytes", source, maxText)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	return text, nil
}
