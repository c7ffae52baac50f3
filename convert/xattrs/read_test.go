package xattrs_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
	"github.com/rootcast/rootcast/convert/xattrs"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		text string
		want map[string]map[string]string
		err  string
	}{
		{"", map[string]map[string]string{}, ""},
		{"# file: a\\012b\nuser.\\075=0sAA==\nuser.e=0s\n\n# file: .\nuser.x=0seA==\n\n", map[string]map[string]string{"a\nb": {"user.=": "\x00", "user.e": ""}, ".": {"user.x": "x"}}, ""},
		{"user.a=0sAA==\n", nil, "line 1: no file goes before this attribute"},
		{"# file: a\nuser.a=\"x\"\n", nil, `line 2: "user.a=\"x\"" is no attribute in base64`},
		{"# file: a\nuser.a=0s!\n", nil, "line 2: attribute user.a: illegal base64 data at input byte 0"},
		{"# file: a\n\n# file: a\n", nil, "line 3: a file that was listed before"},
		{"# file: a\\9\n", nil, `line 1: "a\\9" has a backslash without three octal digits`},
		{"# file: a\nuser.a=0s\nuser.a=0s\n", nil, `line 3: attribute "user.a" has no name or is there twice`},
		{"# file: a\nuser.a=0s", nil, "line 2: EOF"},
	} {
		got, err := xattrs.Read(strings.NewReader(tt.text))
		if d := cmp.Diff(tt.want, got); d != "" || err == nil != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%q: error %v, want %s (-want +got):\n%s", tt.text, err, tt.err, d)
		}
	}
}

// What the packer lists is what is read back.
func FuzzRead(f *testing.F) {
	f.Add("etc/a\nb\\", "user.=x", "v\x00", "# file: a\nuser.a=0sAA==\n\n")
	f.Fuzz(func(t *testing.T, name, attr, value, text string) {
		_, _ = xattrs.Read(strings.NewReader(text))
		x, err := rootfstest.Index("1", []rootfstest.Entry{{Verb: "file", Path: name, Xattrs: map[string]string{attr: value}, ModTime: time.Unix(0, 0)}})
		if err != nil {
			return
		}
		tree, err := rootfs.Merge(t.Context(), x)
		if err != nil {
			return
		}
		want := map[string]map[string]string{}
		for name, in := range tree.All() {
			if len(in.Xattrs) > 0 {
				want[name] = in.Xattrs
			}
		}
		list, _ := pack.Xattrs(tree)
		got, err := xattrs.Read(bytes.NewReader(list))
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("error %v (-want +got):\n%s", err, d)
		}
	})
}
