package kmod

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const dir = "lib/modules/6.1.0"

func tree() fstest.MapFS {
	files := map[string]string{
		"modules.dep": "kernel/net/virtio_net.ko.xz: kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko\n" +
			"kernel/net/core/failover.ko:\nkernel/drivers/virtio/virtio.ko:\n# a comment\n" +
			"kernel/fs/ext4.ko: kernel/lib/crc16.ko\nkernel/lib/crc16.ko:\nkernel/crypto/crc32c-generic.ko:\nkernel/crypto/crc32c-intel.ko:\n" +
			"/lib/modules/6.1.0/updates/broken.ko: kernel/lib/removed.ko\n",
		"modules.alias": "# Aliases\nalias virtio:d00000001v* virtio_net\nalias pci:v00008086d*sv*sd*bc0[12]sc*i* ext4\nalias fs-ext4 ext4\n" +
			"alias crypto-crc32c crc32c_intel\nalias crypto-crc32c crc32c_generic\nalias gone gone\nalias *oddity failover\n" +
			"alias of:N*T*Cfsl,imx-[a-c]-wdog crc16\nalias dmi:*pn A B:* crc16\nalias  crc16\n",
		"modules.softdep":         "softdep ext4 pre: crypto-crc32c post: crc32c nothing\n",
		"modules.builtin":         "kernel/fs/overlayfs/overlay.ko\n",
		"modules.builtin.modinfo": "overlay.license=GPL\x00overlay.alias=fs-overlay\x00overlay.alias=pci:v*\x00overlay.alias=\x00",
		"modules.order":           "kernel/fs/ext4.ko\nkernel/net/virtio_net.ko.xz\n",
	}
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[dir+"/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func read(t *testing.T) *Set {
	t.Helper()
	s, err := Read(tree(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names(modules []Module) (names []string) {
	for _, m := range modules {
		names = append(names, m.Name)
	}
	return names
}

func TestClosure(t *testing.T) {
	tests := []struct {
		name          string
		names         []string
		want, missing []string
	}{
		{"nothing", nil, nil, nil},
		{"dependencies in load order", []string{"virtio-net"}, []string{"virtio", "failover", "virtio_net"}, nil},
		{"a file's name", []string{"virtio_net.ko.xz"}, []string{"virtio", "failover", "virtio_net"}, nil},
		{"soft ones around it, all of an alias", []string{"fs-ext4", "crc16"}, []string{"crc16", "crc32c_intel", "crc32c_generic", "ext4"}, nil},
		{"dashes and underscores of an alias", []string{"fs_ext4"}, []string{"crc16", "crc32c_intel", "crc32c_generic", "ext4"}, nil},
		{"a device's alias", []string{"virtio:d00000001v00001AF4"}, []string{"virtio", "failover", "virtio_net"}, nil},
		{"built in, by name and alias", []string{"overlay", "fs-overlay"}, nil, nil},
		{"missing, said once", []string{"nfs", "nfs", ""}, nil, []string{"nfs", ""}},
		{"what it needs is missing", []string{"broken"}, []string{"broken"}, []string{"removed"}},
		{"softly wanted, but not there", []string{"crc16"}, []string{"crc16"}, nil},
	}
	s := read(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			modules, missing := s.Closure(tt.names...)
			if diff := cmp.Diff(tt.want, names(modules)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.missing, missing); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
		})
	}
}

// Modules that want each other must not make the walk endless, and what is needed
// comes first whatever is softly wanted.
func TestClosureOfCycles(t *testing.T) {
	tests := []struct{ name, dep, softdep, want string }{
		{"softly", "a.ko:\nb.ko:\n", "softdep a pre: b\nsoftdep b pre: a\n", "b a"},
		{"itself", "a.ko:\n", "softdep a pre: a post: a\n", "a"},
		{"what needs it is wanted before it", "a.ko:\nb.ko: a.ko\n", "softdep a pre: b\n", "a b"},
		{"the same behind another", "a.ko:\nb.ko: a.ko\nc.ko:\n", "softdep a pre: c\nsoftdep c pre: b\n", "c a b"},
		{"in earnest", "a.ko: b.ko\nb.ko: a.ko\n", "", "b a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Read(fstest.MapFS{dir + "/modules.dep": {Data: []byte(tt.dep)}, dir + "/modules.softdep": {Data: []byte(tt.softdep)}}, dir)
			if err != nil {
				t.Fatal(err)
			}
			modules, _ := s.Closure("a")
			if got := strings.Join(names(modules), " "); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	s := read(t)
	for name, want := range map[string]string{
		"virtio-net": "virtio_net", "crc32c_generic": "crc32c_generic", "kernel/fs/ext4.ko": "ext4", "fs-ext4": "ext4",
		"crypto-crc32c": "crc32c_intel", "crypto_crc32c": "crc32c_intel",
		"overlay": "", "fs-overlay": "", "": "", "gone": "", "virtio:d00000001v1": "",
	} {
		if m, ok := s.Lookup(name); m.Name != want || ok != (want != "") {
			t.Errorf("%q: %q, %v, want %q", name, m.Name, ok, want)
		}
	}
	for name, want := range map[string]bool{"overlay": true, "overlay.ko": true, "fs-overlay": true, "fs_overlay": true, "ext4": false, "": false} {
		if got := s.IsBuiltin(name); got != want {
			t.Errorf("%q is built in: %v", name, got)
		}
	}
	m, _ := s.Lookup("virtio_net")
	want := Module{Name: "virtio_net", Path: "kernel/net/virtio_net.ko.xz", Deps: []string{"virtio", "failover"}}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var all []string
	for m := range s.All() {
		if all = append(all, m.Name); len(all) == 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"virtio_net", "failover"}, all); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
}

func TestMatch(t *testing.T) {
	s := read(t)
	for modalias, want := range map[string][]string{
		"virtio:d00000001v00001AF4":      {"virtio_net"},
		"virtio:d00000002v00001AF4":      nil,
		"pci:v00008086d1sv2sd3bc01sc4i5": {"ext4"},
		"pci:v00008086d1sv2sd3bc03sc4i5": nil,
		"crypto-crc32c":                  {"crc32c_intel", "crc32c_generic"},
		"an oddity":                      {"failover"},
		"of:NwdTwdCfsl,imx_b_wdog\n":     {"crc16"},
		"of:NwdTwdCfsl,imx-d-wdog":       nil,
		"dmi:bvn:pn A B:rev":             {"crc16"},
		"":                               nil,
	} {
		if diff := cmp.Diff(want, s.Match(modalias)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", modalias, diff)
		}
	}
}

func TestEncode(t *testing.T) {
	got := map[string]string{}
	kept := []string{"virtio_net", "virtio", "failover", "ext4", "broken"}
	for name, text := range read(t).Encode(func(name string) bool { return slices.Contains(kept, name) }, "") {
		got[name] = string(text)
	}
	want := map[string]string{
		"modules.dep": "kernel/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko\n" +
			"kernel/net/core/failover.ko:\nkernel/drivers/virtio/virtio.ko:\nkernel/fs/ext4.ko: kernel/lib/crc16.ko\nupdates/broken.ko: removed.ko\n",
		"modules.alias":           "alias virtio:d00000001v* virtio_net\nalias pci:v00008086d*sv*sd*bc0[12]sc*i* ext4\nalias fs-ext4 ext4\nalias *oddity failover\n",
		"modules.softdep":         "softdep ext4 pre: crypto-crc32c post: crc32c nothing\n",
		"modules.order":           "kernel/fs/ext4.ko\nkernel/net/virtio_net.ko\n",
		"modules.builtin":         "kernel/fs/overlayfs/overlay.ko\n",
		"modules.builtin.modinfo": "overlay.alias=fs-overlay\x00",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is written means the same when it is read again.
func TestEncodeAgain(t *testing.T) {
	s := read(t)
	again := reread(t, s)
	for _, name := range []string{"ext4", "virtio_net", "fs-ext4", "broken", "overlay", "fs-overlay", "nfs"} {
		want, wantMissing := s.Closure(name)
		got, missing := again.Closure(name)
		if diff := cmp.Diff(names(want), names(got)) + cmp.Diff(wantMissing, missing); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(s.Encode(all, ""), again.Encode(all, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func all(string) bool { return true }

func reread(t *testing.T, s *Set) *Set {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range s.Encode(all, "") {
		fsys[name] = &fstest.MapFile{Data: text}
	}
	again, err := Read(fsys, ".")
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestReadErrors(t *testing.T) {
	_, err := Read(fstest.MapFS{}, dir)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "depmod was never run") {
		t.Errorf("without modules.dep: %v", err)
	}
	for _, tt := range []struct{ name, text string }{
		{"modules.dep", "no colon\n"},
		{"modules.dep", "../../etc/shadow.ko:\n"},
		{"modules.dep", ": a.ko\n"},
		{"modules.dep", ".ko:\n"},
		{"modules.alias", "options loop max_loop=8\n"},
		{"modules.softdep", "hardep x\n"},
		{"modules.softdep", "softdep\n"},
	} {
		fsys := tree()
		fsys[dir+"/"+tt.name] = &fstest.MapFile{Data: []byte(tt.text)}
		if _, err := Read(fsys, dir); err == nil || !strings.Contains(err.Error(), dir+"/"+tt.name+": line 1: ") {
			t.Errorf("%s with %q: %v", tt.name, tt.text, err)
		}
	}
	fsys := tree()
	fsys[dir+"/modules.alias"] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
	if _, err := Read(fsys, dir); err == nil || !strings.Contains(err.Error(), "modules.alias") {
		t.Errorf("a directory: %v", err)
	}
}

func TestOnlyDep(t *testing.T) {
	s, err := Read(fstest.MapFS{dir + "/modules.dep": {Data: []byte("a.ko:\n")}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	modules, missing := s.Closure("a", "b")
	if s.Match("pci:x") != nil || len(modules) != 1 || len(missing) != 1 {
		t.Errorf("%v, %v, %v", s.Match("pci:x"), modules, missing)
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range slices.Sorted(maps.Keys(tree())) {
		f.Add(string(tree()[file].Data), "pci:v1", "ext4")
	}
	f.Add("a.ko: b.ko\nb.ko: a.ko\n", "", "a")
	f.Fuzz(func(t *testing.T, text, modalias, name string) {
		// Every file is tried as each of the parsers' beside a sound modules.dep.
		for _, file := range []string{"dep", "alias", "softdep", "builtin", "builtin.modinfo", "order"} {
			fsys := tree()
			fsys[dir+"/modules."+file] = &fstest.MapFile{Data: []byte(text)}
			s, err := Read(fsys, dir)
			if err != nil {
				continue
			}
			s.Match(modalias)
			modules, _ := s.Closure(name, "ext4", "virtio_net")
			checkOrder(t, modules, file != "dep")
			again := reread(t, s)
			if diff := cmp.Diff(s.Encode(all, ""), again.Encode(all, "")); diff != "" {
				t.Errorf("read again (-want +got):\n%s", diff)
			}
		}
	})
}

// checkOrder wants each module once, and after what it needs where those form no circle.
func checkOrder(t *testing.T, modules []Module, sound bool) {
	t.Helper()
	at := map[string]int{}
	for i, m := range modules {
		if _, twice := at[m.Name]; twice {
			t.Errorf("%s twice", m.Name)
		}
		at[m.Name] = i
	}
	for i, m := range modules {
		for _, dep := range m.Deps {
			if n, ok := at[dep]; sound && ok && n > i {
				t.Errorf("%s after %s, which needs it", dep, m.Name)
			}
		}
	}
}
