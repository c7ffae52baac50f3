package kmod

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Info is what a module says of itself (include/linux/module.h, MODULE_INFO).
type Info struct {
	Firmware          []string // files below /lib/firmware; may hold wildcards
	Depends           []string // names of modules
	Aliases           []string
	SoftPre, SoftPost []string // names or aliases of modules
	Vermagic          string
}

// maxInfo is the largest .modinfo that is read, in bytes: amdgpu's has 40,000.
const maxInfo = 16 << 20

// ReadInfo reads the section .modinfo of a decompressed module of any
// architecture: "KEY=VALUE" entries, each with a NUL at its end.
func ReadInfo(r io.ReaderAt) (Info, error) {
	text, err := modinfo(r)
	if err != nil {
		return Info{}, fmt.Errorf("reading what a module says of itself: %w", err)
	}
	var i Info
	for entry := range bytes.SplitSeq(text, []byte{0}) {
		key, value, _ := strings.Cut(string(entry), "=")
		i.set(key, value)
	}
	return i, nil
}

func modinfo(r io.ReaderAt) ([]byte, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	switch {
	case section == nil:
		return nil, errors.New("it has no section .modinfo: is it a kernel module?")
	case section.Type == elf.SHT_NOBITS:
		return nil, errors.New("its section .modinfo is empty: was the module stripped of it?")
	case section.Size > maxInfo:
		return nil, fmt.Errorf("its section .modinfo has %d bytes, more than %d", section.Size, maxInfo)
	}
	return section.Data()
}

func (i *Info) set(key, value string) {
	switch key {
	case "firmware":
		i.Firmware = append(i.Firmware, value)
	case "depends":
		for name := range strings.SplitSeq(value, ",") {
			if name != "" {
				i.Depends = append(i.Depends, Name(name))
			}
		}
	case "alias":
		i.Aliases = append(i.Aliases, value)
	case "softdep":
		d := softdep{i.SoftPre, i.SoftPost}
		d.add(strings.Fields(value))
		i.SoftPre, i.SoftPost = d.pre, d.post
	case "vermagic":
		i.Vermagic = value
	}
}
