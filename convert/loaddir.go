package convert

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cavaliergopher/cpio"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// LoadDir returns the file tree of a rootimgdir's packed root. The contents go
// to a file in tempDir ("": the system's) that has no name; the closer drops it.
func LoadDir(ctx context.Context, dir string, m *netboot.Manifest, tempDir string, report Report) (*rootfs.Tree, io.Closer, error) {
	tree, spool, err := loadDir(ctx, dir, m, tempDir, report)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the root of %s: %w", dir, err)
	}
	return tree, spool, nil
}

func loadDir(ctx context.Context, dir string, m *netboot.Manifest, tempDir string, report Report) (_ *rootfs.Tree, _ io.Closer, err error) {
	f, ok := m.File(netboot.RamdiskName)
	if !ok || f.Method != "cpio" {
		return nil, nil, errors.New("this rootcast reads roots that are packed as cpio, and it has none")
	}
	file, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	codec, err := pack.ParseCodec(f.Compress)
	if err != nil {
		return nil, nil, err
	}
	plain, err := codec.Decoder(ctxio.NewReader(ctx, file, nil))
	if err != nil {
		return nil, nil, err
	}
	defer plain.Close()
	var done int64
	counted := ctxio.NewReader(ctx, plain, func(n int) {
		done += int64(n)
		report.say("reading "+f.Name, done, f.Unpacked)
	})
	spool, err := spoolFile(tempDir)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, spool.Close())
		}
	}()
	l := loader{index: &rootfs.Index{Layer: filepath.Join(dir, f.Name)}, spool: spool, groups: map[string]int{}}
	if err := l.load(counted); err != nil {
		return nil, nil, err
	}
	tree, err := rootfs.Merge(ctx, l.index)
	return tree, spool, err
}

// spoolFile makes a file that vanishes with this process.
func spoolFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "rootcast-root-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// loader turns the entries of an archive into those of a layer.
type loader struct {
	index  *rootfs.Index
	spool  *os.File
	size   int64          // bytes in spool
	groups map[string]int // of hard-linked files: the entry of the first name
}

func (l *loader) load(r io.Reader) error {
	tap := &headerTap{r: bufio.NewReaderSize(r, 256<<10)}
	archive := cpio.NewReader(tap)
	for {
		tap.arm()
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.entry(h, tap, archive); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}

const (
	devMajorAt = 62 // where in a header the field of eight digits starts
	devMinorAt = 70
)

func (l *loader) entry(h *cpio.Header, tap *headerTap, body io.Reader) error {
	name := path.Clean(h.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsRune(name, 0) {
		return errors.New("the name leaves the root")
	}
	in := &rootfs.Inode{Mode: uint32(h.Mode)} //nolint:gosec // 32 bits in the archive
	if h.Links > 1 && !in.IsDir() {
		group := fmt.Sprint(h.Inode, tap.field(devMajorAt), tap.field(devMinorAt))
		if first, seen := l.groups[group]; seen {
			l.index.Entries = append(l.index.Entries, rootfs.Entry{Path: name, Kind: rootfs.Link, Target: l.index.Entries[first].Path})
			return l.fill(l.index.Entries[first].Inode, h, body)
		}
		l.groups[group] = len(l.index.Entries)
	}
	in.Major, in.Minor = uint32(tap.field(rdevMajorAt)), uint32(tap.field(rdevMinorAt)) //nolint:gosec // 32 bits in the archive
	in.UID, in.GID, in.ModTime = uint32(h.Uid), uint32(h.Guid), h.ModTime               //nolint:gosec // 32 bits in the archive
	if in.Type() == rootfs.TypeSymlink {
		in.Target = h.Linkname
	}
	l.index.Entries = append(l.index.Entries, rootfs.Entry{Path: name, Inode: in})
	return l.fill(in, h, body)
}

// fill gives a regular file the content that comes with one of its names.
func (l *loader) fill(in *rootfs.Inode, h *cpio.Header, body io.Reader) error {
	if in.Type() != rootfs.TypeRegular || h.Size == 0 {
		return nil
	}
	n, err := io.Copy(io.NewOffsetWriter(l.spool, l.size), body)
	if err != nil {
		return err
	}
	if n != h.Size {
		return fmt.Errorf("%d bytes of %d: %w", n, h.Size, io.ErrUnexpectedEOF)
	}
	whole := rootfs.NewFile(in.Mode, l.spool, l.size, n)
	whole.UID, whole.GID, whole.ModTime = in.UID, in.GID, in.ModTime
	*in = *whole
	l.size += n
	return nil
}
