package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/cache"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

func key(n int) (k cache.Key) {
	copy(k[:], fmt.Sprintf("%032d", n))
	return k
}

func open(t testing.TB, dir string, limit int64) *cache.Store {
	t.Helper()
	s, err := cache.Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files lists what a cache has on disk.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// get reads an entry in both ways, which must agree.
func get(t *testing.T, s *cache.Store, k cache.Key, room func(int) []byte) ([]byte, bool) {
	t.Helper()
	var whole []byte
	r := s.Reader(cache.Segments, k)
	if r != nil {
		var err error
		if whole, err = io.ReadAll(r); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	data, ok := s.Get(cache.Segments, k, room)
	if ok != (r != nil) || ok && !bytes.Equal(data, whole) {
		t.Errorf("Get gives %d bytes, %v; Reader %d, %v", len(data), ok, len(whole), r != nil)
	}
	return data, ok
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	for name, data := range map[string][]byte{"empty": {}, "short": []byte("x"), "long": bytes.Repeat([]byte("0123456789"), 1<<20)} {
		for _, more := range []int{0, 5, 20 << 20} {
			s := open(t, dir, 0)
			k := key(len(data))
			s.Put(cache.Segments, k, data)
			got, ok := get(t, open(t, dir, 0), k, func(size int) []byte { return make([]byte, 0, size+more) })
			if !ok || !bytes.Equal(got, data) {
				t.Errorf("%s with %d bytes of room left: %d bytes, %v", name, more, len(got), ok)
			}
			if _, ok := s.Get(cache.Indexes, k, nil); ok {
				t.Errorf("%s: a segment is taken for an index", name)
			}
		}
	}
	s := open(t, dir, 0)
	if _, ok := get(t, s, key(99), nil); ok {
		t.Error("there is what nobody has put there")
	}
	w := s.Create(cache.Segments, key(7))
	for range 3 {
		if _, err := io.WriteString(w, "abc"); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := get(t, s, key(7), nil); ok {
		t.Error("an entry is there before it is complete")
	}
	w.Close(true)
	if got, ok := get(t, s, key(7), nil); !ok || string(got) != "abcabcabc" {
		t.Errorf("got %q, %v", got, ok)
	}
	w = s.Create(cache.Segments, key(8))
	_, _ = io.WriteString(w, "never")
	w.Close(false)
	if _, ok := get(t, s, key(8), nil); ok {
		t.Error("an entry that was dropped is there")
	}
	for _, name := range files(t, dir) {
		if strings.HasPrefix(filepath.Base(name), ".tmp") {
			t.Errorf("left behind: %s", name)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is for others too: %v, %v", name, info.Mode(), err)
		}
	}
}

// A store that is nil keeps nothing and breaks nothing.
func TestNoStore(t *testing.T) {
	var s *cache.Store
	s.Put(cache.Segments, key(1), []byte("x"))
	if _, ok := get(t, s, key(1), nil); ok {
		t.Error("it kept something")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever happens to an entry, it is found out, and made anew.
func TestDamaged(t *testing.T) {
	data := bytes.Repeat([]byte("some data "), 1000)
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	for name, damage := range map[string]func([]byte) []byte{
		"the first byte":    flip(0),
		"one in the middle": flip(5000),
		"the key":           flip(-40),
		"the length":        flip(-10),
		"the checksum":      flip(-6),
		"the magic":         flip(-1),
		"cut off":           func(b []byte) []byte { return b[:len(b)-1] },
		"cut short":         func(b []byte) []byte { return b[:3] },
		"empty":             func([]byte) []byte { return nil },
		"longer":            func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, large := range []bool{false, true} {
				dir := t.TempDir()
				s := open(t, dir, 0)
				s.Put(cache.Segments, key(1), data)
				file := files(t, dir)[0]
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, damage(b), 0o600); err != nil {
					t.Fatal(err)
				}
				if large {
					if r := s.Reader(cache.Segments, key(1)); r != nil {
						t.Error("Reader takes it for whole")
					}
				} else if got, ok := s.Get(cache.Segments, key(1), nil); ok {
					t.Errorf("Get takes it for whole: %d bytes", len(got))
				}
				if left := files(t, dir); len(left) > 0 {
					t.Errorf("it is still there: %v", left)
				}
				s.Put(cache.Segments, key(1), data)
				if got, ok := get(t, s, key(1), nil); !ok || !bytes.Equal(got, data) {
					t.Error("it cannot be made anew")
				}
			}
		})
	}
	// An entry under another's name.
	dir := t.TempDir()
	s := open(t, dir, 0)
	s.Put(cache.Segments, key(1), data)
	one := files(t, dir)[0]
	s.Put(cache.Segments, key(2), []byte("other"))
	two := strings.TrimSuffix(one, "31") + "32"
	if err := os.Rename(one, two); err != nil {
		t.Fatal(err)
	}
	if _, ok := get(t, s, key(2), nil); ok {
		t.Error("another entry's data are taken for this one's")
	}
}

// The limit is kept by dropping what was used the longest time ago.
func TestEviction(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 5*1100)
	for i := range 10 {
		s.Put(cache.Segments, key(i), make([]byte, 1000))
	}
	for i, name := range files(t, dir) { // in the order of the keys
		at := time.Now().Add(time.Duration(i-100) * time.Minute)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	get(t, s, key(2), nil) // which makes it the latest
	abandoned := filepath.Join(filepath.Dir(files(t, dir)[0]), ".tmp-1")
	if err := os.WriteFile(abandoned, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	young := s.Create(cache.Segments, key(99)) // another one writes it just now
	if _, err := young.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var kept []int
	for i := range 10 {
		if _, ok := get(t, s, key(i), nil); ok {
			kept = append(kept, i)
		}
	}
	if fmt.Sprint(kept) != "[2 6 7 8 9]" {
		t.Errorf("kept %v", kept)
	}
	if _, err := os.Stat(abandoned); !os.IsNotExist(err) {
		t.Errorf("what a dead writer left is still there: %v", err)
	}
	young.Close(true)
	if _, ok := get(t, s, key(99), nil); !ok {
		t.Error("what another one writes is gone")
	}
	empty := filepath.Join(filepath.Dir(abandoned), "30"+strings.Repeat("f", 62)) // after a crash of the machine
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pruned, err := s.Prune(0)
	if err != nil || pruned.Entries != 7 || pruned.Kept != 0 || pruned.Bytes < 5000 {
		t.Errorf("pruned %+v, %v", pruned, err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if fans, err := os.ReadDir(filepath.Join(dir, "segments")); err != nil || len(fans) > 0 {
		t.Errorf("empty directories stay: %v, %v", fans, err)
	}
}

// What a killed writer left goes also where there is no limit, once there is
// something new.
func TestLeftover(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	s.Put(cache.Segments, key(1), []byte("x"))
	left := filepath.Join(filepath.Dir(files(t, dir)[0]), ".tmp-1")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir, 0).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("a store to which nothing was added looked for it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if _, ok := get(t, s, key(1), nil); !ok {
		t.Error("the entry is gone, too")
	}
}

// Pruning does what it can, and tells what it could not.
func TestPruneErrors(t *testing.T) {
	rootfstest.NeedRoot(t)
	const user = 1234
	keys := []cache.Key{{0x11, 1}, {0x22, 2}, {0x33, 3}}
	for name, test := range map[string]struct {
		mode os.FileMode // of the directory of the second
		want string
	}{
		"not readable":   {0o300, "pruning the cache: open "},
		"not searchable": {0o600, "pruning the cache: lstat "},
		"not writable":   {0o500, "pruning the cache: remove "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, 0)
			for _, k := range keys {
				s.Put(cache.Segments, k, []byte("data"))
			}
			entries := files(t, dir)
			for _, name := range append(entries, filepath.Join(dir, "segments", "x"), filepath.Join(dir, "indexes", "x")) {
				if err := os.Chown(filepath.Dir(name), user, user); err != nil {
					t.Fatal(err)
				}
			}
			bad := filepath.Dir(entries[1])
			if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(bad, test.mode)); err != nil {
				t.Fatal(err)
			}
			var pruned cache.Pruned
			err := as(user, func() (err error) {
				pruned, err = s.Prune(0)
				return err
			})
			if err == nil || !strings.HasPrefix(err.Error(), test.want+bad) {
				t.Errorf("error %v, want %s%s", err, test.want, bad)
			}
			if left := files(t, dir); pruned.Entries != 2 || len(left) != 1 || left[0] != entries[1] {
				t.Errorf("pruned %+v, left: %v", pruned, left)
			}
		})
	}
}

// as does something with the rights of a user without privileges.
func as(user int, do func() error) error {
	runtime.LockOSThread() // whose rights they are; it ends with the goroutine that asked for it if they stay
	if _, err := unix.SetfsuidRetUid(user); err != nil {
		return err
	}
	err := do()
	if _, back := unix.SetfsuidRetUid(0); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// A cache takes nothing for its own that is not, wherever it was told to be.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1)
	s.Put(cache.Segments, key(1), []byte("mine"))
	mine := files(t, dir)[0]
	theirs := []string{
		filepath.Join(dir, "thesis.tex"), filepath.Join(dir, "documents", "a"), filepath.Join(dir, "segments", "note"),
		filepath.Join(filepath.Dir(mine), "README"), filepath.Join(dir, "segments", "zz", strings.Repeat("a", 64)),
		filepath.Join(filepath.Dir(mine), strings.Repeat("f", 64)), filepath.Join(dir, "segments", ".tmp-x"),
	}
	for _, name := range theirs {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), strings.Repeat("ab", 32))
	if err := errors.Join(os.WriteFile(elsewhere, []byte("theirs"), 0o600), os.Symlink(filepath.Dir(elsewhere), filepath.Join(dir, "segments", "ab"))); err != nil {
		t.Fatal(err)
	}
	theirs = append(theirs, elsewhere)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if pruned, err := s.Prune(0); err != nil || pruned.Entries > 1 {
		t.Errorf("pruned %+v, %v", pruned, err)
	}
	for _, name := range theirs {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(mine); !os.IsNotExist(err) {
		t.Errorf("an entry stays: %v", err)
	}
}

// A cache may lie behind a symlink, and is pruned there too.
func TestSymlinkedCache(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	s := open(t, link, 1)
	s.Put(cache.Segments, key(1), []byte("x"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left := files(t, filepath.Join(dir, "real")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What others may write is not packed into roots.
func TestForeignCache(t *testing.T) {
	const alone = " is not this user's alone: "
	mode := func(mode os.FileMode) func(string) error {
		return func(dir string) error { return os.Chmod(dir, mode) }
	}
	chown := func(dir string) error { return os.Chown(dir, 1234, 1234) }
	symlink := func(dir string) error { return errors.Join(os.Rename(dir, dir+"2"), os.Symlink(dir+"2", dir)) }
	for _, test := range []struct {
		name, of string
		spoil    func(dir string) error
		root     bool
		want     string
	}{
		{name: "others may write segments", of: "segments", spoil: mode(0o777), want: "segments" + alone},
		{name: "a group may write indexes", of: "indexes", spoil: mode(0o770), want: "indexes" + alone},
		{name: "others may write all of it", spoil: mode(0o777), want: "/cache" + alone},
		{name: "others may read", spoil: mode(0o755)},
		{name: "another's segments", of: "segments", spoil: chown, root: true, want: "segments" + alone},
		{name: "another's indexes", of: "indexes", spoil: chown, root: true, want: "indexes" + alone},
		{name: "another's directory", spoil: chown, root: true, want: "/cache" + alone},
		{name: "segments elsewhere", of: "segments", spoil: symlink, want: "segments is no directory"},
		{name: "all of it elsewhere", spoil: symlink},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.root {
				rootfstest.NeedRoot(t)
			}
			dir := filepath.Join(t.TempDir(), "cache")
			open(t, dir, 0)
			if err := test.spoil(filepath.Join(dir, test.of)); err != nil {
				t.Fatal(err)
			}
			_, err := cache.Open(dir, 0)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// A symlink that leads elsewhere later does not change which cache is used.
func TestSymlinkChanges(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	other := filepath.Join(dir, "other")
	open(t, other, 0).Put(cache.Segments, key(1), []byte("theirs"))
	open(t, filepath.Join(dir, "real"), 0)
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	s := open(t, link, 0)
	if err := errors.Join(os.Remove(link), os.Symlink(other, link)); err != nil {
		t.Fatal(err)
	}
	if got, ok := get(t, s, key(1), nil); ok {
		t.Errorf("%q is taken from a cache that was never checked", got)
	}
}

// An entry that changes while it is read is found out at its end.
func TestReaderFindsChanges(t *testing.T) {
	for name, change := range map[string]func(file string) error{
		"shorter": func(file string) error { return os.Truncate(file, 1000) },
		"other": func(file string) error {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("X"), 5000)
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, 0)
			s.Put(cache.Segments, key(1), make([]byte, 100_000))
			r := s.Reader(cache.Segments, key(1))
			if r == nil {
				t.Fatal("no entry")
			}
			defer r.Close()
			if err := change(files(t, dir)[0]); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); err == nil {
				t.Errorf("%d bytes are read as if nothing were", n)
			}
		})
	}
}

// Many use, fill and prune one cache; whoever gets an entry gets it whole.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	content := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 1000*(n+1)) }
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := open(t, dir, 20_000)
			for i := range 100 {
				n := i * 7 % 16
				if got, ok := s.Get(cache.Segments, key(n), nil); ok && !bytes.Equal(got, content(n)) {
					t.Errorf("entry %d has %d bytes", n, len(got))
				} else if !ok {
					s.Put(cache.Segments, key(n), content(n))
				}
				if i%10 == 0 {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// A full disk costs the cache and nothing else.
func TestFullDisk(t *testing.T) {
	rootfstest.NeedRoot(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	s := open(t, dir, 0)
	s.Put(cache.Segments, key(1), make([]byte, 100<<10))
	if _, ok := get(t, s, key(1), nil); ok {
		t.Error("it holds more than its disk")
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Open(file, 0); err == nil || !strings.HasPrefix(err.Error(), "opening the cache: ") {
		t.Errorf("error %v", err)
	}
}
