package unpack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/ramdisk"
)

// Entry is one name of a packed root.
type Entry struct {
	Name         string // relative and clean; "." is the root
	Mode         uint32 // st_mode
	UID, GID     uint32
	ModTime      int64 // seconds since the epoch
	Major, Minor uint32
	Target       string            // of a symlink
	Xattrs       map[string]string // not those of a cpio, which lists them in a file
	// First is the first name of this file: Name itself unless it is a hard link.
	First string
	Links int // names that the file has, as the format says; 0: it does not
	// Body is the content of a regular file, Size bytes. It is nil where another
	// name of the file carries it. It is valid until the next entry.
	Body io.Reader
	Size int64
}

// Root is a packed root.
type Root struct {
	Path   string
	Method pack.Method
	Codec  pack.Codec
	// InRamdisk says that Path is a ramdisk, which holds the root as members from
	// Offset on (package ramdisk).
	InRamdisk bool
	Offset    int64
	TempDir   string // for a file system out of a ramdisk; "": the system's
	// Count, where it is set, is told of the bytes that were read of the archive,
	// or of the files in a file system.
	Count func(n int)
}

// Walk calls f for each entry until that returns an error. Directories come
// before what is in them.
func (r Root) Walk(ctx context.Context, f func(*Entry) error) error {
	if r.Count == nil {
		r.Count = func(int) {}
	}
	switch r.Method {
	case pack.CPIO, pack.Tar:
		return r.walkArchive(ctx, f)
	case pack.SquashFS:
		return r.withFile(ctx, func(r Root) error { return r.walkSquashFS(ctx, f) })
	case pack.EROFS:
		return r.withFile(ctx, func(r Root) error { return r.walkEROFS(ctx, f) })
	}
	return fmt.Errorf("no packed root has the method %q", r.Method)
}

func (r Root) walkArchive(ctx context.Context, f func(*Entry) error) (err error) {
	file, err := os.Open(r.Path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	plain, err := r.Codec.Decoder(ctxio.NewReader(ctx, r.packed(file), nil))
	if err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	defer plain.Close() //nolint:errcheck // it was only read
	counted := ctxio.NewReader(ctx, plain, r.Count)
	if r.Method == pack.Tar {
		return walkTar(counted, f)
	}
	return walkCPIO(counted, f)
}

// packed reads the root's own bytes.
func (r Root) packed(file *os.File) io.Reader {
	if !r.InRamdisk {
		return file
	}
	const piece = 1 << 20
	return ramdisk.NewReader(bufio.NewReaderSize(io.NewSectionReader(file, r.Offset, math.MaxInt64-r.Offset), piece))
}

// withFile calls f with a root that is a file by itself, for tools that take no other.
func (r Root) withFile(ctx context.Context, f func(Root) error) (err error) {
	if !r.InRamdisk {
		return f(r)
	}
	file, err := os.Open(r.Path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	temp, err := os.CreateTemp(r.TempDir, "rootcast-root-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, temp.Close(), os.Remove(temp.Name())) }()
	if _, err := io.Copy(temp, ctxio.NewReader(ctx, r.packed(file), nil)); err != nil {
		return fmt.Errorf("copying the root out of the ramdisk: %w", err)
	}
	r.Path, r.InRamdisk = temp.Name(), false
	return f(r)
}

// errTrailing is an archive with something behind its end.
var errTrailing = errors.New("more follows the archive's end")
