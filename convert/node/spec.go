package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Path is where the file lies in the initrd.
const Path = "etc/rootcast/node.json"

// Version is the format that this package writes and reads.
const Version = 1

// Ramdisk is the value of Spec.Boot for a root that lies in the initrd.
const Ramdisk = "ramdisk"

// RootDir is where a ramdisk keeps the packed root: files that make it up one
// after the other in the order of their names.
const RootDir = "rootcast/root"

// RootDirs are RootDir and the directories above it, the highest first.
func RootDirs() []string { return []string{"rootcast", RootDir} }

// Spec is what the first stage knows beforehand.
type Spec struct {
	Version  int    `json:"version"`
	Tool     string `json:"tool"`     // rootcast's version, for the console
	Image    string `json:"image"`    // what was converted, for the console
	Boot     string `json:"boot"`     // ramdisk: the root is in the initrd; netroot: it is fetched
	Init     string `json:"init"`     // what runs first in the root, an absolute path
	Kernel   string `json:"kernel"`   // what uname -r must say for the modules to fit
	Platform string `json:"platform"` // OS/ARCH[/VARIANT]
	Peak     int64  `json:"peak"`     // bytes of memory that the node needs while it boots
	Root     Root   `json:"root"`
}

// Root is the packed root that was made together with the initrd. The digest
// decides whether another one may take its place.
type Root struct {
	Name     string    `json:"name"`               // of the file in the rootimgdir
	Method   string    `json:"method"`             // cpio, tar, squashfs, erofs
	Compress string    `json:"compress"`           // zstd, gzip, xz, lz4, none
	Size     int64     `json:"size"`               // bytes
	Unpacked int64     `json:"unpacked,omitempty"` // bytes of an archive before compression
	SHA256   string    `json:"sha256"`             // in hexadecimal
	Segments []Segment `json:"segments,omitempty"` // of an archive, one after the other
}

// IsArchive tells whether the root is unpacked on the node; others are mounted
// as they are.
func (r Root) IsArchive() bool { return r.Method == "cpio" || r.Method == "tar" }

// Segment is a piece of an archive that can be unpacked by itself: whole entries,
// compressed alone.
type Segment struct {
	Offset   int64 `json:"offset"`   // in the packed file
	Size     int64 `json:"size"`     // packed bytes
	Unpacked int64 `json:"unpacked"` // bytes of the archive
}

// Encode returns the file.
func (s *Spec) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", Path, err)
	}
	return b.Bytes(), nil
}

// Decode reads the file and refuses a version that it does not know.
func Decode(r io.Reader) (*Spec, error) {
	s := &Spec{}
	if err := json.NewDecoder(r).Decode(s); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", Path, err)
	}
	if s.Version != Version {
		return nil, fmt.Errorf("%s has version %d, and this program reads version %d", Path, s.Version, Version)
	}
	return s, nil
}
