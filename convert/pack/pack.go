package pack

import (
	"context"
	"io"
	"runtime"
	"time"

	"github.com/rootcast/rootcast/convert/cache"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// Options says how to pack; the zero value makes a cpio archive without
// compression on all cores.
type Options struct {
	Method Method       // "" is CPIO
	Codec  Codec        // "" is None
	Level  int          // 0: the codec's default, zstd 3, gzip and xz 6, lz4 1
	Jobs   int          // segments at a time; 0: the number of cores
	Epoch  time.Time    // no file is newer than this; zero: each keeps its time
	Cache  *cache.Store // of packed segments; nil: none
	// Also, where it is set, is given the same bytes as the archive's writer, from
	// another goroutine and a little later.
	Also io.Writer
	// Progress, where it is set, is called from one goroutine at a time with
	// the bytes packed so far and all there are, both before compression.
	Progress func(done, total int64)
}

// Segment is a piece of the archive that can be unpacked by itself.
type Segment struct {
	Offset   int64 `json:"offset"`   // in the packed file
	Size     int64 `json:"size"`     // packed bytes
	Unpacked int64 `json:"unpacked"` // bytes of the archive
}

// Info is what a packed archive turned out to be.
type Info struct {
	Size     int64 // bytes of the packed file
	Unpacked int64 // bytes of the archive
	Entries  int
	Segments []Segment
	Reused   int    // segments that came from the cache
	Made     string // of Image: the tool and version that made the file
}

// Archive packs the tree as an archive; with the method of a file system, as the
// tar that its tool takes. A file that the format cannot hold is an error before
// anything is written, which for cpio wraps [cpio.ErrTooLarge]. Extended
// attributes are not carried by cpio; see [Xattrs].
func Archive(ctx context.Context, w io.Writer, t *rootfs.Tree, o Options) (Info, error) {
	f, err := o.format()
	if err != nil {
		return Info{}, err
	}
	if o.Codec == "" {
		o.Codec = None
	}
	if o.Level, err = o.Codec.level(o.Level); err != nil {
		return Info{}, err
	}
	codec, err := o.Codec.open(ctx, o)
	if err != nil {
		return Info{}, err
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	segments, err := plan(t, f, codec.pieces)
	if err != nil {
		return Info{}, err
	}
	p := &packer{o: o, format: f, codec: codec, segments: segments}
	return p.run(ctx, w)
}
