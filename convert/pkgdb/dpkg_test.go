package pkgdb

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// tool skips the test where the machine lacks a program; in CI it has them all.
func tool(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %.200q: %v: %s", name, args, err, stderr.String())
	}
	return string(out)
}

// tree makes a file system of names and contents; "-> x" is a symlink.
func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		f := &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			f = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		}
		m[name] = f
	}
	return m
}

const bash = "Package: bash\nEssential: yes\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b7\nDescription: shell\n with lines\n .\n Package: none\n"

func TestReadDpkg(t *testing.T) {
	tests := []struct {
		name string
		tree map[string]string
		want []Package
		err  string
	}{
		{name: "no database", tree: map[string]string{"etc/passwd": ""}},
		{name: "empty", tree: map[string]string{"var/lib/dpkg/status": "\n \n"}},
		{
			name: "a package and what it owns",
			tree: map[string]string{
				"var/lib/dpkg/status":         bash,
				"var/lib/dpkg/info/bash.list": "/.\n/bin\n/bin/bash\n/bin/rbash\n/etc\n/etc/gone\n",
				"bin/bash":                    "x", "bin/rbash": "-> bash",
			},
			want: []Package{{Format: "dpkg", Name: "bash", Version: "5.2.15-2+b7", Arch: "amd64", Files: []string{"bin/bash", "bin/rbash"}}},
		},
		{
			name: "usr is merged",
			tree: map[string]string{
				"var/lib/dpkg/status":         bash,
				"var/lib/dpkg/info/bash.list": "/bin\n/bin/bash\n/lib64/x\n/loop/x\n/up/x\n/sbin/dir\n",
				"bin":                         "-> usr/bin", "usr/bin/bash": "x", "lib64": "-> /usr/lib64", "usr/lib64": "-> lib", "usr/lib/x": "",
				"loop": "-> loop", "up": "-> usr/lib/../../../usr/bin", "usr/bin/x": "", "sbin": "-> usr/bin", "usr/bin/dir/file": "",
			},
			want: []Package{{Format: "dpkg", Name: "bash", Version: "5.2.15-2+b7", Arch: "amd64", Files: []string{"usr/bin/bash", "usr/lib/x", "usr/bin/x"}}},
		},
		{
			name: "states",
			tree: map[string]string{"var/lib/dpkg/status": `Package: a
Status: install ok unpacked
Version: 1

Package: b
Status: deinstall ok config-files
Version: 1

Package: c
Status: unknown ok not-installed

package: d
STATUS: hold ok half-configured
version: 2`},
			want: []Package{{Format: "dpkg", Name: "a", Version: "1"}, {Format: "dpkg", Name: "d", Version: "2"}},
		},
		{
			name: "two architectures",
			tree: map[string]string{
				"var/lib/dpkg/status":                "Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2\n\nPackage: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n",
				"var/lib/dpkg/info/libc6:amd64.list": "/lib/x86_64-linux-gnu/libc.so.6\n",
				"var/lib/dpkg/info/libc6:i386.list":  "/lib/i386-linux-gnu/libc.so.6\n",
				"lib/x86_64-linux-gnu/libc.so.6":     "", "lib/i386-linux-gnu/libc.so.6": "",
			},
			want: []Package{
				{Format: "dpkg", Name: "libc6", Version: "2", Arch: "amd64", Files: []string{"lib/x86_64-linux-gnu/libc.so.6"}},
				{Format: "dpkg", Name: "libc6", Version: "2", Arch: "i386", Files: []string{"lib/i386-linux-gnu/libc.so.6"}},
			},
		},
		{
			name: "diversions",
			tree: map[string]string{
				"var/lib/dpkg/status":         "Package: dash\nVersion: 1\n\nPackage: bash\nVersion: 1\n",
				"var/lib/dpkg/info/dash.list": "/bin/sh\n/bin/local\n", "var/lib/dpkg/info/bash.list": "/bin/sh\n",
				"var/lib/dpkg/diversions": "/bin/sh\n/bin/sh.distrib\nbash\n/bin/local\n/opt/local\n:\n",
				"bin/sh":                  "", "bin/sh.distrib": "", "opt/local": "",
			},
			want: []Package{
				{Format: "dpkg", Name: "bash", Version: "1", Files: []string{"bin/sh"}},
				{Format: "dpkg", Name: "dash", Version: "1", Files: []string{"bin/sh.distrib", "opt/local"}},
			},
		},
		{
			name: "an image without dpkg",
			tree: map[string]string{
				"var/lib/dpkg/status.d/tzdata":         "Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n",
				"var/lib/dpkg/status.d/tzdata.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/share/zoneinfo/a b\nrubbish\n",
				"usr/share/zoneinfo/a b":               "",
			},
			want: []Package{{Format: "dpkg", Name: "tzdata", Version: "2024a-0", Arch: "all", Files: []string{"usr/share/zoneinfo/a b"}}},
		},
		{
			name: "no field",
			tree: map[string]string{"var/lib/dpkg/status": "Package: a\nrubbish\n"},
			err:  `reading the dpkg database: var/lib/dpkg/status:2: no field: "rubbish"`,
		},
		{
			name: "no name",
			tree: map[string]string{"var/lib/dpkg/status": "Package: a\n\n\nVersion: 1\n"},
			err:  `reading the dpkg database: var/lib/dpkg/status:4: a paragraph without a package's name`,
		},
		{
			name: "a line without end",
			tree: map[string]string{"var/lib/dpkg/status": strings.Repeat("x", 2<<20)},
			err:  `reading the dpkg database: var/lib/dpkg/status:1: bufio.Scanner: token too long`,
		},
		{
			name: "a name that leaves the root",
			tree: map[string]string{"var/lib/dpkg/status": "Package: ../../../etc/x\nVersion: 1\n", "etc/x.list": "/etc/x.list\n"},
			want: []Package{{Format: "dpkg", Name: "../../../etc/x", Version: "1"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(t.Context(), tree(tt.tree), t.TempDir())
			checkError(t, err, tt.err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Fatal(err)
	case want != "" && (err == nil || err.Error() != want):
		t.Errorf("got error %v, want %s", err, want)
	}
}

// TestReadDpkgAsDpkg reads this machine's own packages and asks dpkg for the same.
func TestReadDpkgAsDpkg(t *testing.T) {
	tool(t, "dpkg-query")
	type pack struct {
		Name, Version, Arch string
		Files               []string
	}
	all, err := Read(t.Context(), os.DirFS("/"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]pack{}
	for _, p := range all {
		if p.Format == Dpkg {
			slices.Sort(p.Files)
			got[p.Name+":"+p.Arch] = pack{p.Name, p.Version, p.Arch, p.Files}
		}
	}
	want := map[string]pack{}
	var names []string
	for line := range strings.Lines(output(t, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\n")) {
		if f := strings.Fields(line); f[0] != "config-files" && f[0] != "not-installed" {
			names = append(names, f[1]+":"+f[3])
			want[f[1]+":"+f[3]] = pack{Name: f[1], Version: f[2], Arch: f[3]}
		}
	}
	lists := strings.Split(output(t, "dpkg-query", append([]string{"-L"}, names...)...), "\n\n")
	if len(lists) != len(names) {
		t.Fatalf("dpkg-query lists %d packages of %d", len(lists), len(names))
	}
	for i, list := range lists {
		p := want[names[i]]
		p.Files = ownFiles(list)
		want[names[i]] = p
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-dpkg +ours)\n%.4000s", diff)
	}
}

// ownFiles takes from the output of dpkg-query -L what is there and no directory.
func ownFiles(list string) []string {
	var names, files []string
	for line := range strings.SplitSeq(strings.TrimSpace(list), "\n") {
		_, to, diverted := strings.Cut(line, "diverted to: ")
		if by, other, ok := strings.Cut(line, " to: "); ok && strings.HasPrefix(by, "diverted by ") {
			to, diverted = other, true
		}
		switch {
		case diverted:
			names[len(names)-1] = to
		case path.IsAbs(line):
			names = append(names, line)
		}
	}
	dirs := map[string]bool{}
	for _, name := range names {
		dirs[path.Dir(name)] = true
	}
	for _, name := range names {
		if dirs[name] { // or a link to one
			continue
		}
		dir, err := filepath.EvalSymlinks(path.Dir(name))
		if err != nil {
			continue
		}
		name = path.Join(dir, path.Base(name))
		if info, err := os.Lstat(name); err == nil && !info.IsDir() {
			files = append(files, name[1:])
		}
	}
	slices.Sort(files)
	return files
}

func FuzzDpkg(f *testing.F) {
	f.Add([]byte(bash), []byte("/bin/bash\n/bin/rbash\n"), []byte("/bin/sh\n/bin/x\nbash\n"))
	f.Add([]byte("Package: a\n\n: x\n b"), []byte("\x00\n//\n/../bin/bash"), []byte("\n\n\n\n"))
	f.Fuzz(func(t *testing.T, status, list, diversions []byte) {
		m := tree(map[string]string{
			"var/lib/dpkg/status": string(status), "var/lib/dpkg/info/bash.list": string(list), "var/lib/dpkg/diversions": string(diversions),
			"bin": "-> usr/bin", "usr/bin/bash": "", "usr/bin/rbash": "-> bash", "a": "-> a", "b": "-> ../../b/c", "c": "-> /usr",
		})
		all, err := readDpkg(t.Context(), &resolver{fsys: m, dirs: map[string]string{}})
		if err != nil {
			return
		}
		for _, p := range all {
			if p.Name == "" {
				t.Errorf("a package without name: %+v", p)
			}
			for _, name := range p.Files {
				if info, err := fs.Lstat(m, name); err != nil || info.IsDir() {
					t.Errorf("%s owns %q: %v", p.Name, name, err)
				}
			}
		}
	})
}
