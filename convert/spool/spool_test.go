package spool_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/rootcast/rootcast/convert/spool"
)

func TestFile(t *testing.T) {
	dir := t.TempDir()
	f, err := spool.File(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "what was written"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(f, 5, 100))
	if err != nil || string(got) != "was written" {
		t.Errorf("read %q, %v", got, err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("the directory has %v, %v", names, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := spool.File(dir + "/none"); err == nil || !strings.Contains(err.Error(), dir+"/none: no such file") {
		t.Errorf("got %v", err)
	}
}
