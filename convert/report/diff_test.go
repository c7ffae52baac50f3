package report_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rootcast/rootcast/convert/report"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

func compare(t testing.TB, a, b *rootfs.Tree, o report.DiffOptions) *report.Diff {
	t.Helper()
	o.NameA, o.NameB = "compute:1", "compute:2"
	d, err := report.Compare(t.Context(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCompareFiles(t *testing.T) {
	type diff struct{ Added, Removed, Changed []string }
	tests := []struct {
		name, a, b string
		o          report.DiffOptions
		want       diff
	}{
		{name: "nothing", a: "file a 0644 x", b: "file a 0644 mtime=7 x"},
		{name: "added", a: "dir d 0755", b: "dir d 0755\nfile d/a 0644 xyz\nsymlink s a", want: diff{Added: []string{"/d/a file 3 +3", "/s symlink 0 +0"}}},
		{name: "removed", a: "file a 0644 xyz\ndir d 0755\nfifo d/p", b: "", want: diff{Removed: []string{"/a file 3 -3", "/d directory 0 +0", "/d/p FIFO 0 +0"}}},
		{name: "content of one size", a: "file a 0644 xyz", b: "file a 0644 xyy", want: diff{Changed: []string{"/a file 3 +0 content"}}},
		{name: "content at the end", a: "file a 0644 size=200000", b: "file a 0644 \"" + strings.Repeat("x", 200000) + "\"", want: diff{Changed: []string{"/a file 200000 +0 content"}}},
		{name: "content of another size", a: "file a 0644 xyz", b: "file a 0644 xy", want: diff{Changed: []string{"/a file 2 -1 size=3→2 content"}}},
		{name: "mode", a: "file a 0644", b: "file a 04755", want: diff{Changed: []string{"/a file 0 +0 mode=0644→4755"}}},
		{name: "owner", a: "dir a 0755 1:2", b: "dir a 0755 3:4", want: diff{Changed: []string{"/a directory 0 +0 owner=1:2→3:4"}}},
		{name: "type", a: "file a 0777 xyz", b: "symlink a xyz", want: diff{Changed: []string{"/a symlink 0 -3 type=file→symlink"}}},
		{name: "target", a: "symlink a x", b: "symlink a y", want: diff{Changed: []string{"/a symlink 0 +0 target=x→y"}}},
		{name: "device", a: "char a 0644 1 3", b: "char a 0644 1 5", want: diff{Changed: []string{"/a character device 0 +0 device=1:3→1:5"}}},
		{name: "device's type", a: "char a 0644 1 3", b: "block a 0644 1 3", want: diff{Changed: []string{"/a block device 0 +0 type=character device→block device"}}},
		{
			name: "xattrs", a: "file a 0644 xattr:user.a=1 xattr:user.b=2 xattr:user.c=3", b: "file a 0644 xattr:user.a=1 xattr:user.b=3",
			want: diff{Changed: []string{"/a file 0 +0 xattrs=user.b user.c→user.b"}},
		},
		{
			name: "a link before the others", a: "file b 0644 xyz", b: "file b 0644 xyz\nlink a b",
			want: diff{Added: []string{"/a file 3 +3"}, Changed: []string{"/b file 3 -3 links"}},
		},
		{name: "a link after the others", a: "file b 0644 xyz", b: "file b 0644 xyz\nlink c b", want: diff{Added: []string{"/c file 3 +0"}}},
		{
			name: "a link no more", a: "file a 0644 xyz\nlink b a", b: "file a 0644 xyz\nfile b 0644 xyz",
			want: diff{Changed: []string{"/b file 3 +3 links"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := compare(t, rootfstest.Tree(t, tt.a), rootfstest.Tree(t, tt.b), tt.o)
			got := diff{list(d.Added), list(d.Removed), list(d.Changed)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			checkSums(t, d)
		})
	}
}

func list(changes []report.Change) (lines []string) {
	for _, c := range changes {
		line := fmt.Sprintf("%s %s %d %+d", c.Path, c.Type, c.Size, c.Delta)
		for _, d := range c.What {
			line += " " + d.Field
			if d.From+d.To != "" {
				line += "=" + d.From + "→" + d.To
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// checkSums finds that all parts add up to the whole.
func checkSums(t *testing.T, d *report.Diff) {
	t.Helper()
	var sum int64
	n := 0
	for _, changes := range [][]report.Change{d.Added, d.Removed, d.Changed} {
		for _, c := range changes {
			sum += c.Delta
			if c.Path != "/" {
				n++
			}
		}
	}
	if sum != d.Delta || d.Delta != d.B.Size-d.A.Size {
		t.Errorf("the changes add up to %d; %d became %d, a delta of %d", sum, d.A.Size, d.B.Size, d.Delta)
	}
	for _, c := range d.Directories {
		if c.Path == "/" && (c.Delta != d.Delta || c.Added+c.Removed+c.Changed != n) {
			t.Errorf("the root has %+v, and there are %d changes of %d", c, n, d.Delta)
		}
	}
}

func packages(names ...string) string {
	text := ""
	for _, p := range names {
		f := strings.Fields(p)
		text += fmt.Sprintf(`Package: %s\nVersion: %s\nArchitecture: %s\n\n`, f[0], f[1], f[2])
	}
	return `file var/lib/dpkg/status 0644 "` + text + `"`
}

func TestComparePackages(t *testing.T) {
	type change = report.PackageChange
	const dpkg = "dpkg"
	tests := []struct {
		name string
		a, b []string
		want report.PackageDiff
	}{
		{name: "the same", a: []string{"a 1 all", "b 1 amd64"}, b: []string{"b 1 amd64", "a 1 all"}},
		{
			name: "one of each", a: []string{"a 1 all", "b 1.10 all", "c 1.10 all", "d 1 all"}, b: []string{"b 1.9 all", "c 2.0~rc1 all", "d 1 all", "e 5 all"},
			want: report.PackageDiff{
				Added:      []change{{Name: "e", Arch: "all", Format: dpkg, To: "5"}},
				Removed:    []change{{Name: "a", Arch: "all", Format: dpkg, From: "1"}},
				Upgraded:   []change{{Name: "c", Arch: "all", Format: dpkg, From: "1.10", To: "2.0~rc1"}},
				Downgraded: []change{{Name: "b", Arch: "all", Format: dpkg, From: "1.10", To: "1.9"}},
			},
		},
		{
			name: "another architecture", a: []string{"a 1 amd64"}, b: []string{"a 2 all"},
			want: report.PackageDiff{Upgraded: []change{{Name: "a", Arch: "all", Format: dpkg, From: "1", To: "2"}}},
		},
		{
			name: "two architectures", a: []string{"a 1 amd64", "a 1 i386"}, b: []string{"a 2 amd64", "a 3 i386", "a 3 x32"},
			want: report.PackageDiff{
				Added: []change{{Name: "a", Arch: "x32", Format: dpkg, To: "3"}},
				Upgraded: []change{
					{Name: "a", Arch: "amd64", Format: dpkg, From: "1", To: "2"},
					{Name: "a", Arch: "i386", Format: dpkg, From: "1", To: "3"},
				},
			},
		},
		{
			name: "several versions at a time", a: []string{"k 1 x", "k 2 x"}, b: []string{"k 2 x", "k 3 x"},
			want: report.PackageDiff{Upgraded: []change{{Name: "k", Arch: "x", Format: dpkg, From: "1", To: "3"}}},
		},
		{
			name: "several other versions", a: []string{"k 1 x", "k 2 x"}, b: []string{"k 3 x", "k 4 x"},
			want: report.PackageDiff{
				Added:   []change{{Name: "k", Arch: "x", Format: dpkg, To: "3"}, {Name: "k", Arch: "x", Format: dpkg, To: "4"}},
				Removed: []change{{Name: "k", Arch: "x", Format: dpkg, From: "1"}, {Name: "k", Arch: "x", Format: dpkg, From: "2"}},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := compare(t, rootfstest.Tree(t, packages(tt.a...)), rootfstest.Tree(t, packages(tt.b...)), report.DiffOptions{})
			if diff := cmp.Diff(tt.want, d.Packages, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDiffTables(t *testing.T) {
	const a = `file var/lib/dpkg/info/bash.list 0644 "/bin/bash\n"
		file bin/bash 0755 size=1000000
		file bin/suid 0755 mtime=1 x
		file opt/old/data/file 0644 size=3000000
		symlink "opt/a\x1b[31mlink" here`
	many := ""
	for i := range 30 {
		many += fmt.Sprintf("\nfile srv/many/%02d 0644 size=%d", i, i)
	}
	d := compare(t, rootfstest.Tree(t, packages("bash 5.2-1 amd64", "gone 1 all"), a), rootfstest.Tree(t, packages("bash 5.2-2 amd64", "new 1 all"), a, `
		file bin/bash 0755 size=1100000
		file bin/suid 04755 7:8 y
		wh opt/old
		symlink "opt/a\x1b[31mlink" there`+many), report.DiffOptions{})
	checkSums(t, d)
	same := compare(t, rootfstest.Tree(t, a), rootfstest.Tree(t, a), report.DiffOptions{})
	for _, tt := range []struct {
		name string
		d    *report.Diff
		all  bool
	}{{"diff", d, false}, {"diff-all", d, true}, {"diff-same", same, false}} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.d.WriteTable(&b, tt.all); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name, b.String())
		})
	}
}

// layer counts how often it is read, and may fail.
type layer struct {
	*bytes.Reader
	reads int
	err   error
}

func (l *layer) ReadAt(p []byte, off int64) (int, error) {
	l.reads++
	if l.err != nil {
		return 0, l.err
	}
	return l.Reader.ReadAt(p, off)
}

func merge(t *testing.T, l *layer, key string) *rootfs.Tree {
	t.Helper()
	x, err := rootfs.IndexTar(t.Context(), rootfs.Layer{Name: "1", Key: key, Tar: l, Size: l.Size()})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := rootfs.Merge(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	l.reads = 0
	return tree
}

func TestCompareReadsNoCommonLayer(t *testing.T) {
	for _, tt := range []struct {
		keyA, keyB string
		reads      bool
	}{{"sha256:1", "sha256:1", false}, {"sha256:1", "sha256:2", true}, {"", "", true}} {
		a, b := &layer{Reader: rootfstest.Tar(t, "file a 0644 size=100000")}, &layer{Reader: rootfstest.Tar(t, "file a 0644 size=100000")}
		last := int64(0)
		d := compare(t, merge(t, a, tt.keyA), merge(t, b, tt.keyB), report.DiffOptions{Progress: func(done, total int64) {
			if last = done; total != 100000 {
				t.Errorf("%d of %d bytes", done, total)
			}
		}})
		if len(d.Changed) > 0 || (a.reads > 0) != tt.reads || (b.reads > 0) != tt.reads || (last == 100000) != tt.reads {
			t.Errorf("keys %q and %q: %d and %d reads, %d bytes told, %v", tt.keyA, tt.keyB, a.reads, b.reads, last, d.Changed)
		}
	}
}

func TestCompareErrors(t *testing.T) {
	whole := "file a 0644 size=100000"
	good := func() *layer { return &layer{Reader: rootfstest.Tar(t, whole)} }
	t.Run("a read fails", func(t *testing.T) {
		bad := good()
		tree := merge(t, bad, "")
		bad.err = errors.New("disk on fire")
		for _, trees := range [][2]*rootfs.Tree{{tree, merge(t, good(), "")}, {merge(t, good(), ""), tree}} {
			if _, err := report.Compare(t.Context(), trees[0], trees[1], report.DiffOptions{}); err == nil || err.Error() != "comparing /a: disk on fire" {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("content ends early", func(t *testing.T) {
		short := good()
		tree := merge(t, short, "")
		short.Reader = bytes.NewReader(make([]byte, 1000))
		if _, err := report.Compare(t.Context(), tree, merge(t, good(), ""), report.DiffOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := report.Compare(ctx, merge(t, good(), ""), merge(t, good(), ""), report.DiffOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzCompare makes two trees of the same few names; whatever they are, the
// parts must add up, and the way back must be the opposite.
func FuzzCompare(f *testing.F) {
	f.Add([]byte("0123456789"), []byte("abcdefghij"))
	f.Add([]byte{0, 40, 80, 120, 3, 7, 11}, []byte{0, 40, 81, 120, 7, 3, 11})
	f.Fuzz(func(t *testing.T, x, y []byte) {
		a, errA := fuzzTree(x)
		b, errB := fuzzTree(y)
		if errA != nil || errB != nil {
			return
		}
		d := compare(t, a, b, report.DiffOptions{})
		checkSums(t, d)
		back := compare(t, b, a, report.DiffOptions{})
		if back.Delta != -d.Delta || len(back.Added) != len(d.Removed) || len(back.Removed) != len(d.Added) || len(back.Changed) != len(d.Changed) {
			t.Errorf("%+v\nand back\n%+v", d, back)
		}
		if same := compare(t, a, a, report.DiffOptions{}); len(same.Added)+len(same.Removed)+len(same.Changed) > 0 {
			t.Errorf("a tree differs from itself: %+v", same)
		}
	})
}

func fuzzTree(b []byte) (*rootfs.Tree, error) {
	names := []string{"a", "b", "d", "d/a", "d/e", "d/e/f"}
	text := ""
	for _, c := range b {
		name, other := names[int(c)%len(names)], names[int(c/7)%len(names)]
		switch c % 5 {
		case 0, 1:
			text += fmt.Sprintf("file %s 0644 size=%d\n", name, c)
		case 2:
			text += "dir " + name + " 0755\n"
		case 3:
			text += "link " + name + " " + other + "\n"
		default:
			text += "symlink " + name + " " + other + "\n"
		}
	}
	entries, err := rootfstest.Parse(text)
	if err != nil {
		return nil, err
	}
	x, err := rootfstest.Index("1", entries)
	if err != nil {
		return nil, err
	}
	return rootfs.Merge(context.Background(), x)
}
