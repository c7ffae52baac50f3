package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadFileAt reads from the regular file that the layer holds by that name, in
// three system calls: a root has tens of thousands of files. It fills p or
// returns an error, io.EOF at the file's end. Any number may read at a time. The
// layer's directory is the root: a symlink that the layer holds does not lead to
// a file of this machine.
func (t *storedTar) ReadFileAt(name string, p []byte, off int64) (n int, err error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(int(t.dir.Fd()), strings.TrimLeft(name, "/"), &how)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.6
		f, err := os.OpenInRoot(t.dir.Name(), strings.TrimLeft(name, "/"))
		if err != nil {
			return 0, fmt.Errorf("opening %q of layer %s in the store: %w", name, t.layer, err)
		}
		defer f.Close()
		return f.ReadAt(p, off)
	}
	if err != nil {
		return 0, fmt.Errorf("opening %q of layer %s in the store: %w", name, t.layer, err)
	}
	defer unix.Close(fd) //nolint:errcheck // it was only read
	for n < len(p) {
		k, err := unix.Pread(fd, p[n:], off+int64(n))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return n, fmt.Errorf("reading %q of layer %s in the store: %w", name, t.layer, err)
		case k == 0:
			return n, io.EOF
		}
		n += max(k, 0)
	}
	return n, nil
}
