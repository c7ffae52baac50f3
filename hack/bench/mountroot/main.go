// Command mountroot does what rootcast-init does with a root that has arrived,
// by the same code, for the benchmark: it unpacks the archive of a rootimgdir into a
// tmpfs, or mounts its squashfs or erofs below an overlay.
//
//	unshare --mount mountroot ROOTIMGDIR DIR [COMMAND...]
//
// The overlay's parts are mounted below /run, hence the mount namespace; COMMAND
// sees them.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rootcast/rootcast/cmd/rootcast-init/mounts"
	"github.com/rootcast/rootcast/convert/extract"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/node"
	"github.com/rootcast/rootcast/convert/pack"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: unshare --mount mountroot ROOTIMGDIR DIR [COMMAND...]")
		os.Exit(2)
	}
	if err := mountRoot(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "mountroot:", err)
		os.Exit(1)
	}
}

func mountRoot(ctx context.Context, rootimgdir, dir string, command []string) error {
	m, err := netboot.ReadManifest(rootimgdir)
	if err != nil {
		return err
	}
	file, ok := m.Root()
	if !ok {
		return fmt.Errorf("%s has no root image of its own: convert with --boot netroot", rootimgdir)
	}
	path := filepath.Join(rootimgdir, file.Name)
	switch pack.Method(file.Method) {
	case pack.CPIO, pack.Tar:
		err = unpack(ctx, path, dir, file)
	default:
		err = overlay(path, dir, file.Method)
	}
	if err != nil || len(command) == 0 {
		return err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// unpack checks the archive's digest too, as the node does while it arrives.
func unpack(ctx context.Context, path, dir string, file netboot.File) error {
	if err := mounts.Tmpfs(dir, mounts.TmpfsOptions{}); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	o := extract.Options{Method: file.Method, Compress: file.Compress}
	for _, s := range file.Segments {
		o.Segments = append(o.Segments, node.Segment{Offset: s.Offset, Size: s.Size, Unpacked: s.Unpacked})
	}
	sum := sha256.New()
	if _, err := extract.Archive(ctx, io.TeeReader(f, sum), dir, o); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != file.SHA256 {
		return errors.New("the root is not the one of the manifest")
	}
	return nil
}

func overlay(path, dir, kind string) error {
	lower, err := mounts.Image(path, kind)
	if err != nil {
		return err
	}
	upper, err := mounts.UpperTmpfs(mounts.TmpfsOptions{})
	if err != nil {
		return err
	}
	return mounts.Overlay(dir, lower, upper)
}
