package convert

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/unpack"
)

// VerifyFiles checks the size and digest of every file of a rootimgdir against
// its manifest. The errors of all files are joined.
func VerifyFiles(ctx context.Context, dir string, m *netboot.Manifest, report Report) error {
	var errs []error
	var done, total int64
	for _, f := range m.Files {
		total += f.Size
	}
	count := func(n int) {
		done += int64(n)
		report.say("checking digests", done, total)
	}
	for _, f := range m.Files {
		if err := netboot.CheckFile(ctx, dir, f, count); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Join(dir, f.Name), err))
		}
	}
	return errors.Join(errs...)
}

// VerifyTree reads the packed root back with a reader that shares no code with
// the packer and compares every entry with the image's merged tree. The error
// names each file that differs, up to a score of them.
func VerifyTree(ctx context.Context, dir string, m *netboot.Manifest, img *image.Image, report Report) error {
	tree, err := Merge(ctx, img, nil)
	if err != nil {
		return err
	}
	if err := finish(tree, m); err != nil {
		return err
	}
	f, root, err := packedRoot(ctx, dir, m)
	if err != nil {
		return err
	}
	if _, err := addXattrs(tree, root.Method); err != nil {
		return err
	}
	c := newComparer(tree, root.Method, m.Epoch)
	var done int64
	root.Count = func(n int) {
		done += int64(n)
		report.say("comparing with the image", done, f.Unpacked)
	}
	err = root.Walk(ctx, c.entry)
	switch {
	case errors.Is(err, errEnough):
		err = errors.Join(c.diffs...)
	case err != nil:
		err = errors.Join(append(c.diffs, err)...)
	default:
		err = c.finish()
	}
	if err == nil && root.Method.IsArchive() && done != f.Unpacked {
		err = fmt.Errorf("has %d bytes unpacked, its manifest says %d", done, f.Unpacked)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", root.Path, err)
	}
	return nil
}

// packedRoot is the root file system of a rootimgdir, to be read back. One that
// the kernel here reads, as root, must be the one of the manifest: no damaged
// file system is given to it.
func packedRoot(ctx context.Context, dir string, m *netboot.Manifest) (f netboot.File, root unpack.Root, err error) {
	f, ok := m.Root()
	if !ok {
		return f, root, errors.New("manifest names no packed root")
	}
	root.Path = filepath.Join(dir, f.Name)
	if f.Root != nil {
		root.InRamdisk, root.Offset = true, f.Root.Offset
	}
	if root.Method, err = pack.ParseMethod(f.Method); err != nil {
		return f, root, fmt.Errorf("%s: %w", f.Name, err)
	}
	if root.Codec, err = pack.ParseCodec(f.Compress); err != nil {
		return f, root, fmt.Errorf("%s: %w", f.Name, err)
	}
	if root.Method == pack.EROFS {
		if err := netboot.CheckFile(ctx, dir, f, nil); err != nil {
			return f, root, fmt.Errorf("%s is not mounted to be read: %w", f.Name, err)
		}
	}
	return f, root, nil
}
