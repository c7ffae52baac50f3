package netboot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rootcast/rootcast/convert/ctxio"
)

// CheckFile reads a file of dir: the error says how its size or digest is not
// what its manifest says. Each read's bytes are given to count, unless that is nil.
func CheckFile(ctx context.Context, dir string, want File, count func(n int)) error {
	f, err := os.Open(filepath.Join(dir, want.Name))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, ctxio.NewReader(ctx, f, count))
	if err != nil {
		return err
	}
	return want.differs(n, hex.EncodeToString(sum.Sum(nil)))
}

// differs says how a file is not what the manifest says, if it is not.
func (f *File) differs(size int64, sum string) error {
	switch {
	case size != f.Size:
		return fmt.Errorf("has %d bytes, its manifest says %d", size, f.Size)
	case sum != f.SHA256:
		return fmt.Errorf("has the sha256 %s, its manifest says %s", sum, f.SHA256)
	}
	return nil
}
