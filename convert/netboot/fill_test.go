package netboot_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rootcast/rootcast/convert/netboot"
)

// What a program writes by itself is hashed and read back like all else, in
// whichever way it makes the file.
func TestFill(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("a file system ", 200_000)
	for name, write := range map[string]func(path string) error{
		"in place": func(path string) error { return os.WriteFile(path, []byte(content), 0o600) },
		"renamed": func(path string) error {
			if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := newOutput(t)
			if err := out.Fill(t.Context(), write); err != nil {
				t.Fatal(err)
			}
			file, err := out.Finish(t.Context())
			sum := sha256.Sum256([]byte(content))
			if err != nil || file.Size != int64(len(content)) || file.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("got %+v, %v", file, err)
			}
		})
	}
}

func TestFillFails(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	if err := newOutput(t).Fill(t.Context(), func(string) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	if err := newOutput(t).Fill(t.Context(), os.Remove); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v for a file that is gone", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := newOutput(t).Fill(ctx, func(string) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func newOutput(t *testing.T) *netboot.Output {
	t.Helper()
	s, err := netboot.Begin(t.Context(), t.TempDir(), netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Create("rootimg.sfs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(out.Close(), s.Abort()); err != nil {
			t.Error(err)
		}
	})
	return out
}
