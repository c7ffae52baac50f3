package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

const hostile = `</script><script>alert(1)</script>`

func TestWriteHTML(t *testing.T) {
	tree := rootfstest.Tree(t, `
		file var/lib/dpkg/status 0644 "Package: lib\nVersion: 1\nArchitecture: amd64\n\nPackage: lib\nVersion: 1\nArchitecture: i386\n"
		file var/lib/dpkg/info/lib:i386.list 0644 "/lib/i\n"
		file lib/i 0644 size=100
		file "srv/x`+strings.ReplaceAll(hostile, "/", `\x2f`)+`" 0644 size=5`, `
		file "srv/<!--&'\"\u2028\xff" 0644 size=7
		link z lib/i
		symlink s z`)
	r, err := Build(t.Context(), tree, Options{Name: "node:1" + hostile, Layers: []LayerInfo{{ID: "sha256:1", CreatedBy: hostile}, {ID: "sha256:2"}}})
	if err != nil {
		t.Fatal(err)
	}
	r.Warnings = []string{hostile}
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if n := strings.Count(text, "</script>"); n != 2 {
		t.Errorf("%d scripts end in the page", n)
	}
	for _, bad := range []string{"alert(1)</", "http:", "https:", " src=", " href=", "url(", "@import", "<!--&"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	_, data, _ := strings.Cut(text, `id="data">`)
	data, _, _ = strings.Cut(data, "</script>")
	var p page
	if err := json.Unmarshal([]byte(data), &p); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/lib/i 100 1 lib:i386 0", "/srv/<!--&'\"\u2028\ufffd 7 1 - 1", "/srv/x" + hostile + " 5 1 - 0",
		"/var/lib/dpkg/info/lib:i386.list 7 1 - 0", "/var/lib/dpkg/status 88 1 - 0", "/ 0 1 - 1", "/ 0 1 lib:i386 0",
	}
	got := leavesOf(&p, p.Tree, "")
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if p.Name != r.Name || p.Size != r.Size || p.Layers[0].CreatedBy != hostile || p.Warnings[0] != hostile {
		t.Errorf("got %+v", p)
	}
}

func sorted(list []string) []string {
	list = append([]string(nil), list...)
	for i := range list {
		for j := range i {
			if list[i] < list[j] {
				list[i], list[j] = list[j], list[i]
			}
		}
	}
	return list
}

// leavesOf lists a page's files: path, size, how many, package, layer.
func leavesOf(p *page, d *pageDir, path string) (lines []string) {
	for _, f := range d.Files {
		owner := "-"
		if i, ok := f[3].(float64); ok && i >= 0 {
			owner = p.Packages[int(i)].Name
		}
		lines = append(lines, fmt.Sprintf("%s/%v %v %v %s %v", path, f[0], f[1], f[2], owner, f[4]))
	}
	for _, sub := range d.Dirs {
		lines = append(lines, leavesOf(p, sub, path+"/"+sub.Name)...)
	}
	return lines
}

func TestPageJoinsSmallFiles(t *testing.T) {
	text := ""
	for i := range 100 {
		text += fmt.Sprintf("file d%d/%02d 0644 size=%d\n", i%3, i, i/2)
	}
	r, err := Build(t.Context(), rootfstest.Tree(t, text), Options{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	p := r.page(40)
	var files, leaves int
	var size int64
	for _, d := range p.Tree.Dirs {
		for _, f := range d.Files {
			leaves++
			count, ok := f[2].(int)
			bytes, ok2 := f[1].(int64)
			if !ok || !ok2 {
				t.Fatalf("a leaf is %v", f)
			}
			files += count
			size += bytes
		}
	}
	if files != 100 || size != r.Size || leaves > 40+3 || leaves < 30 {
		t.Errorf("%d files of %d bytes in %d leaves; there are 100 of %d", files, size, leaves, r.Size)
	}
}
