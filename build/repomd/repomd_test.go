package repomd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const primary = `<data type="primary"><location href="repodata/p.xml.gz"/><timestamp>1714000000</timestamp></data>`
	tests := []struct {
		name, text, time, err string
	}{
		{
			name: "the newest time",
			text: `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1713000000</revision>` + primary + `</repomd>`,
			time: "2024-04-24T23:06:40Z",
		},
		{
			name: "a counter, and a fraction", time: "2024-05-06T12:53:20Z",
			text: `<repomd><revision>17</revision>` + primary + `<data type="modules"><timestamp>1715000000.25</timestamp></data></repomd>`,
		},
		{name: "no time", text: `<repomd><revision>99999999999999999999</revision><data type="primary_db"/></repomd>`, time: "0001-01-01T00:00:00Z"},
		{name: "a page", text: "<html><body>log in</body></html>", err: "it is no repomd.xml: expected element type <repomd> but have <html>"},
		{name: "nothing", text: "", err: "it is no repomd.xml: EOF"},
		{name: "cut off", text: `<repomd><data type="primary">`, err: "it is no repomd.xml: XML syntax error on line 1: unexpected EOF"},
		{name: "no packages", text: `<repomd><data type="group"/></repomd>`, err: "it is no whole repomd.xml: it names no list of packages (primary)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := Parse(tt.text)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.err {
				t.Fatalf("error %q, want %q", got, tt.err)
			}
			if got := x.Time().Format(time.RFC3339); err == nil && got != tt.time {
				t.Errorf("time %s, want %s", got, tt.time)
			}
		})
	}
}

func TestFind(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("<repomd/>")}
	tests := []struct {
		name string
		tree fstest.MapFS
		want []string
	}{
		{name: "itself", tree: fstest.MapFS{Name: file, "sub/" + Name: file}, want: []string{"."}},
		{name: "media of EL", tree: fstest.MapFS{"BaseOS/" + Name: file, "AppStream/" + Name: file, "EFI/BOOT/grub.cfg": file}, want: []string{"AppStream", "BaseOS"}},
		{name: "media of SUSE", tree: fstest.MapFS{"Module-Basesystem/" + Name: file, "Product-SLES/" + Name: file}, want: []string{"Module-Basesystem", "Product-SLES"}},
		{name: "a mirror", tree: fstest.MapFS{"9/BaseOS/x86_64/os/" + Name: file}, want: []string{"9/BaseOS/x86_64/os"}},
		{name: "too deep", tree: fstest.MapFS{"a/b/c/d/e/f/" + Name: file}},
		{name: "a directory of the name", tree: fstest.MapFS{Name + "/x": file}},
		{name: "none", tree: fstest.MapFS{"a.rpm": file}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Find(tt.tree)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindFollowsNoLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(outside, "repodata"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, Name), []byte("<repomd/>"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "BaseOS")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "AppStream"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "repodata"), filepath.Join(dir, "AppStream", "repodata")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if got, err := Find(root.FS()); err != nil || len(got) > 0 {
		t.Errorf("found %v, error %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`<repomd><revision>1714000000</revision><data type="primary"><timestamp>1</timestamp></data></repomd>`)
	f.Add("<repomd>")
	f.Fuzz(func(t *testing.T, text string) {
		x, err := Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		if when := x.Time(); !when.IsZero() && (when.Year() < 1996 || when.Year() > 2100) {
			t.Errorf("time %s", when)
		}
	})
}
