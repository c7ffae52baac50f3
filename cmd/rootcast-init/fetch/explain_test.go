package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestExplain(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("asking: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"refused", dial(syscall.ECONNREFUSED), "check that the service runs"},
		{"no route", dial(syscall.EHOSTUNREACH), "check the node's address"},
		{"no network", dial(syscall.ENETUNREACH), "check the node's address"},
		{"no answer", dial(os.ErrDeadlineExceeded), "the server does not answer"},
		{"no answer in time", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, "the server does not answer"},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, "the connection broke off"},
		{"short", io.ErrUnexpectedEOF, "the connection broke off"},
		{"closed", fmt.Errorf("reading: %w", io.EOF), "the server closed the connection"},
		{"stall", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "not a byte for 30s"},
		{"name", &net.DNSError{Name: "mgmt", Err: "no such host", IsNotFound: true}, `the name "mgmt" was not resolved, by `},
		{"403", &statusError{code: 403}, "access denied"},
		{"410", &statusError{code: 410}, "not found"},
		{"502", &statusError{code: 502}, "check the server's log"},
		{"304", &statusError{code: 304}, "HTTP status 304 Not Modified: check imgurl"},
		{"TFTP access", &tftpError{2, "no"}, `TFTP error 2 "no": access denied`},
		{"TFTP other", &tftpError{4, "no"}, "check the TFTP server's log"},
		{"other", errors.New("odd"), "odd"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := (&fetcher{}).explain(test.err)
			checkError(t, err, nil, test.want)
			if errors.Is(err, io.EOF) {
				t.Error("it can be mistaken for the end of the file")
			}
		})
	}
}

func TestNameServers(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{
		"# none\nsearch x\n":                        "no name server, for ",
		"nameserver 10.0.0.1\nnameserver fd00::1\n": "the name server 10.0.0.1, fd00::1",
		"nameserver\n":                              "no name server, for ",
	} {
		file := filepath.Join(dir, "resolv.conf")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := nameServers(file); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := nameServers(filepath.Join(dir, "none")); !strings.Contains(got, "there is no ") {
		t.Errorf("without a file: %q", got)
	}
}

// A real reset, of a real connection.
func TestReset(t *testing.T) {
	content, digest := root(2 << 20)
	o := &origin{content: content}
	o.act = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n > 0 {
			return false
		}
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return true
		}
		fmt.Fprintf(buf, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(content))
		_, _ = buf.Write(content[:1<<20])
		_ = buf.Flush()
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
		return true
	}
	srv := httptest.NewServer(o)
	defer srv.Close()
	log := &lines{}
	got, err := fetchAll(t, Options{
		URLs: []string{srv.URL + "//install/root", srv.URL + "/root"}, SHA256: digest, Log: log.add,
	})
	if err != nil || len(got) != len(content) {
		t.Errorf("%d bytes, %v\n%s", len(got), err, log)
	}
}
