package statelite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Path is where an image keeps its rules.
const Path = "etc/rootcast/statelite.json"

// Version is the format that this package writes and reads.
const Version = 1

// encoded is the file.
type encoded struct {
	Version int    `json:"version"`
	Rules   []Rule `json:"rules"`
}

// Encode returns the file that goes into the image.
func (s *Rules) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(encoded{Version, append([]Rule{}, s.Rules...)}); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", Path, err)
	}
	return b.Bytes(), nil
}

// Decode reads the file. It refuses a version that it does not know, and rules
// that [Parse] would refuse.
func Decode(r io.Reader) (*Rules, error) {
	var e encoded
	if err := json.NewDecoder(r).Decode(&e); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", Path, err)
	}
	if e.Version != Version {
		return nil, fmt.Errorf("%s has version %d, and this program reads version %d", Path, e.Version, Version)
	}
	s := &Rules{Rules: e.Rules}
	var first error
	fail := func(r Rule, err error) {
		if first == nil {
			first = fmt.Errorf("decoding %s: rule for %q: %w", Path, r.Path, err)
		}
	}
	for i, r := range s.Rules {
		option, ok := parseOption(string(r.Option))
		if !ok {
			fail(r, fmt.Errorf("unknown option %q", r.Option))
		}
		s.Rules[i].Option = option
		if err := r.check(); err != nil {
			fail(r, err)
		}
	}
	s.sort()
	s.relations(fail)
	if first != nil {
		return nil, first
	}
	return s, nil
}
