package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// fakeSSH puts a script in the place of ssh. Its arguments are in the returned file.
func fakeSSH(t *testing.T, script string) (args string) {
	t.Helper()
	dir := t.TempDir()
	args = filepath.Join(dir, "args")
	text := "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + args + "\n" + script
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return args
}

func hello(w io.Writer) error {
	_, err := io.WriteString(w, "hello\n")
	return err
}

func TestBuild(t *testing.T) {
	d := digest.FromString("image")
	args := fakeSSH(t, `read line; echo "got $line" >&2; printf 'no end of line' >&2
echo "Welcome to n01"; echo '{"rootcastBuild":1,"digest":"`+d.String()+`"}'`)
	n, err := ParseNode("ssh://me@n01:2222/opt/rootcast")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	got, err := n.Build(t.Context(), hello, &log)
	if err != nil || got != d {
		t.Errorf("got %s, %v", got, err)
	}
	if log.String() != "got hello\nno end of line" {
		t.Errorf("log %q", log.String())
	}
	text, err := os.ReadFile(args)
	if err != nil {
		t.Fatal(err)
	}
	if want := "-o\nBatchMode=yes\n-o\nServerAliveInterval=30\n-p\n2222\n--\nme@n01\n/opt/rootcast\nbuild-node\n"; string(text) != want {
		t.Errorf("ssh's arguments:\n%s", text)
	}
}

func TestBuildErrors(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"the node's own", `echo '{"rootcastBuild":1,"error":"building /x:2: RUN false: failed"}'; exit 1`, "building /x:2: RUN false: failed"},
		{"another version", `echo '{"rootcastBuild":5}'`, "the two machines' rootcasts do not understand each other (versions 1 and 5 of their protocol); put the same one on both"},
		{"not there", "echo noise >&2; echo 'sh: 1: rootcast: not found' >&2; exit 127", "there is no rootcast (sh: 1: rootcast: not found); copy bin/rootcast there, which is one static file, or name its path: ssh://me@n01/path/of/rootcast"},
		{"of another architecture", "echo 'sh: rootcast: Exec format error' >&2; exit 126", "rootcast cannot be run there (sh: rootcast: Exec format error); it must be executable, and built for that machine"},
		{"old", `echo 'rootcast: unknown command "build-node"; did you mean "build"?' >&2; exit 2`, `the rootcast there is too old to build for others (rootcast: unknown command "build-node"; did you mean "build"?); put the same version on both machines`},
		{"refused", "echo 'ssh: connect to host n01 port 22: Connection refused' >&2; exit 255", "ssh: connect to host n01 port 22: Connection refused"},
		{"no key", "echo 'me@n01: Permission denied (publickey).' >&2; exit 255", "ssh: me@n01: Permission denied (publickey); ssh must get in without asking: ssh-copy-id me@n01, or ssh-add"},
		{"unknown host key", "echo 'Host key verification failed.' >&2; exit 255", "ssh: Host key verification failed; log in once by hand, ssh me@n01, to compare and keep the key"},
		{"cut off", "echo 'STEP 2/3: RUN x' >&2; printf 'Connection to n01 closed by remote host.\\r\\n' >&2; exit 255", "ssh: Connection to n01 closed by remote host"},
		{"cut off in silence", "exit 255", "ssh: the connection broke off"},
		{"crash", "echo 'panic: oh' >&2; exit 3", "the rootcast there ended without an answer, with exit status 3 (panic: oh)"},
		{"killed", "kill -KILL $$", "the rootcast there ended without an answer, with signal: killed"},
		{"no answer", "echo Welcome", "the rootcast there ended without an answer"},
		{"half an answer", `printf '{"rootcastBuild":1,"dig'`, "it is not what a rootcast says"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fakeSSH(t, "cat >/dev/null &\n"+tc.script)
			_, err := Node{User: "me", Host: "n01", Program: "rootcast"}.Build(t.Context(), hello, io.Discard)
			if err == nil || err.Error() != tc.want && !strings.HasPrefix(err.Error(), tc.want+": ") {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
	t.Run("what is sent cannot be read", func(t *testing.T) {
		fakeSSH(t, "exec sleep 60")
		broken := errors.New("reading x: input/output error")
		_, err := Node{Host: "n01", Program: "rootcast"}.Build(t.Context(), func(io.Writer) error { return broken }, io.Discard)
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no ssh", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := Node{Host: "n01", Program: "rootcast"}.Build(t.Context(), hello, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "ssh is not installed on this machine (Debian: apt install openssh-client)") {
			t.Errorf("got %v", err)
		}
	})
}

func TestBuildStops(t *testing.T) {
	fakeSSH(t, "echo started >&2; trap '' TERM; sleep 60 & wait")
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan bool, 1)
	done := make(chan error, 1)
	go func() {
		_, err := Node{Host: "n01", Program: "rootcast"}.Build(ctx, hello, writerFunc(func(p []byte) (int, error) {
			started <- true
			return len(p), nil
		}))
		done <- err
	}()
	<-started
	began := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || time.Since(began) > 2*time.Second {
		t.Errorf("ended after %v with %v", time.Since(began), err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
