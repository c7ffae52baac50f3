package ramdisk

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cavaliergopher/cpio"

	"github.com/rootcast/rootcast/convert/node"
)

// Reader reads the packed root from a row of members.
type Reader struct {
	archive *cpio.Reader
	left    int64 // of the member that is read
	members int
}

// NewReader returns a reader of the packed root whose members start where r does.
func NewReader(r io.Reader) *Reader { return &Reader{archive: cpio.NewReader(r)} }

// Read implements io.Reader. A member that is missing or has another name than
// it should is an error.
func (r *Reader) Read(p []byte) (int, error) {
	for r.left == 0 {
		h, err := r.archive.Next()
		if err != nil {
			return 0, readError(err)
		}
		if h.Mode.IsDir() {
			continue
		}
		if number, ok := strings.CutPrefix(h.Name, node.RootDir+"/"); !ok || number != fmt.Sprintf("%08d", r.members) {
			return 0, fmt.Errorf("reading the root in the ramdisk: %q lies where part %d should", h.Name, r.members)
		}
		r.members++
		r.left = h.Size
	}
	n, err := r.archive.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if errors.Is(err, io.EOF) && r.left == 0 {
		err = nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("reading the root in the ramdisk: %w", err)
}
