package rootfs_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// mergeCases are the rules for layers and the corners of each. Every case also
// runs through rootfstest.Merge, so that both are held to the same text.
var mergeCases = []struct {
	name     string
	layers   []string
	want     string // without the root where that is the implied one
	warnings []string
}{
	{name: "nothing", layers: nil, want: ``},
	{name: "empty layer", layers: []string{``}, want: ``},

	// Whiteouts.
	{
		name:   "whiteout after its sibling",
		layers: []string{"dir etc 0755\nfile etc/old 0644 x", "file etc/new 0644 y\nwh etc/old"},
		want:   "dir etc 0755\nfile etc/new 0644 y",
	},
	{
		name:   "whiteout before its sibling",
		layers: []string{"dir etc 0755\nfile etc/old 0644 x", "wh etc/old\nfile etc/new 0644 y"},
		want:   "dir etc 0755\nfile etc/new 0644 y",
	},
	{
		name:   "whiteout after the new file of the same name",
		layers: []string{"file a 0644 old", "file a 0600 new\nwh a"},
		want:   "file a 0600 new",
	},
	{
		name:   "whiteout of a directory, its new self follows",
		layers: []string{"dir d 0700 1:1\nfile d/x 0644", "wh d\nfile d/y 0644"},
		want:   "dir d 0755\nfile d/y 0644",
	},
	{
		name:   "whiteout of a directory behind its new self",
		layers: []string{"dir d 0700 1:1\nfile d/x 0644", "dir d 0711\nfile d/y 0644\nwh d"},
		want:   "dir d 0711\nfile d/y 0644",
	},
	{name: "whiteout of what is not there", layers: []string{"file a 0644", "wh b"}, want: "file a 0644"},
	{name: "whiteout in the lowest layer", layers: []string{"wh a\nfile a 0644"}, want: "file a 0644"},
	{
		name:   "whiteout hides only what is below",
		layers: []string{"file a 0644 1", "wh a", "file a 0600 3"},
		want:   "file a 0600 3",
	},
	{
		name:   "whiteouts of a directory and of what was in it", // as some tools write "rm -rf foo/bar foo"
		layers: []string{"dir foo 0755\nfile foo/bar 0644", "wh foo\nwh foo/bar"},
		want:   ``,
	},
	{
		name:   "whiteouts of a directory and of what was in it, the other way round",
		layers: []string{"dir foo 0755\nfile foo/bar 0644", "wh foo/bar\nwh foo"},
		want:   ``,
	},
	{
		name:   "a name that only looks like a whiteout",
		layers: []string{"file .wha 0644\nfile a.wh.b 0644", "file c 0644"},
		want:   "file .wha 0644\nfile a.wh.b 0644\nfile c 0644",
	},
	{
		name:   "whiteout of a name with a whiteout's prefix is of the rest",
		layers: []string{"file b 0644\nfile .b 0644", "wh .b"},
		want:   "file b 0644",
	},
	{
		name:   "whiteout of a symlink leaves its target",
		layers: []string{"dir d 0755\nfile d/f 0644\nsymlink l d", "wh l"},
		want:   "dir d 0755\nfile d/f 0644",
	},
	{
		name:   "whiteout of a parent's metadata does nothing to the parent",
		layers: []string{"dir d 0700 5:6 mtime=9\nfile d/f 0644", "wh d/f"},
		want:   "dir d 0700 5:6 mtime=9",
	},

	// Opaque markers.
	{
		name:   "opaque before new entries",
		layers: []string{"dir var 0755\nfile var/old 0644", "dir var 0700\nopq var\nfile var/new 0644"},
		want:   "dir var 0700\nfile var/new 0644",
	},
	{
		name:   "opaque after new entries",
		layers: []string{"dir var 0755\nfile var/old 0644", "dir var 0700\nfile var/new 0644\nopq var"},
		want:   "dir var 0700\nfile var/new 0644",
	},
	{
		name:   "opaque without the directory's own entry keeps its metadata",
		layers: []string{"dir var 0710 3:4\nfile var/old 0644", "opq var"},
		want:   "dir var 0710 3:4",
	},
	{
		name:   "opaque root",
		layers: []string{"dir a 0755\nfile a/b 0644\nfile c 0644", "opq .\nfile d 0644"},
		want:   "file d 0644",
	},
	{
		name:   "opaque directory above a directory of the same layer",
		layers: []string{"dir a 0755\ndir a/b 0700\nfile a/b/c 0644", "dir a 0755\ndir a/b 0711\nopq a"},
		want:   "dir a 0755\ndir a/b 0711",
	},
	{
		name:   "opaque directory of several layers",
		layers: []string{"dir a 0755\nfile a/1 0644", "dir a 0755\nfile a/2 0644", "dir a 0755\nopq a\nfile a/3 0644", "dir a 0755\nfile a/4 0644"},
		want:   "dir a 0755\nfile a/3 0644\nfile a/4 0644",
	},

	// Whiteouts and opaque directories as overlayfs has them.
	{
		name:   "a character device 0/0 is a whiteout",
		layers: []string{"dir d 0755\nfile d/a 0644 x\nfile d/b 0644 y", "dir d 0700\nchar d/a 0000 0 0"},
		want:   "dir d 0700\nfile d/b 0644 y",
	},
	{
		name:   "a character device 0/0 hides only what is below",
		layers: []string{"dir a 0755\nfile a/x 0644", "char a 0600 0 0\ndir a 0711\nfile a/y 0644"},
		want:   "dir a 0711\nfile a/y 0644",
	},
	{name: "a block device 0/0 is none", layers: []string{"file a 0644", "block a 0600 0 0"}, want: "block a 0600 0 0"},
	{name: "a character device 0/1 is none", layers: []string{"file a 0644", "char a 0600 0 1"}, want: "char a 0600 0 1"},
	{
		name:   "an opaque xattr of root",
		layers: []string{"dir d 0755\nfile d/old 0644", "dir d 0700 xattr:trusted.overlay.opaque=y xattr:trusted.k=v\nfile d/new 0644"},
		want:   "dir d 0700 xattr:trusted.k=v\nfile d/new 0644",
	},
	{
		name:   "an opaque xattr of an ordinary user",
		layers: []string{"dir d 0755\nfile d/old 0644", "dir d 0700 xattr:user.overlay.opaque=y\nfile d/new 0644"},
		want:   "dir d 0700\nfile d/new 0644",
	},
	{
		name:   "an opaque xattr that says no",
		layers: []string{"dir d 0755\nfile d/old 0644", "dir d 0700 xattr:trusted.overlay.opaque=n\nfile d/new 0644"},
		want:   "dir d 0700\nfile d/new 0644\nfile d/old 0644",
	},
	{
		name:   "an opaque xattr of a file says nothing",
		layers: []string{"file f 0644", "file f 0600 xattr:trusted.overlay.opaque=y new"},
		want:   "file f 0600 new",
	},
	{
		name:   "an empty file with a whiteout xattr",
		layers: []string{"dir d 0755\nfile d/a 0644 x", "dir d 0755 xattr:trusted.overlay.opaque=x\nfile d/a 0644 xattr:trusted.overlay.whiteout="},
		want:   "dir d 0755",
	},
	{
		name:   "overlayfs's book-keeping",
		layers: []string{"dir d 0755 xattr:trusted.overlay.impure=y xattr:trusted.overlay.origin=0\nfile d/f 0644 xattr:trusted.overlay.nlink=1 xattr:user.overlay.uuid=2 x"},
		want:   "dir d 0755\nfile d/f 0644 x",
	},

	// One type over another.
	{
		name:   "directory over directory keeps the children and takes the metadata",
		layers: []string{"dir d 0755 1:1 mtime=5 xattr:user.a=1\nfile d/f 0644 x", "dir d 01777 2:2 mtime=7 xattr:user.b=2"},
		want:   "dir d 01777 2:2 mtime=7 xattr:user.b=2\nfile d/f 0644 x",
	},
	{name: "file over directory", layers: []string{"dir d 0755\ndir d/e 0755\nfile d/e/f 0644", "file d 0644 x"}, want: "file d 0644 x"},
	{name: "symlink over directory", layers: []string{"dir d 0755\nfile d/f 0644", "symlink d e"}, want: "symlink d e"},
	{name: "directory over file", layers: []string{"file d 0644", "dir d 0755\nfile d/f 0644"}, want: "dir d 0755\nfile d/f 0644"},
	{name: "directory over symlink", layers: []string{"dir e 0755\nsymlink d e", "dir d 0755\nfile d/f 0644"}, want: "dir d 0755\nfile d/f 0644\ndir e 0755"},
	{name: "file over symlink", layers: []string{"file e 0644 x\nsymlink d e", "file d 0600 y"}, want: "file d 0600 y\nfile e 0644 x"},
	{name: "device over file", layers: []string{"file n 0644 x", "char n 0666 1 3"}, want: "char n 0666 1 3"},
	{name: "fifo over device", layers: []string{"block n 0660 8 0", "fifo n 0600 0:5"}, want: "fifo n 0600 0:5"},
	{
		name:   "children do not come back with the directory",
		layers: []string{"dir d 0755\nfile d/f 0644", "file d 0644", "dir d 0700"},
		want:   "dir d 0700",
	},
	{name: "the last of one layer wins", layers: []string{"file a 0644 1\nfile a 0600 2"}, want: "file a 0600 2"},
	{
		name:   "two directory entries of one layer",
		layers: []string{"dir d 0755\nfile d/f 0644\ndir d 0700"},
		want:   "dir d 0700\nfile d/f 0644",
	},
	{
		name:   "directory over what was a directory's file of the same layer",
		layers: []string{"dir d 0755\nfile d/f 0644\nfile d 0600\ndir d 0711"},
		want:   "dir d 0711",
	},

	// Parents.
	{name: "missing parents", layers: []string{"file a/b/c 0600 5:6 mtime=9"}, want: "dir a 0755\ndir a/b 0755\nfile a/b/c 0600 5:6 mtime=9"},
	{
		name:   "a parent named after its child",
		layers: []string{"file a/b 0644\ndir a 0700 7:7 mtime=3"},
		want:   "dir a 0700 7:7 mtime=3\nfile a/b 0644",
	},
	{
		name:   "a parent of a lower layer keeps its metadata",
		layers: []string{"dir a 0700 7:7 mtime=3", "file a/b 0644"},
		want:   "dir a 0700 7:7 mtime=3\nfile a/b 0644",
	},
	{
		name:     "below a symlink of a lower layer",
		layers:   []string{"dir usr 0755\ndir usr/lib 0755\nfile usr/lib/x 0644\nsymlink lib usr/lib", "file lib/y 0644"},
		want:     "dir lib 0755\nfile lib/y 0644\ndir usr 0755\ndir usr/lib 0755\nfile usr/lib/x 0644",
		warnings: []string{`layer 2 puts files below "lib", which a lower layer has as a symlink: a directory takes its place`},
	},
	{
		name:     "below a file of a lower layer",
		layers:   []string{"dir a 0755\nfile a/b 0644", "file a/b/c/d 0644"},
		want:     "dir a 0755\ndir a/b 0755\ndir a/b/c 0755\nfile a/b/c/d 0644",
		warnings: []string{`layer 2 puts files below "a/b", which a lower layer has as a regular file: a directory takes its place`},
	},
	{
		name:   "below a symlink of the same layer",
		layers: []string{"dir usr 0755\ndir usr/lib 0755\nsymlink lib usr/lib\nfile lib/y 0644"},
		want:   "symlink lib usr/lib\ndir usr 0755\ndir usr/lib 0755\nfile usr/lib/y 0644",
	},
	{
		name:   "below an absolute symlink of the same layer",
		layers: []string{"dir usr 0755\ndir usr/lib 0755\nsymlink usr/l /usr/lib\nfile usr/l/y 0644"},
		want:   "dir usr 0755\nsymlink usr/l /usr/lib\ndir usr/lib 0755\nfile usr/lib/y 0644",
	},
	{
		name:   "below a symlink to the root, which every layer has",
		layers: []string{"file a 0644", "symlink l /\nfile l/b 0644"},
		want:   "file a 0644\nfile b 0644\nsymlink l /",
	},
	{
		name:   "below a symlink that goes up through another",
		layers: []string{"dir a 0755\ndir a/b 0755\ndir a/c 0755\nsymlink s a/b\nsymlink t s/../c\nfile t/f 0644"},
		want:   "dir a 0755\ndir a/b 0755\ndir a/c 0755\nfile a/c/f 0644\nsymlink s a/b\nsymlink t s/../c",
	},
	{
		name:   "directory through a symlink of the same layer",
		layers: []string{"dir usr/lib 0700 1:1\nsymlink lib usr/lib\ndir lib/d 0711"},
		want:   "symlink lib usr/lib\ndir usr 0755\ndir usr/lib 0700 1:1\ndir usr/lib/d 0711",
	},

	// The root.
	{name: "root's own entry", layers: []string{"dir . 0555 1:2 mtime=77 xattr:user.k=v", "file a 0644"}, want: "dir . 0555 1:2 mtime=77 xattr:user.k=v\nfile a 0644"},
	{name: "root's entry with slashes", layers: []string{"file a 0644", "dir ./ 0700"}, want: "dir . 0700\nfile a 0644"},

	// Hard links.
	{name: "link", layers: []string{"file a 0644 1:1 mtime=5 xattr:user.k=v x\nlink b a"}, want: "file a 0644 1:1 mtime=5 xattr:user.k=v x\nlink b a"},
	{name: "link before its target in the tree's order", layers: []string{"file z 0644 x\nlink a z"}, want: "file a 0644 x\nlink z a"},
	{name: "chain of links", layers: []string{"file a 0644 x\nlink b a\nlink c b\nlink d/e c"}, want: "file a 0644 x\nlink b a\nlink c a\ndir d 0755\nlink d/e a"},
	{name: "link to a lower layer's file", layers: []string{"file a 0644 x", "link b a"}, want: "file a 0644 x\nlink b a"},
	{
		name:   "link survives its target's replacement below",
		layers: []string{"file a 0644 old\nlink b a", "file a 0600 new"},
		want:   "file a 0600 new\nfile b 0644 old",
	},
	{
		name:   "link survives its target's replacement in the same layer",
		layers: []string{"file a 0644 old\nlink b a\nfile a 0600 new\nlink c a"},
		want:   "file a 0600 new\nfile b 0644 old\nlink c a",
	},
	{name: "link survives its target's whiteout", layers: []string{"file a 0644 x\nlink b a\nlink c a", "wh a"}, want: "file b 0644 x\nlink c b"},
	{name: "link takes the place of a file", layers: []string{"file a 0644 x\nfile b 0644 y", "link b a"}, want: "file a 0644 x\nlink b a"},
	{name: "link takes the place of a directory", layers: []string{"file a 0644 x\ndir b 0755\nfile b/c 0644", "link b a"}, want: "file a 0644 x\nlink b a"},
	{name: "link to a symlink", layers: []string{"symlink a nowhere\nlink b a"}, want: "symlink a nowhere\nlink b a"},
	{name: "link to a device", layers: []string{"char a 0666 1 3\nlink b a\nfifo c 0600\nlink d c"}, want: "char a 0666 1 3\nlink b a\nfifo c 0600\nlink d c"},
	{name: "link with a leading slash", layers: []string{"dir d 0755\nfile d/a 0644 x\nlink b /d/a\nlink /c ./d/../d/a"}, want: "file b 0644 x\nlink c b\ndir d 0755\nlink d/a b"},
	{name: "link to itself", layers: []string{"file a 0644 x\nlink a a"}, want: "file a 0644 x"},
	{
		name:   "link whose target lies below a symlink",
		layers: []string{"dir usr/bin 0755\nfile usr/bin/a 0755 x\nsymlink bin usr/bin\nlink usr/bin/b bin/a"},
		want:   "symlink bin usr/bin\ndir usr 0755\ndir usr/bin 0755\nfile usr/bin/a 0755 x\nlink usr/bin/b usr/bin/a",
	},
	{name: "link to what its own whiteout names", layers: []string{"file a 0644 old", "file a 0644 new\nlink b a\nwh a"}, want: "file a 0644 new\nlink b a"},

	// Metadata.
	{
		name: "special bits",
		layers: []string{`file su 04755
			file sg 02755
			file all 07777
			dir  tmp 01777
			dir  mail 02775 0:8`},
		want: "file all 07777\ndir mail 02775 0:8\nfile sg 02755\nfile su 04755\ndir tmp 01777",
	},
	{
		name:   "large owners, numbers and times",
		layers: []string{"file a 0644 4294967294:4294967294 mtime=-1\nchar c 0600 4095 1048575\nfile f 0644 mtime=253402300799.123456789\nfile g 0644 mtime=-62135596799"},
		want:   "file a 0644 4294967294:4294967294 mtime=-1\nchar c 0600 4095 1048575\nfile f 0644 mtime=253402300799.123456789\nfile g 0644 mtime=-62135596799",
	},
	{
		name:   "xattrs",
		layers: []string{`file ping 0755 xattr:security.capability=vvv xattr:user.x=1 xattr:security.selinux=system_u:object_r:ping_exec_t:s0`},
		want:   `file ping 0755 xattr:security.capability=vvv xattr:security.selinux=system_u:object_r:ping_exec_t:s0 xattr:user.x=1`,
	},
	{
		name:   "an xattr of a lower layer does not shine through",
		layers: []string{"file a 0644 xattr:user.x=1", "file a 0644 xattr:user.y=1", "dir b 0755"},
		want:   "file a 0644 xattr:user.y=1\ndir b 0755",
	},
	{
		name:   "odd names",
		layers: []string{`file "a b" 0644` + "\n" + `file "new\nline" 0644` + "\n" + `file "\xff\xfe" 0644` + "\n" + `dir "日本" 0755` + "\n" + `file "日本/\"q\" \\ \t" 0644` + "\n" + `symlink "s p" "to a\nb"`},
		want:   `file "a b" 0644` + "\n" + `file "new\nline" 0644` + "\n" + `symlink "s p" "to a\nb"` + "\n" + `dir "日本" 0755` + "\n" + `file "日本/\"q\" \\ \t" 0644` + "\n" + `file "\xff\xfe" 0644`,
	},
	{name: "names that need cleaning", layers: []string{"dir ./a/ 0755\nfile a//b 0644\nfile a/./c 0644\nfile a/x/../d 0644\nfile /abs/e 0644"}, want: "dir a 0755\nfile a/b 0644\nfile a/c 0644\nfile a/d 0644\ndir abs 0755\nfile abs/e 0644"},
	{
		name:   "a directory's names are in the order of their bytes, each with what is in it",
		layers: []string{"file a.b 0644\nfile a/z 0644\nfile a-b 0644\nfile B 0644\nfile a0 0644"},
		want:   "file B 0644\ndir a 0755\nfile a/z 0644\nfile a-b 0644\nfile a.b 0644\nfile a0 0644",
	},
	{name: "content", layers: []string{"file a 0644 size=100000\nfile b 0644 size=511\nfile c 0644 size=512\nfile d 0644 size=513\nfile e 0644"}, want: "file a 0644 size=100000\nfile b 0644 size=511\nfile c 0644 size=512\nfile d 0644 size=513\nfile e 0644"},
}

func TestMerge(t *testing.T) {
	for _, tt := range mergeCases {
		t.Run(tt.name, func(t *testing.T) {
			tree := rootfstest.Tree(t, tt.layers...)
			want := tt.want
			if !strings.HasPrefix(want, "dir . ") {
				want = "dir . 0755\n" + want
			}
			rootfstest.Diff(t, tree, want)
			if d := cmp.Diff(tt.warnings, tree.Warnings); d != "" {
				t.Errorf("warnings (-want +got):\n%s", d)
			}
			model, err := rootfstest.Merge(parse(t, tt.layers...)...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := rootfstest.List(tree)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(model, got); d != "" {
				t.Errorf("the naive merge differs (-naive +tree):\n%s", d)
			}
		})
	}
}

func parse(t testing.TB, layers ...string) [][]rootfstest.Entry {
	t.Helper()
	var list [][]rootfstest.Entry
	for _, layer := range layers {
		entries, err := rootfstest.Parse(layer)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, entries)
	}
	return list
}

// A listing is a layer: what it makes is what it lists.
func TestListIsALayer(t *testing.T) {
	for _, tt := range mergeCases {
		t.Run(tt.name, func(t *testing.T) {
			lines, err := rootfstest.List(rootfstest.Tree(t, tt.layers...))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(lines, "\n")
			rootfstest.Diff(t, rootfstest.Tree(t, text), text)
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	tests := []struct {
		name   string
		layers []string
		want   string
	}{
		{"link to nothing", []string{"link b a"}, `merging layer 1: entry "b": hard link to "a": no such file in the tree`},
		{"link to what comes later", []string{"link b a\nfile a 0644"}, `merging layer 1: entry "b": hard link to "a": no such file in the tree`},
		{"link to what the layer hides", []string{"file a 0644", "wh a\nlink b a"}, `merging layer 2: entry "b": hard link to "a": no such file in the tree`},
		{"links in a ring", []string{"link a b\nlink b a"}, `merging layer 1: entry "a": hard link to "b": no such file in the tree`},
		{"link through symlinks in a ring", []string{"symlink a b\nsymlink b a\nlink c a/x"}, `merging layer 1: entry "c": hard link to "a/x": too many symlinks`},
		{"link to a directory", []string{"dir d 0755\nlink b d"}, `merging layer 1: entry "b": hard link to "d", which is a directory`},
		{"link to the root", []string{"link b /"}, `merging layer 1: entry "b": hard link to ".", which is a directory`},
		{"link to what lies below a file", []string{"file a 0644\nlink b a/c"}, `merging layer 1: entry "b": hard link to "a/c": not a directory`},
		{"below a file of the same layer", []string{"file a 0644\nfile a/b 0644"}, `merging layer 1: entry "a/b": its parent "a" is a regular file of the same layer`},
		{"below a device of the same layer", []string{"dir d 0755\nchar d/n 0644 1 3\nfile d/n/b 0644"}, `merging layer 1: entry "d/n/b": its parent "d/n" is a character device of the same layer`},
		{
			"below a symlink to nothing",
			[]string{"symlink l nowhere\nfile l/b 0644"},
			`merging layer 1: entry "l/b": its parent "l" is a symlink to "nowhere", which is no directory of the same layer`,
		},
		{
			"below a symlink of this layer to a directory of the one below",
			[]string{"dir d 0755", "symlink l d\nfile l/b 0644"},
			`merging layer 2: entry "l/b": its parent "l" is a symlink to "d", which is no directory of the same layer`,
		},
		{
			"below a symlink to a file",
			[]string{"file f 0644\nsymlink l f\nfile l/b 0644"},
			`merging layer 1: entry "l/b": its parent "l" is a symlink to "f", which is no directory of the same layer`,
		},
		{"below a symlink to itself", []string{"symlink l l\nfile l/b 0644"}, `merging layer 1: entry "l/b": its parent "l": too many symlinks`},
		{"below symlinks in a ring", []string{"symlink a b\nsymlink b a\nfile a/c 0644"}, `merging layer 1: entry "a/c": its parent "a": too many symlinks`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := rootfs.Merge(t.Context(), rootfstest.Indexes(t, tt.layers...)...)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error\n%v, want\n%s", err, tt.want)
			}
			if _, err := rootfstest.Merge(parse(t, tt.layers...)...); err == nil {
				t.Error("the naive merge takes it")
			}
		})
	}
}

// Each symlink could make paths longer by as much as a tar's name may have, and
// a walk's memory grows with the square of that.
func TestMergeRefusesLongPaths(t *testing.T) {
	deep := strings.Repeat("d/", 2040) + "d"
	for name, tt := range map[string]struct{ layer, want string }{
		"as long as Linux takes": {"file d" + deep + "/xxxxxxxxxx 0644", ""},
		"a file":                 {"dir " + deep + " 0755\nsymlink l " + deep + "\nfile l/xxxxxxxxxxxxx 0644", ""},
		"a file too long":        {"dir " + deep + " 0755\nsymlink l " + deep + "\nfile l/xxxxxxxxxxxxx 0644\nfile l/xxxxxxxxxxxxxx 0644", `merging layer 1: entry "l/xxxxxxxxxxxxxx": its path, the symlinks in it followed, is longer than Linux takes: 4095 bytes`},
		"directories too deep":   {"dir " + deep + " 0755\nsymlink l " + deep + "\ndir l/" + deep + " 0755", `: its path, the symlinks in it followed, is longer than Linux takes: 4095 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := rootfs.Merge(t.Context(), rootfstest.Indexes(t, tt.layer)...)
			if tt.want == "" && err == nil {
				for name := range tree.All() {
					if len(name) > 4095 {
						t.Errorf("a name of %d bytes", len(name))
					}
				}
			} else if err == nil || !strings.HasSuffix(err.Error(), tt.want) || tt.want == "" {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// A tree must not change when its layers are merged into another one.
func TestMergeSharesLayers(t *testing.T) {
	layers := rootfstest.Indexes(t, "file a 0644 x\nlink b a\nlink c a", "wh b\nwh c")
	base, err := rootfs.Merge(t.Context(), layers[0])
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 2 {
		go func() {
			_, err := rootfs.Merge(context.Background(), layers...)
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	rootfstest.Diff(t, base, "dir . 0755\nfile a 0644 x\nlink b a\nlink c a")
}

func TestMergeIsCancelled(t *testing.T) {
	layers := rootfstest.Indexes(t, "file a 0644 x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rootfs.Merge(ctx, layers...); err != context.Canceled { //nolint:errorlint // nothing to add to it
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestPut(t *testing.T) {
	const layer = "dir usr/sbin 0755\nsymlink sbin usr/sbin\nsymlink init sbin/init\ndir d 0700\nfile d/f 0644"
	hello := rootfs.NewFile(0o755, strings.NewReader("-hello-"), 1, 5)
	tests := []struct {
		name, put string
		in        *rootfs.Inode
		want      string
	}{
		{"in place of a symlink", "init", hello, "dir d 0700\nfile d/f 0644\nfile init 0755 hello\nsymlink sbin usr/sbin\ndir usr 0755\ndir usr/sbin 0755"},
		{"with parents", "/a/b", rootfs.NewSymlink("c"), "dir a 0755\nsymlink a/b c\ndir d 0700\nfile d/f 0644\nsymlink init sbin/init\nsymlink sbin usr/sbin\ndir usr 0755\ndir usr/sbin 0755"},
		{"below a symlink", "sbin/x", hello, "dir d 0700\nfile d/f 0644\nsymlink init sbin/init\nsymlink sbin usr/sbin\ndir usr 0755\ndir usr/sbin 0755\nfile usr/sbin/x 0755 hello"},
		{"in place of a directory", "d", hello, "file d 0755 hello\nsymlink init sbin/init\nsymlink sbin usr/sbin\ndir usr 0755\ndir usr/sbin 0755"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := rootfstest.Tree(t, layer)
			in := *tt.in
			if err := tree.Put(tt.put, &in); err != nil {
				t.Fatal(err)
			}
			rootfstest.Diff(t, tree, "dir . 0755\n"+tt.want)
			if len(tree.Warnings) > 0 {
				t.Errorf("warnings %q", tree.Warnings)
			}
		})
	}
	for _, name := range []string{"", "..", "a/../../b", "a\x00b", "d/f/x"} {
		in := *hello
		if err := rootfstest.Tree(t, layer).Put(name, &in); err == nil {
			t.Errorf("Put(%q) succeeds", name)
		}
	}
}
