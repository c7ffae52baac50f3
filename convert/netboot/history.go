package netboot

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// historyName is the file that says in which order versions became current, the
// last one last. Only the link current says which one is: the file is written
// before the link changes, so after a crash its last line may name a version
// that never became current.
const historyName = ".history"

// use is a line of the history; no version has two.
type use struct {
	id        string
	published time.Time
	current   time.Time // when it became so last
}

// decodeHistory reads what encodeHistory wrote. The history decides about the
// order of old versions alone, so lines that make no sense are passed over.
func decodeHistory(r io.Reader) []use {
	var list []use
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || !isVersionID(f[0]) {
			continue
		}
		published, ok1 := parseTime(f[1])
		current, ok2 := parseTime(f[2])
		if ok1 && ok2 {
			list = append(forget(list, f[0]), use{f[0], published, current})
		}
	}
	return list
}

// parseTime reads a time that can be written again: RFC 3339 has four digits for
// the year, and a zone may lead out of them.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	t = t.UTC()
	return t, err == nil && t.Year() >= 0 && t.Year() <= 9999
}

func encodeHistory(list []use) []byte {
	var b bytes.Buffer
	for _, u := range list {
		fmt.Fprintln(&b, u.id, u.published.UTC().Format(time.RFC3339), u.current.UTC().Format(time.RFC3339))
	}
	return b.Bytes()
}

func forget(list []use, id string) []use {
	return slices.DeleteFunc(list, func(u use) bool { return u.id == id })
}

// isVersionID tells whether a name below versions/ is that of a version.
func isVersionID(name string) bool {
	return filepath.IsLocal(name) && filepath.Base(name) == name && !strings.HasPrefix(name, ".")
}

// readHistory returns the history of dir, of which there is none at first.
func readHistory(dir string) ([]use, error) {
	f, err := os.Open(filepath.Join(dir, historyName))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return decodeHistory(f), nil
}

// currentID is the version that current leads to, "" where there is none.
func currentID(dir string) string {
	target, err := os.Readlink(filepath.Join(dir, currentLink))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// remember puts the version that becomes current at the end of the history,
// behind the one that is so now. Versions that are gone leave it.
func (s *site) remember(id string) error {
	list, err := readHistory(s.dir)
	if err != nil {
		return err
	}
	old := currentID(s.dir)
	list = s.toEnd(list, old)
	if list = s.toEnd(list, id); old != id && len(list) > 0 {
		list[len(list)-1].current = time.Now()
	}
	list = slices.DeleteFunc(list, func(u use) bool {
		_, err := os.Stat(s.version(u.id))
		return os.IsNotExist(err)
	})
	temp := filepath.Join(s.dir, tempPrefix+historyName)
	if err := writeFile(temp, encodeHistory(list)); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(s.dir, historyName))
}

// toEnd makes a version the last one of the history. One that the history does
// not know became current when it was made.
func (s *site) toEnd(list []use, id string) []use {
	info, err := os.Stat(s.version(id))
	if id == "" || err != nil {
		return list
	}
	u := use{id, info.ModTime(), info.ModTime()}
	if i := slices.IndexFunc(list, func(u use) bool { return u.id == id }); i >= 0 {
		u = list[i]
	}
	return append(forget(list, id), u)
}
