package firststage

import (
	"bytes"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/klauspost/compress/gzip"
)

//go:embed all:bin
var programs embed.FS

// Program returns the static program that runs as /init on a node of the
// architecture, in Go's name for it.
func Program(arch string) ([]byte, error) {
	packed, err := programs.ReadFile("bin/rootcast-init-" + arch + ".gz")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this rootcast has no first stage for %s: it knows amd64, arm64, ppc64le, riscv64 and s390x, if it was built by make; --initrd image does without", arch)
	}
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking the first stage for %s: %w", arch, err)
	}
	// The file's last four bytes are the program's size (RFC 1952, ISIZE).
	program := bytes.NewBuffer(make([]byte, 0, int(binary.LittleEndian.Uint32(packed[len(packed)-4:]))+bytes.MinRead))
	if _, err := program.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("unpacking the first stage for %s: %w", arch, err)
	}
	return program.Bytes(), nil
}
