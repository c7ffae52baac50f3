package tool_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rootcast/rootcast/convert/tool"
)

func reader(t *testing.T, ctx context.Context, in io.Reader, command ...string) *tool.Reader { //nolint:revive // t comes first in tests
	t.Helper()
	r, err := tool.NewReader(ctx, &tool.Process{Cmd: tool.Command(ctx, command[0], command[1:]...)}, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReader(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("0123456789"), 1_000_000)
	errCut := errors.New("the line was cut")
	for _, tc := range []struct {
		name    string
		in      io.Reader
		command []string
		want    []byte
		err     string
	}{
		{"all that comes", bytes.NewReader(long), []string{"cat"}, long, ""},
		{"nothing", strings.NewReader(""), []string{"cat"}, nil, ""},
		{"input that the program does not want", bytes.NewReader(long), []string{"true"}, nil, ""},
		{"a program that fails", strings.NewReader("x"), []string{"cat", "/no/such/file"}, nil, "exit status 1: cat: /no/such/file: No such file or directory"},
		{"a program that fails after its output", bytes.NewReader(long), []string{"cat", "-", "/no/such/file"}, long, "No such file or directory"},
		{"input that fails", io.MultiReader(strings.NewReader("some"), iotest.ErrReader(errCut)), []string{"cat"}, []byte("some"), "the line was cut"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := reader(t, t.Context(), tc.in, tc.command...)
			got, err := io.ReadAll(r)
			if !bytes.Equal(got, tc.want) {
				t.Errorf("%d bytes came, want %d", len(got), len(tc.want))
			}
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.HasSuffix(err.Error(), tc.err)) {
				t.Errorf("got error %v, want %q", err, tc.err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Neither a program that waits for its input nor one that waits for its reader is waited for.
func TestReaderClose(t *testing.T) {
	t.Parallel()
	silent, feed := io.Pipe()
	defer feed.Close()
	start := time.Now()
	for _, in := range []io.Reader{iotest.DataErrReader(bytes.NewReader(make([]byte, 10<<20))), silent} {
		if err := reader(t, t.Context(), in, "cat").Close(); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := reader(t, ctx, silent, "cat")
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, reading ends with %v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestReaderErrors(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/no/such/program", t.TempDir()} {
		_, err := tool.NewReader(t.Context(), &tool.Process{Cmd: tool.Command(t.Context(), path)}, strings.NewReader(""))
		if err == nil || !strings.HasPrefix(err.Error(), "running "+path+": ") {
			t.Errorf("running %s: %v", path, err)
		}
	}
}
