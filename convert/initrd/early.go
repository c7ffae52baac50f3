package initrd

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/kmod"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// microcodeDir is where the kernel looks for CPU microcode in an uncompressed
// archive (Documentation/arch/x86/microcode.rst).
const microcodeDir = "kernel/x86/microcode"

// vendors are the files of a vendor's microcode: in the image, and where the
// kernel looks for all of them in one.
type vendor struct {
	dir   string
	files *regexp.Regexp
	to    string
}

func vendors() []vendor {
	const packed = `(\.xz|\.zst|\.gz)?$`
	return []vendor{
		{firmwareRoot + "/amd-ucode", regexp.MustCompile(`^microcode_amd.*\.bin` + packed), "AuthenticAMD.bin"},
		{firmwareRoot + "/intel-ucode", regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}` + packed), "GenuineIntel.bin"},
	}
}

// Early returns the archive of the image's CPU microcode, which the kernel reads
// before anything else and which must come first and uncompressed; what follows
// must start at a multiple of 4. It is nil for an image without, or an architecture
// that has none.
func Early(image *rootfs.Tree, arch string) ([]byte, error) {
	if arch != "amd64" {
		return nil, nil
	}
	var archive []byte
	for _, v := range vendors() {
		code, err := v.read(image)
		if err != nil {
			return nil, fmt.Errorf("reading CPU microcode: %w", err)
		}
		if len(code) == 0 {
			continue
		}
		if archive == nil {
			for dir := range parents(microcodeDir + "/") {
				if archive, err = (&cpio.Header{Name: dir, Mode: rootfs.TypeDir | 0o755, Links: 2}).Append(archive); err != nil {
					return nil, err
				}
			}
		}
		h := cpio.Header{Name: path.Join(microcodeDir, v.to), Mode: rootfs.TypeRegular | 0o644, Links: 1, Size: int64(len(code))}
		if archive, err = h.Append(archive); err != nil {
			return nil, err
		}
		archive = append(archive, code...)
		archive = append(archive, make([]byte, -len(code)&3)...)
	}
	if archive == nil {
		return nil, nil
	}
	return cpio.AppendTrailer(archive), nil
}

// read returns the vendor's files one after the other, in the order of their names.
func (v vendor) read(image *rootfs.Tree) ([]byte, error) {
	entries, err := image.ReadDir(v.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var code []byte
	seen := map[string]bool{}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return len(a.Name()) - len(b.Name()) }) // a plain file before a packed one
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(plainName(a.Name()), plainName(b.Name())) })
	for _, e := range entries {
		if !v.files.MatchString(e.Name()) || seen[plainName(e.Name())] {
			continue
		}
		seen[plainName(e.Name())] = true
		name := path.Join(v.dir, e.Name())
		packed, err := fs.ReadFile(image, name)
		if err != nil {
			return nil, err
		}
		plain, err := kmod.Decompress(name, packed)
		if err != nil {
			return nil, err
		}
		code = append(code, plain...)
	}
	return code, nil
}
