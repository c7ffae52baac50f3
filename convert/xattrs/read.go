package xattrs

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Name is the file of a cpio root that lists its extended attributes.
const Name = ".rootcast/xattrs"

// Read reads the list of extended attributes that lies in a cpio root ([Name]):
// the output of "getfattr --dump --encoding=base64". The keys are the names of
// files and of their attributes. An error names the line.
func Read(r io.Reader) (map[string]map[string]string, error) {
	files := map[string]map[string]string{}
	var attrs map[string]string
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		line = strings.TrimSuffix(line, "\n")
		name, isFile := strings.CutPrefix(line, "# file: ")
		switch {
		case line == "":
			attrs = nil
		case isFile && attrs == nil:
			if name, err = unquote(name); err == nil && files[name] != nil {
				err = errors.New("a file that was listed before")
			}
			attrs = map[string]string{}
			files[name] = attrs
		case attrs == nil:
			err = errors.New("no file goes before this attribute")
		default:
			err = readXattr(line, attrs)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
}

func readXattr(line string, attrs map[string]string) error {
	name, value, ok := strings.Cut(line, "=0s")
	if !ok {
		return fmt.Errorf("%q is no attribute in base64", line)
	}
	name, err := unquote(name)
	if err != nil {
		return err
	}
	plain, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil {
		return fmt.Errorf("attribute %s: %w", name, err)
	}
	if _, ok := attrs[name]; ok || name == "" {
		return fmt.Errorf("attribute %q has no name or is there twice", name)
	}
	attrs[name] = string(plain)
	return nil
}

// unquote reads characters in octal.
func unquote(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 >= len(s) || s[i+1] < '0' || s[i+1] > '3' || s[i+2] < '0' || s[i+2] > '7' || s[i+3] < '0' || s[i+3] > '7' {
			return "", fmt.Errorf("%q has a backslash without three octal digits", s)
		}
		b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
		i += 3
	}
	return b.String(), nil
}
