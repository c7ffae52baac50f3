package render_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/render"
)

var update = flag.Bool("update", false, "rewrite the expected Containerfiles in testdata")

// write makes files below a new directory, which is the result.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// define is a definition whose relative paths are below dir.
func define(t *testing.T, dir string, values map[string]string) *osimage.Definition {
	t.Helper()
	d := &osimage.Definition{Name: "Compute"}
	for name, value := range values {
		if err := d.Set(name, value, dir); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

type renderCase struct {
	name    string
	files   map[string]string
	values  map[string]string
	options render.Options
}

func renderCases() []renderCase {
	return []renderCase{
		{
			name: "debian",
			files: map[string]string{
				"a.pkglist": "# comment\nlinux-image-amd64, udev\n-ignored\n#NEW_INSTALL_LIST#\n#ENV:A=b C=c'd#\n#INCLUDE:more#\n", "more": "iproute2\n",
				"o.pkglist": "sub/tool\nflat/x\n-before\n--after\n", "other/sub/tool.deb": "", "other/flat/Packages": "", "p.sh": "#!/bin/sh\n", "key.asc": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
			},
			values: map[string]string{
				"osvers": "debian12", "osarch": "x86_64", "pkglist": "a.pkglist", "otherpkglist": "o.pkglist", "otherpkgdir": "other", "gpgkeys": "key.asc",
				"pkgdir": "http://mirror.example/debian bookworm main contrib,http://mirror.example/site", "postinstall": "p.sh it's $HOME", "kernelver": "6.1.0-37-amd64",
				"environvar": "SITE=a b", "otherifce": "eth1", "addkcmdline": "quiet R::x", "dump": "nfs://10.0.0.1/dump",
			},
			options: render.Options{Base: "localhost/base:1", Timezone: "Europe/Berlin"},
		},
		{
			name:    "ubuntu-image",
			files:   map[string]string{"a.pkglist": "linux-image-generic\n"},
			values:  map[string]string{"osvers": "ubuntu24.04.1", "osarch": "ppc64el", "pkglist": "a.pkglist", "provmethod": "statelite", "permission": "700"},
			options: render.Options{Base: "docker.io/library/ubuntu:24.04"},
		},
		{
			name: "rocky",
			files: map[string]string{
				"a.pkglist": "kernel\n@Development Tools\n@ruby:3.1\nglibc-devel.i686\n", "o.pkglist": "site/tool\n#NEW_INSTALL_LIST#\nbare/drivers\n--old\n",
				"media/BaseOS/repodata/repomd.xml": "", "media/AppStream/repodata/repomd.xml": "", "other/site/repodata/repomd.xml": "", "other/bare/drivers.rpm": "",
				"d.rpm": "", "p.sh": "#!/bin/sh\n", "key.asc": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
			},
			values: map[string]string{
				"osvers": "rocky9.4", "osarch": "aarch64", "pkglist": "a.pkglist", "otherpkglist": "o.pkglist", "otherpkgdir": "other", "pkgdir": "media", "gpgkeys": "key.asc",
				"postinstall": "p.sh,p.sh again", "kernelver": "5.14.0-427.el9.aarch64", "driverupdatesrc": "rpm:DIR/d.rpm", "otherifce": "ens2",
			},
			options: render.Options{Base: "localhost/base:1", Unchecked: render.OtherUnchecked},
		},
		{
			name:  "leap",
			files: map[string]string{"a.pkglist": "kernel-default\n@minimal_base\n", "o.pkglist": "tool\n-old\n", "p.sh": "#!/bin/sh\n"},
			values: map[string]string{
				"osvers": "leap15.6", "osarch": "x86_64", "pkglist": "a.pkglist", "otherpkglist": "o.pkglist", "otherpkgdir": "http://mirror.example/other",
				"pkgdir": "http://mirror.example/leap/oss", "krpmver": "6.4.0-1.1", "postinstall": "p.sh", "otherifce": "eth1",
			},
			options: render.Options{Base: "localhost/base:1", NoUpdate: true, HostScripts: true},
		},
	}
}

func TestRender(t *testing.T) {
	for _, c := range renderCases() {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, c.files)
			for name, value := range c.values {
				c.values[name] = strings.ReplaceAll(value, "DIR", dir)
			}
			if c.values["provmethod"] == "" {
				c.values["provmethod"] = "netboot"
			}
			c.values["profile"] = "compute"
			r, err := render.Render(define(t, dir, c.values), c.options)
			if err != nil {
				t.Fatal(err)
			}
			checkSteps(t, r)
			got := strings.ReplaceAll(r.Containerfile+listing(r), dir, "/DIR")
			got = regexp.MustCompile(`-lists-[0-9a-f]{12}`).ReplaceAllString(got, "-lists-DIGEST") // of paths
			golden := filepath.Join("testdata", c.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// listing is all of a rendering but its Containerfile.
func listing(r *render.Rendering) string {
	var b strings.Builder
	b.WriteString("\n== files\n")
	for _, f := range r.Files {
		b.WriteString(f.Mode.String() + " " + f.Name + " " + f.Source + "\n")
		for l := range strings.Lines(f.Content) {
			if !strings.Contains(f.Name, "/packages-") {
				b.WriteString("    " + l)
			}
		}
	}
	for title, list := range map[string][]string{"volumes": r.Volumes} {
		b.WriteString("== " + title + "\n" + strings.Join(list, "\n") + "\n")
	}
	b.WriteString("== repositories\n" + strings.Join(r.Repositories, "\n") + "\n== others\n" + strings.Join(r.Others, "\n") + "\n== indexes\n")
	for _, x := range r.Indexes {
		b.WriteString(x.Dir + " " + x.Name + "\n")
	}
	return b.String()
}

// checkSteps has a shell read the scripts of the RUN steps.
func checkSteps(t *testing.T, r *render.Rendering) {
	t.Helper()
	for i, part := range strings.Split(r.Containerfile, "<<'RUN'\n")[1:] {
		script, _, ok := strings.Cut(part, "\nRUN\n")
		if !ok {
			t.Fatalf("step %d has no end", i+1)
		}
		if out, err := shell(t, "-n", script); err != nil {
			t.Errorf("step %d: %v\n%s\n%s", i+1, err, out, script)
		}
	}
}

// What lists and definitions hold is never a command.
func TestRenderQuotes(t *testing.T) {
	dir := write(t, map[string]string{"a.pkglist": "x';touch${IFS}pwned;'\n$(id)\n@it's a group\nRUN\n", "p.sh": "#!/bin/sh\n"})
	d := define(t, dir, map[string]string{
		"osvers": "rocky9.4", "osarch": "x86_64", "provmethod": "netboot", "profile": "compute'`id`", "pkglist": "a.pkglist",
		"baseimage": "localhost/b", "postinstall": "p.sh ';id;' $(id)", "environvar": "A='$(id)",
	})
	r, err := render.Render(d, render.Options{Base: "localhost/b"})
	if err != nil {
		t.Fatal(err)
	}
	checkSteps(t, r)
	out, err := shell(t, "-c", strings.Join([]string{
		`packages() { shift; printf '<%s>' "$@"; }`, "rpm() { :; }",
		between(t, r.Containerfile, "packages install \\\n", "\nrm -rf /tmp/rootcast-indexes"),
	}, "\n"))
	want := "<x';touch${IFS}pwned;'><$(id)><@it's a group><RUN>"
	if err != nil || out != want {
		t.Errorf("a shell makes of the packages %q, %v, want %q", out, err, want)
	}
}

func between(t *testing.T, text, from, to string) string {
	t.Helper()
	i := strings.Index(text, from)
	if i < 0 {
		t.Fatalf("no %q in\n%s", from, text)
	}
	text = text[i:]
	j := strings.Index(text, to)
	if j < 0 {
		t.Fatalf("no %q in\n%s", to, text)
	}
	return text[:j]
}

func TestRenderProblems(t *testing.T) {
	for name, c := range map[string]struct {
		files, values map[string]string
		want          string
	}{
		"groups of Debian":  {nil, map[string]string{"osvers": "debian12", "pkglist": "g"}, "debian12 has no groups of packages"},
		"unknown":           {nil, map[string]string{"osvers": "plan9"}, "there is no distribution"},
		"no sub-directory":  {nil, map[string]string{"otherpkgdir": "other", "otherpkglist": "o"}, "o:1: tool: there is no directory"},
		"no repository":     {nil, map[string]string{"pkgdir": "empty"}, "holds no repository (repodata/repomd.xml)"},
		"no packages":       {nil, map[string]string{"osvers": "debian12", "pkgdir": "empty"}, "has neither repository data nor packages"},
		"driver disk":       {nil, map[string]string{"driverupdatesrc": "dud:/d.iso"}, "driver disks are not read"},
		"no driver":         {nil, map[string]string{"driverupdatesrc": "rpm:/none.rpm"}, "no such file"},
		"drivers of Debian": {nil, map[string]string{"osvers": "debian12", "driverupdatesrc": "rpm:DIR/o"}, "has no RPM packages"},
		"interface":         {nil, map[string]string{"otherifce": "../x"}, "is no interface's name"},
		"unreadable list":   {nil, map[string]string{"pkglist": "none"}, "no such file"},
		"script without +x": {nil, map[string]string{"postinstall": "o"}, "cannot be run"},
		"no otherpkgdir":    {nil, map[string]string{"otherpkglist": "o"}, "o:1: sub/tool: otherpkgdir"},
		"EL 7":              {nil, map[string]string{"osvers": "centos7"}, "centos7 has yum and no dnf"},
		"SUSE kernel":       {nil, map[string]string{"osvers": "sle15.5", "kernelver": "5.14"}, "genimage -g"},
		"several":           {nil, map[string]string{"otherifce": "a/b", "driverupdatesrc": "dud:x"}, "driver disks are not read"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a": "bash\n", "g": "@x\n", "o": "sub/tool\n", "empty/x": "", "other/y": ""})
			values := map[string]string{"osvers": "rocky9.4", "osarch": "x86_64", "provmethod": "netboot", "profile": "compute", "pkglist": "a"}
			for k, v := range c.values {
				values[k] = strings.ReplaceAll(v, "DIR", dir)
			}
			_, err := render.Render(define(t, dir, values), render.Options{Base: "b"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	dir := write(t, map[string]string{"a": "bash\n", "p.sh": "#!/bin/sh\necho hi\n"})
	d := define(t, dir, map[string]string{"osvers": "rocky9.4", "osarch": "x86_64", "provmethod": "netboot", "profile": "compute", "pkglist": "a", "postinstall": "p.sh", "otherifce": "eth1"})
	r, err := render.Render(d, render.Options{Base: "b"})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "context")
	if err := r.Write(out); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(out, "rootcast", "postinstall", "1", "p.sh")
	if info, err := os.Stat(script); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%s: %v, %v", script, info, err)
	}
	text, err := os.ReadFile(filepath.Join(out, "Containerfile"))
	if err != nil || string(text) != r.Containerfile {
		t.Errorf("Containerfile: %q, %v", text, err)
	}
	os.Remove(filepath.Join(dir, "p.sh"))
	if err := r.Write(t.TempDir()); err == nil {
		t.Error("a script that is gone is not missed")
	}
}

func TestExplain(t *testing.T) {
	packages := []osimage.Package{
		{Name: "linux-image-amd64", File: "a", Line: 1}, {Name: "kernel", File: "b", Line: 2}, {Name: "@Development Tools", File: "b", Line: 3}, {Name: "kernel-default", File: "c", Line: 4},
	}
	for line, want := range map[string]string{
		"E: Unable to locate package linux-image-amd64":                  "a:1: no repository has linux-image-amd64",
		"E: Package 'linux-image-amd64' has no installation candidate":   "a:1: no repository has linux-image-amd64",
		"No match for argument: kernel-5.14.0-1.el9.x86_64":              "b:2: no repository has kernel",
		"Module or Group 'Development Tools' is not available.":          "b:3: no repository has @Development Tools",
		"No provider of 'kernel-default=6' found.":                       "c:4: no repository has kernel-default",
		"  Package 'other' not found.":                                   "no repository has other",
		"E: Couldn't find any package by glob 'dependency-of-something'": "no repository has dependency-of-something",
		"Error: Unable to find a match: kernel":                          "",
		"everything went well with kernel":                               "",
	} {
		got := ""
		if p := render.Explain([]string{line, line}, packages); p != nil {
			got = p.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestFailure(t *testing.T) {
	for name, c := range map[string]struct{ output, want string }{
		"a script": {"STEP 1\nold\nSTEP 2: RUN\nabout to fail\npostinstall /p.sh: exit status 7\nsubprocess exited with status 7\n", "postinstall /p.sh: exit status 7: about to fail"},
		"packages": {"STEP 2\na\nb\nc\nd\n", "b; c; d"},
		"unsigned": {"STEP 2\nPackage x is not signed\n", "Package x is not signed (gpgkeys=FILE names the keys of a repository; genimage --nogpgcheck takes packages unchecked)"},
		"nothing":  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := render.Failure(strings.Split(c.output, "\n")); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Passwords of repositories stand in no step, for steps are in an image's history.
func TestRenderNoPassword(t *testing.T) {
	dir := write(t, map[string]string{"a": "bash\n", "p.sh": "#!/bin/sh\n"})
	for _, osvers := range []string{"debian12", "rocky9.4", "leap15.6"} {
		d := define(t, dir, map[string]string{
			"osvers": osvers, "osarch": "x86_64", "provmethod": "netboot", "profile": "compute", "pkglist": "a", "postinstall": "p.sh",
			"pkgdir": "https://user:p%zword@mirror.example/x suite main,https://user:p%zword@mirror.example/y", "otherpkgdir": "https://user:p%zword@mirror.example/z",
		})
		r, err := render.Render(d, render.Options{Base: "b"})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(r.Containerfile, "zword") {
			t.Errorf("%s: a password is in the recipe:\n%s", osvers, r.Containerfile)
		}
		if p := d.Public(); strings.Contains(p.Get("pkgdir")+p.Get("otherpkgdir"), "zword") || !strings.Contains(p.Get("pkgdir"), "https://mirror.example/x suite main,https://mirror.example/y") {
			t.Errorf("%s: what is public is %q, %q", osvers, p.Get("pkgdir"), p.Get("otherpkgdir"))
		}
	}
}
