package synclist_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/synclist"
)

// grow makes files below dir: "NAME content", "NAME/" for a directory, "NAME -> TARGET".
func grow(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, line := range files {
		name, content, _ := strings.Cut(line, " ")
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, path))
		} else if strings.HasSuffix(name, "/") {
			err = errors.Join(err, os.MkdirAll(path, 0o755))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// listing is the tree below dir in the form of grow, directories only if empty.
func listing(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch {
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			lines = append(lines, name+" -> "+target)
			return err
		case d.IsDir():
			if in, err := os.ReadDir(path); err != nil || len(in) > 0 {
				return err
			}
			lines = append(lines, name+"/")
		default:
			text, err := os.ReadFile(path)
			lines = append(lines, name+" "+string(text))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// apply applies a list, in which SRC stands for src, to the image in root.
func apply(t *testing.T, src, root, list string) (synclist.Report, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(name, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := synclist.Read([]string{name}, map[string]string{"SRC": src})
	if err != nil {
		t.Fatal(err)
	}
	report, err := synclist.Apply(t.Context(), root, rules)
	if err != nil {
		err = errors.New(strings.NewReplacer(name, "list", src, "SRC", root, "ROOT").Replace(err.Error()))
	}
	return report, err
}

func TestApply(t *testing.T) {
	src := t.TempDir()
	grow(t, src, "hosts H", "a A", "b B", "link -> a", ".hidden h",
		"tree/x X", "tree/.y Y", "tree/sub/z Z", "tree/deep/", "tree/l -> ../a", "d/etc/motd M", "d/lib/firmware/f F")
	for _, test := range []struct {
		name, list  string
		image, want []string
	}{
		{"to a name", "$SRC/hosts -> /etc/hosts", nil, []string{"etc/hosts H"}},
		{"another name", "${SRC}/hosts   ->   /etc/x/y", []string{"etc/x/z Z"}, []string{"etc/x/y H", "etc/x/z Z"}},
		{"into a directory that is made", "$SRC/a $SRC/b -> /opt/new", nil, []string{"opt/new/a A", "opt/new/b B"}},
		{"a slash", "$SRC/a -> /opt/", nil, []string{"opt/a A"}},
		{"a directory of the image", "$SRC/a -> /opt", []string{"opt/"}, []string{"opt/a A"}},
		{"the machine's directories decide nothing", "$SRC/a -> /usr", nil, []string{"usr A"}},
		{"what was there is replaced", "$SRC/a -> /x", []string{"x old"}, []string{"x A"}},
		{"a symlink is replaced, not followed", "$SRC/a -> /etc/resolv.conf", []string{"etc/resolv.conf -> ../run/x"}, []string{"etc/resolv.conf A"}},
		{"symlinks of the machine are followed", "$SRC/link -> /x", nil, []string{"x A"}},
		{"patterns leave hidden files", "$SRC/* -> /o", []string{"keep k"}, []string{
			"keep k", "o/a A", "o/b B", "o/d/etc/motd M", "o/d/lib/firmware/f F", "o/hosts H", "o/link A",
			"o/tree/.y Y", "o/tree/deep/", "o/tree/l A", "o/tree/sub/z Z", "o/tree/x X",
		}},
		{"hidden by name", "$SRC/.h* -> /o", nil, []string{"o/.hidden h"}},
		{"character classes", "$SRC/[!b] -> /o", nil, []string{"o/a A", "o/d/etc/motd M", "o/d/lib/firmware/f F"}},
		{"a directory's content", "$SRC/tree/ -> /o", []string{"o/old O"}, []string{"o/.y Y", "o/deep/", "o/l A", "o/old O", "o/sub/z Z", "o/x X"}},
		{"a directory into another", "$SRC/tree -> /o/", nil, []string{"o/tree/.y Y", "o/tree/deep/", "o/tree/l A", "o/tree/sub/z Z", "o/tree/x X"}},
		{"a directory under another name", "$SRC/tree/sub -> /o/new", nil, []string{"o/new/z Z"}},
		{"a directory onto its like", "$SRC/tree/sub -> /o/sub", []string{"o/sub/k K"}, []string{"o/sub/k K", "o/sub/z Z"}},
		{"a directory into one of another name", "$SRC/tree/sub -> /o", []string{"o/k K"}, []string{"o/k K", "o/sub/z Z"}},
		{"a merged /usr stays", "$SRC/d/ -> /", []string{"lib -> usr/lib", "usr/lib/os-release o"}, []string{"etc/motd M", "lib -> usr/lib", "usr/lib/firmware/f F", "usr/lib/os-release o"}},
		{"absolute links of the image", "$SRC/a -> /var/run/x/", []string{"var/run -> /run", "run/"}, []string{"run/x/a A", "var/run -> /run"}},
		{"nodes and scripts", "$SRC/a -> (n1,n2) /x\n$SRC/b -> /y\nEXECUTE:\n/p\nEXECUTEALWAYS:\n/q\n", nil, []string{"y B"}},
		{"append", "APPEND:\n$SRC/a -> /x\n$SRC/b -> /x", []string{"x one"}, []string{"x one\nA\nB\n"}},
		{"append what is there", "APPEND:\n$SRC/a -> /x\n$SRC/a -> /y", []string{"x 0\nA\n1\n", "y AA\n"}, []string{"x 0\nA\n1\n", "y AA\nA\n"}},
		{"append through a link", "APPEND:\n$SRC/a -> /x", []string{"x -> /d/y", "d/y 1\n"}, []string{"d/y 1\nA\n", "x -> /d/y"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			grow(t, root, test.image...)
			if _, err := apply(t, src, root, test.list); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, listing(t, root)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestApplyMerge(t *testing.T) {
	src, root := t.TempDir(), t.TempDir()
	grow(t, src, "users # who\nbob:x:1001:100::/home/bob:/bin/sh\n\nroot:x:0:0:New:/root:/bin/zsh\nbob:x:1002:100::/home/bob:/bin/sh\n",
		"shadow root:$6$x:1::::::\n", "group wheel:x:10:bob")
	grow(t, root, "etc/passwd root:x:0:0:root:/root:/bin/bash\nbin:x:1:1::/:/sbin/nologin\nroot:x:0:0:twice:/:/bin/sh\n",
		"etc/shadow root:*:1::::::\n", "etc/group wheel:x:10:\nusers:x:100:\n")
	if err := os.Chmod(filepath.Join(root, "etc/shadow"), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := apply(t, src, root, "MERGE:\n$SRC/users -> /etc/passwd\n$SRC/shadow -> /etc/shadow\n$SRC/group -> /etc/group\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"etc/group wheel:x:10:bob\nusers:x:100:\n",
		"etc/passwd root:x:0:0:New:/root:/bin/zsh\nbin:x:1:1::/:/sbin/nologin\nbob:x:1002:100::/home/bob:/bin/sh\n",
		"etc/shadow root:$6$x:1::::::\n",
	}
	if diff := cmp.Diff(want, listing(t, root)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/etc/passwd", "/etc/shadow", "/etc/group"}, report.Merged); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if info, err := os.Stat(filepath.Join(root, "etc/shadow")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file of passwords is %v, %v", info.Mode(), err)
	}
}

func TestApplyErrors(t *testing.T) {
	src := t.TempDir()
	grow(t, src, "a A", "d/f F", "loop/x/up -> ..", "dangling -> nowhere", "tree/dangling -> nowhere", "bad x:y\n", "good g:x:1:\n")
	if err := unix.Mkfifo(filepath.Join(src, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, list string
		image      []string
		want       string
	}{
		{"all that is missing", "$SRC/no -> /x\n$SRC/a -> /x\n$SRC/no* $SRC/neither -> /y/\n", nil, "list:1: SRC/no is not on this machine\nlist:3: SRC/no* matches no file of this machine\nlist:3: SRC/neither is not on this machine"},
		{"a pipe", "$SRC/a -> /a\n$SRC/pipe -> /x", nil, "list:2: SRC/pipe is a device, a pipe or a socket, and only files and directories are copied"},
		{"a loop", "$SRC/loop -> /x", nil, "list:1: SRC/loop/x/up is a symlink to a directory that it is in"},
		{"a dangling source", "$SRC/tree -> /x", nil, "list:1: SRC/tree/dangling is a symlink to what is not on this machine"},
		{"a file where a directory goes", "$SRC/d -> /x", []string{"x X"}, "list:1: /x is a file in the image, and directory SRC/d was to take its place"},
		{"a file above", "$SRC/a -> /x/y", []string{"x X"}, "list:1: /x is no directory in the image"},
		{"a directory where a file goes", "$SRC/d/ -> /x", []string{"x/f/g G"}, "list:1: /x/f is a directory in the image, and a file was to take its place"},
		{"append to nothing", "APPEND:\n$SRC/a -> /x", nil, "list:2: /x is not in the image"},
		{"append a directory", "APPEND:\n$SRC/d -> /x", []string{"x X"}, "list:2: SRC/d is no regular file"},
		{"append to a directory", "APPEND:\n$SRC/a -> /x", []string{"x/"}, "list:2: /x is no regular file in the image"},
		{"merge what is no entry", "MERGE:\n$SRC/bad -> /etc/group", []string{"etc/group g:x:1:\n"}, "list:2: SRC/bad:1: an entry of /etc/group has 4 fields with colons between them, and this has 2"},
		{"merge into nothing", "MERGE:\n$SRC/good -> /etc/group", nil, "list:2: /etc/group is not in the image"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			grow(t, root, test.image...)
			_, err := apply(t, src, root, test.list)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			for _, line := range listing(t, root) {
				if strings.Contains(line, ".rootcast-") {
					t.Errorf("%s was left behind", line)
				}
			}
		})
	}
}

// An image cannot make anything be written outside of it.
func TestHostileImages(t *testing.T) {
	src := t.TempDir()
	grow(t, src, "f new", "d/e/f new", "g evil:x:1:\n")
	for _, test := range []struct {
		name, list string
		image      []string // OUT stands for a directory outside
	}{
		{"absolute directory", "$SRC/f -> /etc/f", []string{"etc -> OUT"}},
		{"relative directory", "$SRC/f -> /etc/f", []string{"etc -> ../../../../../../../../..OUT"}},
		{"the file", "$SRC/f -> /f", []string{"f -> OUT/f"}},
		{"in a tree", "$SRC/d/ -> /", []string{"e -> OUT"}},
		{"deep in a tree", "$SRC/d -> /x", []string{"x/e -> /y", "y -> ../../../../../..OUT"}},
		{"append", "APPEND:\n$SRC/f -> /f", []string{"f -> OUT/f"}},
		{"merge", "MERGE:\n$SRC/g -> /etc/group", []string{"etc/group -> OUT/f"}},
		{"link to a link", "$SRC/f -> /a/f", []string{"a -> b", "b -> /c", "c -> OUT"}},
		{"a loop", "$SRC/f -> /a/f", []string{"a -> b", "b -> a"}},
		{"proc", "$SRC/f -> /a/f", []string{"a -> /proc/self/cwd"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := t.TempDir()
			root, out := filepath.Join(base, "root"), filepath.Join(base, "out")
			grow(t, out, "f old")
			grow(t, root, "etc2/")
			for _, line := range test.image {
				grow(t, root, strings.ReplaceAll(line, "OUT", out))
			}
			_, err := apply(t, src, root, test.list) // may fail; must not write
			if diff := cmp.Diff([]string{"f old"}, listing(t, out)); diff != "" {
				t.Errorf("%v\n(-want +got)\n%s", err, diff)
			}
			if _, err := os.Stat("f"); err == nil {
				t.Error("f was written to the working directory")
			}
		})
	}
}

func TestApplyKeepsMetadata(t *testing.T) {
	src, root := t.TempDir(), t.TempDir()
	grow(t, src, "d/prog P", "d/plain N")
	then := time.Date(2020, 3, 4, 5, 6, 7, 890, time.UTC)
	prog := filepath.Join(src, "d/prog")
	for name, mode := range map[string]fs.FileMode{prog: 0o755 | fs.ModeSetuid, filepath.Join(src, "d"): 0o710} {
		if os.Geteuid() == 0 {
			if err := os.Chown(name, 12, 34); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Chmod(name, mode), os.Chtimes(name, then, then)); err != nil {
			t.Fatal(err)
		}
	}
	attributes := map[string]string{"user.note": "kept"}
	if os.Geteuid() == 0 {
		attributes["security.capability"] = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	}
	for name, value := range attributes {
		err := unix.Lsetxattr(prog, name, []byte(value), 0)
		if errors.Is(err, unix.ENOTSUP) && os.Getenv("CI") != "true" {
			t.Skipf("the temporary directory keeps no attribute %s", name)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	report, err := apply(t, src, root, "$SRC/d -> /opt/d\n")
	if err != nil {
		t.Fatal(err)
	}
	if report.Files != 2 || report.Bytes != 2 || report.Warnings != nil {
		t.Errorf("%+v", report)
	}
	for _, name := range []string{"d", "d/prog", "d/plain"} {
		if diff := cmp.Diff(about(t, filepath.Join(src, name)), about(t, filepath.Join(root, "opt", name))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	for name, want := range attributes {
		got := make([]byte, 100)
		n, err := unix.Lgetxattr(filepath.Join(root, "opt/d/prog"), name, got)
		if err != nil || string(got[:n]) != want {
			t.Errorf("%s is %q, %v", name, got[:max(n, 0)], err)
		}
	}
	if info, err := os.Stat(filepath.Join(root, "opt")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory above is %v, %v", info, err)
	}
}

func about(t *testing.T, name string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%o %d:%d %d", st.Mode, st.Uid, st.Gid, st.Mtim.Nano())
}

func TestReport(t *testing.T) {
	src, root := t.TempDir(), t.TempDir()
	grow(t, src, "a A")
	report, err := apply(t, src, root, "$SRC/a -> (n[1-3]) /x\nEXECUTE:\n/p\nEXECUTEALWAYS:\n/q\n/r\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Skipped) != 1 || report.Skipped[0].Nodes != "n[1-3]" || len(report.NotRun) != 3 || report.NotRun[2].Kind != osimage.SyncExecuteAlways {
		t.Errorf("%+v", report)
	}
}
