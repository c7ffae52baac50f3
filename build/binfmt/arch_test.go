package binfmt

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packaged are handlers as Debian's qemu-user-static 7.2 registers them, from
// QEMU's scripts/qemu-binfmt-conf.sh.
func packaged() map[string]string {
	return map[string]string{
		"amd64":   "magic 7f454c4602010100000000000000000002003e00\nmask fffffffffffefefcfffffffffffffffffeffffff",
		"386":     "magic 7f454c4601010100000000000000000002000300\nmask fffffffffffefefcfffffffffffffffffeffffff",
		"arm":     "magic 7f454c4601010100000000000000000002002800\nmask ffffffffffffff00fffffffffffffffffeffffff",
		"arm64":   "magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff",
		"ppc64le": "magic 7f454c4602010100000000000000000002001500\nmask fffffffffffffffcfffffffffffffffffeffff00",
		"riscv64": "magic 7f454c460201010000000000000000000200f300\nmask ffffffffffffff00fffffffffffffffffeffffff",
		"s390x":   "magic 7f454c4602020100000000000000000000020016\nmask fffffffffffffffcfffffffffffffffffffeffff",
	}
}

func TestPackagedHandlersTakeAll(t *testing.T) {
	for name, text := range packaged() {
		a := arch(t, name)
		h, err := parseHandler("qemu-"+a.QEMU, "enabled\ninterpreter /usr/bin/x\nflags: PF\noffset 0\n"+text+"\n")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(h.Magic, a.magic()) {
			t.Errorf("%s: magic %x, QEMU's is %x", name, a.magic(), h.Magic)
		}
		own := h
		own.Magic, own.Mask = a.magic(), a.mask()
		for _, h := range []Handler{h, own} {
			if !h.serves(a) || !h.takesAll(a) || !h.isFor(a) {
				t.Errorf("%s: serves %v, takes all and no other %v, is for it %v: %+v", name, h.serves(a), h.takesAll(a), h.isFor(a), h)
			}
		}
	}
}

func TestMaskNarrow(t *testing.T) {
	a := arch(t, "arm64")
	tests := []struct {
		name   string
		change func(h *Handler)
		serves bool
	}{
		{"all bits of the type", func(h *Handler) { h.Mask[16] = 0xff }, true},
		{"no mask", func(h *Handler) { h.Mask = nil }, true},
		{"any machine", func(h *Handler) { h.Mask[18] = 0 }, true},
		{"another machine", func(h *Handler) { h.Magic[18] = 0xb6 }, false},
		{"elsewhere", func(h *Handler) { h.Offset = 1 }, false},
		{"a file's name", func(h *Handler) { h.Magic, h.Mask = nil, nil }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := Handler{Name: "x", Magic: a.magic(), Mask: a.mask()}
			tt.change(&h)
			if h.takesAll(a) || h.serves(a) != tt.serves {
				t.Errorf("takes all and no other: %v; serves %v, want %v", h.takesAll(a), h.serves(a), tt.serves)
			}
		})
	}
}

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"arm64": "arm64", "aarch64": "arm64", "linux/arm64": "arm64", "linux/arm64/v8": "arm64", "linux/arm/v7": "arm",
		"x86_64": "amd64", "ppc64el": "ppc64le", "armhf": "arm", "i386": "386", "sparc": "", "": "", "qemu-arm": "",
	} {
		if a, ok := Find(name); a.Name != want || ok != (want != "") {
			t.Errorf("%q is %q, want %q", name, a.Name, want)
		}
	}
}

// TestProgram reads each program back as ELF: a static one whose entry is its code.
func TestProgram(t *testing.T) {
	for _, a := range Architectures() {
		f, err := elf.NewFile(bytes.NewReader(a.program()))
		if err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
		if f.Machine != a.machine || f.Class != a.class || f.Data != a.order || f.Type != elf.ET_EXEC || len(f.Progs) != 1 {
			t.Errorf("%s: %+v", a.Name, f.FileHeader)
		}
		p := f.Progs[0]
		code := make([]byte, len(a.code))
		if _, err := p.ReadAt(code, int64(f.Entry-p.Vaddr)); err != nil || !bytes.Equal(code, a.code) || p.Filesz != uint64(len(a.program())) {
			t.Errorf("%s: %v, at the entry is %x, not %x", a.Name, err, code, a.code)
		}
		if !bytes.HasPrefix(a.program(), a.magic()) {
			t.Errorf("%s: the program begins otherwise than its magic", a.Name)
		}
	}
}

// TestProgramRuns runs each program by an emulator, without binfmt_misc.
func TestProgramRuns(t *testing.T) {
	for _, a := range Architectures() {
		t.Run(a.Name, func(t *testing.T) {
			if err := tryIn(t.TempDir())(t.Context(), a, qemu(t, a)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTry has programs that end in every other way in place of an emulator.
func TestTry(t *testing.T) {
	tests := []struct{ name, script, err string }{
		{"right", "exit 42", ""},
		{"shifted", "exit 43", errShifted.Error()},
		{"at once", "exit 0", "it ended at once, without running the program"},
		{"complains", "echo cannot >&2; echo more >&2; exit 1", "it ended with exit code 1, without running the program: cannot"},
		{"crashes", "echo bug >&2; kill -SEGV $$", "it crashed: segmentation fault: bug"},
		{"all arguments arrive", `[ "$#" = 42 ] && exit 42`, ""}, // the program and 41
		{"no environment", `[ -z "$ROOTCAST_TEST$HOME" ] && exit 42`, ""},
	}
	t.Setenv("ROOTCAST_TEST", "set")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			temp := t.TempDir()
			emulator := filepath.Join(t.TempDir(), "emulator")
			if err := os.WriteFile(emulator, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			wantError(t, tryIn(temp)(t.Context(), arch(t, "arm64"), emulator), tt.err)
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("%v, left behind: %v", err, left)
			}
		})
	}
	a := arch(t, "arm64")
	if err := tryIn("/nonexistent")(t.Context(), a, "x"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without a place for the program: %v", err)
	}
	if err := tryIn(t.TempDir())(t.Context(), a, "/nonexistent"); err == nil || reason(err).Error() != "no such file or directory" {
		t.Errorf("without an emulator: %v", err)
	}
}

func TestParseHandler(t *testing.T) {
	tests := []struct {
		name, text string
		want       Handler
		err        string
	}{
		{
			name: "magic", text: "enabled\ninterpreter /a b\nflags: OCF\noffset 3\nmagic 7f45\nmask ff0f\n",
			want: Handler{Name: "x", Enabled: true, Interpreter: "/a b", Flags: "OCF", Offset: 3, Magic: hexBytes{0x7f, 0x45}, Mask: hexBytes{0xff, 0x0f}},
		},
		{name: "extension", text: "disabled\ninterpreter /j\nflags: \nextension .jar\n", want: Handler{Name: "x", Interpreter: "/j"}},
		{name: "empty", err: `handler x of binfmt_misc begins with "", neither enabled nor disabled`},
		{name: "offset", text: "enabled\noffset z\n", err: `handler x of binfmt_misc, line "offset z": strconv.Atoi: parsing "z": invalid syntax`},
		{name: "magic that is none", text: "enabled\nmagic 7\n", err: `handler x of binfmt_misc, line "magic 7": encoding/hex: odd length hex string`},
		{name: "mask too long", text: "enabled\nmagic 7f\nmask ffff\n", err: "handler x of binfmt_misc has a mask or an offset that its magic does not go with"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := parseHandler("x", tt.text)
			wantError(t, err, tt.err)
			if diff := cmp.Diff(tt.want, h); err == nil && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseHandler(f *testing.F) {
	f.Add("enabled\ninterpreter /a\nflags: F\noffset 0\nmagic 7f\nmask ff\n")
	f.Fuzz(func(_ *testing.T, text string) {
		h, err := parseHandler("x", text)
		if err != nil {
			return
		}
		for _, a := range Architectures() {
			h.takesAll(a) // must not panic
		}
	})
}

func TestRule(t *testing.T) {
	h := Handler{Name: "n", Interpreter: "/q", Flags: "F", Magic: hexBytes{0, ':', '\n'}, Mask: hexBytes{0xff, 0, 0xfe}}
	tests := []struct {
		name      string
		change    func(h *Handler)
		want, err string
	}{
		{name: "escaped", want: `:n:M:0:\x00\x3a\x0a:\xff\x00\xfe:/q:F`},
		{name: "no mask", change: func(h *Handler) { h.Mask = nil }, want: `:n:M:0:\x00\x3a\x0a::/q:F`},
		{name: "relative", change: func(h *Handler) { h.Interpreter = "q" }, err: `the emulator's path "q" does not begin with /`},
		{name: "colon", change: func(h *Handler) { h.Interpreter = "/q:q" }, err: `the emulator's path "/q:q" has a character that binfmt_misc does not take`},
		{name: "space", change: func(h *Handler) { h.Interpreter = "/q q" }, err: `the emulator's path "/q q" has a character that binfmt_misc does not take`},
		{name: "long path", change: func(h *Handler) { h.Interpreter = "/" + strings.Repeat("q", 127) }, err: "the emulator's path /" + strings.Repeat("q", 127) + " is longer than the 127 bytes that binfmt_misc takes"},
		{name: "far away", change: func(h *Handler) { h.Offset = 125 }, err: "the magic does not lie in the first 128 bytes of a file"},
		{name: "no magic", change: func(h *Handler) { h.Magic = nil }, err: "the magic does not lie in the first 128 bytes of a file"},
		{name: "long name", change: func(h *Handler) { h.Name = strings.Repeat("n", 1900) }, err: "the registration of " + strings.Repeat("n", 1900) + " has 1936 bytes; binfmt_misc takes 1920"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := h
			if tt.change != nil {
				tt.change(&h)
			}
			got, err := h.rule()
			wantError(t, err, tt.err)
			if got != tt.want {
				t.Errorf("rule %s, want %s", got, tt.want)
			}
		})
	}
}

func arch(t *testing.T, name string) Arch {
	t.Helper()
	a, ok := Find(name)
	if !ok {
		t.Fatalf("no architecture %s", name)
	}
	return a
}

// foreign is an architecture that this machine needs an emulator for.
func foreign(t *testing.T) Arch {
	t.Helper()
	if a := arch(t, "s390x"); !a.IsNative() {
		return a
	}
	return arch(t, "arm64")
}

// qemu is the machine's own static emulator for a.
func qemu(t *testing.T, a Arch) string {
	t.Helper()
	name, err := Installer{}.find(a)
	if err != nil {
		skip(t, err.Error())
	}
	return name
}

// skip is for what a machine lacks; in CI it must not lack it.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("in CI this test must run: " + why)
	}
	t.Skip(why)
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Fatalf("error %q\nwant  %q", got, want)
	}
}
