package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/rootcast/rootcast/convert/node"
)

// ramdiskRoot takes the root that the boot loader loaded together with the initrd.
func (b *boot) ramdiskRoot(ctx context.Context) error {
	if err := tooSmall(b.spec.Peak); err != nil {
		return err
	}
	parts, err := openParts("/" + node.RootDir)
	if err != nil {
		return err
	}
	defer parts.Close()
	sum := sha256.New()
	r := io.TeeReader(parts, sum)
	err = b.makeRoot(ctx, rootStream{Reader: r, root: b.spec.Root, check: func() error {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != b.spec.Root.SHA256 {
			return fmt.Errorf("the root in the ramdisk has sha256 %s, expected %s: it was damaged on its way into the memory; check ramdisk.img with rootcast verify, and the node's memory", got, b.spec.Root.SHA256)
		}
		return nil
	}})
	if err != nil && parts.freed { // what was read is gone
		return fmt.Errorf("%w: %w", err, errForGood)
	}
	return err
}

// partsReader reads files one after the other and removes each once it is read:
// the initramfs holds them in memory.
type partsReader struct {
	names []string
	file  *os.File
	freed bool
}

func openParts(dir string) (*partsReader, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("this initrd is for a ramdisk, and there is no root in it: load all of ramdisk.img")
	}
	slices.Sort(names)
	return &partsReader{names: names}, nil
}

// Read implements io.Reader.
func (p *partsReader) Read(b []byte) (int, error) {
	for {
		if p.file == nil {
			if len(p.names) == 0 {
				return 0, io.EOF
			}
			f, err := os.Open(p.names[0])
			if err != nil {
				return 0, err
			}
			p.file = f
		}
		n, err := p.file.Read(b)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		p.next()
	}
}

func (p *partsReader) next() {
	p.Close()
	_ = os.Remove(p.names[0]) // it stays and takes memory, which is not worth the boot
	p.names, p.freed = p.names[1:], true
}

// Close closes the file that is read.
func (p *partsReader) Close() {
	if p.file != nil {
		_ = p.file.Close()
		p.file = nil
	}
}
