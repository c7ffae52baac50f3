package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rootcast/rootcast/convert/report"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

var update = flag.Bool("update", false, "rewrite the expected tables in testdata")

// status is a line of rootfstest: a database of two packages.
const status = `file var/lib/dpkg/status 0644 "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n\nPackage: tool\nVersion: 1:2.0~rc1-1\nArchitecture: all\n"`

var image = []string{`
	` + status + `
	file var/lib/dpkg/info/bash.list 0644 "/bin\n/bin/bash\n/bin/rbash\n/etc/gone\n"
	file var/lib/dpkg/info/tool.list 0644 "/usr/bin/zz-tool\n/opt/tool/data\n"
	dir  usr/bin 0755
	symlink bin usr/bin
	file usr/bin/bash 0755 size=1000000
	symlink usr/bin/rbash bash
	file usr/bin/zz-tool 0755 size=300000
	link usr/bin/a-tool usr/bin/zz-tool
	file opt/tool/data 0644 size=5000000
	file cache 0644 size=20000000`, `
	wh   cache
	file opt/tool/data 0644 size=6000000
	file srv/deep/down/here/file 0644 size=500000
	file "srv/a\nb" 0644 size=10
	link srv/bash usr/bin/bash`}

func build(t *testing.T, o report.Options) *report.Report {
	t.Helper()
	r, err := report.Build(t.Context(), rootfstest.Tree(t, image...), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func options() report.Options {
	return report.Options{
		Name:   "localhost/compute:1",
		Layers: []report.LayerInfo{{ID: "sha256:1", CreatedBy: "/bin/sh -c #(nop) ADD file:x in /"}, {ID: "sha256:2", CreatedBy: "RUN rm /cache\n\tand more"}},
	}
}

func TestBuild(t *testing.T) {
	r := build(t, options())
	one, two := 1, 2
	want := &report.Report{
		Name: "localhost/compute:1", Files: 12, Directories: 13, Size: 1000000 + 300000 + 6000000 + 500010 + dpkgSize(t),
		Hidden: report.Sum{Files: 2, Size: 25000000},
		Layers: []report.Layer{
			{ID: "sha256:1", CreatedBy: "/bin/sh -c #(nop) ADD file:x in /", Sum: report.Sum{Files: 9, Size: 1300000 + dpkgSize(t)}, Hidden: report.Sum{Files: 2, Size: 25000000}},
			{ID: "sha256:2", CreatedBy: "RUN rm /cache\n\tand more", Sum: report.Sum{Files: 3, Size: 6500010}},
		},
		Packages: []report.Package{
			{Name: "tool", Version: "1:2.0~rc1-1", Arch: "all", Format: "dpkg", Sum: report.Sum{Files: 3, Size: 6300000}},
			{Name: "bash", Version: "5.2-1", Arch: "amd64", Format: "dpkg", Sum: report.Sum{Files: 3, Size: 1000000}},
		},
		Unowned: report.Sum{Files: 6, Size: 500010 + dpkgSize(t)},
		Largest: []report.File{
			{Path: "/opt/tool/data", Size: 6000000, Package: "tool", Layer: &two},
			{Path: "/srv/bash", Size: 1000000, Names: 2, Package: "bash", Layer: &one},
			{Path: "/srv/deep/down/here/file", Size: 500000, Layer: &two},
		},
		HiddenFiles: []report.HiddenFile{{Path: "/cache", Size: 20000000, Layer: 1}, {Path: "/opt/tool/data", Size: 5000000, Layer: 1, By: 2}},
	}
	r.Largest = r.Largest[:3]
	if diff := cmp.Diff(want, r, cmpopts.IgnoreUnexported(report.Report{}), cmpopts.IgnoreFields(report.Report{}, "Tree")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r.Tree.Size != r.Size || r.Tree.Files != r.Files || r.Tree.Dirs[0].Name != "opt" || r.Tree.Dirs[0].Dirs[0].Size != 6000000 {
		t.Errorf("got tree %+v", r.Tree)
	}
}

// dpkgSize is what the database itself takes.
func dpkgSize(t *testing.T) (n int64) {
	t.Helper()
	for name, in := range rootfstest.Tree(t, image...).All() {
		if strings.HasPrefix(name, "var/") {
			n += in.Size
		}
	}
	return n
}

func TestBuildWithout(t *testing.T) {
	o := options()
	o.Layers = nil
	o.Top = 1
	o.Drop = func(name string) bool {
		return strings.HasPrefix(name, "opt") || name == "srv/bash" || name == "usr/bin/zz-tool"
	}
	r := build(t, o)
	if r.Excluded == nil || *r.Excluded != (report.Sum{Files: 3, Size: 6000000}) {
		t.Errorf("excluded %+v", r.Excluded)
	}
	if len(r.Largest) != 1 || r.Largest[0].Path != "/usr/bin/bash" || r.Largest[0].Layer != nil || r.Layers != nil || r.Hidden.Size != 0 {
		t.Errorf("got %+v", r)
	}
	if r.Packages[1].Name != "tool" || r.Packages[1].Size != 300000 { // by its other name
		t.Errorf("packages %+v", r.Packages)
	}
}

func TestBuildDamagedDatabase(t *testing.T) {
	r, err := report.Build(t.Context(), rootfstest.Tree(t, `file var/lib/dpkg/status 0644 "rubbish"`), report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`reading the dpkg database: var/lib/dpkg/status:1: no field: "rubbish"`}
	if diff := cmp.Diff(want, r.Warnings); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTables(t *testing.T) {
	excluded := options()
	excluded.Drop = func(name string) bool { return strings.HasPrefix(name, "srv/") }
	for _, tt := range []struct {
		name string
		o    report.Options
		top  int
	}{
		{"report", options(), 20},
		{"report-top-1", options(), 1},
		{"report-excluded", excluded, 3},
		{"report-dir", report.Options{Name: "/srv/boot/compute"}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := build(t, tt.o).WriteTable(&b, tt.top); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name, b.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
