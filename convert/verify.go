package convert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
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
		if err := verifyFile(ctx, dir, f, count); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Join(dir, f.Name), err))
		}
	}
	return errors.Join(errs...)
}

func verifyFile(ctx context.Context, dir string, want netboot.File, count func(int)) error {
	f, err := os.Open(filepath.Join(dir, want.Name))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, ctxio.NewReader(ctx, f, count))
	if err != nil {
		return err
	}
	if n != want.Size {
		return fmt.Errorf("has %d bytes, its manifest says %d", n, want.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("has the sha256 %s, its manifest says %s", got, want.SHA256)
	}
	return nil
}

// VerifyTree reads the packed root back with a reader that shares no code with
// the packer and compares every entry with the image's merged tree. The error
// names each file that differs, up to a score of them.
func VerifyTree(ctx context.Context, dir string, m *netboot.Manifest, img *image.Image, report Report) error {
	tree, err := Merge(ctx, img, nil)
	if err != nil {
		return err
	}
	if err := finish(tree, m.Exclude, m.Init); err != nil {
		return err
	}
	f, ok := m.File(netboot.RamdiskName)
	if !ok {
		return fmt.Errorf("manifest names no %s", netboot.RamdiskName)
	}
	file, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	defer file.Close()
	codec, err := pack.ParseCodec(f.Compress)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	plain, err := codec.Decoder(ctxio.NewReader(ctx, file, nil))
	if err != nil {
		return fmt.Errorf("decompressing %s: %w", f.Name, err)
	}
	defer plain.Close()
	c := comparer{want: map[string]*rootfs.Inode{}, groups: map[*rootfs.Inode]group{}, epoch: m.Epoch}
	for name, in := range tree.All() {
		c.want[name] = in
	}
	var done int64
	counted := ctxio.NewReader(ctx, plain, func(n int) {
		done += int64(n)
		report.say("comparing with the image", done, f.Unpacked)
	})
	if err := c.compare(counted); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, f.Name), err)
	}
	return nil
}
