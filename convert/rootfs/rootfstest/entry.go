package rootfstest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Entry is one line.
type Entry struct {
	Verb         string // dir, file, symlink, link, char, block, fifo, wh, opq
	Path         string
	Target       string // of a symlink or link
	Mode         int64
	UID, GID     int
	Major, Minor int64
	ModTime      time.Time
	Content      string
	Xattrs       map[string]string
}

// Parse reads a layer's lines.
func Parse(text string) ([]Entry, error) {
	var entries []Entry
	for n, line := range strings.Split(text, "\n") {
		words, err := fields(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if len(words) == 0 {
			continue
		}
		e, err := parse(words)
		if err != nil {
			return nil, fmt.Errorf("line %d %q: %w", n+1, line, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

type word struct {
	text   string
	quoted bool
}

func fields(line string) ([]word, error) {
	var words []word
	for {
		line = strings.TrimLeft(line, " \t")
		switch {
		case line == "" || line[0] == '#':
			return words, nil
		case line[0] == '"':
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("unquoting %s: %w", line, err)
			}
			text, err := strconv.Unquote(q)
			if err != nil {
				return nil, fmt.Errorf("unquoting %s: %w", q, err)
			}
			words, line = append(words, word{text, true}), line[len(q):]
		case strings.HasPrefix(line, "xattr:") && strings.Contains(line, "=\""):
			name, rest, _ := strings.Cut(line, "=")
			q, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("unquoting %s: %w", rest, err)
			}
			text, err := strconv.Unquote(q)
			if err != nil {
				return nil, fmt.Errorf("unquoting %s: %w", q, err)
			}
			words, line = append(words, word{name + "=" + text, false}), rest[len(q):]
		default:
			end := strings.IndexAny(line, " \t")
			if end < 0 {
				end = len(line)
			}
			words, line = append(words, word{line[:end], false}), line[end:]
		}
	}
}

func parse(words []word) (Entry, error) {
	e := Entry{Verb: words[0].text, ModTime: time.Unix(0, 0)}
	if len(words) < 2 {
		return e, fmt.Errorf("no path")
	}
	e.Path = words[1].text
	var plain []string
	for _, w := range words[2:] {
		ok := false
		if !w.quoted {
			var err error
			if ok, err = e.field(w.text); err != nil {
				return e, err
			}
		}
		if !ok {
			plain = append(plain, w.text)
		}
	}
	return e, e.rest(plain)
}

// field takes what can be told by its shape.
func (e *Entry) field(s string) (ok bool, err error) {
	if v, ok := strings.CutPrefix(s, "mtime="); ok {
		sec, frac, _ := strings.Cut(v, ".")
		n, err := strconv.ParseInt(sec, 10, 64)
		if err != nil {
			return false, err
		}
		ns, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
		e.ModTime = time.Unix(n, ns)
		return true, nil
	}
	if v, ok := strings.CutPrefix(s, "xattr:"); ok {
		k, v, _ := strings.Cut(v, "=")
		if e.Xattrs == nil {
			e.Xattrs = map[string]string{}
		}
		e.Xattrs[k] = v
		return true, nil
	}
	if v, ok := strings.CutPrefix(s, "size="); ok {
		n, err := strconv.Atoi(v)
		e.Content = string(Pattern(n))
		return true, err
	}
	if uid, gid, ok := strings.Cut(s, ":"); ok {
		u, err1 := strconv.Atoi(uid)
		g, err2 := strconv.Atoi(gid)
		if err1 == nil && err2 == nil {
			e.UID, e.GID = u, g
			return true, nil
		}
	}
	if e.Verb != "symlink" && e.Verb != "link" && len(s) > 1 && s[0] == '0' {
		if e.Mode, err = strconv.ParseInt(s, 8, 64); err == nil {
			return true, nil
		}
	}
	return false, nil
}

func (e *Entry) rest(plain []string) (err error) {
	want := map[string]int{"dir": 0, "file": 1, "symlink": 1, "link": 1, "char": 2, "block": 2, "fifo": 0, "wh": 0, "opq": 0}
	n, ok := want[e.Verb]
	if !ok {
		return fmt.Errorf("unknown verb %q", e.Verb)
	}
	if len(plain) != n && (e.Verb != "file" || len(plain) != 0) {
		return fmt.Errorf("%d further fields instead of %d: %q", len(plain), n, plain)
	}
	switch e.Verb {
	case "file":
		e.Content += strings.Join(plain, "")
	case "symlink", "link":
		e.Target = plain[0]
	case "char", "block":
		if e.Major, err = strconv.ParseInt(plain[0], 10, 64); err == nil {
			e.Minor, err = strconv.ParseInt(plain[1], 10, 64)
		}
	}
	return err
}

// Pattern is n bytes that look different everywhere and compress somewhat.
func Pattern(n int) []byte {
	b := make([]byte, 0, n+wordSize)
	for i := uint32(1); len(b) < n; i++ {
		b = appendWord(b, i)
	}
	return b[:n]
}

// wordSize is how many bytes of a pattern appendWord adds.
const wordSize = 8

func appendWord(b []byte, i uint32) []byte {
	var raw [wordSize / 2]byte
	binary.BigEndian.PutUint32(raw[:], i*2654435761)
	return hex.AppendEncode(b, raw[:])
}

func isPattern(s string) bool {
	var word [wordSize]byte
	for i := uint32(1); len(s) > 0; i++ {
		n := min(len(s), wordSize)
		if string(appendWord(word[:0], i)[:n]) != s[:n] {
			return false
		}
		s = s[n:]
	}
	return true
}

// String is the entry's line, the shortest that says it all.
func (e Entry) String() string {
	s := e.Verb + " " + quote(e.Path)
	switch e.Verb {
	case "dir", "file", "char", "block", "fifo":
		s += fmt.Sprintf(" 0%o", e.Mode)
	}
	if e.UID != 0 || e.GID != 0 {
		s += fmt.Sprintf(" %d:%d", e.UID, e.GID)
	}
	if e.Verb != "link" && e.Verb != "wh" && e.Verb != "opq" && !e.ModTime.Equal(time.Unix(0, 0)) {
		s += fmt.Sprintf(" mtime=%d", e.ModTime.Unix())
		if f := e.ModTime.Nanosecond(); f != 0 {
			s += fmt.Sprintf(".%09d", f)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(e.Xattrs)) {
		s += " xattr:" + k + "=" + quote(e.Xattrs[k])
	}
	switch {
	case e.Verb == "char" || e.Verb == "block":
		s += fmt.Sprintf(" %d %d", e.Major, e.Minor)
	case e.Target != "":
		s += " " + quote(e.Target)
	case len(e.Content) > 100 && isPattern(e.Content):
		s += fmt.Sprintf(" size=%d", len(e.Content))
	case len(e.Content) > 4096: // to compare with, and no more
		s += fmt.Sprintf(" sha256=%x", sha256.Sum256([]byte(e.Content)))
	case e.Content != "":
		s += " " + strconv.Quote(e.Content)
	}
	return s
}

func quote(s string) string {
	q := strconv.Quote(s)
	if s == "" || q != `"`+s+`"` || strings.ContainsAny(s, " #") {
		return q
	}
	return s
}

var typeflags = map[string]byte{ //nolint:gochecknoglobals // a constant table
	"dir": tar.TypeDir, "file": tar.TypeReg, "symlink": tar.TypeSymlink, "link": tar.TypeLink,
	"char": tar.TypeChar, "block": tar.TypeBlock, "fifo": tar.TypeFifo, "wh": tar.TypeReg, "opq": tar.TypeReg,
}

// header is what a layer's tar says of the entry.
func (e Entry) header() *tar.Header {
	h := &tar.Header{
		Typeflag: typeflags[e.Verb], Name: e.Path, Linkname: e.Target, Mode: e.Mode, Uid: e.UID, Gid: e.GID,
		Devmajor: e.Major, Devminor: e.Minor, ModTime: e.ModTime, Size: int64(len(e.Content)), Format: tar.FormatPAX,
	}
	switch e.Verb {
	case "wh":
		h.Name = path.Join(path.Dir(e.Path), ".wh."+path.Base(e.Path))
	case "opq":
		h.Name = path.Join(e.Path, ".wh..wh..opq")
	}
	for k, v := range e.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+k] = v
	}
	return h
}

// WriteTar writes the entries as a layer's plain tar.
func WriteTar(w io.Writer, entries []Entry) error {
	tw := tar.NewWriter(w)
	for _, e := range entries {
		if err := tw.WriteHeader(e.header()); err != nil {
			return fmt.Errorf("writing %q: %w", e.Path, err)
		}
		if _, err := io.WriteString(tw, e.Content); err != nil {
			return fmt.Errorf("writing %q: %w", e.Path, err)
		}
	}
	return tw.Close()
}

// tarOf returns the entries' tar.
func tarOf(entries []Entry) ([]byte, error) {
	const header = 4 << 10 // with the extended one, mostly
	size := header
	for _, e := range entries {
		size += header + len(e.Content)
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	err := WriteTar(b, entries)
	return b.Bytes(), err
}
