package kernel_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/kernel"
)

const allOptions = `#
# Automatically generated file; DO NOT EDIT.
CONFIG_BLK_DEV_INITRD=y
CONFIG_RD_GZIP=y
# CONFIG_RD_BZIP2 is not set
CONFIG_RD_XZ=y
CONFIG_RD_LZ4=y
CONFIG_RD_ZSTD=y
CONFIG_SQUASHFS=m
CONFIG_SQUASHFS_ZLIB=y
CONFIG_SQUASHFS_LZ4=y
CONFIG_SQUASHFS_XZ=y
CONFIG_SQUASHFS_ZSTD=y
CONFIG_EROFS_FS=m
CONFIG_EROFS_FS_ZIP=y
CONFIG_EROFS_FS_ZIP_LZMA=y
CONFIG_EROFS_FS_ZIP_DEFLATE=y
CONFIG_EROFS_FS_ZIP_ZSTD=y
CONFIG_LOCALVERSION="=y"
`

func without(options ...string) string {
	text := allOptions
	for _, o := range options {
		for _, value := range []string{"=y", "=m"} {
			text = strings.ReplaceAll(text, o+value+"\n", "# "+o+" is not set\n")
		}
	}
	return text
}

func TestSupports(t *testing.T) {
	t.Parallel()
	all := []string{"zstd", "gzip", "lz4", "xz", "none"}
	for _, tt := range []struct {
		name, version, file, config string
		want                        kernel.Support
	}{
		{"all", "6.12", "boot/config-6.12", allOptions, kernel.Support{Source: "/boot/config-6.12", Initramfs: all, SquashFS: []string{"zstd", "gzip", "xz", "lz4"}, EROFS: all}},
		{
			"Fedora's place", "6.12", "usr/lib/modules/6.12/config", without("CONFIG_RD_ZSTD", "CONFIG_SQUASHFS_ZSTD", "CONFIG_EROFS_FS_ZIP_ZSTD", "CONFIG_EROFS_FS_ZIP_DEFLATE"),
			kernel.Support{Source: "/usr/lib/modules/6.12/config", Initramfs: all[1:], SquashFS: []string{"gzip", "xz", "lz4"}, EROFS: all[2:]},
		},
		{
			"no file systems", "6.12", "lib/modules/6.12/config", without("CONFIG_SQUASHFS", "CONFIG_EROFS_FS"),
			kernel.Support{Source: "/lib/modules/6.12/config", Initramfs: all},
		},
		{
			"bare", "6.12", "boot/config-6.12", without("CONFIG_BLK_DEV_INITRD", "CONFIG_SQUASHFS", "CONFIG_EROFS_FS"),
			kernel.Support{Source: "/boot/config-6.12"},
		},
		{
			"another kernel's", "6.12", "boot/config-6.11", allOptions,
			kernel.Support{Initramfs: []string{"zstd", "gzip", "none"}, SquashFS: []string{"zstd", "gzip"}, EROFS: []string{"zstd", "lz4", "none"}},
		},
		{"empty", "6.1.0-9", "boot/config-6.1.0-9", "", kernel.Support{Initramfs: []string{"zstd", "gzip", "none"}, SquashFS: []string{"zstd", "gzip"}, EROFS: []string{"lz4", "none"}}},
		{"5.9", "5.9.0", "x", "", kernel.Support{Initramfs: []string{"zstd", "gzip", "none"}, SquashFS: []string{"zstd", "gzip"}, EROFS: []string{"lz4", "none"}}},
		{"EL 8", "4.18.0-553.el8.x86_64", "x", "", kernel.Support{Initramfs: []string{"gzip", "none"}, SquashFS: []string{"zstd", "gzip"}}},
		{
			"ppc64le", "6.1.0-50-powerpc64le", "boot/config-6.1.0-50-powerpc64le", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_PPC_64K_PAGES=y\n# CONFIG_PPC_4K_PAGES is not set\n",
			kernel.Support{Source: "/boot/config-6.1.0-50-powerpc64le", Initramfs: []string{"none"}, PageSize: 64 << 10},
		},
		{
			"16 KiB", "6.12", "boot/config-6.12", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_ARM64_16K_PAGES=y\nCONFIG_PAGE_SIZE_16KB=y\n",
			kernel.Support{Source: "/boot/config-6.12", Initramfs: []string{"none"}, PageSize: 16 << 10},
		},
		{
			"EL 9, large pages by name", "5.14.0-427.el9.aarch64+64k", "x", "",
			kernel.Support{Initramfs: []string{"zstd", "gzip", "none"}, SquashFS: []string{"zstd", "gzip"}, EROFS: []string{"lz4", "none"}, PageSize: 64 << 10},
		},
		{"EL 7", "3.10.0-1160.el7.x86_64", "x", "", kernel.Support{Initramfs: []string{"gzip", "none"}, SquashFS: []string{"gzip"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := kernel.Kernel{Version: tt.version}.Supports(fstest.MapFS{tt.file: {Data: []byte(tt.config)}})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Source != "" && tt.want.PageSize == 0 {
				tt.want.PageSize = 4 << 10
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestSupportsBadConfig(t *testing.T) {
	t.Parallel()
	k := kernel.Kernel{Version: "6.1"}
	for _, fsys := range []fstest.MapFS{
		{"boot/config-6.1/a": {}},
		{"boot/config-6.1": {Data: []byte("CONFIG_A=" + strings.Repeat("x", 1<<20))}},
	} {
		if s, err := k.Supports(fsys); err == nil || !strings.Contains(err.Error(), "boot/config-6.1") {
			t.Errorf("got %+v, error %v", s, err)
		}
	}
}

func TestSupportCheck(t *testing.T) {
	t.Parallel()
	s := kernel.Support{Source: "/boot/config-5.4", Initramfs: []string{"gzip", "none"}, SquashFS: []string{"xz"}}
	for _, tt := range []struct {
		s             kernel.Support
		method, codec string
		want          string
	}{
		{s, "cpio", "gzip", ""},
		{s, "cpio", "zstd", "the kernel cannot read cpio compressed by zstd, as its configuration /boot/config-5.4 says: use --compress gzip, none"},
		{s, "squashfs", "xz", ""},
		{s, "squashfs", "zstd", "the kernel cannot read squashfs compressed by zstd, as its configuration /boot/config-5.4 says: use --compress xz"},
		{s, "erofs", "lz4", "the kernel cannot mount erofs by its configuration /boot/config-5.4: use another --method"},
		{kernel.Support{Source: "/c"}, "cpio", "none", "the kernel cannot load an initramfs: /c has no CONFIG_BLK_DEV_INITRD"},
		{kernel.Support{}, "erofs", "zstd", ""},
	} {
		got := ""
		if err := tt.s.Check(tt.method, tt.codec); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s by %s:\n%s, want\n%s", tt.method, tt.codec, got, tt.want)
		}
	}
}

func FuzzSupports(f *testing.F) {
	f.Add(allOptions)
	f.Add("CONFIG_RD_ZSTD=y\r\nCONFIG_SQUASHFS=m")
	f.Fuzz(func(t *testing.T, config string) {
		s, err := kernel.Kernel{Version: "6.1"}.Supports(fstest.MapFS{"boot/config-6.1": {Data: []byte(config)}})
		if err == nil && s.Source == "" && len(s.Initramfs) == 0 {
			t.Errorf("%+v", s)
		}
	})
}
