package console_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/cmd/rootcast-init/console"
)

// stamp is what a line starts with, the time since the kernel started.
var stamp = regexp.MustCompile(`(?m)^rootcast: +[0-9]+\.[0-9]{2} s  `)

// said is a log's text without times.
func said(text string) string { return stamp.ReplaceAllString(text, "") }

func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := console.New(&out, false)
	log.Printf("fetching %s", "http://a/b")
	log.Debugf("a detail")
	log.SetDebug(true)
	log.Debugf("another, of\ntwo lines\n\n")
	log.SetDebug(false)
	log.Debugf("and a last one")
	log.Printf("100 %%\n")
	if got, want := said(out.String()), "fetching http://a/b\r\nanother, of\r\ntwo lines\r\n100 %\r\n"; got != want {
		t.Errorf("console %q, want %q", got, want)
	}
	want := "fetching http://a/b\na detail\nanother, of\ntwo lines\nand a last one\n100 %\n"
	if got := said(log.Text()); got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if n := len(stamp.FindAllString(log.Text(), -1)); n != 6 {
		t.Errorf("%d lines have a time", n)
	}
	if n := len(stamp.FindAllString(fromDebug(), -1)); n != 1 {
		t.Errorf("%d lines of a log that starts with details", n)
	}
}

func fromDebug() string {
	var out bytes.Buffer
	console.New(&out, true).Debugf("a detail")
	return out.String()
}

// The log goes on being kept after it was saved, and the next time all is saved.
func TestLogSave(t *testing.T) {
	log := console.New(&bytes.Buffer{}, false)
	path := filepath.Join(t.TempDir(), "run/rootcast/init.log")
	for _, line := range []string{"first", "second"} {
		log.Printf("%s", line)
		if err := log.Save(path); err != nil {
			t.Fatal(err)
		}
		saved, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(log.Text(), string(saved)); d != "" {
			t.Errorf("(-said +saved):\n%s", d)
		}
	}
	if err := log.Save(filepath.Join(path, "below/a.log")); err == nil || !strings.HasPrefix(err.Error(), "keeping the log: ") {
		t.Errorf("below a file: %v", err)
	}
	if err := log.Save(filepath.Dir(path)); err == nil || !strings.HasPrefix(err.Error(), "keeping the log: ") {
		t.Errorf("as a directory: %v", err)
	}
}

// Lines of several goroutines do not mix, and a console that fails stops nobody.
func TestLogTogether(t *testing.T) {
	log := console.New(deaf{}, true)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				log.Printf("%[1]d%[1]d%[1]d\n%[1]d", i)
			}
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSuffix(said(log.Text()), "\n"), "\n")
	if len(lines) != 800 {
		t.Fatalf("%d lines", len(lines))
	}
	for n := 0; n < len(lines); n += 2 {
		if i := lines[n+1]; len(i) != 1 || lines[n] != fmt.Sprint(i, i, i) {
			t.Fatalf("lines %d: %q", n, lines[n:n+2])
		}
	}
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestUptime(t *testing.T) {
	if first, second := console.Uptime(), console.Uptime(); first <= 0 || second < first {
		t.Errorf("%v, then %v", first, second)
	}
}
