package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOrdinaryUserBootstrapsRPM has an ordinary user make the test
// distribution's bases, the same as root's, and interrupt one.
func TestOrdinaryUserBootstrapsRPM(t *testing.T) {
	dir, err := filepath.Abs("../../.cache/rpmdistro/9.4/x86_64")
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "RPM-GPG-KEY-rootcast-test"))
	if err != nil {
		skip(t, "there is no test distribution; hack/rpmdistro.sh x86_64 makes it")
	}
	o := newOrdinary(t)
	srv := httptest.NewServer(http.FileServer(http.Dir(dir))) // the directory may be one that the user cannot enter
	defer srv.Close()
	if err := os.WriteFile(filepath.Join(o.dir, "key.asc"), key, 0o644); err != nil {
		t.Fatal(err)
	}
	bootstrap := func(target string) []string {
		return []string{"bootstrap", "-t", "base:1", "--platform", "linux/amd64", "--mirror", srv.URL, "--keyring", filepath.Join(o.dir, "key.asc"), target}
	}
	for _, target := range []string{"rocky:9.4", "leap:15.6"} {
		t.Run(target, func(t *testing.T) {
			id, _ := o.run(t, "vfs", bootstrap(target)...)
			root := o.command("vfs", bootstrap(target)...)
			home := t.TempDir()
			root.Args = append([]string{root.Args[0], "--storage-driver", "vfs", "--root", filepath.Join(home, "root"), "--runroot", filepath.Join(home, "run")}, bootstrap(target)...)
			root.SysProcAttr = nil
			var errs bytes.Buffer
			root.Stderr = &errs
			out, err := root.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, &errs)
			}
			if string(out) != id {
				t.Errorf("root made the image %s, the user %s", out, id)
			}
			o.checkClean(t)
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		cmd := o.command("vfs", bootstrap("rocky:9.4")...)
		stopped := make(chan time.Time, 1)
		seen := false
		cmd.Stderr = writeFunc(func(p []byte) {
			if strings.Contains(string(p), "installing packages") && !seen {
				seen = true
				time.AfterFunc(500*time.Millisecond, func() {
					stopped <- time.Now()
					_ = cmd.Process.Signal(syscall.SIGINT)
				})
			}
		})
		if err := cmd.Run(); err == nil {
			t.Error("it ended well")
		}
		if d := time.Since(<-stopped); d > 2*time.Second {
			t.Errorf("took %s to stop", d)
		}
		o.checkClean(t)
	})
}

type writeFunc func([]byte)

func (f writeFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }
