package pack

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// pax is the tar format of POSIX.1-2001, with extended attributes as GNU tar,
// libarchive and the tools of squashfs and erofs know them.
type pax struct {
	epoch time.Time
	// seconds says that the reader keeps times as 32 bits without a sign.
	seconds bool
}

// xattrRecord starts the names of the PAX records that are extended attributes.
const xattrRecord = "SCHILY.xattr."

// carries: a name that is a link to another needs that one before it.
func (pax) carries() place { return atFirst }

func (pax) align() int64 { return 512 }

// appendTrailer: two blocks of zeros. tar(1) would fill its record of 20 blocks,
// which only tapes need.
func (pax) appendTrailer(b []byte) []byte { return append(b, make([]byte, 1024)...) }

func (f pax) appendHead(b []byte, it *item) ([]byte, error) {
	h, err := f.header(it)
	if err != nil {
		return b, fmt.Errorf("writing tar entry %q: %w", it.name, err)
	}
	out := appender{b}
	if err := tar.NewWriter(&out).WriteHeader(h); err != nil {
		return b, fmt.Errorf("writing tar entry %q: %w", it.name, err)
	}
	return out.b, nil
}

func (f pax) header(it *item) (*tar.Header, error) {
	in := it.inode
	h := &tar.Header{
		Name: it.name, Mode: int64(in.Mode & 0o7777), Uid: int(in.UID), Gid: int(in.GID), ModTime: time.Unix(f.modTime(in), 0),
		Size: it.size, Format: tar.FormatPAX,
	}
	if it.name == "." {
		h.Name = "./" // what tar -C DIR . writes, and what readers take for the root
	}
	if it.first != "" && it.first != it.name {
		h.Typeflag, h.Linkname = tar.TypeLink, it.first
		return h, nil
	}
	if err := f.setType(h, in); err != nil {
		return nil, err
	}
	for name, value := range in.Xattrs {
		// GNU tar writes these two characters of a name in another way than all other readers.
		if strings.ContainsAny(name, "=%") {
			return nil, fmt.Errorf("no place for an extended attribute called %q", name)
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[xattrRecord+name] = value
	}
	return h, nil
}

func (pax) setType(h *tar.Header, in *rootfs.Inode) error {
	switch in.Type() {
	case rootfs.TypeRegular:
		h.Typeflag = tar.TypeReg
	case rootfs.TypeDir:
		h.Typeflag = tar.TypeDir
	case rootfs.TypeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, in.Target
	case rootfs.TypeChar:
		h.Typeflag = tar.TypeChar
	case rootfs.TypeBlock:
		h.Typeflag = tar.TypeBlock
	case rootfs.TypeFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		return errors.New("no place for a file of this type")
	}
	h.Devmajor, h.Devminor = int64(in.Major), int64(in.Minor)
	return nil
}

func (f pax) modTime(in *rootfs.Inode) int64 {
	if f.seconds {
		return int64(ModTime(in, f.epoch))
	}
	return clamped(in, f.epoch).Unix()
}

// Seconds is the time that a packed root gives a file: whole seconds, not after
// the epoch unless that is zero. Formats other than tar have 32 bits for it.
func (m Method) Seconds(in *rootfs.Inode, epoch time.Time) int64 {
	return pax{epoch: epoch, seconds: m != Tar}.modTime(in)
}

// clamped is a file's time, not after the epoch unless that is zero.
func clamped(in *rootfs.Inode, epoch time.Time) time.Time {
	if !epoch.IsZero() && in.ModTime.After(epoch) {
		return epoch
	}
	return in.ModTime
}

// appender appends what is written.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

var _ format = pax{}
