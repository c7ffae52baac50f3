package repomd

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Name is where a repository has its index.
const Name = "repodata/repomd.xml"

// Depth is how many directories deep Find looks. Media have their repositories
// one or two deep, trees of whole mirrors (9/BaseOS/x86_64/os) four.
const Depth = 5

// Index is a repomd.xml.
type Index struct {
	Revision string `xml:"revision"` // most often a Unix time, but any text may stand there
	Data     []Data `xml:"data"`
}

// Data is one of the lists that an index names.
type Data struct {
	Type      string `xml:"type,attr"` // primary, filelists, updateinfo, modules
	Timestamp string `xml:"timestamp"`
}

// Parse reads a repomd.xml.
func Parse(text string) (Index, error) {
	var doc struct {
		XMLName xml.Name `xml:"repomd"`
		Index
	}
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		return Index{}, fmt.Errorf("it is no repomd.xml: %w", err)
	}
	if !slices.ContainsFunc(doc.Data, func(d Data) bool { return strings.HasPrefix(d.Type, "primary") }) {
		return Index{}, errors.New("it is no whole repomd.xml: it names no list of packages (primary)")
	}
	return doc.Index, nil
}

// Time is the newest of the times in the index: that of the last change of the
// repository. It is zero where there is none.
func (x Index) Time() time.Time {
	newest := unixTime(x.Revision)
	for _, d := range x.Data {
		if t := unixTime(d.Timestamp); t.After(newest) {
			newest = t
		}
	}
	return newest
}

// unixTime takes only what can be the time of a repository: revisions are
// also plain counters, and some are dates written together.
func unixTime(text string) time.Time {
	text, _, _ = strings.Cut(strings.TrimSpace(text), ".") // some write fractions
	const first, last = 850_000_000, 4_102_444_800         // when there began to be RPM; the year 2100
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < first || seconds > last {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// Find lists the directories of tree that are repositories, at most Depth deep,
// sorted; "." is tree itself. It follows no symbolic links and does not look
// for repositories inside of repositories.
func Find(tree fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		if info, err := fs.Stat(tree, path.Join(name, Name)); err == nil && info.Mode().IsRegular() {
			found = append(found, name)
			return fs.SkipDir
		}
		if name != "." && strings.Count(name, "/")+1 >= Depth {
			return fs.SkipDir
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}
