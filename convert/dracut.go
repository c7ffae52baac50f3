package convert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/spool"
	"github.com/rootcast/rootcast/convert/unpack"
)

// Command is a program of an image, to be run in a container of the image that
// goes afterwards.
type Command struct {
	Args   []string  // the program and its arguments
	Env    []string  // KEY=VALUE
	Files  io.Reader // a tar that is unpacked over the image beforehand
	Result string    // an absolute path: the file that it writes
}

// Runner runs a command in a container of an image and copies its result to w.
type Runner func(ctx context.Context, img *image.Image, c Command, w io.Writer) error

// errNoRunner is a caller that cannot run programs.
var errNoRunner = errors.New("an initrd by dracut takes someone to run it")

// planDracut has the image's own dracut make the first stage.
func (c *converter) planDracut(ctx context.Context, o initrd.Options) (*initrd.Report, error) {
	if c.o.Run == nil {
		return nil, errNoRunner
	}
	run, chosen, err := initrd.Dracut(ctx, c.tree, o)
	if err != nil {
		return nil, err
	}
	c.o.Report.say("running the image's dracut", 0, 0)
	if c.initrd.tree, c.initrd.contents, err = c.runDracut(ctx, run); err != nil {
		return nil, err
	}
	if err := initrd.CheckDracut(c.initrd.tree); err != nil {
		return nil, err
	}
	if c.manifest.Init != "/sbin/init" { // which dracut starts else, or systemd
		c.manifest.Arguments = strings.TrimSpace("init=" + c.manifest.Init + " " + c.manifest.Arguments)
	}
	report := initrd.Carried(c.initrd.tree)
	report.Warnings = chosen.Warnings
	return report, nil
}

// runDracut returns the tree of the initrd that it makes, whose contents lie in a
// file without a name.
func (c *converter) runDracut(ctx context.Context, run *initrd.DracutRun) (_ *rootfs.Tree, _ io.Closer, err error) {
	archive, err := spool.File(c.o.TempDir)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	files, end := io.Pipe()
	go func() {
		_, err := pack.Archive(ctx, end, run.Files, pack.Options{Method: pack.Tar})
		end.CloseWithError(err)
	}()
	err = c.o.Run(ctx, c.img, Command{
		Args: run.Args, Files: files, Result: initrd.DracutResult,
		Env: []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", c.manifest.Epoch.Unix())},
	}, archive)
	if err = errors.Join(err, files.Close()); err != nil {
		return nil, nil, err
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	tree, contents, err := loadTree(ctx, "the initrd by dracut", c.o.TempDir, func(f func(*unpack.Entry) error) error {
		return unpack.CPIO(archive, f)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the initrd that dracut made: %w", err)
	}
	return tree, contents, nil
}
