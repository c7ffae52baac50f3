package image

import (
	"context"
	"errors"
	"io"
	"os/exec"

	"github.com/klauspost/pgzip"

	"github.com/rootcast/rootcast/convert/tool"
)

// gunzip unpacks a gzip file, by igzip of Intel's ISA-L where that is installed:
// it takes a third of the library's time. What follows the last member is passed
// over either way, as gzip(1) does; the digests tell whether it matters.
func gunzip(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	if path, err := exec.LookPath("igzip"); err == nil {
		return tool.NewReader(ctx, &tool.Process{Cmd: tool.Command(ctx, path, "--decompress", "--stdout")}, r)
	}
	z, err := pgzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	return members{z}, nil
}

// members reads a gzip file up to the end of its last member.
type members struct{ *pgzip.Reader }

// Read implements io.Reader.
func (m members) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if errors.Is(err, pgzip.ErrHeader) { // of the first member NewReader complains
		err = io.EOF
	}
	return n, err
}
