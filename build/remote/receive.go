package remote

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits bound what a request may put on a node's disk.
type Limits struct {
	Entries int   // 0: four millions
	Bytes   int64 // of all files; 0: 256 GiB
}

const (
	defaultEntries = 4 << 20
	defaultBytes   = 256 << 30
	maxSecret      = 4 << 20
)

func (l Limits) orDefault() Limits {
	if l.Entries == 0 {
		l.Entries = defaultEntries
	}
	if l.Bytes == 0 {
		l.Bytes = defaultBytes
	}
	return l
}

// Receive reads a request and puts its files into dir, which must be empty and
// ours alone: the context into dir/context, recipes and secrets where [RecipeFile]
// and [SecretFile] say. Nothing is written outside of dir, whatever links the
// files are. What r holds after the request is left to the caller.
func Receive(r io.Reader, dir string, l Limits) (Request, error) {
	in := bufio.NewReaderSize(r, maxLine)
	req, err := readRequest(in)
	if err != nil {
		return req, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return req, fmt.Errorf("receiving the request: %w", err)
	}
	defer root.Close()
	u := &unpacker{root: root, left: l.orDefault(), limits: l.orDefault()}
	if err := u.unpack(tar.NewReader(in)); err != nil {
		return req, fmt.Errorf("receiving the request: %w", cutOff(err))
	}
	return req, req.check(root)
}

// check finds what the request names and the stream did not hold.
func (req Request) check(root *os.Root) error {
	var names []string
	for _, f := range req.Files {
		if f.Name != "" {
			names = append(names, f.Name)
		}
	}
	for n := range req.Secrets {
		names = append(names, SecretFile(n))
	}
	for _, name := range names {
		if fi, err := root.Lstat(name); err != nil || !fi.Mode().IsRegular() {
			return fmt.Errorf("receiving the request: it names a file %q and does not bring it", name)
		}
	}
	return nil
}

// unpacker writes a request's files.
type unpacker struct {
	root         *os.Root
	left, limits Limits
	dirs         []*tar.Header // which get their modes and times last: writing into them needs and changes these
}

func (u *unpacker) unpack(files *tar.Reader) error {
	for _, dir := range []string{contextDir, recipeDir, secretsDir} {
		if err := u.root.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := u.entry(h, files); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	for _, h := range slices.Backward(u.dirs) {
		if err := u.finishDir(h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return nil
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	top, _, below := strings.Cut(name, "/")
	if !below || top != contextDir && top != recipeDir && top != secretsDir || !fs.ValidPath(name) {
		return errors.New("it lies outside of the request's directories")
	}
	if err := checkType(h); err != nil {
		return fmt.Errorf("it %w", err)
	}
	if top != contextDir && (h.Typeflag != tar.TypeReg || h.Size > maxSecret) {
		return fmt.Errorf("it is no file of at most %d bytes", maxSecret)
	}
	u.left.Entries--
	u.left.Bytes -= h.Size
	if u.left.Entries < 0 || u.left.Bytes < 0 {
		return fmt.Errorf("the request has more than %d files or %d bytes; name in .containerignore what the recipe does not need", u.limits.Entries, u.limits.Bytes)
	}
	h.Name = name
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.dir(h)
	case tar.TypeLink:
		return u.root.Link(path.Clean(h.Linkname), name)
	case tar.TypeSymlink:
		// It may point anywhere, as it shall in the image; who follows it stays inside.
		if err := u.root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		return u.setTime(h)
	}
	return u.file(h, content)
}

func (u *unpacker) dir(h *tar.Header) error {
	if err := u.root.Mkdir(h.Name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	u.dirs = append(u.dirs, h)
	return nil
}

func (u *unpacker) finishDir(h *tar.Header) error {
	f, err := u.root.Open(h.Name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := setXattrs(f, h); err != nil {
		return err
	}
	if err := f.Chmod(h.FileInfo().Mode()); err != nil {
		return err
	}
	return u.setTime(h)
}

func (u *unpacker) file(h *tar.Header, content io.Reader) (err error) {
	f, err := u.root.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = u.setTime(h)
		}
	}()
	if _, err := io.Copy(f, content); err != nil {
		return err
	}
	if err := f.Chmod(h.FileInfo().Mode()); err != nil {
		return err
	}
	return setXattrs(f, h)
}

// paxXattr is how extended attributes are called in a tar header.
const paxXattr = "SCHILY.xattr."

func setXattrs(f *os.File, h *tar.Header) error {
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, paxXattr)
		if !ok {
			continue
		}
		if err := unix.Fsetxattr(int(f.Fd()), name, []byte(value), 0); err != nil {
			return fmt.Errorf("setting its attribute %s: %w", name, err)
		}
	}
	return nil
}

// setTime gives a file its time, a link its own.
func (u *unpacker) setTime(h *tar.Header) error {
	dir, err := u.root.Open(path.Dir(h.Name))
	if err != nil {
		return err
	}
	defer dir.Close()
	t, err := unix.TimeToTimespec(h.ModTime)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(dir.Fd()), path.Base(h.Name), []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}
