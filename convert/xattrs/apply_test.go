package xattrs_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
	"github.com/rootcast/rootcast/convert/xattrs"
)

// ping is cap_net_raw=ep, as the kernel stores it.
const ping = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// acl is user::rw-,user:1000:rw-,group::r--,mask::rw-,other::r--.
const acl = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x06\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"

type attrs = map[string]map[string]string

// made is a directory with files, and a root of it.
func made(t testing.TB, dir, files string) *os.Root {
	t.Helper()
	entries, err := rootfstest.Parse(files)
	if err != nil {
		t.Fatal(err)
	}
	if err := rootfstest.WriteDir(dir, entries); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

// get is the attribute of the file itself.
func get(t testing.TB, file, attr string) string {
	t.Helper()
	value := make([]byte, 1<<12)
	n, err := unix.Lgetxattr(file, attr, value)
	if err != nil {
		t.Errorf("%s: %s: %v", file, attr, err)
		return ""
	}
	return string(value[:n])
}

func TestApply(t *testing.T) {
	rootfstest.NeedRoot(t)
	dir := t.TempDir()
	root := made(t, dir, `
		dir     . 0755
		dir     usr 0755
		dir     usr/bin 0755
		file    usr/bin/ping 0755 program
		file    usr/bin/z 0644
		symlink usr/link bin/ping
		symlink bin usr/bin
		char    null 0666 1 3
		fifo    pipe 0600
		file    "new\nline" 0400`)
	list := attrs{
		".":            {"user.root": "r"},
		"usr/bin/ping": {"security.capability": ping, "user.a": "\x00\n"},
		"usr/bin/z":    {"system.posix_acl_access": acl},
		"bin/z":        {"user.through": "within the root"},
		"usr":          {"system.posix_acl_default": acl},
		"usr/link":     {"trusted.link": "its own"},
		"null":         {"trusted.device": "d"},
		"pipe":         {"trusted.pipe": "p"},
		"new\nline":    {"user.empty": "", "security.selinux": "system_u:object_r:etc_t:s0\x00"},
	}
	done, err := xattrs.Apply(t.Context(), root, list)
	if err != nil || done.Files != len(list) || done.Warning() != "" {
		t.Fatalf("%+v, %v", done, err)
	}
	for name, want := range list {
		got := map[string]string{}
		for attr := range want {
			got[attr] = get(t, filepath.Join(dir, name), attr)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if _, err := unix.Lgetxattr(filepath.Join(dir, "usr/bin/ping"), "trusted.link", nil); !errors.Is(err, unix.ENODATA) {
		t.Errorf("the symlink was followed: %v", err)
	}
}

func TestApplyRefuses(t *testing.T) {
	rootfstest.NeedRoot(t)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	root := made(t, t.TempDir(), "dir . 0755\nfile f 0644\nchar null 0666 1 3\nsymlink away "+outside+"\nsymlink up ../../../../../../etc")
	for name, tt := range map[string]struct {
		list attrs
		want string
	}{
		"missing":        {attrs{"f": {"trusted.a": "x"}, "gone": {"trusted.a": "x"}}, "setting the extended attributes of /gone: the list names it, and the root has no such file: no such file or directory"},
		"no parent":      {attrs{"no/such": {"trusted.a": "x"}}, "setting the extended attributes of /no/such: openat no: no such file or directory"},
		"no directory":   {attrs{"f/g": {"trusted.a": "x"}}, "setting the extended attributes of /f/g: "},
		"symlink away":   {attrs{"away/f": {"trusted.a": "x"}}, "setting the extended attributes of /away/f: openat away: path escapes from parent"},
		"symlink up":     {attrs{"up/passwd": {"trusted.a": "x"}}, "setting the extended attributes of /up/passwd: openat up: path escapes from parent"},
		"dots":           {attrs{"../f": {"trusted.a": "x"}}, "setting the extended attributes of /../f: openat ..: path escapes from parent"},
		"only dots":      {attrs{"..": {"trusted.a": "x"}}, "setting the extended attributes of /..: its name leaves the root"},
		"absolute":       {attrs{"/etc/f": {"trusted.a": "x"}}, "setting the extended attributes of //etc/f: openat /etc: path escapes from parent"},
		"no such kind":   {attrs{"f": {"nonsense.a": "x"}}, "setting the extended attributes of /f: nonsense.a: operation not supported"},
		"user of device": {attrs{"null": {"user.a": "x"}}, "setting the extended attributes of /null: user.a: operation not permitted"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := xattrs.Apply(t.Context(), root, tt.list)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error\n%v, want\n%s", err, tt.want)
			}
		})
	}
	if _, err := unix.Lgetxattr(filepath.Join(outside, "f"), "trusted.a", nil); !errors.Is(err, unix.ENODATA) {
		t.Errorf("a file out of the root was changed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := xattrs.Apply(ctx, root, attrs{"f": {"trusted.a": "x"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after its end", err)
	}
}

// A file system without user attributes is a warning, with any other error kept.
func TestApplyWithoutUser(t *testing.T) {
	rootfstest.NeedRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "ramfs", 0, ""); err != nil {
		rootfstest.Skip(t, "no ramfs can be mounted: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	root := made(t, dir, "dir . 0755\nfile a 0644\nfile b 0644")
	done, err := xattrs.Apply(t.Context(), root, attrs{"b": {"user.a": "x"}, "a": {"user.a": "x", "user.b": "x"}})
	if want := (xattrs.Applied{Without: 2, First: "a"}); err != nil || done != want {
		t.Errorf("%+v, %v", done, err)
	}
	if want := "2 files are without their user.* extended attributes, /a first: a tmpfs takes them from Linux 6.6 on"; done.Warning() != want {
		t.Errorf("warning %q", done.Warning())
	}
	if _, err := xattrs.Apply(t.Context(), root, attrs{"b": {"system.posix_acl_access": acl}}); !errors.Is(err, unix.ENOTSUP) {
		t.Errorf("an ACL is lost quietly: %v", err)
	}
}
