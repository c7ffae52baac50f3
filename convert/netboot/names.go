package netboot

import "github.com/rootcast/rootcast/convert/pack"

// The ways to boot.
const (
	BootRamdisk = "ramdisk" // the root is in the one archive that the boot loader loads
	BootNetroot = "netroot" // a first stage fetches the root
)

// RootName is the name of the packed root in a rootimgdir.
func RootName(boot string, m pack.Method, c pack.Codec) string {
	switch {
	case boot == BootRamdisk:
		return RamdiskName
	case m == pack.SquashFS:
		return "rootimg.sfs"
	case m == pack.EROFS:
		return "rootimg.erofs"
	}
	endings := map[pack.Codec]string{pack.Zstd: ".zst", pack.Gzip: ".gz", pack.XZ: ".xz", pack.LZ4: ".lz4"}
	return "rootimg." + string(m) + endings[c]
}

// Root returns the packed root.
func (m *Manifest) Root() (File, bool) {
	for _, f := range m.Files {
		if f.Method != "" {
			return f, true
		}
	}
	return File{}, false
}
