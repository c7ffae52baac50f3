package unpack

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

func walkTar(r io.Reader, f func(*Entry) error) error {
	in := bufio.NewReaderSize(r, 256<<10)
	archive := tar.NewReader(in)
	seen := map[string]*Entry{} // of files, to which links may lead
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return onlyZeros(in)
		}
		if err != nil {
			return fmt.Errorf("reading the archive back: %w", err)
		}
		e, err := tarEntry(h, archive, seen)
		if err != nil {
			return fmt.Errorf("reading the archive back: %q: %w", h.Name, err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

func tarEntry(h *tar.Header, body io.Reader, seen map[string]*Entry) (*Entry, error) {
	name := path.Clean(strings.TrimPrefix(h.Name, "/"))
	if h.Typeflag == tar.TypeLink {
		target, ok := seen[path.Clean(strings.TrimPrefix(h.Linkname, "/"))]
		if !ok {
			return nil, fmt.Errorf("a hard link to %q, which does not come before it", h.Linkname)
		}
		link := *target
		link.Name = name
		return &link, nil
	}
	e := &Entry{
		Name: name, First: name, Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid), //nolint:gosec // the packer has checked them
		ModTime: h.ModTime.Unix(), Major: uint32(h.Devmajor), Minor: uint32(h.Devminor), //nolint:gosec // the packer has checked them
	}
	for key, value := range h.PAXRecords {
		if attr, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[attr] = value
		}
	}
	kinds := map[byte]uint32{
		tar.TypeReg: typeRegular, tar.TypeDir: typeDir, tar.TypeSymlink: typeSymlink,
		tar.TypeChar: 0o020000, tar.TypeBlock: 0o060000, tar.TypeFifo: 0o010000,
	}
	kind, ok := kinds[h.Typeflag]
	if !ok {
		return nil, fmt.Errorf("unknown tar entry type %q", string(h.Typeflag))
	}
	e.Mode |= kind
	if kind == typeSymlink {
		e.Target = h.Linkname
	}
	if kind != typeDir {
		kept := *e // without the body
		seen[name] = &kept
	}
	if kind == typeRegular {
		e.Body, e.Size = body, h.Size
	}
	return e, nil
}

// onlyZeros reads what follows the end of a tar.
func onlyZeros(r io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if len(bytes.Trim(buf[:n], "\x00")) > 0 {
			return errTrailing
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the archive back: %w", err)
		}
	}
}
