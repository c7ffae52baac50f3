package kmod

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// How many modules and aliases of each kernel modprobe and modinfo are asked about.
const asked = 60

// kernelTree is the modules of a real kernel.
type kernelTree struct {
	root    string // holds lib/modules
	version string
	set     *Set

	softdepLines map[string]int // of each module
}

func (k kernelTree) dir() string { return filepath.Join(k.root, "lib/modules", k.version) }

// kernelTrees are those of ROOTCAST_TEST_MODULES, a list of ARCH=DIRECTORY; else
// those of the repository's cache; else this machine's own.
func kernelTrees(t testing.TB) (found []kernelTree) {
	t.Helper()
	roots := filepath.SplitList(os.Getenv("ROOTCAST_TEST_MODULES"))
	for i, r := range roots {
		_, roots[i], _ = strings.Cut(r, "=")
	}
	if len(roots) == 0 {
		cached, err := filepath.Glob("../../.cache/kernels/root-*")
		if err != nil {
			t.Fatal(err)
		}
		roots = append(cached, "/")
	}
	for _, root := range roots {
		lists, err := filepath.Glob(filepath.Join(root, "lib/modules/*/modules.dep"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range lists {
			k := kernelTree{root: root, version: filepath.Base(filepath.Dir(file))}
			if k.set, err = Read(os.DirFS(k.dir()), "."); err != nil {
				t.Fatal(err)
			}
			k.countSoftdeps(t)
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		skip(t, "no kernel's modules here: .cache/kernels/root-ARCH or ROOTCAST_TEST_MODULES=ARCH=DIRECTORY may hold some that depmod saw")
	}
	return found
}

func (k *kernelTree) countSoftdeps(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(k.dir(), "modules.softdep"))
	if err != nil {
		t.Fatal(err)
	}
	k.softdepLines = map[string]int{}
	for _, line := range lines(string(text)) {
		k.softdepLines[Name(strings.Fields(line)[1])]++
	}
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("in CI this test must run: " + why)
	}
	t.Skip(why)
}

// program finds a program of kmod, which Debian keeps out of a user's PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, file := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if found, err := exec.LookPath(file); err == nil {
			return found
		}
	}
	skip(t, "there is no "+name+": install the package kmod")
	return ""
}

// modprobe answers without this machine's configuration.
func (k kernelTree) modprobe(t *testing.T, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"-d", k.root, "-S", k.version, "-C", t.TempDir()}, args...)
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program(t, "modprobe"), args...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return out.String(), err
}

// some picks about n items, spread evenly.
func some[T any](items []T, n int) (picked []T) {
	for i := 0; i < len(items); i += len(items)/n + 1 {
		picked = append(picked, items[i])
	}
	return picked
}

// modprobe loads the same modules, in the same order. Of several softdep lines of
// a module it takes the first alone (libkmod-module.c, kmod_module_get_softdeps):
// there it loads less.
func TestClosureIsModprobes(t *testing.T) {
	for _, k := range kernelTrees(t) {
		t.Run(k.version, func(t *testing.T) {
			var all []string
			for m := range k.set.All() {
				all = append(all, m.Name)
			}
			for _, name := range append(some(all, asked), "virtio_net", "mlx5_ib", "nfsv4", "ext4", "btrfs", "megaraid_sas", "crypto-sha256", "fs-xfs") {
				want, err := k.modprobe(t, "--show-depends", name)
				modules, missing := k.set.Closure(name)
				if err != nil {
					if len(missing) == 0 {
						t.Errorf("%s: modprobe says %v", name, err)
					}
					continue
				}
				got := names(modules)
				if slices.ContainsFunc(modules, k.hasSoftdepLines) {
					got = slices.DeleteFunc(got, func(name string) bool { return !slices.Contains(inserted(want), name) })
				}
				if diff := cmp.Diff(inserted(want), got); diff != "" {
					t.Errorf("%s (-modprobe +got):\n%s", name, diff)
				}
			}
		})
	}
}

// hasSoftdepLines tells whether a module has more than one.
func (k kernelTree) hasSoftdepLines(m Module) bool { return k.softdepLines[m.Name] > 1 }

// inserted are the modules of modprobe's "insmod FILE" lines, each once.
func inserted(out string) (names []string) {
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if words[0] == "insmod" && !slices.Contains(names, Name(words[1])) {
			names = append(names, Name(words[1]))
		}
	}
	return names
}

// modprobe finds the same modules for an alias, in the same order.
func TestMatchIsModprobes(t *testing.T) {
	for _, k := range kernelTrees(t) {
		t.Run(k.version, func(t *testing.T) {
			for _, alias := range some(k.devices(), 3*asked) {
				out, err := k.modprobe(t, "-R", alias)
				if err != nil {
					t.Errorf("%s: %v", alias, err)
					continue
				}
				var want []string
				for name := range strings.FieldsSeq(out) {
					// It says a module once for each of its aliases, and what is built in too.
					if name = Name(name); k.isModule(name) && !slices.Contains(want, name) {
						want = append(want, name)
					}
				}
				if diff := cmp.Diff(want, k.set.Match(alias)); diff != "" {
					t.Errorf("%s (-modprobe +got):\n%s", alias, diff)
				}
			}
		})
	}
}

func (k kernelTree) isModule(name string) bool { return k.set.byName[Name(name)] != nil }

// devices are modaliases that the aliases' patterns match.
func (k kernelTree) devices() (found []string) {
	for _, a := range k.set.aliases.all {
		var b strings.Builder
		for p := a.text; p != ""; {
			n := 1
			switch class, ok := classOf(p); {
			case p[0] == '*':
				b.WriteString("00")
			case p[0] == '?':
				b.WriteByte('1')
			case p[0] == '[' && ok:
				b.WriteByte(class[0])
				n = len(class) + 2
			default:
				b.WriteByte(p[0])
			}
			p = p[n:]
		}
		if device := b.String(); !k.isModule(device) {
			found = append(found, device)
		}
	}
	return found
}

// Every alias matches what was made of it, and quickly: 300 devices of a machine
// take milliseconds.
func TestMatchReal(t *testing.T) {
	for _, k := range kernelTrees(t) {
		devices := k.devices()
		for i, device := range devices {
			if len(k.set.Match(device)) == 0 {
				t.Fatalf("%s: alias %d, %s, matches nothing", k.version, i, device)
			}
		}
	}
}

func BenchmarkMatch300(b *testing.B) {
	for _, k := range kernelTrees(b) {
		devices := some(k.devices(), 300)
		b.Run(k.version, func(b *testing.B) {
			for b.Loop() {
				for _, device := range devices {
					k.set.Match(device)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, k := range kernelTrees(b) {
		b.Run(k.version, func(b *testing.B) {
			for b.Loop() {
				if _, err := Read(os.DirFS(k.dir()), "."); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// modinfo reads the same of real modules, whatever their architecture and compression.
func TestInfoIsModinfos(t *testing.T) {
	for _, k := range kernelTrees(t) {
		t.Run(k.version, func(t *testing.T) {
			for _, m := range some(k.set.modules, asked) {
				file := filepath.Join(k.dir(), m.Path)
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				plain, err := Decompress(file, data)
				if err != nil {
					t.Fatal(err)
				}
				info, err := ReadInfo(bytes.NewReader(plain))
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				out, err := exec.CommandContext(t.Context(), program(t, "modinfo"), "-0", file).Output()
				if err != nil {
					t.Fatalf("modinfo %s: %v", file, err)
				}
				if diff := cmp.Diff(fields(string(out)), info); diff != "" {
					t.Errorf("%s (-modinfo +got):\n%s", file, diff)
				}
			}
		})
	}
}

// fields reads the "KEY=VALUE" entries of modinfo -0.
func fields(out string) (i Info) {
	for entry := range strings.SplitSeq(out, "\x00") {
		if key, value, ok := strings.Cut(entry, "="); ok {
			i.set(key, value)
		}
	}
	return i
}
