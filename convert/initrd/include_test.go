package initrd_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// machine is a directory of this machine with a site's files.
func machine(t testing.TB, text string) string {
	t.Helper()
	entries, err := rootfstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := rootfstest.WriteDir(dir, entries); err != nil {
		t.Fatal(err)
	}
	return dir
}

// including builds with includes, whose sources are below dir.
func including(dir string, includes ...initrd.Include) initrd.Options {
	o := options()
	for _, i := range includes {
		o.Include = append(o.Include, initrd.Include{Src: filepath.Join(dir, i.Src), Dst: i.Dst})
	}
	return o
}

// added are the lines by which a tree differs from one without includes.
func added(t testing.TB, image, tree *rootfs.Tree) (lines []string) {
	t.Helper()
	plain, _ := build(t, image, options())
	before, err := rootfstest.List(plain)
	if err != nil {
		t.Fatal(err)
	}
	after, err := rootfstest.List(tree)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, line := range before {
		known[line] = true
	}
	for _, line := range after {
		if !known[line] {
			lines = append(lines, line)
		}
	}
	return lines
}

const site = `
	dir     . 0755
	file    hosts 0640 mtime=9 "127.0.0.1\n"
	symlink to-hosts hosts
	dir     d 0750 mtime=9
	file    d/run.sh 04755 "#!"
	dir     d/below 01777
	symlink d/below/out /etc/shadow
	symlink d/below/up ../../hosts
	file    d/empty 0600`

func TestBuildIncludes(t *testing.T) {
	dir, small := machine(t, site), image(t)
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(dir, "hosts"), 7, 8); err != nil {
			t.Fatal(err)
		}
	}
	whole := func(at string) []string {
		var lines []string
		for _, line := range []string{
			"dir @ 0750", "dir @/below 01777", "symlink @/below/out /etc/shadow", "symlink @/below/up ../../hosts", "file @/empty 0600", `file @/run.sh 04755 "#!"`,
		} {
			lines = append(lines, strings.Replace(line, "@", at, 1))
		}
		return lines
	}
	for name, tt := range map[string]struct {
		includes []initrd.Include
		want     []string
		warning  string
	}{
		"a file":               {includes: []initrd.Include{{Src: "hosts", Dst: "/etc/hosts"}}, want: []string{`file etc/hosts 0640 "127.0.0.1\n"`}},
		"into a directory":     {includes: []initrd.Include{{Src: "hosts", Dst: "opt/site/"}}, want: []string{"dir opt 0755", "dir opt/site 0755", `file opt/site/hosts 0640 "127.0.0.1\n"`}},
		"into the root":        {includes: []initrd.Include{{Src: "hosts", Dst: "/"}}, want: []string{`file hosts 0640 "127.0.0.1\n"`}},
		"what a link leads to": {includes: []initrd.Include{{Src: "to-hosts", Dst: "/etc/hosts"}}, want: []string{`file etc/hosts 0640 "127.0.0.1\n"`}},
		"a directory":          {includes: []initrd.Include{{Src: "d", Dst: "/opt"}}, want: whole("opt")},
		"a directory's too":    {includes: []initrd.Include{{Src: "d", Dst: "opt/"}}, want: whole("opt")},
		"where there is one":   {includes: []initrd.Include{{Src: "d", Dst: "/etc"}}, want: whole("etc")[1:]},
		"over the root": {includes: []initrd.Include{{Src: "d", Dst: "/"}}, want: []string{
			"dir below 01777", "symlink below/out /etc/shadow", "symlink below/up ../../hosts", "file empty 0600", `file run.sh 04755 "#!"`,
		}},
		"in place of the initrd's": {
			includes: []initrd.Include{{Src: "d/run.sh", Dst: "/init"}}, want: []string{`file init 04755 "#!"`},
			warning: "an include replaces /init of the initrd",
		},
		"twice": {
			includes: []initrd.Include{{Src: "hosts", Dst: "/x"}, {Src: "d/empty", Dst: "/x"}}, want: []string{"file x 0600"},
			warning: "an include replaces /x of the initrd",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree, report := build(t, small, including(dir, tt.includes...))
			if d := cmp.Diff(tt.want, added(t, small, tree)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if got := strings.Join(report.Warnings, "\n"); got != tt.warning {
				t.Errorf("warnings\n%s, want\n%s", got, tt.warning)
			}
		})
	}
}

func TestBuildRefusesIncludes(t *testing.T) {
	dir, small := machine(t, site+"\n\tdir s 0755\n\tfifo s/pipe 0600\n\tsymlink dangling gone\n\tdir e 0755\n\tfile e/etc 0644"), image(t)
	const replaces = "the initrd has a directory there, or a file where a directory is to be: choose another name"
	for name, tt := range map[string]struct{ src, dst, want string }{
		"not there":         {"nowhere", "/x", "stat SRC: no such file or directory"},
		"a dangling link":   {"dangling", "/x", "stat SRC: no such file or directory"},
		"no place":          {"hosts", "", "it has no place in the initrd: give SOURCE:DESTINATION"},
		"out of the initrd": {"hosts", "/etc/../../x", `its place in the initrd has a part "..": write where it leads`},
		"up":                {"hosts", "../x", `its place in the initrd has a part "..": write where it leads`},
		"a pipe":            {"s/pipe", "/x", "SRC: neither a file, a directory nor a symlink: leave it out of the directory"},
		"a pipe below":      {"s", "/x", "pipe: neither a file, a directory nor a symlink: leave it out of the directory"},
		"a file as a dir":   {"hosts", "/etc", "adding /etc: " + replaces},
		"a file as root":    {"hosts", ".", "adding /.: " + replaces},
		"below a file":      {"hosts", "/init/x", "adding /init/x: /init: " + replaces},
		"a dir as a file":   {"d", "/init", "adding /init: " + replaces},
		"files as dirs":     {"e", "/", "adding /etc: " + replaces},
	} {
		t.Run(name, func(t *testing.T) {
			o := including(dir, initrd.Include{Src: tt.src, Dst: tt.dst})
			src := filepath.Join(dir, tt.src)
			refuses(t, small, o, "including "+src+" at "+tt.dst+": "+strings.ReplaceAll(tt.want, "SRC", src))
		})
	}
}

// More than an initrd takes is refused without reading all of it.
func TestBuildIncludesLimit(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "b"), 1<<40); err != nil { // a hole
		rootfstest.Skip(t, "this file system has no files of a TiB: "+err.Error())
	}
	refuses(t, image(t), including(dir, initrd.Include{Src: ".", Dst: "/x"}),
		"including "+dir+" at /x: more than 536870912 bytes of includes: put them into the image")
}

func TestBuildIncludesCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := including(machine(t, site), initrd.Include{Src: "d", Dst: "/x"})
	o.Kernel.Modules = "" // which would notice
	cancel()
	if _, _, err := initrd.Build(ctx, image(t), o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
