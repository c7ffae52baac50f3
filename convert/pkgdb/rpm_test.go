package pkgdb

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const spec = `
Name: node-tools
Version: 1.2~rc1
Release: 3
Epoch: 2
Summary: a test
License: none
%description
%package data
Summary: more of it
BuildArch: noarch
%description data
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/"node tools"/doc %{buildroot}/bin %{buildroot}/etc
echo tool > %{buildroot}/usr/bin/node-tool
ln -s node-tool %{buildroot}/usr/bin/nt
echo old > %{buildroot}/bin/old-tool
echo conf > %{buildroot}/etc/node.conf
for i in $(seq 300); do echo $i > %{buildroot}/usr/share/"node tools"/doc/file-$i; done
%files
/usr/bin/node-tool
/usr/bin/nt
/bin/old-tool
%config /etc/node.conf
%files data
"/usr/share/node tools"
`

// rpms builds two packages and returns their files.
func rpms(t *testing.T) []string {
	t.Helper()
	tool(t, "rpm", "rpmbuild")
	dir := t.TempDir()
	file := filepath.Join(dir, "node.spec")
	write(t, file, spec)
	output(t, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+dir, file)
	made, err := filepath.Glob(filepath.Join(dir, "RPMS/*/*.rpm"))
	if err != nil || len(made) != 2 {
		t.Fatalf("rpmbuild made %v, %v", made, err)
	}
	return made
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// root is a tree with a database and what the packages hold, merged into usr; it
// tells what rpm says of it too.
func root(t *testing.T, dbDir string, packages []string) (dir string, want []Package) {
	t.Helper()
	dir = t.TempDir()
	db := []string{"--dbpath", filepath.Join(dir, dbDir), "--define", "_db_backend sqlite"}
	if err := os.MkdirAll(filepath.Join(dir, dbDir), 0o755); err != nil {
		t.Fatal(err)
	}
	output(t, "rpm", slices.Concat(db, []string{"-i", "--justdb", "--nodeps", "--ignorearch"}, packages)...)
	write(t, filepath.Join(dir, "usr/bin/x"), "")
	if err := os.Symlink("usr/bin", filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	query := []string{"-qa", "--qf", `%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}[\t%{FILENAMES}]\n`}
	for line := range strings.Lines(output(t, "rpm", append(db, query...)...)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		p := Package{Format: RPM, Name: f[0], Version: f[1], Arch: f[2]}
		for _, name := range f[3:] {
			if path.Ext(name) == "" && path.Base(name) == "node tools" || path.Base(name) == "doc" {
				continue // a directory
			}
			name = strings.Replace(name, "/bin/old", "/usr/bin/old", 1)
			p.Files = append(p.Files, name[1:])
			write(t, filepath.Join(dir, name), name)
		}
		want = append(want, p)
	}
	slices.SortFunc(want, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	if len(want) != 2 || want[1].Name != "node-tools-data" || len(want[1].Files) != 300 || want[0].Version != "2:1.2~rc1-3" {
		t.Fatalf("rpm says %+.500v", want)
	}
	return dir, want
}

func TestReadRPM(t *testing.T) {
	packages := rpms(t)
	for _, dbDir := range rpmDirs {
		t.Run(dbDir, func(t *testing.T) {
			dir, want := root(t, dbDir, packages)
			checkRead(t, dir, want)
		})
	}
}

func checkRead(t *testing.T, dir string, want []Package) {
	t.Helper()
	temp := t.TempDir()
	got, err := Read(t.Context(), os.DirFS(dir), temp)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-rpm +ours)\n%.3000s", diff)
	}
	nothingIn(t, temp)
}

func nothingIn(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestReadOtherBackEnds reads the same headers from databases that rpm as Debian
// builds it does not write. db_load is Berkeley DB's own.
func TestReadOtherBackEnds(t *testing.T) {
	tool(t, "db_load")
	dir, want := root(t, "old", rpms(t))
	blobs := headers(t, filepath.Join(dir, "old", rpmSQLite))
	t.Run("ndb", func(t *testing.T) {
		name := filepath.Join(dir, "usr/lib/sysimage/rpm", rpmNDB)
		write(t, name, string(makeNDB(blobs...)))
		checkRead(t, dir, want)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	})
	for _, order := range []string{"1234", "4321"} {
		for _, page := range []string{"512", "4096", "65536"} {
			t.Run("pages of "+page+" order "+order, func(t *testing.T) {
				name := filepath.Join(dir, "var/lib/rpm", rpmBDB)
				if err := os.RemoveAll(name); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, "var/lib/rpm/x"), "")
				load(t, name, order, page, blobs)
				checkRead(t, dir, want)
			})
		}
	}
}

// load makes a hash database as rpm's was: numbers lead to headers, 0 to their counter.
func load(t *testing.T, name, order, page string, blobs [][]byte) {
	t.Helper()
	var dump bytes.Buffer
	fmt.Fprintf(&dump, "VERSION=3\nformat=bytevalue\ntype=hash\ndb_lorder=%s\ndb_pagesize=%s\nHEADER=END\n 00000000\n 03000000\n", order, page)
	for i, blob := range blobs {
		fmt.Fprintf(&dump, " %02x000000\n %s\n", i+1, hex.EncodeToString(blob))
	}
	dump.WriteString("DATA=END\n")
	cmd := exec.CommandContext(t.Context(), "db_load", name)
	cmd.Stdin = &dump
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// headers are what a database of rpm's holds.
func headers(t *testing.T, name string) (blobs [][]byte) {
	t.Helper()
	err := readSQLite(t.Context(), name, func(b []byte) error { blobs = append(blobs, bytes.Clone(b)); return nil })
	if err != nil || len(blobs) != 2 {
		t.Fatalf("%d headers, %v", len(blobs), err)
	}
	return blobs
}

func TestReadDamagedRPM(t *testing.T) {
	dir, _ := root(t, "db", rpms(t))
	name := filepath.Join(dir, "db", rpmSQLite)
	blobs := headers(t, name)
	sqlite, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(blobs[1])
	damaged[2]++
	tests := []struct{ name, file, text, err string }{
		{"sqlite cut", rpmSQLite, string(sqlite[:len(sqlite)/2]), "database disk image is malformed"},
		{"no sqlite", rpmSQLite, strings.Repeat("rubbish ", 100), "file is not a database"},
		{"another table", rpmSQLite, strings.ReplaceAll(string(sqlite), "Packages", "Quackers"), "it has no table of packages"},
		{"ndb cut", rpmNDB, string(makeNDB(blobs...)[:9000]), "is not where its slot says"},
		{"no ndb", rpmNDB, strings.Repeat("rubbish ", 100), "unknown magic number"},
		{"header", rpmNDB, string(makeNDB(blobs[0], damaged)), "damaged package header"},
		{"no Berkeley DB", rpmBDB, strings.Repeat("\x00", 4096), "it is no hash"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "var/lib/rpm", tt.file), tt.text)
			write(t, filepath.Join(dir, "var/lib/dpkg/status"), bash)
			temp := t.TempDir()
			got, err := Read(t.Context(), os.DirFS(dir), temp)
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.HasPrefix(err.Error(), "reading the rpm database: var/lib/rpm/"+tt.file+": ") {
				t.Errorf("got %v, want %s", err, tt.err)
			}
			if len(got) != 1 || got[0].Name != "bash" {
				t.Errorf("the other database has %v", got)
			}
			nothingIn(t, temp)
		})
	}
}
