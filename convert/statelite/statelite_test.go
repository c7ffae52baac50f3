package statelite

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// lines are rules as "PATH OPTION" for comparing.
func lines(s *Rules) []string {
	var all []string
	for _, r := range s.Rules {
		all = append(all, r.Path+" "+string(r.Option))
	}
	return all
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		images     []string
		want       []string
		skipped    []string
	}{
		{name: "nothing", text: "\n# only a comment\n"},
		{
			name: "plain",
			text: "# rules\n/var/lib/slurm/ persistent # state\n\t/etc/ntp.conf\r\n/etc/a#b rw\n/opt/x/ localdisk\n/etc/issue\tro\n/etc/group con\n",
			want: []string{
				"/etc/a#b tmpfs", "/etc/group con", "/etc/issue ro", "/etc/ntp.conf tmpfs", "/opt/x/ localdisk", "/var/lib/slurm/ persistent",
			},
		},
		{
			name: "links",
			text: "/a link\n/b link,ro\n/c link,persistent\n/d link,con\n/e tmpfs,rw\n",
			want: []string{"/a link", "/b link,ro", "/c link,persistent", "/d link,con", "/e link"},
		},
		{
			name: "parents first",
			text: "/a/b/c\n/a/b/\n/a/\n/a-b\n/a.b\n",
			want: []string{"/a/ tmpfs", "/a/b/ tmpfs", "/a/b/c tmpfs", "/a-b tmpfs", "/a.b tmpfs"},
		},
		{
			// The sample of xCAT's documentation, statelite configuration.
			name: "table",
			text: "#image,file,options,comments,disable\n" +
				"\"ALL\",\"/etc/adjtime\",\"tmpfs\",,\n    \"ALL\",\"/etc/lvm/\",\"tmpfs\",,\n" +
				"\"ALL\",\"/etc/fstab\",,,\n\"ALL\",\"/etc/mtab\",\"link\",,\n" +
				"\"ALL\",\"/var/adm/ras/\",\"persistent\",\"for \"\"GPFS\"\", mostly\",\n",
			want: []string{"/etc/adjtime tmpfs", "/etc/fstab tmpfs", "/etc/lvm/ tmpfs", "/etc/mtab link", "/var/adm/ras/ persistent"},
		},
		{
			name: "images", images: []string{"compute", "group"},
			text: "#image,file,options,comments,disable\nALL,/a,tmpfs,,\ncompute,/a,persistent,,\nother,/b,,,\ngroup,/c,,,\nthird,/b,,,\nother,/x,,,\n",
			want: []string{"/a persistent", "/c tmpfs"}, skipped: []string{"other", "third"},
		},
		{
			name: "disabled",
			text: "#image,file,options,comments,disable\nALL,/a,,,1\nALL,/b,,,yes\nALL,/c,,,no\nALL,/d,,,0\nALL,/e,,,\nALL,/f\n",
			want: []string{"/c tmpfs", "/d tmpfs", "/e tmpfs", "/f tmpfs"},
		},
		{name: "no header", text: "\"ALL\",\"/a\",\"ro\",,\n", want: []string{"/a ro"}},
		{
			name: "relations allowed",
			text: "/a/ persistent\n/a/b persistent\n/c/ link\n/c/d link,persistent\n/c/e link,con\n/f/ tmpfs\n/f/g persistent\n/f/h ro\n/f/i/ localdisk\n/f/i/j\n/etc/\n/etc/mtab link\n",
			want: []string{
				"/a/ persistent", "/a/b persistent", "/c/ link", "/c/d link,persistent", "/c/e link,con", "/etc/ tmpfs", "/etc/mtab link",
				"/f/ tmpfs", "/f/g persistent", "/f/h ro", "/f/i/ localdisk", "/f/i/j tmpfs",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rules, err := Parse(strings.NewReader(tc.text), "list", tc.images...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(rules)); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.skipped, rules.Skipped); diff != "" {
				t.Errorf("skipped (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"relative", "etc/x", `list:1: "etc/x" is not an absolute path`},
		{"root", "\n/", "list:2: a rule for / itself: the root is in memory anyway"},
		{"dots", "/a/../b/ ro", `list:1: "/a/../b/" is not a clean path: write /b/`},
		{"slashes", "/a//b", `list:1: "/a//b" is not a clean path: write /a/b`},
		{"control", "\"ALL\",\"/a\x01\",,,", `list:1: "/a\x01" has characters that do not belong into a path`},
		{"UTF-8", "/a\xff", `list:1: "/a\xff" has characters that do not belong into a path`},
		{"long", "/" + strings.Repeat("x", 5000), "list:1: a path of 5001 bytes is too long"},
		{"kernel's", "/run/x/", "list:1: /run/x/: the booted system mounts /proc, /sys, /dev and /run anew: leave the rule out"},
		{"our own", "/.statelite/tmpfs/", "list:1: /.statelite/tmpfs/ is where statelite keeps its own files"},
		{"option", "/a tmpfs,ro", `list:1: /a: unknown option "tmpfs,ro"; there are: ` + options},
		{"words", "/a ro rw", `list:1: "/a ro rw" is more than a path and an option (of these there are: ` + options + ")"},
		{"con", "/a/ con", "list:1: /a/ is a directory, which option con cannot be for"},
		{"twice", "/a\n/b\n/a/ ro", "list:3: /a/ has a rule already (line 1)"},
		{"below a file", "/a/b\n/a", "list:1: /a/b is below /a (line 2), a directory, whose rule must end with a slash"},
		{"below ro", "/a/ ro\n/a/b ro", "list:2: /a/b is ro, and /a/ above it is ro (line 1): such a directory can have no rules in it"},
		{"below link", "/a/ link\n/a/b", "list:2: /a/b is tmpfs, and /a/ above it is link (line 1): only options with link can be in it"},
		{"link,ro below link", "/a/ link\n/a/b link,ro", "list:2: /a/b is link,ro, and /a/ above it is link (line 1): link,ro cannot be in it"},
		{"link below", "/a/\n/a/b link", "list:2: /a/b is link, and /a/ above it is tmpfs (line 1): no option with link can be in it"},
		{
			"below persistent", "/a/ persistent\n/a/x/y localdisk",
			"list:2: /a/x/y is localdisk, and /a/ above it is persistent (line 1): what is in a persistent directory must be persistent",
		},
		{"columns", "\"ALL\"", `list:1: "\"ALL\"" has 1 columns, and a row is image,file,options,comments,disable`},
		{"quotes", "\"ALL\",\"/a", `list:1: "\"ALL\",\"/a" is no row of a table: extraneous or missing " in quoted-field`},
		{"no image", "\"\",\"/a\"", `list:1: "\"\",\"/a\"" names no image; ALL stands for every image`},
		{"very long", strings.Repeat("x", 2<<20), "list:1: reading the rules: bufio.Scanner: token too long"},
		{"several", "b\n/c con,x\n/d/ con", "list:1: \"b\" is not an absolute path\nlist:2: /c: unknown option \"con,x\"; there are: " + options + "\nlist:3: /d/ is a directory, which option con cannot be for"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(strings.NewReader(tc.text), "list")
			if err == nil || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestAbove(t *testing.T) {
	t.Parallel()
	rules, err := Parse(strings.NewReader("/a/\n/a/b/c/\n/a/b/c/d\n/ab\n"), "list")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"", "/a/", "/a/b/c/", ""}
	for i, r := range rules.Rules {
		if above, _ := rules.Above(r); above.Path != want[i] {
			t.Errorf("above %s: %q, want %q", r.Path, above.Path, want[i])
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	rules, err := Parse(strings.NewReader("/etc/<x> persistent\n/a/ ro\n"), "list")
	if err != nil {
		t.Fatal(err)
	}
	text, err := rules.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "version": 1,
 "rules": [
  {
   "path": "/a/",
   "option": "ro"
  },
  {
   "path": "/etc/<x>",
   "option": "persistent"
  }
 ]
}
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("encoded (-want +got):\n%s", diff)
	}
	again, err := Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lines(rules), lines(again)); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	for _, tc := range []struct{ text, want string }{
		{"", "decoding etc/rootcast/statelite.json: EOF"},
		{`{"version":2}`, "etc/rootcast/statelite.json has version 2, and this program reads version 1"},
		{`{"version":1,"rules":[{"path":"/a/../../b"}]}`, `decoding etc/rootcast/statelite.json: rule for "/a/../../b": "/a/../../b" is not a clean path: write /b`},
		{`{"version":1,"rules":[{"path":"/a","option":"x"}]}`, `decoding etc/rootcast/statelite.json: rule for "/a": unknown option "x"`},
		{`{"version":1,"rules":[{"path":"/a"},{"path":"/a"}]}`, `decoding etc/rootcast/statelite.json: rule for "/a": /a has a rule already`},
	} {
		if _, err := Decode(strings.NewReader(tc.text)); err == nil || err.Error() != tc.want {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.text, err, tc.want)
		}
	}
}

const checked = `
/etc/hosts
/etc/lvm/
/etc/new
/etc/newdir/
/etc/dir
/etc/hosts.d/
/etc/group con
/var/run/x
/etc/resolv.conf
/etc/mtab
/etc/loop
/data/sub/file
`

var warnings = []string{ // in the order of the paths
	"statelite: /etc/dir is a directory in the image: write it with a slash at its end",
	"statelite: /etc/group is a directory in the image, which option con cannot be for: the rule has no effect",
	"statelite: /etc/hosts.d/ is no directory in the image: leave out the slash at its end",
	"statelite: /etc/loop cannot be found in the image: too many levels of symbolic links",
	"statelite: /etc/mtab leads to /proc/self/mounts, which the booted system mounts anew: the rule has no effect",
	"statelite: /etc/new is not in the image: the node makes an empty file",
	"statelite: /etc/newdir/ is not in the image: the node makes an empty directory",
	"statelite: /etc/resolv.conf leads to /run/systemd/resolve/stub-resolv.conf, which the booted system mounts anew: the rule has no effect",
	"statelite: /var/run/x leads to /run/x, which the booted system mounts anew: the rule has no effect",
}

func TestCheck(t *testing.T) {
	t.Parallel()
	rules, err := Parse(strings.NewReader(checked), "list")
	if err != nil {
		t.Fatal(err)
	}
	link := func(to string) *fstest.MapFile { return &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte(to)} }
	for name, tree := range map[string]fs.FS{
		"map": fstest.MapFS{
			"etc/hosts": {}, "etc/lvm/lvm.conf": {}, "etc/dir/x": {}, "etc/hosts.d": {}, "etc/group/x": {}, "run": {Mode: fs.ModeDir},
			"var/run": link("/run"), "etc/resolv.conf": link("../run/systemd/resolve/stub-resolv.conf"),
			"etc/mtab": link("/../proc/self/mounts"), "etc/loop": link("loop"), "data": link("srv/./../srv/data"), "srv/data/sub/file": {},
		},
		"merged": rootfstest.Tree(t, `
			file etc/hosts 0644
			file etc/lvm/lvm.conf 0644
			dir  etc/dir 0755
			file etc/hosts.d 0644
			dir  etc/group 0755
			dir  run 0755
			symlink var/run /run
			symlink etc/resolv.conf ../run/systemd/resolve/stub-resolv.conf
			symlink etc/mtab /../proc/self/mounts
			symlink etc/loop loop
			symlink data srv/./../srv/data
			file srv/data/sub/file 0644`),
	} {
		if diff := cmp.Diff(warnings, rules.Check(tree)); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", name, diff)
		}
	}
}

// Rows of a table that do not count are no secret.
func TestCheckSkipped(t *testing.T) {
	t.Parallel()
	const table = "#image,file,options,comments,disable\n\"ALL\",\"/a\",,,\n\"compute\",\"/b\",,,\n\"login\",\"/c\",,,\n\"compute\",\"/d\",,,\n\"old\",\"/e\",,,\"yes\"\n"
	tree := fstest.MapFS{"a": {}, "b": {}, "c": {}, "d": {}}
	for _, tt := range []struct{ images, want []string }{
		{nil, []string{"statelite: the rows for compute, login are left out as those of other images: write ALL for what this one is to keep"}},
		{[]string{"compute"}, []string{"statelite: the rows for login are left out as those of other images: write ALL for what this one is to keep"}},
		{[]string{"login", "compute"}, nil},
	} {
		rules, err := Parse(strings.NewReader(table), "table", tt.images...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, rules.Check(tree)); diff != "" {
			t.Errorf("warnings for %q (-want +got):\n%s", tt.images, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/a/ ro # x\n/a/b\n")
	f.Add("#image,file,options,comments,disable\n\"ALL\",\"/x\",\"link\",\"a\"\"b\",\n")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse(strings.NewReader(text), "list", "image")
		if err != nil {
			return
		}
		encoded, err := rules.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(bytes.NewReader(encoded))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lines(rules), lines(again)); diff != "" {
			t.Errorf("decoded (-want +got):\n%s", diff)
		}
		for _, r := range rules.Rules {
			if !fs.ValidPath(r.Name()) {
				t.Errorf("%q is a path", r.Path)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"version":1,"rules":[{"path":"/a/","option":"rw"},{"path":"/a/b","option":"ro"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Decode(strings.NewReader(text))
		if err != nil {
			return
		}
		rules.Check(fstest.MapFS{})
		if _, err := rules.Encode(); err != nil {
			t.Error(err)
		}
	})
}
