package convert_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/firststage"
	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// dracutImage has a dracut and no modules, which would have to be those of a kernel.
var dracutImage = strings.ReplaceAll(lower, "dir  usr/lib/modules/6.1.0-37-amd64 0755", `file usr/bin/dracut 0755 "#!"`)

const dracutMade = `
	symlink bin usr/bin
	file usr/bin/rootcast-init 0755 "#!"
	file usr/lib/modules/6.1.0-37-amd64/kernel/net/dummy.ko 0644 module`

// byDracut is a runner that makes of an initrd what the layer says.
func byDracut(t *testing.T, layer string) convert.Runner {
	return func(ctx context.Context, _ *image.Image, c convert.Command, w io.Writer) error {
		files := tar.NewReader(c.Files)
		var names []string
		for {
			h, err := files.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			names = append(names, h.Name)
		}
		if !slices.Contains(names, "usr/lib/dracut/modules.d/99rootcast/rootcast-init") {
			t.Errorf("it was given %q", names)
		}
		if want := "SOURCE_DATE_EPOCH=1700000000"; !slices.Contains(c.Env, want) {
			t.Errorf("the environment %q has no %s", c.Env, want)
		}
		_, err := pack.Archive(ctx, w, rootfstest.Tree(t, layer), pack.Options{})
		if err == nil { // as cpio fills up its blocks
			_, err = w.Write(make([]byte, 512))
		}
		return err
	}
}

func TestConvertByDracut(t *testing.T) {
	t.Parallel()
	if _, err := firststage.Program("amd64"); err != nil {
		rootfstest.Skip(t, err.Error())
	}
	for _, boot := range []string{netboot.BootRamdisk, netboot.BootNetroot} {
		t.Run(boot, func(t *testing.T) {
			t.Parallel()
			img := newImage(t, dracutImage)
			var first []byte
			for range 2 {
				dir := filepath.Join(t.TempDir(), "out")
				m, err := convert.Convert(t.Context(), img, convert.Options{
					Initrd: convert.InitrdDracut, Boot: boot, Dir: dir, Run: byDracut(t, dracutMade), TempDir: t.TempDir(),
				})
				if err != nil {
					t.Fatal(err)
				}
				if m.Initrd.Kind != "dracut" || !slices.Equal(m.Initrd.Modules, []string{"dummy"}) || m.Initrd.Unpacked != int64(len("#!module")) {
					t.Errorf("the manifest says %+v", m.Initrd)
				}
				if strings.Contains(m.Arguments, "rootcast.digest=") != (boot == netboot.BootNetroot) || strings.Contains(m.Arguments, "init=") {
					t.Errorf("arguments %q", m.Arguments)
				}
				if err := errors.Join(convert.VerifyFiles(t.Context(), dir, m, nil), convert.VerifyTree(t.Context(), dir, m, img, nil)); err != nil {
					t.Errorf("verifying: %v", err)
				}
				name := netboot.InitrdName
				if boot == netboot.BootRamdisk {
					name = netboot.RamdiskName
				}
				got, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = got
				} else if !slices.Equal(first, got) {
					t.Error("a second convert makes other bytes")
				}
			}
		})
	}
}

// dracut starts /sbin/init, unless the command line says otherwise.
func TestDracutStartsTheImagesInit(t *testing.T) {
	t.Parallel()
	if _, err := firststage.Program("amd64"); err != nil {
		rootfstest.Skip(t, err.Error())
	}
	img := newImage(t, dracutImage+"\nfile init 0755 \"#!init\"")
	m, err := convert.Convert(t.Context(), img, convert.Options{
		Initrd: convert.InitrdDracut, Dir: filepath.Join(t.TempDir(), "out"), Run: byDracut(t, dracutMade), Append: "a=b",
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "init=/init console=ttyS0,115200 quiet a=b"; m.Arguments != want {
		t.Errorf("arguments %q, want %q", m.Arguments, want)
	}
}

func TestConvertByDracutErrors(t *testing.T) {
	t.Parallel()
	if _, err := firststage.Program("amd64"); err != nil {
		rootfstest.Skip(t, err.Error())
	}
	fails := func(context.Context, *image.Image, convert.Command, io.Writer) error {
		return errors.New("it was tired")
	}
	cut := func(_ context.Context, _ *image.Image, _ convert.Command, w io.Writer) error {
		_, err := io.WriteString(w, "070701")
		return err
	}
	for _, tc := range []struct {
		name, layer, want string
		run               convert.Runner
	}{
		{"fails", dracutImage, "it was tired", fails},
		{"no dracut", lower, "the image has no dracut", fails},
		{"cut", dracutImage, "reading the initrd that dracut made", cut},
		{"left out", dracutImage, "has left rootcast's module out", byDracut(t, "dir usr 0755")},
		{"nobody runs it", dracutImage, "takes someone to run it", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			_, err := convert.Convert(t.Context(), newImage(t, tc.layer), convert.Options{Initrd: convert.InitrdDracut, Dir: dir, Run: tc.run})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("it made the directory nevertheless")
			}
		})
	}
}
