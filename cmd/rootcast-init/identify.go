package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"github.com/rootcast/rootcast/convert/node"
)

// peekSize is how much of a root says what it is: a block of lz4 is unpacked as a
// whole, and has up to 8 MiB (lz4_Frame_format.md, legacy frame).
const peekSize = 9 << 20

// identify finds out what the stream holds by its first bytes, where the URL may
// lead to another root than the one that the initrd was made with.
func identify(r io.Reader, url string) (rootStream, error) {
	buffered := bufio.NewReaderSize(r, peekSize)
	head, err := buffered.Peek(peekSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return rootStream{}, fmt.Errorf("reading the start of the root: %w", err)
	}
	method, compress := sniff(head)
	if method == "" {
		return rootStream{}, fmt.Errorf("what was fetched is no root that this first stage knows (cpio, tar, squashfs or erofs; zstd, gzip, xz, lz4 or plain): check that imgurl= leads to a file rootimg.* and not to a page about an error")
	}
	root := node.Root{Name: path.Base(url), Method: method, Compress: compress}
	return rootStream{Reader: buffered, root: root, check: func() error {
		_, err := io.Copy(io.Discard, buffered) // the end of the stream is where its digest is checked
		return err
	}}, nil
}

// Where file systems and archives have their magic, and what it is.
const (
	squashMagic = "hsqs"             // fs/squashfs/squashfs_fs.h, SQUASHFS_MAGIC
	erofsAt     = 1024               // fs/erofs/erofs_fs.h, EROFS_SUPER_OFFSET
	erofsMagic  = "\xe2\xe1\xf5\xe0" // EROFS_SUPER_MAGIC_V1
	newcMagic   = "070701"           // init/initramfs.c
	tarAt       = 257                // POSIX.1-2017, pax, ustar interchange format
	tarMagic    = "ustar"            //
	zstdMagic   = "\x28\xb5\x2f\xfd" // RFC 8878 §3.1.1
	gzipMagic   = "\x1f\x8b"         // RFC 1952 §2.3.1
	xzMagic     = "\xfd7zXZ\x00"     // xz-file-format.txt §2.1.1.1
	lz4Magic    = "\x04\x22\x4d\x18" // lz4_Frame_format.md, general structure
	lz4Legacy   = "\x02\x21\x4c\x18" // and legacy frame
)

func sniff(head []byte) (method, compress string) {
	switch {
	case bytes.HasPrefix(head, []byte(squashMagic)):
		return "squashfs", ""
	case hasAt(head, erofsAt, erofsMagic):
		return "erofs", ""
	}
	plain := head
	for _, codec := range codecs() {
		if !bytes.HasPrefix(head, []byte(codec.magic)) {
			continue
		}
		compress = codec.name
		r, err := codec.open(bytes.NewReader(head))
		if err != nil {
			return "", ""
		}
		plain = make([]byte, tarAt+len(tarMagic))
		n, _ := io.ReadFull(r, plain) // it is cut
		plain = plain[:n]
	}
	if compress == "" {
		compress = "none"
	}
	switch {
	case strings.HasPrefix(string(plain), newcMagic):
		return "cpio", compress
	case hasAt(plain, tarAt, tarMagic):
		return "tar", compress
	}
	return "", ""
}

func hasAt(b []byte, at int, magic string) bool {
	return len(b) >= at+len(magic) && string(b[at:at+len(magic)]) == magic
}

type codec struct {
	name, magic string
	open        func(io.Reader) (io.Reader, error)
}

func codecs() []codec {
	openLZ4 := func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }
	return []codec{
		{"gzip", gzipMagic, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"zstd", zstdMagic, func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) }},
		{"xz", xzMagic, func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) }},
		{"lz4", lz4Magic, openLZ4},
		{"lz4", lz4Legacy, openLZ4},
	}
}
