package convert

import (
	"errors"
	"fmt"
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
	if o.Initrd == "" {
		o.Initrd = InitrdBuiltin
	}
	switch {
	case !slices.Contains(initrdKinds(), o.Initrd):
		return fmt.Errorf("unknown initrd %q: one of %s", o.Initrd, strings.Join(initrdKinds(), ", "))
	case o.Boot == "" && o.Method == pack.CPIO:
		o.Boot = netboot.BootRamdisk
	case o.Boot == "":
		o.Boot = netboot.BootNetroot
	case o.Boot != netboot.BootRamdisk && o.Boot != netboot.BootNetroot:
		return fmt.Errorf("unknown way to boot %q: one of ramdisk, netroot", o.Boot)
	}
	switch {
	case !o.bare():
	case o.Initrd == InitrdImage:
		return errors.New("an initrd of the image's own fetches its root, or has it on a disk: it needs --boot netroot")
	case o.Method != pack.CPIO:
		return fmt.Errorf("without a first stage the kernel itself unpacks the ramdisk, which must be a cpio archive: --method %s needs --initrd builtin, or --boot netroot", o.Method)
	}
	if o.Compress == Auto {
		return nil
	}
	return o.Method.CheckCodec(o.Compress, o.Level)
}

// bare tells whether the ramdisk is the root and nothing else.
func (o *Options) bare() bool { return o.Boot == netboot.BootRamdisk && !o.hasFirstStage() }

// hasFirstStage tells whether rootcast's own first stage brings the root.
func (o *Options) hasFirstStage() bool { return o.Initrd == InitrdBuiltin || o.Initrd == InitrdDracut }

// loadedByKernel tells whether the kernel must know method and codec; other
// roots are unpacked by the first stage.
func (o *Options) loadedByKernel() bool { return o.bare() || !o.Method.IsArchive() }

// chooseCodec asks the kernel's configuration. The warning, if any, is for the manifest.
func (c *converter) chooseCodec() (warning string, err error) {
	if c.support, err = c.kernel.Supports(c.tree); err != nil {
		return "", err
	}
	if !c.o.loadedByKernel() {
		if c.o.Compress == Auto {
			c.o.Compress = pack.Zstd
		}
		return "", c.o.Method.CheckCodec(c.o.Compress, c.o.Level)
	}
	support := c.support
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
