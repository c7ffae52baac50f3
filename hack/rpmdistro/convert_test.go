package main

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseControl(t *testing.T) {
	control := "Package: rpm\nVersion: 2:4.18.0+dfsg-1+deb12u1\nArchitecture: amd64\n" +
		"Pre-Depends: libc6 (>= 2.36)\nDepends: perl:any, awk | mawk (<< 1.3-2),\n rpm-common (= 4.18)\nProvides: lsb-rpm (= 3)\n" +
		"Description: package manager\n Depends: nothing\n"
	d, err := parseControl([]byte(control))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]relation{
		{{name: "libc6", op: ">=", version: "2.36"}},
		{{name: "perl"}},
		{{name: "awk"}, {name: "mawk", op: "<<", version: "1.3-2"}},
		{{name: "rpm-common", op: "=", version: "4.18"}},
	}
	if diff := cmp.Diff(want, d.depends, cmp.AllowUnexported(relation{})); diff != "" {
		t.Errorf("depends (-want +got):\n%s", diff)
	}
	if d.description != "package manager" || d.name != "rpm" || len(d.provides) != 1 {
		t.Errorf("got %+v", d)
	}
	for name, control := range map[string]string{
		"no version":     "Package: a\nArchitecture: all\n",
		"no field":       "Package: a\nVersion: 1\nArchitecture: all\nrubbish\n",
		"bad relation":   "Package: a\nVersion: 1\nArchitecture: all\nDepends: b (?? 1)\n",
		"empty relation": "Package: a\nVersion: 1\nArchitecture: all\nDepends: b | \n",
	} {
		if d, err := parseControl([]byte(control)); err == nil {
			t.Errorf("%s: got %+v", name, d)
		}
	}
}

func TestRelationRPM(t *testing.T) {
	for _, tt := range []struct {
		name     string
		relation relation
		want     string
	}{
		{"no version", relation{name: "a"}, "a"},
		{"an epoch and a dash", relation{"a", ">=", "1:3.1-20221030-2"}, "a >= 1:3.1.20221030-2"},
		{"older", relation{"a", "<<", "2"}, "a < 2"},
		{"newer than a release", relation{"a", ">>", "2-1"}, "a > 2-1"},
		{"newer than none", relation{"a", ">>", "2.36"}, "a >= 2.36"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.relation.rpm(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRequirements(t *testing.T) {
	r, err := parseRules(strings.NewReader("# c\nfetch a @KERNEL@\ndrop debconf @KERNEL@\nrename b c\nrequire c d\n"), "linux-image-x")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "linux-image-x"}, r.fetch); diff != "" {
		t.Errorf("fetch (-want +got):\n%s", diff)
	}
	a := &deb{name: "a", provides: [][]relation{{{name: "virtual"}}}}
	b := &deb{name: "b", depends: [][]relation{
		{{name: "debconf"}, {name: "a"}}, {{name: "gone"}, {name: "virtual"}, {name: "a"}},
	}}
	names := available([]*deb{a, b, {name: "debconf"}}, r)
	got, err := requirements(b, r, names)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"virtual", "d"}, got); diff != "" {
		t.Errorf("requires (-want +got):\n%s", diff)
	}
	b.depends = append(b.depends, []relation{{name: "gone"}})
	if got, err := requirements(b, r, names); err == nil {
		t.Errorf("requires what there is not: %q", got)
	}
}

func TestParseRulesRefuses(t *testing.T) {
	for _, line := range []string{"remove a", "rename a", "fetch", "owner a /b 0644 root", "module a b c d"} {
		if _, err := parseRules(strings.NewReader("fetch a\n"+line), "k"); err == nil || !strings.HasPrefix(err.Error(), "2: ") {
			t.Errorf("%s: got %v", line, err)
		}
	}
}

func TestMerged(t *testing.T) {
	for _, tt := range []struct{ name, target, wantName, wantTarget string }{
		{"./bin/sh", "bash", "/usr/bin/sh", "bash"},
		{"./lib64/ld.so", "/lib/x/ld.so", "/usr/lib64/ld.so", "/lib/x/ld.so"},
		{"./lib/x/a.so", "../../usr/lib/b.so", "/usr/lib/x/a.so", "../b.so"},
		{"./sbin/a", "../bin/b", "/usr/sbin/a", "../bin/b"},
		{"./sbin/a", "../etc/b", "/usr/sbin/a", "../../etc/b"},
		{"./etc/mtab", "../proc/mounts", "/etc/mtab", "../proc/mounts"},
		{"./libexec/a", "b", "/libexec/a", "b"},
	} {
		if got := merged(tt.name); got != tt.wantName {
			t.Errorf("merged(%q) = %q, want %q", tt.name, got, tt.wantName)
		}
		if got := mergedLink(tt.name, tt.target); got != tt.wantTarget {
			t.Errorf("mergedLink(%q, %q) = %q, want %q", tt.name, tt.target, got, tt.wantTarget)
		}
	}
}

// tarOf is an archive of headers; a regular file holds its name.
func tarOf(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestWriteSpec(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	into, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close() //nolint:errcheck // a test
	owners, err := unpackTar(tarOf(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/su", Typeflag: tar.TypeReg, Mode: 0o4755, Uname: "root", Gname: "shadow"},
		tar.Header{Name: "./bin/su2", Typeflag: tar.TypeLink, Linkname: "./bin/su", Mode: 0o4755, Uname: "root", Gname: "shadow"},
		tar.Header{Name: "./usr/bin/[", Typeflag: tar.TypeReg, Mode: 0o755, Uname: "root", Gname: "root"},
		tar.Header{Name: `./usr/lib/a\x2db[1]%`, Typeflag: tar.TypeReg, Mode: 0o644, Uname: "root", Gname: "root"},
		tar.Header{Name: "./usr/share/man/su.1", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "./etc/su", Typeflag: tar.TypeSymlink, Linkname: "../bin/su", Mode: 0o777, Uname: "root", Gname: "root"},
	), into)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc", "made"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.spec")
	r, err := parseRules(strings.NewReader("rename a b\nprovide b /bin/b c\n"), "k")
	if err != nil {
		t.Fatal(err)
	}
	d := &deb{name: "a", version: "1:2-3", arch: "all", description: "100% a"}
	if err := writeSpec(file, spec{deb: d, rules: r, root: root, owners: owners, requires: []string{"z", "y >= 1"}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := `Name: b
Epoch: 1
Version: 2
Release: 3
Summary: 100%% a
License: Debian
BuildArch: noarch
AutoReqProv: no
Provides: /bin/b
Provides: a = 1:2-3
Provides: b = 1:2-3
Provides: c = 1:2-3
Requires(pre): setup
Requires: y >= 1
Requires: z

%description
100%% a

%install
rmdir %{buildroot}
cp -al ROOT %{buildroot}

%files
%attr(0755, root, root) %dir "/etc"
%attr(0600, root, root) %config(noreplace) "/etc/made"
%attr(-, root, root) "/etc/su"
%attr(0755, root, root) %dir "/usr"
%attr(0755, root, root) %dir "/usr/bin"
%attr(0755, root, root) "/usr/bin/["
%attr(4755, root, shadow) "/usr/bin/su"
%attr(4755, root, shadow) "/usr/bin/su2"
%attr(0755, root, root) %dir "/usr/lib"
%attr(0644, root, root) "/usr/lib/a\\x2db\[1\]%%"
`
	if diff := cmp.Diff(want, strings.ReplaceAll(string(text), root, "ROOT")); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"a device":          {{Name: "./dev/null", Typeflag: tar.TypeChar}},
		"one file twice":    {{Name: "./bin/a", Typeflag: tar.TypeReg}, {Name: "./usr/bin/a", Typeflag: tar.TypeReg}},
		"a link out of it":  {{Name: "./a", Typeflag: tar.TypeSymlink, Linkname: "/"}, {Name: "./a/b", Typeflag: tar.TypeReg}},
		"link to a missing": {{Name: "./a", Typeflag: tar.TypeLink, Linkname: "./b"}},
	} {
		t.Run(name, func(t *testing.T) {
			into, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer into.Close() //nolint:errcheck // a test
			if owners, err := unpackTar(tarOf(t, headers...), into); err == nil {
				t.Errorf("got %v", owners)
			}
		})
	}
}

// FuzzParseControl has no control file break the parser, and what it takes be of use.
func FuzzParseControl(f *testing.F) {
	f.Add([]byte("Package: a\nVersion: 1:2-3\nArchitecture: all\nDepends: b (>= 1) | c:any\n more, d\nDescription: e\n f\n"))
	f.Add([]byte(" begins with more\n"))
	f.Fuzz(func(t *testing.T, control []byte) {
		d, err := parseControl(control)
		if err != nil {
			return
		}
		if d.name == "" || d.version == "" {
			t.Errorf("taken: %+v", d)
		}
		for _, group := range d.depends {
			for _, r := range group {
				if r.name == "" || strings.ContainsAny(r.rpm(), "\n(") {
					t.Errorf("relation %+v is %q", r, r.rpm())
				}
			}
		}
	})
}
