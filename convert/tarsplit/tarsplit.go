package tarsplit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"

	"github.com/vbatts/tar-split/tar/storage"
)

// Record is what a store keeps of a layer's plain tar besides the files.
type Record struct {
	Pieces []Piece // in the order of the tar
	Size   int64   // of the tar
}

// Piece is a run of bytes of the tar: either headers and padding, or a file's.
type Piece struct {
	Off, Size int64
	Raw       []byte // headers and padding
	Name      string // of the file, or ""
}

// Find returns the index of the piece that holds the tar's byte at off.
func (r *Record) Find(off int64) int {
	return sort.Search(len(r.Pieces), func(i int) bool { return r.Pieces[i].Off+r.Pieces[i].Size > off })
}

// Read reads a record, which is one JSON object a line.
func Read(r io.Reader) (*Record, error) {
	d := decoder{lines: bufio.NewReaderSize(r, 64<<10), record: &Record{}, seen: map[string]struct{}{}}
	for {
		line, err := d.line()
		if errors.Is(err, io.EOF) {
			return d.record, nil
		}
		if err == nil {
			err = d.entry(line)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the record of its tar: %w", err)
		}
	}
}

type decoder struct {
	lines  *bufio.Reader
	long   []byte // a line that the reader's buffer cannot hold
	record *Record
	seen   map[string]struct{}
	chunk  []byte // where the raw bytes of many pieces lie, the last piece's at its end
}

// line is the next line that is not blank, good until the next call.
func (d *decoder) line() ([]byte, error) {
	for {
		line, err := d.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			d.long = append(d.long[:0], line...)
			for errors.Is(err, bufio.ErrBufferFull) {
				line, err = d.lines.ReadSlice('\n')
				d.long = append(d.long, line...)
			}
			line = d.long
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			return line, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// entry adds what a line says. Lines as tar-split writes them are taken apart by
// hand: that is ten times as fast as a JSON decoder, which reads all others.
func (d *decoder) entry(line []byte) error {
	if ok, err := d.plain(line); ok || err != nil {
		return err
	}
	var e storage.Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	switch e.Type {
	case storage.SegmentType:
		d.grow(len(e.Payload))
		d.headers(append(d.chunk, e.Payload...))
		return nil
	case storage.FileType:
		return d.file(e.GetName(), e.Size)
	}
	return fmt.Errorf("unknown type %d", e.Type)
}

// plain takes {"type":2,"payload":"…","position":N} and
// {"type":1,"name":"…","size":N,"payload":"…","position":N}; ok is false for a
// line of another form.
func (d *decoder) plain(line []byte) (ok bool, err error) {
	if rest, ok := bytes.CutPrefix(line, []byte(`{"type":2,"payload":"`)); ok {
		payload, rest, ok := bytes.Cut(rest, []byte(`","position":`))
		if !ok || !ends(rest) || bytes.IndexByte(payload, '\r') >= 0 {
			return false, nil
		}
		d.grow(base64.StdEncoding.DecodedLen(len(payload)))
		chunk, err := base64.StdEncoding.AppendDecode(d.chunk, payload)
		if err != nil {
			return false, nil //nolint:nilerr // the JSON decoder is to say what is wrong
		}
		d.headers(chunk)
		return true, nil
	}
	rest, ok := bytes.CutPrefix(line, []byte(`{"type":1,"name":"`))
	if !ok {
		return false, nil
	}
	end := bytes.IndexByte(rest, '"')
	if end < 1 || !simple(rest[:end]) {
		return false, nil
	}
	name, rest := string(rest[:end]), rest[end+1:]
	var size int64
	if rest, ok = bytes.CutPrefix(rest, []byte(`,"size":`)); ok {
		if size, rest, ok = digits(rest); !ok {
			return false, nil
		}
	}
	sum, rest, ok := bytes.Cut(rest, []byte(`,"position":`))
	if !ok || !isSum(sum) || !ends(rest) {
		return false, nil
	}
	return true, d.file(name, size)
}

// ends tells whether a line ends with its position.
func ends(rest []byte) bool {
	_, rest, ok := digits(rest)
	return ok && string(rest) == "}"
}

// isSum tells whether s is a file's payload: a sum in base64, or nothing.
func isSum(s []byte) bool {
	if string(s) == `,"payload":null` {
		return true
	}
	s, ok := bytes.CutPrefix(s, []byte(`,"payload":"`))
	if !ok || len(s) == 0 || s[len(s)-1] != '"' {
		return false
	}
	s = s[:len(s)-1]
	var sum [9]byte // CRC-64, and what base64 rounds it up to
	if base64.StdEncoding.DecodedLen(len(s)) > len(sum) || bytes.IndexByte(s, '\r') >= 0 {
		return false
	}
	_, err := base64.StdEncoding.Decode(sum[:], s)
	return err == nil
}

// digits reads a number of at most 18 digits.
func digits(b []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && i <= 18 && '0' <= b[i] && b[i] <= '9'; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	return n, b[i:], i > 0 && i <= 18 && (b[0] != '0' || i == 1)
}

// simple tells whether a JSON string's text is the string itself.
func simple(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// grow makes room for n bytes at the end of the chunk, or begins another.
func (d *decoder) grow(n int) {
	const size = 1 << 20
	if cap(d.chunk)-len(d.chunk) < n {
		d.chunk = make([]byte, 0, max(n, size))
	}
}

// headers adds what chunk has more than d.chunk.
func (d *decoder) headers(chunk []byte) {
	r, n := d.record, len(chunk)-len(d.chunk)
	last := len(r.Pieces) - 1
	if last >= 0 && r.Pieces[last].Name == "" && len(r.Pieces[last].Raw) <= len(d.chunk) {
		at := &r.Pieces[last] // its bytes end where these begin
		at.Size += int64(n)
		at.Raw = chunk[len(d.chunk)-len(at.Raw):]
	} else {
		r.Pieces = append(r.Pieces, Piece{Off: r.Size, Size: int64(n), Raw: chunk[len(d.chunk):]})
	}
	d.chunk = chunk
	r.Size += int64(n)
}

// file adds a file's bytes. Two files of one name are not both on the disk.
func (d *decoder) file(name string, size int64) error {
	r, clean := d.record, path.Clean(name)
	if _, twice := d.seen[clean]; twice {
		return fmt.Errorf("%q stands in it twice", name)
	}
	d.seen[clean] = struct{}{}
	if size < 0 || r.Size+size < r.Size {
		return fmt.Errorf("%q has %d bytes", name, size)
	}
	if size == 0 {
		return nil
	}
	if name == "" {
		return errors.New("a file without a name")
	}
	r.Pieces = append(r.Pieces, Piece{Off: r.Size, Size: size, Name: name})
	r.Size += size
	return nil
}
