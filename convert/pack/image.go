package pack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/tool"
)

// Image packs the tree as a file system that a node mounts: squashfs or erofs.
// The method's tool is fed a stream of tar and writes to path, where an empty
// file lies. What the tool wants for more than its memory lies beside that.
func Image(ctx context.Context, path string, t *rootfs.Tree, o Options) (Info, error) {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	maker, err := findMaker(ctx, o)
	if err != nil {
		return Info{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := tool.Process{Cmd: tool.Command(ctx, maker.Path, append(maker.args, path)...)}
	p.Cmd.Env = append(p.Cmd.Env, "TMPDIR="+filepath.Dir(path))
	if o.Method == SquashFS { // mkfs.erofs would let no file be newer
		p.Cmd.Env = append(p.Cmd.Env, "SOURCE_DATE_EPOCH="+strconv.FormatInt(o.buildTime(), 10))
	}
	if err := p.Start(); err != nil {
		return Info{}, err
	}
	w := tool.NewWriter(ctx, &p)
	// The tool waits for bytes: what it works with is not what is packed with.
	info, err := Archive(ctx, w, t, Options{Method: o.Method, Codec: None, Jobs: o.Jobs, Epoch: o.Epoch, Progress: o.Progress})
	if err != nil {
		cancel() // an end of its input would look to it like the end of the tree
		if toolErr := w.Close(); toolErr != nil && !errors.Is(toolErr, context.Canceled) {
			return Info{}, toolErr
		}
		return Info{}, err
	}
	if err := w.Close(); err != nil {
		return Info{}, err
	}
	return Info{Unpacked: info.Unpacked, Entries: info.Entries, Made: maker.Says}, nil
}

// maker is a tool and how it is called; the file to write follows.
type maker struct {
	tool.Tool
	args []string
}

// Tool finds the tool that the method and the codec take, and returns its name
// and version; archives take none but xz.
func (o Options) Tool(ctx context.Context) (says string, err error) {
	switch {
	case !o.Method.IsArchive():
		m, err := findMaker(ctx, o)
		return m.Says, err
	case o.Codec == XZ:
		c, err := openXZ(ctx, o.Level)
		return c.identity, err
	}
	return "", nil
}

func findMaker(ctx context.Context, o Options) (maker, error) {
	if o.Codec == "" {
		o.Codec = None
	}
	level, err := o.Method.level(o.Codec, o.Level)
	if err != nil {
		return maker{}, err
	}
	jobs := o.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	switch o.Method {
	case SquashFS:
		return squashMaker(ctx, o.Codec, level, jobs)
	case EROFS:
		return erofsMaker(ctx, o, level, jobs)
	case CPIO, Tar:
	}
	return maker{}, fmt.Errorf("%q is not the method of a file system", o.Method)
}

// buildTime is the time that the file system itself bears.
func (o Options) buildTime() int64 {
	if o.Epoch.IsZero() {
		return 0
	}
	return int64(ModTime(&rootfs.Inode{ModTime: o.Epoch}, o.Epoch))
}
