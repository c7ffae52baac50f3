package netboot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/statelite"
)

// The names of files in a rootimgdir; they are xCAT's where xCAT has one.
const (
	ManifestName = "manifest.json"
	KernelName   = "kernel"
	RamdiskName  = "ramdisk.img"
	InitrdName   = "initrd-stateless.gz"
	// StateliteInitrdName is that of a node with rules of what outlives its boots.
	StateliteInitrdName = "initrd-statelite.gz"
)

// ManifestVersion is the format that this package writes and reads.
const ManifestVersion = 1

// Manifest says what a rootimgdir holds and what a node needs for it. It holds
// no time and no place of the machine that made it: the same image and options
// give the same bytes.
type Manifest struct {
	Version   int              `json:"version"` // ManifestVersion
	Image     Image            `json:"image"`
	Platform  string           `json:"platform"` // OS/ARCH[/VARIANT]
	Boot      string           `json:"boot"`     // BootRamdisk or BootNetroot
	Kernel    Kernel           `json:"kernel"`
	Init      string           `json:"init"`                // what runs first in the root, a path in the image
	Initrd    *Initrd          `json:"initrd,omitempty"`    // the first stage; nil: the kernel starts Init itself
	Arguments string           `json:"arguments"`           // kernel arguments
	Exclude   []string         `json:"exclude,omitempty"`   // the rules of what stayed out of the root
	Statelite []statelite.Rule `json:"statelite,omitempty"` // what of a node outlives its boots
	Epoch     time.Time        `json:"epoch"`               // no file of the root is newer
	Memory    Memory           `json:"memory"`
	Files     []File           `json:"files"`
	Xattrs    *XattrList       `json:"xattrs,omitempty"` // of a cpio root; all other formats carry them themselves
	Warnings  []string         `json:"warnings,omitempty"`
	Tool      string           `json:"tool"` // rootcast's version
}

// Image is the image that was converted.
type Image struct {
	Reference string            `json:"reference"`
	Digest    string            `json:"digest"` // of its manifest
	ID        string            `json:"id"`     // of its configuration
	Labels    map[string]string `json:"labels,omitempty"`
}

// Kernel is the kernel that was taken.
type Kernel struct {
	Version string `json:"version"`
	Path    string `json:"path"` // in the image
	Modules string `json:"modules,omitempty"`
	Packed  string `json:"packed,omitempty"` // how it is packed in the image, and is not here: gzip, zstd, zboot gzip, zboot zstd
}

// Memory is what a node needs, in bytes.
type Memory struct {
	Peak  int64 `json:"peak"`  // while it boots
	After int64 `json:"after"` // held by the root file system once it is up
}

// Initrd is what the first stage carries.
type Initrd struct {
	Kind     string   `json:"kind"` // builtin, dracut, image
	Modules  []string `json:"modules,omitempty"`
	Firmware []string `json:"firmware,omitempty"`
	Unpacked int64    `json:"unpacked,omitempty"` // bytes that it takes of a node's memory until the root is there
}

// File is one file of the rootimgdir.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`

	// Of a packed root:
	Method   string         `json:"method,omitempty"` // cpio, tar, squashfs, erofs
	Compress string         `json:"compress,omitempty"`
	Level    int            `json:"level,omitempty"` // 0: the codec's default
	Entries  int            `json:"entries,omitempty"`
	Unpacked int64          `json:"unpacked,omitempty"` // bytes before compression
	Segments []pack.Segment `json:"segments,omitempty"`
	Made     string         `json:"made,omitempty"` // the tool and version that made a file system
	Root     *RootPart      `json:"root,omitempty"` // where it lies in a ramdisk that a first stage unpacks; nil: it is the file
}

// RootPart is the packed root in a ramdisk: members of an archive, see package ramdisk.
type RootPart struct {
	Offset int64  `json:"offset"` // of the members, in the file
	Size   int64  `json:"size"`   // bytes of the packed root
	SHA256 string `json:"sha256"` // of the packed root
}

// XattrList says where a root lists its extended attributes, in the format of
// getfattr --dump, until the node's init or setfattr --restore gives them to its files.
type XattrList struct {
	Path  string `json:"path"`  // in the root
	Files int    `json:"files"` // that have extended attributes
}

// File returns the entry called name.
func (m *Manifest) File(name string) (File, bool) {
	for _, f := range m.Files {
		if f.Name == name {
			return f, true
		}
	}
	return File{}, false
}

// names are those of all files of the version, the manifest's own first.
func (m *Manifest) names() []string {
	names := []string{ManifestName}
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	return names
}

func (m *Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	return b.Bytes(), nil
}

// DecodeManifest reads a manifest and refuses what it cannot know or trust: an
// unknown version, a file name that leaves the directory.
func DecodeManifest(r io.Reader) (*Manifest, error) {
	m := &Manifest{}
	if err := json.NewDecoder(r).Decode(m); err != nil {
		return nil, fmt.Errorf("decoding the manifest: %w", err)
	}
	if m.Version != ManifestVersion {
		return nil, fmt.Errorf("manifest version %d: this rootcast reads version %d", m.Version, ManifestVersion)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Name) || filepath.Base(f.Name) != f.Name || f.Name == "." {
			return nil, fmt.Errorf("manifest names a file %q outside its directory", f.Name)
		}
	}
	return m, nil
}

// Current returns the directory of the version that dir offers now: its files
// stay together while another is published. A dir that is a version itself, or
// no rootimgdir at all, is returned as it is.
func Current(dir string) string {
	manifest, err := filepath.EvalSymlinks(filepath.Join(dir, ManifestName))
	if err != nil {
		return dir
	}
	return filepath.Dir(manifest)
}

func errNoRootimgdir(dir string) error {
	var below []string // as convert --platform all leaves them
	found, _ := filepath.Glob(filepath.Join(dir, "*", ManifestName))
	for _, name := range found {
		if name = filepath.Base(filepath.Dir(name)); name != currentLink {
			below = append(below, name)
		}
	}
	if len(below) > 0 {
		return fmt.Errorf("%s is no rootimgdir, but holds those of %s: name one, such as %s", dir, strings.Join(below, ", "), filepath.Join(dir, below[0]))
	}
	return fmt.Errorf("%s is no rootimgdir: it has no %s; make one with rootcast convert --rootimgdir %s IMAGE", dir, ManifestName, dir)
}

// ReadManifest reads the manifest of the version that dir offers now.
func ReadManifest(dir string) (*Manifest, error) {
	f, err := os.Open(filepath.Join(dir, ManifestName))
	if os.IsNotExist(err) {
		return nil, errNoRootimgdir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a rootimgdir: %w", err)
	}
	defer f.Close()
	m, err := DecodeManifest(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, ManifestName), err)
	}
	return m, nil
}
