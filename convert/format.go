package convert

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// Auto is the codec that the image's kernel can load best.
const Auto pack.Codec = "auto"

// SetFormat fills in what o leaves open about the format, but for a codec that
// depends on the image, and refuses what does not go together.
func (o *Options) SetFormat() error {
	if o.Method == "" {
		o.Method = pack.CPIO
	}
	if o.Compress == "" {
		o.Compress = Auto
	}
	switch {
	case o.Boot == "" && o.Method == pack.CPIO:
		o.Boot = netboot.BootRamdisk
	case o.Boot == "":
		o.Boot = netboot.BootNetroot
	case o.Boot != netboot.BootRamdisk && o.Boot != netboot.BootNetroot:
		return fmt.Errorf("unknown way to boot %q: one of ramdisk, netroot", o.Boot)
	case o.Boot == netboot.BootRamdisk && o.Method != pack.CPIO:
		return fmt.Errorf("a ramdisk is a cpio archive: --method %s needs --boot netroot", o.Method)
	}
	if o.Compress == Auto {
		return nil
	}
	return o.Method.CheckCodec(o.Compress, o.Level)
}

// loadedByKernel tells whether the kernel must know method and codec; other
// roots are unpacked by the first stage.
func (o *Options) loadedByKernel() bool {
	return o.Boot == netboot.BootRamdisk || !o.Method.IsArchive()
}

// chooseCodec asks the kernel's configuration. The warning, if any, is for the manifest.
func (c *converter) chooseCodec() (warning string, err error) {
	if !c.o.loadedByKernel() {
		if c.o.Compress == Auto {
			c.o.Compress = pack.Zstd
		}
		return "", c.o.Method.CheckCodec(c.o.Compress, c.o.Level)
	}
	support, err := c.kernel.Supports(c.tree)
	if err != nil {
		return "", err
	}
	method := string(c.o.Method)
	if c.o.Compress != Auto {
		return "", support.Check(method, string(c.o.Compress))
	}
	if c.o.Compress, err = bestCodec(support, c.o.Method, c.kernel); err != nil {
		return "", err
	}
	if support.Source == "" {
		warning = fmt.Sprintf("the image has no configuration of its kernel: by its version %s, %s is compressed by %s", c.kernel.Version, method, c.o.Compress)
	}
	return warning, c.o.Method.CheckCodec(c.o.Compress, c.o.Level)
}

func bestCodec(s kernel.Support, m pack.Method, k kernel.Kernel) (pack.Codec, error) {
	known := s.Codecs(string(m))
	for _, name := range known {
		if codec := pack.Codec(name); slices.Contains(m.Codecs(), codec) {
			return codec, nil
		}
	}
	if err := s.Check(string(m), string(Auto)); err != nil {
		return "", err
	}
	return "", fmt.Errorf("the kernel %s is too old for %s: use another --method", k.Version, m)
}

// checkSizes refuses a file that cpio cannot hold.
func checkSizes(tree *rootfs.Tree, m pack.Method) error {
	if m != pack.CPIO {
		return nil
	}
	for name, in := range tree.All() {
		if in.Size > cpio.MaxSize {
			return fmt.Errorf("%q has %d bytes: %w; --method tar, squashfs or erofs can carry it", "/"+name, in.Size, cpio.ErrTooLarge)
		}
	}
	return nil
}

// addXattrs puts the list of extended attributes into a cpio root, which has no
// other place for them, and counts the files that have some.
func addXattrs(tree *rootfs.Tree, m pack.Method) (files int, err error) {
	if m != pack.CPIO {
		return 0, nil
	}
	dir, _, _ := strings.Cut(pack.XattrsName, "/")
	for name, in := range tree.All() {
		if name == pack.XattrsName || name == dir && !in.IsDir() {
			return 0, fmt.Errorf("the image has a file /%s of its own, where a cpio root lists extended attributes: remove it, or use --method tar, squashfs or erofs", name)
		}
	}
	list, files := pack.Xattrs(tree)
	if files == 0 {
		return 0, nil
	}
	return files, tree.Put(pack.XattrsName, rootfs.NewText(0o644, list))
}

// writeRoot packs the root.
func (c *converter) writeRoot(ctx context.Context, out *netboot.Output) (file netboot.File, err error) {
	o := pack.Options{
		Method: c.o.Method, Codec: c.o.Compress, Level: c.o.Level, Jobs: c.o.Jobs, Epoch: c.manifest.Epoch, Cache: c.o.Cache,
		Progress: func(done, total int64) { c.o.Report.say("packing", done, total) },
	}
	var info pack.Info
	if c.o.Method.IsArchive() {
		var f io.Writer
		f, o.Also = out.Parts()
		info, err = pack.Archive(ctx, f, c.tree, o)
	} else {
		err = out.Fill(ctx, func(path string) (err error) {
			info, err = pack.Image(ctx, path, c.tree, o)
			return err
		})
	}
	if err != nil {
		return file, err
	}
	if file, err = out.Finish(ctx); err != nil {
		return file, err
	}
	file.Method, file.Compress, file.Level, file.Made = string(c.o.Method), string(c.o.Compress), c.o.Level, info.Made
	file.Entries, file.Unpacked, file.Segments = info.Entries, info.Unpacked, info.Segments
	return file, nil
}
