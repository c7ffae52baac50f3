package netboot

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// stampName is the file of a version that says what it was made of. It is for
// the machine that made it alone, and no part of what nodes get.
const stampName = ".made-of"

// stamp is what a version was made of, and what its files looked like then.
type stamp struct {
	Inputs string      `json:"inputs"`
	Files  []stampFile `json:"files"`
}

// stampFile tells whether a file is the one that was written: nobody changes a
// file, or puts another in its place, without changing one of these.
type stampFile struct {
	Name  string `json:"name"`
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"` // nanoseconds
	CTime int64  `json:"ctime"` // nanoseconds
}

// Unchanged returns the manifest of the version that dir offers now if it was
// made of the same inputs (see [Options]) and its files are as they were written.
func Unchanged(dir, inputs string) (*Manifest, bool) {
	version := Current(dir)
	text, err := os.ReadFile(filepath.Join(version, stampName))
	if err != nil {
		return nil, false
	}
	var s stamp
	if json.Unmarshal(text, &s) != nil || s.Inputs != inputs || inputs == "" {
		return nil, false
	}
	for _, want := range s.Files {
		if got, err := look(version, want.Name); err != nil || got != want {
			return nil, false
		}
	}
	m, err := readVersion(version, filepath.Base(version))
	if err != nil {
		return nil, false
	}
	for _, name := range m.names() {
		if !slices.ContainsFunc(s.Files, func(f stampFile) bool { return f.Name == name }) {
			return nil, false
		}
		if target, err := os.Readlink(filepath.Join(dir, name)); err != nil || target != filepath.Join(currentLink, name) {
			return nil, false
		}
	}
	return m, true
}

// writeStamp notes what a complete version was made of.
func writeStamp(version, inputs string, names []string) error {
	s := stamp{Inputs: inputs}
	for _, name := range names {
		f, err := look(version, name)
		if err != nil {
			return err
		}
		s.Files = append(s.Files, f)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(version), tempPrefix+"made-of") // where the next process clears it away
	if err := os.WriteFile(temp, text, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(version, stampName))
}

func look(version, name string) (stampFile, error) {
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(version, name), &st); err != nil {
		return stampFile{}, err
	}
	return stampFile{Name: name, Inode: st.Ino, Size: st.Size, MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano()}, nil
}
