package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pin/tftp/v3"
)

// tftpServer serves on loopback until the test ends.
func tftpServer(t *testing.T, block int, read func(name string, rf io.ReaderFrom) error) (address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := tftp.NewServer(read, nil)
	if block > 0 {
		s.SetBlockSize(block)
	}
	done := make(chan struct{})
	go func() {
		_ = s.Serve(conn)
		close(done)
	}()
	t.Cleanup(func() {
		s.Shutdown()
		<-done
	})
	return conn.LocalAddr().String()
}

// withoutSize hides that a reader could tell the size.
type withoutSize struct{ io.Reader }

func TestTFTP(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, tftpBlock, 3 * tftpBlock, 1 << 20} {
		testTFTP(t, size)
	}
}

func testTFTP(t *testing.T, size int) {
	t.Helper()
	content, digest := root(size)
	var mu sync.Mutex
	var names []string
	address := tftpServer(t, 0, func(name string, rf io.ReaderFrom) error {
		mu.Lock()
		names = append(names, name)
		mu.Unlock()
		var r io.Reader = bytes.NewReader(content)
		if strings.HasPrefix(name, "/") {
			r = withoutSize{r}
		}
		_, err := rf.ReadFrom(r)
		return err
	})
	for _, name := range []string{"/dir/root", "//dir/root"} {
		got, err := fetchAll(t, Options{URLs: []string{"tftp://" + address + name}, SHA256: digest, Attempts: 1})
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes of %d from %s, %v", len(got), size, name, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"dir/root", "/dir/root"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// Blocks are counted in 16 bits.
func TestTFTPBlocksRollOver(t *testing.T) {
	if testing.Short() {
		t.Skip("70,000 packets take seconds")
	}
	content, digest := root(512 * 70_000)
	address := tftpServer(t, 512, func(_ string, rf io.ReaderFrom) error {
		_, err := rf.ReadFrom(bytes.NewReader(content))
		return err
	})
	s, err := Open(t.Context(), Options{URLs: []string{"tftp://" + address + "/root"}, SHA256: digest, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Size != int64(len(content)) {
		t.Errorf("size %d", s.Size)
	}
	if n, err := io.Copy(io.Discard, s); err != nil || n != s.Size {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestTFTPErrors(t *testing.T) {
	content, _ := root(1 << 20)
	address := tftpServer(t, 0, func(name string, rf io.ReaderFrom) error {
		if name == "root" {
			_, err := rf.ReadFrom(bytes.NewReader(content))
			return err
		}
		return errors.New("no such\x1b\nfile")
	})
	for _, test := range []struct {
		name string
		size int64
		err  error
		want string
	}{
		{"missing", 0, nil, `TFTP error 1 "no such\x1b\nfile": not found: check imgurl, and that the file is below`},
		{"root", 5, ErrChanged, "the file has 1048576 bytes, expected 5"},
	} {
		_, err := fetchAll(t, Options{URLs: []string{"tftp://" + address + "/" + test.name}, Size: test.size, Attempts: 1})
		checkError(t, err, test.err, test.want)
	}
}

// TFTP has no offset: what is there already is skipped, and a web server goes on
// where TFTP was cut.
func TestTFTPResume(t *testing.T) {
	// Whole blocks, of whichever size: the last one that is not full is not sent.
	const cut = 512 * tftpBlock * 4
	content, digest := root(4 << 20)
	address := tftpServer(t, 0, func(name string, rf io.ReaderFrom) error {
		var r io.Reader = bytes.NewReader(content)
		if name == "cut" {
			r = io.MultiReader(bytes.NewReader(content[:cut]), failing{})
		}
		_, err := rf.ReadFrom(r)
		return err
	})
	serve := func(o *origin) string {
		s := httptest.NewServer(o)
		t.Cleanup(s.Close)
		return s.URL + "/root"
	}
	after, before := &origin{content: content}, &origin{content: content, cut: map[int]int{0: 2 << 20}}
	for _, test := range []struct {
		name, first, second string
		o                   *origin
		asked               string
	}{
		{"from TFTP to HTTP", "tftp://" + address + "/cut", serve(after), after, fmt.Sprintf("bytes=%d-4194303", cut)},
		{"from HTTP to TFTP", serve(before), "tftp://" + address + "/root", before, "-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := &lines{}
			got, err := fetchAll(t, Options{URLs: []string{test.first, test.second}, Size: 4 << 20, SHA256: digest, Attempts: 1, Log: log.add})
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%d bytes, %v\n%s", len(got), err, log)
			}
			if !slices.Equal(test.o.asked(), []string{test.asked}) {
				t.Errorf("requests %q, want %q", test.o.asked(), test.asked)
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// A server that knows no options sends the first block at once, and no size.
func TestTFTPWithoutOptions(t *testing.T) {
	content, digest := root(700)
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		request := make([]byte, 1000)
		for block := 1; block <= 2; block++ {
			_, client, err := server.ReadFrom(request)
			if err != nil {
				return
			}
			data := content[(block-1)*512 : min(block*512, len(content))]
			_, _ = server.WriteTo(append([]byte{0, 3, 0, byte(block)}, data...), client)
		}
	}()
	got, err := fetchAll(t, Options{URLs: []string{"tftp://" + server.LocalAddr().String() + "/root"}, SHA256: digest, Attempts: 1})
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A transfer must not outlive its stream, nor hold up who closes it.
func TestTFTPClose(t *testing.T) {
	content, _ := root(8 << 20)
	ended := make(chan error, 1)
	address := tftpServer(t, 0, func(_ string, rf io.ReaderFrom) error {
		_, err := rf.ReadFrom(bytes.NewReader(content))
		ended <- err
		return err
	})
	s, err := Open(t.Context(), Options{URLs: []string{"tftp://" + address + "/root"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the server sent the blocks file")
		}
	case <-time.After(20 * time.Second):
		t.Error("the server was not told")
	}
}

// A server that does not answer must not hold up who gives up.
func TestTFTPCancel(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := contextWithCause(t, 50*time.Millisecond)
	defer cancel()
	_, err = Open(ctx, Options{URLs: []string{"tftp://" + silent.LocalAddr().String() + "/root"}})
	checkError(t, err, errTooLate, "")
}
