package netboot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Version is a version that a rootimgdir keeps.
type Version struct {
	ID        string
	Current   bool
	Published time.Time
	Used      time.Time // when it became current last; zero: it is not known
	Manifest  *Manifest // nil where Err says why
	Err       error

	order int // in the history, counted from 1; 0: it is not there
}

// Size is the number of bytes of the version's files.
func (v Version) Size() int64 {
	var n int64
	if v.Manifest != nil {
		for _, f := range v.Manifest.Files {
			n += f.Size
		}
	}
	return n
}

// Versions lists what dir keeps: the current version first, then the others,
// those that were current last before the rest.
func Versions(dir string) ([]Version, error) {
	entries, err := os.ReadDir(filepath.Join(dir, versionsDir))
	if os.IsNotExist(err) {
		return nil, errNoRootimgdir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("listing the versions of %s: %w", dir, err)
	}
	history, err := readHistory(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", dir, err)
	}
	current := currentID(dir)
	var list []Version
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.IsDir() || !isVersionID(e.Name()) { // gone meanwhile, or none
			continue
		}
		v := Version{ID: e.Name(), Current: e.Name() == current, Published: info.ModTime()}
		if i := slices.IndexFunc(history, func(u use) bool { return u.id == v.ID }); i >= 0 {
			v.order, v.Published, v.Used = i+1, history[i].published, history[i].current
		}
		v.Manifest, v.Err = readVersion(filepath.Join(dir, versionsDir, v.ID), v.ID)
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Version) int {
		switch {
		case a.Current:
			return -1
		case b.Current:
			return 1
		}
		return cmp.Or(b.order-a.order, b.Published.Compare(a.Published), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// versionID is the name of the version with this manifest.
func versionID(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return hex.EncodeToString(sum[:8])
}

// readVersion reads a version's manifest, of which its ID is the digest.
func readVersion(dir, id string) (*Manifest, error) {
	name := filepath.Join(dir, ManifestName)
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if versionID(text) != id {
		return nil, fmt.Errorf("%s is damaged: it is not the one of version %s", name, id)
	}
	m, err := DecodeManifest(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return m, nil
}

// Rollback makes another version of dir current: the one whose ID is or starts
// with version or, where that is "", the one that was current before. First
// check is asked about the version's directory; its error stops the rollback.
// Nothing is removed but names that the version does not have.
func Rollback(ctx context.Context, dir, version string, check func(dir string, m *Manifest) error, o Options) (_ Version, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return Version{}, fmt.Errorf("naming the rootimgdir: %w", err)
	}
	if _, err := Versions(dir); err != nil {
		return Version{}, err
	}
	s := &site{dir: dir}
	if err := s.own(currentLink, ManifestName); err != nil {
		return Version{}, err
	}
	if err := s.acquire(ctx, o); err != nil {
		return Version{}, err
	}
	defer func() { err = errors.Join(err, s.release()) }()
	v, err := s.rollback(ctx, version, check)
	if err != nil {
		return Version{}, fmt.Errorf("rolling back %s: %w", dir, err)
	}
	return v, nil
}

func (s *site) rollback(ctx context.Context, version string, check func(string, *Manifest) error) (Version, error) {
	if err := s.removeTemporary(); err != nil {
		return Version{}, err
	}
	list, err := Versions(s.dir)
	if err != nil {
		return Version{}, err
	}
	v, err := choose(list, version)
	if err == nil {
		err = v.Err
	}
	if err != nil {
		return Version{}, err
	}
	if err := check(s.version(v.ID), v.Manifest); err != nil {
		return Version{}, err
	}
	if err := ctx.Err(); err != nil {
		return Version{}, err
	}
	names := v.Manifest.names()
	if err := s.own(names...); err != nil {
		return Version{}, err
	}
	if err := s.link(v.ID, names); err != nil {
		return Version{}, err
	}
	if list, err = Versions(s.dir); err != nil {
		return Version{}, err
	}
	return choose(list, v.ID)
}

// choose finds the version that is meant in a list that Versions made.
func choose(list []Version, want string) (Version, error) {
	if want == "" {
		return previous(list)
	}
	var found []Version
	for _, v := range list {
		switch {
		case v.ID == want:
			return v, nil
		case strings.HasPrefix(v.ID, want):
			found = append(found, v)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Version{}, fmt.Errorf("it has no version %q; it has %s", want, ids(list))
	}
	return Version{}, fmt.Errorf("%q is the beginning of several versions: %s", want, ids(found))
}

// previous is the version that was current before the one that is. Where the
// history does not know the latter, it is the newest of the others.
func previous(list []Version) (Version, error) {
	if len(list) == 0 || !list[0].Current {
		return Version{}, fmt.Errorf("no version of it is current; name one: it has %s", ids(list))
	}
	for _, v := range list[1:] {
		if order := list[0].order; order == 0 || 0 < v.order && v.order < order {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("it keeps no version that was current before; it has %s", ids(list))
}

func ids(list []Version) string {
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = v.ID
		if v.Current {
			names[i] += " (current)"
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
