package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/pack"
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
		return r.walkSquashFS(ctx, f)
	case pack.EROFS:
		return r.walkEROFS(ctx, f)
	}
	return fmt.Errorf("no packed root has the method %q", r.Method)
}

func (r Root) walkArchive(ctx context.Context, f func(*Entry) error) (err error) {
	file, err := os.Open(r.Path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	plain, err := r.Codec.Decoder(ctxio.NewReader(ctx, file, nil))
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

// errTrailing is an archive with something behind its end.
var errTrailing = errors.New("more follows the archive's end")
