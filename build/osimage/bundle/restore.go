package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// RestoreOptions say how files are restored.
type RestoreOptions struct {
	Places   Places
	Replace  bool // files that are there and differ
	Progress Progress
}

// ExistError is about files that are there already, with other contents.
type ExistError struct{ Paths []string }

func (e *ExistError) Error() string { return "files are there already and differ: " + some(e.Paths) }

// Restored are files that lie complete beside their places. Commit puts them
// there, Rollback undoes everything.
type Restored struct {
	items []*item
	made  []madeDir
	roots map[string]*os.Root
}

// item is one file.
type item struct {
	file   File
	root   *os.Root
	rel    string // in root
	temp   string // "" once it has its name
	backup string // the earlier file, if there was one
	there  bool   // a file was there
	same   bool   // and still is, for it does not differ
	placed bool
}

type madeDir struct {
	root *os.Root
	rel  string
}

// Restore writes files of a bundle beside the places where they go. Nothing that
// is there changes. The bundle is read from its beginning once more.
func Restore(ctx context.Context, r io.Reader, c *Contents, files []File, o RestoreOptions) (_ *Restored, err error) {
	s := &Restored{roots: map[string]*os.Root{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Rollback())
		}
	}()
	if err := o.Places.Check(files); err != nil {
		return s, err
	}
	wanted := map[string]*item{}
	var total int64
	for _, f := range files {
		if wanted[f.Member], err = s.prepare(f, o.Places); err != nil {
			return s, err
		}
		total += f.Size
	}
	t, _, err := open(ctx, r)
	if err != nil {
		return s, err
	}
	w := &restorer{tar: t, total: total, progress: o.Progress}
	if err := w.read(c, wanted); err != nil {
		return s, err
	}
	var differ, lost []string
	for _, it := range s.items {
		switch {
		case it.temp == "" && !it.same:
			lost = append(lost, it.file.Member)
		case it.there && !it.same:
			differ = append(differ, it.file.Dest)
		}
	}
	switch {
	case lost != nil:
		return s, fmt.Errorf("the bundle has changed while it was read: it lacks %s", some(lost))
	case differ != nil && !o.Replace:
		slices.Sort(differ)
		return s, &ExistError{differ}
	}
	return s, nil
}

// prepare finds where a file goes and makes the directory.
func (s *Restored) prepare(f File, places Places) (*item, error) {
	dir := places.of(f.Dest)
	root := s.roots[dir]
	if root == nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("restoring %s: %w", f.Dest, err)
		}
		var err error
		if root, err = os.OpenRoot(dir); err != nil {
			return nil, fmt.Errorf("restoring %s: %w", f.Dest, err)
		}
		s.roots[dir] = root
	}
	rel, err := filepath.Rel(dir, f.Dest)
	if err != nil {
		return nil, err
	}
	it := &item{file: f, root: root, rel: rel}
	if err := s.makeDirs(root, path.Dir(rel)); err != nil {
		return nil, fmt.Errorf("restoring %s: %w", f.Dest, err)
	}
	s.items = append(s.items, it)
	return it, nil
}

// makeDirs makes a directory with those above it, and remembers which.
func (s *Restored) makeDirs(root *os.Root, rel string) error {
	if rel == "." {
		return nil
	}
	info, err := root.Stat(rel)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is no directory", filepath.Join(root.Name(), rel))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.makeDirs(root, path.Dir(rel)); err != nil {
		return err
	}
	if err := root.Mkdir(rel, 0o755); err != nil {
		return err
	}
	s.made = append(s.made, madeDir{root, rel})
	return nil
}

// restorer reads files out of a bundle.
type restorer struct {
	tar         *tar.Reader
	done, total int64
	progress    Progress
}

func (w *restorer) Read(p []byte) (int, error) {
	n, err := w.tar.Read(p)
	w.done += int64(n)
	if w.progress != nil {
		w.progress(w.done, w.total)
	}
	return n, err
}

func (w *restorer) read(c *Contents, wanted map[string]*item) error {
	for {
		h, err := w.tar.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, err := inside(h.Name)
		it := wanted[name]
		if err != nil || it == nil {
			continue
		}
		if h.Typeflag != tar.TypeReg || h.Size != c.entries[name].size || it.temp != "" {
			return fmt.Errorf("the bundle has changed while it was read: %s is not what it was", name)
		}
		if err := w.file(it, h.ModTime); err != nil {
			return fmt.Errorf("restoring %s: %w", it.file.Dest, err)
		}
	}
}

// file writes one file beside its place.
func (w *restorer) file(it *item, when time.Time) (err error) {
	info, err := it.root.Lstat(it.rel)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	it.there = err == nil
	name := path.Join(path.Dir(it.rel), "."+short(path.Base(it.rel))+"."+rand.Text()[:12])
	f, err := it.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	it.temp = name
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, w); err != nil {
		return err
	}
	if it.there {
		if it.same, err = it.equals(f, info); err != nil || it.same {
			return errors.Join(err, it.drop())
		}
	}
	mode, err := it.mode(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = it.root.Chtimes(name, when, when)
	}
	return errors.Join(err, f.Sync())
}

// short leaves room in a name for more.
func short(name string) string { return name[:min(len(name), 200)] }

// drop removes the file that waits for its name.
func (it *item) drop() error {
	if it.temp == "" {
		return nil
	}
	err := it.root.Remove(it.temp)
	it.temp = ""
	return err
}

// mode is what a restored file may be used for: a program only if it is a script
// that the image is made with, or begins as scripts do.
func (it *item) mode(f *os.File) (fs.FileMode, error) {
	if !it.file.exec {
		return 0o644, nil
	}
	if it.file.script {
		return 0o755, nil
	}
	start := make([]byte, 2)
	if _, err := f.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if it.file.extra && string(start) == "#!" {
		return 0o755, nil
	}
	return 0o644, nil
}

// equals tells whether the file that is there says the same, which a link to such
// does too. What is no file is not replaced.
func (it *item) equals(f *os.File, info fs.FileInfo) (bool, error) {
	link := info.Mode()&fs.ModeSymlink != 0
	if !link && !info.Mode().IsRegular() {
		return false, errors.New("something is there that is no file; move it away")
	}
	old, err := it.root.Open(it.rel)
	if err == nil {
		defer old.Close()
		info, err = old.Stat()
	}
	if err != nil {
		return false, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	same := info.Mode().IsRegular() && info.Size() == it.file.Size
	if same {
		if same, err = equal(f, old); err != nil {
			return false, err
		}
	}
	if link && !same {
		return false, errors.New("a symbolic link is there, as in directories that rootcast convert has made; give the osimage another rootimgdir, or move it away")
	}
	return same, nil
}

func equal(a, b io.Reader) (bool, error) {
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(a, x)
		m, err2 := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		for _, err := range []error{err, err2} {
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				return true, nil
			case err != nil:
				return false, err
			}
		}
	}
}

// name is a path that messages call a file by.
func (it *item) name() string { return filepath.Join(it.root.Name(), it.rel) }
