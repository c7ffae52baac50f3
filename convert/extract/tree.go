package extract

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/xattrs"
)

// tree is what the workers share of the directory that they fill.
type tree struct {
	root int // the directory's descriptor

	mu      sync.Mutex
	groups  map[linkID]*group // hard-linked files seen so far
	trailer int64             // the first segment with the archive's end, -1: none so far
	last    int64             // the last segment with an entry
	metas   map[string]meta   // of directories, from workers that are done
	stats   Stats
	without xattrs.Applied // of files that a tar has attributes for
}

// group is a file with several names. Its members may stand in segments that
// different workers unpack at the same time.
type group struct {
	mu   sync.Mutex
	name string // its first name; "": it is not there yet
	// meta is the entry that gave the file its metadata, and data the order of the
	// one that gave it its content: the last one counts, as with the kernel.
	meta entry
	data int64
}

// meta is what a directory gets when nothing more will be written in it.
type meta struct {
	mode     uint32
	uid, gid int
	mtime    unix.Timespec
	xattrs   map[string]string
	order    int64
	implied  bool // no entry tells of it so far: it is a parent
}

func openTree(dir string) (*tree, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	return &tree{root: fd, groups: map[linkID]*group{}, trailer: -1, last: -1, metas: map[string]meta{}}, nil
}

func (t *tree) close() { _ = unix.Close(t.root) } // it was only looked through

// group is the file that an entry is a name of.
func (t *tree) group(id linkID) *group {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.groups[id]
	if g == nil {
		g = &group{data: -1}
		t.groups[id] = g
	}
	return g
}

// done adds what a segment turned out to hold.
func (t *tree) done(segment int64, entries int, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Entries += entries
	if entries > 0 || ended {
		t.last = max(t.last, segment)
	}
	if ended && (t.trailer < 0 || segment < t.trailer) {
		t.trailer = segment
	}
}

// adopt takes over what a worker knows of directories: the last entry counts.
func (t *tree) adopt(metas map[string]meta) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, m := range metas {
		if old, ok := t.metas[name]; !ok || m.later(old) {
			t.metas[name] = m
		}
	}
}

func (m meta) later(old meta) bool {
	if m.implied != old.implied {
		return old.implied
	}
	return m.order > old.order
}

// whole says whether the archive had its end, and nothing behind it.
func (t *tree) whole() error {
	switch {
	case t.trailer < 0:
		return errNoTrailer
	case t.last > t.trailer:
		return errTrailing
	}
	return nil
}
