package netboot

import "github.com/rootcast/rootcast/convert/pack"

// The ways to boot.
const (
	BootRamdisk = "ramdisk" // the root is in the one archive that the boot loader loads
	BootNetroot = "netroot" // a first stage fetches the root
)

// RootName is the name of the packed root in a rootimgdir; statelite tells whether
// there are rules of what outlives a node's boots.
func RootName(boot string, m pack.Method, c pack.Codec, statelite bool) string {
	switch {
	case boot == BootRamdisk:
		return RamdiskName
	case statelite && m == pack.CPIO && c == pack.Gzip: // as xCAT's liteimg calls it, and nodeset finds it
		return "rootimg-statelite.gz"
	case m == pack.SquashFS:
		return "rootimg.sfs"
	case m == pack.EROFS:
		return "rootimg.erofs"
	}
	endings := map[pack.Codec]string{pack.Zstd: ".zst", pack.Gzip: ".gz", pack.XZ: ".xz", pack.LZ4: ".lz4"}
	return "rootimg." + string(m) + endings[c]
}

// InitrdFile is the name of the first stage where the root is fetched.
func (m *Manifest) InitrdFile() string {
	if len(m.Statelite) > 0 {
		return StateliteInitrdName
	}
	return InitrdName
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
