package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/rootcast/rootcast/convert/node"
)

// Options says what the archive is. The zero value is a plain cpio.
type Options struct {
	Method   string         // cpio ("": the same) or tar
	Compress string         // zstd, gzip, xz, lz4, none ("": the same)
	Segments []node.Segment // whose entries are whole; nil: not known
	Jobs     int            // workers; 0: one for each core, at most 16
	KeepList bool           // leaves the list of extended attributes in the root
	// Log, where it is set, is told in a line what is done.
	Log func(format string, args ...any)
}

// Stats is what an archive turned out to be.
type Stats struct {
	Entries    int   // names, without the trailer
	Bytes      int64 // of the archive before compression
	XattrFiles int   // files that got extended attributes
	// Warnings are lines on what the file system has no place for.
	Warnings []string
}

var (
	errNoTrailer = errors.New("the archive ends without its trailer: it was cut off")
	errTrailing  = errors.New("more follows the archive's end")
)

// maxJobs is what more cores than these make no faster: memory is the limit.
const maxJobs = 16

// Archive writes the archive that r gives below dir, and returns when all files are
// there with their metadata. An error names the file or the segment. When ctx ends
// it returns at once, and r may be read from until its Read returns.
func Archive(ctx context.Context, r io.Reader, dir string, o Options) (Stats, error) {
	stats, err := archive(ctx, r, dir, o)
	if err != nil {
		return stats, fmt.Errorf("unpacking the root into %s: %w", dir, err)
	}
	return stats, nil
}

func archive(ctx context.Context, r io.Reader, dir string, o Options) (Stats, error) {
	if err := o.complete(); err != nil {
		return Stats{}, err
	}
	t, err := openTree(dir)
	if err != nil {
		return Stats{}, err
	}
	defer t.close()
	x := newExtraction(o, t)
	if err := x.run(ctx, r); err != nil {
		return x.stats(), err
	}
	if err := t.whole(); err != nil {
		return x.stats(), err
	}
	if o.Method == methodCPIO {
		if err := t.applyList(ctx, dir, o.KeepList); err != nil {
			return x.stats(), err
		}
	}
	err = t.describeDirs(ctx)
	return x.stats(), err
}

const (
	methodCPIO = "cpio"
	methodTar  = "tar"
)

const (
	codecZstd = "zstd"
	codecGzip = "gzip"
	codecXZ   = "xz"
	codecLZ4  = "lz4"
	codecNone = "none"
)

// complete puts defaults in and refuses what is unknown.
func (o *Options) complete() error {
	switch o.Method {
	case "":
		o.Method = methodCPIO
	case methodCPIO, methodTar:
	default:
		return fmt.Errorf("%q is no archive: cpio or tar", o.Method)
	}
	switch o.Compress {
	case "":
		o.Compress = codecNone
	case codecZstd, codecGzip, codecXZ, codecLZ4, codecNone:
	default:
		return fmt.Errorf("unknown compression %q: one of zstd, gzip, xz, lz4, none", o.Compress)
	}
	if o.Jobs <= 0 {
		o.Jobs = min(runtime.GOMAXPROCS(0), maxJobs)
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	return nil
}
