package pack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/cpio/cpiotest"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// attributed has names and values that a list can get wrong.
const attributed = `
	dir  . 0755 xattr:user.root=r
	dir  usr/bin 0755
	file usr/bin/ping 0755 xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" program
	link usr/bin/ping6 usr/bin/ping
	file "new\nline\r\\ \xff#é " 0644 xattr:user.a="\x00\n\"\\=" xattr:user.empty= xattr:trusted.t=x x
	symlink link usr/bin/ping xattr:trusted.link=l
	file plain 0644`

func TestXattrs(t *testing.T) {
	want := strings.Join([]string{
		"# file: .", "user.root=0scg==", "",
		"# file: link", "trusted.link=0sbA==", "",
		"# file: new\\012line\\015\\134 \xff#é ", "trusted.t=0seA==", `user.a=0sAAoiXD0=`, "user.empty=0s", "",
		"# file: usr/bin/ping", "security.capability=0sAQAAAgAgAAAAAAAAAAAAAAAAAAA=", "", "",
	}, "\n")
	got, files := pack.Xattrs(rootfstest.Tree(t, attributed))
	if d := cmp.Diff(want, string(got)); d != "" || files != 4 {
		t.Errorf("%d files (-want +got):\n%s", files, d)
	}
	if got, files := pack.Xattrs(rootfstest.Tree(t, "file a 0644")); len(got) > 0 || files != 0 {
		t.Errorf("%d files: %s", files, got)
	}
}

// What setfattr makes of the list in an unpacked cpio is what the tree has.
func TestXattrsBySetfattr(t *testing.T) {
	rootfstest.Need(t, "cpio", "setfattr", "getcap")
	rootfstest.NeedRoot(t)
	tree := rootfstest.Tree(t, attributed)
	want := rootfstest.WithoutTimes(listTree(t, tree))
	list, _ := pack.Xattrs(tree)
	if err := tree.Put(pack.XattrsName, rootfs.NewFile(0o600, strings.NewReader(string(list)), 0, int64(len(list)))); err != nil {
		t.Fatal(err)
	}
	b, _ := pax(t, tree, pack.Options{})
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as the tree's root
		t.Fatal(err)
	}
	cpiotest.Run(t, dir, b, "cpio", "--extract", "--make-directories", "--preserve-modification-time", "--quiet")
	cpiotest.Run(t, dir, nil, "setfattr", "-h", "--restore="+pack.XattrsName)
	if got := string(cpiotest.Run(t, dir, nil, "getcap", "-r", ".")); got != "./usr/bin/ping cap_net_raw=ep\n./usr/bin/ping6 cap_net_raw=ep\n" &&
		got != "usr/bin/ping cap_net_raw=ep\nusr/bin/ping6 cap_net_raw=ep\n" {
		t.Errorf("getcap says %q", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, ".rootcast")); err != nil {
		t.Fatal(err)
	}
	got, err := rootfstest.ListDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, rootfstest.WithoutTimes(got)); d != "" {
		t.Errorf("(-tree +unpacked):\n%s", d)
	}
}
