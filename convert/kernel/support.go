package kernel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Support is what a kernel can load: for each way to hand it a root, the codecs
// that it knows by rootcast's names, in the order of preference. That is zstd,
// quick and small; gzip, which few kernels lack; lz4, which is larger; xz, slow to
// make and to read; none. In squashfs lz4 comes last: what tar2sqfs makes of small
// blocks is larger than they were, which kernels read and unsquashfs refuses.
type Support struct {
	Source string // the configuration that says so; "": a guess by the kernel's version

	Initramfs []string
	SquashFS  []string // nil: it has no squashfs
	EROFS     []string // nil: it has no erofs

	PageSize int64 // of its memory, in bytes; 0: unknown
}

// feature is a codec and what it takes: an option of the configuration, or the
// version since which distributions have it.
type feature struct{ codec, option, since string }

// The options of usr/Kconfig, fs/squashfs/Kconfig and fs/erofs/Kconfig.
var (
	initramfsFeatures = [...]feature{ //nolint:gochecknoglobals // a constant table
		{"zstd", "CONFIG_RD_ZSTD", "5.9"}, {"gzip", "CONFIG_RD_GZIP", "0"}, {"lz4", "CONFIG_RD_LZ4", ""}, {"xz", "CONFIG_RD_XZ", ""}, {"none", "CONFIG_BLK_DEV_INITRD", "0"},
	}
	squashFeatures = [...]feature{ //nolint:gochecknoglobals // a constant table
		{"zstd", "CONFIG_SQUASHFS_ZSTD", "4.14"}, {"gzip", "CONFIG_SQUASHFS_ZLIB", "0"}, {"xz", "CONFIG_SQUASHFS_XZ", ""}, {"lz4", "CONFIG_SQUASHFS_LZ4", ""},
	}
	erofsFeatures = [...]feature{ //nolint:gochecknoglobals // a constant table
		{"zstd", "CONFIG_EROFS_FS_ZIP_ZSTD", "6.10"}, {"gzip", "CONFIG_EROFS_FS_ZIP_DEFLATE", ""}, {"lz4", "CONFIG_EROFS_FS_ZIP", "5.4"}, {"xz", "CONFIG_EROFS_FS_ZIP_LZMA", ""}, {"none", "CONFIG_EROFS_FS", "5.4"},
	}
)

// pageSizes are the options for others than 4 KiB (arch/Kconfig; before Linux 6.9
// those of arch/arm64/Kconfig and arch/powerpc/Kconfig).
var pageSizes = [...]struct { //nolint:gochecknoglobals // a constant table
	option string
	size   int64
}{
	{"CONFIG_PAGE_SIZE_64KB", 64 << 10},
	{"CONFIG_PPC_64K_PAGES", 64 << 10},
	{"CONFIG_ARM64_64K_PAGES", 64 << 10},
	{"CONFIG_PAGE_SIZE_16KB", 16 << 10},
	{"CONFIG_ARM64_16K_PAGES", 16 << 10},
}

// maxConfig is a limit to what is read as a configuration: they have 300 KB.
const maxConfig = 8 << 20

// Supports reads what the kernel can load from its configuration in the image,
// boot/config-VERSION or config in the directory of its modules. Where there is
// none it goes by the version.
func (k Kernel) Supports(fsys fs.FS) (Support, error) {
	for _, name := range []string{"boot/config-" + k.Version, "usr/lib/modules/" + k.Version + "/config", "lib/modules/" + k.Version + "/config"} {
		f, err := fsys.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Support{}, fmt.Errorf("reading the kernel's configuration: %w", err)
		}
		set, err := enabled(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return Support{}, fmt.Errorf("reading the kernel's configuration %s: %w", name, err)
		}
		if len(set) > 0 {
			return byConfig(set, "/"+name), nil
		}
	}
	return k.byVersion(), nil
}

// enabled lists the options that are built in or modules.
func enabled(r io.Reader) (map[string]bool, error) {
	set := map[string]bool{}
	lines := bufio.NewScanner(io.LimitReader(r, maxConfig))
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if ok && strings.HasPrefix(name, "CONFIG_") && (value == "y" || value == "m") {
			set[name] = true
		}
	}
	return set, lines.Err()
}

func byConfig(set map[string]bool, source string) Support {
	s := Support{Source: source, PageSize: 4 << 10}
	for _, p := range pageSizes {
		if set[p.option] {
			s.PageSize = p.size
		}
	}
	pick := func(features []feature, all ...string) (codecs []string) {
		for _, option := range all {
			if !set[option] {
				return nil
			}
		}
		for _, f := range features {
			if set[f.option] {
				codecs = append(codecs, f.codec)
			}
		}
		return codecs
	}
	s.Initramfs = pick(initramfsFeatures[:], "CONFIG_BLK_DEV_INITRD")
	s.SquashFS = pick(squashFeatures[:], "CONFIG_SQUASHFS")
	s.EROFS = pick(erofsFeatures[:], "CONFIG_EROFS_FS")
	return s
}

// byVersion is what distributions' kernels of that age have.
func (k Kernel) byVersion() Support {
	pick := func(features []feature) (codecs []string) {
		for _, f := range features {
			if f.since != "" && Compare(k.Version, f.since) >= 0 {
				codecs = append(codecs, f.codec)
			}
		}
		return codecs
	}
	s := Support{Initramfs: pick(initramfsFeatures[:]), SquashFS: pick(squashFeatures[:]), EROFS: pick(erofsFeatures[:])}
	if strings.HasSuffix(k.Version, "64k") { // as Ubuntu and Enterprise Linux call those of arm64
		s.PageSize = 64 << 10
	}
	return s
}

// Codecs are those with which the kernel loads a root of the method: cpio is an
// initramfs; squashfs; erofs.
func (s Support) Codecs(method string) []string {
	switch method {
	case "squashfs":
		return s.SquashFS
	case "erofs":
		return s.EROFS
	default:
		return s.Initramfs
	}
}

// Check says why the kernel cannot load a root of the method that the codec
// has compressed. What was guessed by a version refuses nothing.
func (s Support) Check(method, codec string) error {
	codecs := s.Codecs(method)
	switch {
	case s.Source == "" || slices.Contains(codecs, codec):
		return nil
	case len(codecs) == 0 && method == "cpio":
		return fmt.Errorf("the kernel cannot load an initramfs: %s has no CONFIG_BLK_DEV_INITRD", s.Source)
	case len(codecs) == 0:
		return fmt.Errorf("the kernel cannot mount %s by its configuration %s: use another --method", method, s.Source)
	default:
		return fmt.Errorf("the kernel cannot read %s compressed by %s, as its configuration %s says: use --compress %s", method, codec, s.Source, strings.Join(codecs, ", "))
	}
}
