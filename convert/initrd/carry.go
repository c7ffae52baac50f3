package initrd

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootcast/rootcast/convert/kmod"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// modulesDir is where the initrd has the modules, whatever the image's usr-merge.
func (b *builder) modulesDir() string { return "lib/modules/" + b.o.Kernel.Version }

// carry puts the files of the modules into the tree, each compressed by itself, and
// returns what firmware they name. A node loads a dozen of the hundreds: the kernel
// unpacks, and holds in memory, a quarter of what they are, and the first stage
// decompresses those that it loads. Jobs modules are read at a time.
func (b *builder) carry(ctx context.Context, modules []kmod.Module) ([]string, error) {
	modules = slices.SortedFunc(slices.Values(modules), func(a, b kmod.Module) int { return strings.Compare(a.Path, b.Path) })
	inodes := make([]*rootfs.Inode, len(modules))
	firmware := make([][]string, len(modules))
	packer, err := kmod.NewCompressor(b.o.Jobs)
	if err != nil {
		return nil, err
	}
	bufs := sync.Pool{New: func() any { return new([]byte) }}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(b.o.Jobs)
	for i, m := range modules {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			buf, _ := bufs.Get().(*[]byte)
			defer bufs.Put(buf)
			plain, err := b.module(path.Join(b.o.Kernel.Modules, m.Path), buf)
			if err != nil {
				return fmt.Errorf("carrying module %s: %w", m.Name, err)
			}
			info, err := kmod.ReadInfo(bytes.NewReader(plain))
			if err != nil {
				return fmt.Errorf("carrying module %s from /%s: %w", m.Name, path.Join(b.o.Kernel.Modules, m.Path), err)
			}
			inodes[i], firmware[i] = rootfs.NewText(0o644, packer.Compress(plain)), info.Firmware
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, m := range modules {
		if err := b.add(path.Join(b.modulesDir(), kmod.PlainPath(m.Path)+kmod.Packed), inodes[i]); err != nil {
			return nil, err
		}
	}
	return slices.Concat(firmware...), nil
}

// module returns the plain bytes of a module, which may lie in buf.
func (b *builder) module(name string, buf *[]byte) ([]byte, error) {
	var err error
	if _, *buf, err = b.content(name, *buf); err != nil {
		return nil, err
	}
	return kmod.Decompress(name, *buf)
}

// content returns a file of the image and its bytes, in buf where that has the room.
func (b *builder) content(name string, buf []byte) (*rootfs.Inode, []byte, error) {
	found, err := b.stat(name)
	if err != nil {
		return nil, buf, err
	}
	buf = slices.Grow(buf[:0], int(found.Size))[:found.Size]
	if err := found.ReadRange(buf, 0); err != nil {
		return nil, buf, fmt.Errorf("reading /%s: %w", name, err)
	}
	return found, buf, nil
}

// read returns a file of the image as the initrd has it, decompressed and root's
// with the permissions, and its bytes.
func (b *builder) read(name string, mode uint32) (*rootfs.Inode, []byte, error) {
	found, packed, err := b.content(name, nil)
	if err != nil {
		return nil, nil, err
	}
	if plainName(name) == name {
		in := *found
		in.Mode, in.UID, in.GID, in.ModTime, in.Xattrs = rootfs.TypeRegular|mode, 0, 0, time.Unix(0, 0), nil
		return &in, packed, nil
	}
	plain, err := kmod.Decompress(name, packed)
	if err != nil {
		return nil, nil, err
	}
	return rootfs.NewText(mode, plain), plain, nil
}

// maxFile is the largest file of the image that is carried, in bytes.
const maxFile = 256 << 20

// stat returns the regular file of the image that a name leads to.
func (b *builder) stat(name string) (*rootfs.Inode, error) {
	info, err := b.image.Stat(name)
	if err != nil {
		return nil, err
	}
	in, ok := info.Sys().(*rootfs.Inode)
	switch {
	case !ok || !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "reading", Path: name, Err: fs.ErrInvalid}
	case in.Size > maxFile:
		return nil, fmt.Errorf("/%s has %d bytes: the initrd takes up to %d a file", name, in.Size, maxFile)
	}
	return in, nil
}

// packings are the endings of files that the kernel or kmod decompresses, in the
// order in which the kernel looks for firmware (drivers/base/firmware_loader/main.c).
func packings() []string { return []string{".zst", ".xz", ".gz"} }

// plainName is a file's name without the ending of a compression.
func plainName(name string) string {
	for _, end := range packings() {
		if plain, ok := strings.CutSuffix(name, end); ok {
			return plain
		}
	}
	return name
}

// lists puts what depmod would have written about the carried modules into the tree.
func (b *builder) lists(files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := b.add(path.Join(b.modulesDir(), name), rootfs.NewText(0o644, files[name])); err != nil {
			return err
		}
	}
	return nil
}

// parents yields the directories above a name, the highest first, without ".".
func parents(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if name[i] == '/' && !yield(name[:i]) {
				return
			}
		}
	}
}
