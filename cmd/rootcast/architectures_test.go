package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/apt"
	"github.com/rootcast/rootcast/build/buildtest"
	"github.com/rootcast/rootcast/convert/firststage"
	"github.com/rootcast/rootcast/convert/netboot"
)

// TestArchitectures makes nodes of three architectures on one machine, in one go
// with one index: base images, a build under emulation, a registry in between, and
// three machines that boot to their login prompt.
func TestArchitectures(t *testing.T) {
	if testing.Short() {
		t.Skip("it installs three distributions, two of them under emulation; not with -short")
	}
	for _, program := range []string{"mmdebstrap", "arch-test", "qemu-system-x86_64", "qemu-system-aarch64", "qemu-system-ppc64"} {
		if _, err := exec.LookPath(program); err != nil {
			skip(t, "there is no "+program+"; hack/setup.sh test installs it")
		}
	}
	if out, err := exec.CommandContext(t.Context(), "rootcast", "-q", "binfmt", "status", "amd64", "arm64", "ppc64le").CombinedOutput(); err != nil {
		skip(t, string(out)+"hack/setup.sh test, as root, registers what is missing")
	}
	n := &nodeTest{T: t, dir: t.TempDir()}
	n.Cleanup(func() { n.rootcastAtEnd("rmi", "--all", "--force") })
	n.buildIndex()
	name := n.throughRegistry()
	n.rootcast(append(convertArgs("all", filepath.Join(n.dir, "out")), name)...)
	t.Run("natively", func(t *testing.T) { convertTrapped(t, n, name) })
	t.Run("nodes", func(t *testing.T) { // all of them end before the image goes
		for _, machine := range []string{"x86_64", "aarch64", "ppc64le"} {
			t.Run(machine, func(t *testing.T) {
				t.Parallel()
				bootArchitecture(t, n, machine)
			})
		}
	})
}

// threePlatforms begins with those that take longest.
const threePlatforms = "linux/ppc64le,linux/arm64,linux/amd64"

func convertArgs(platform, dir string) []string {
	return []string{
		"convert", "--platform", platform, "--boot", "netroot", "--rootimgdir", dir,
		"--exlist", filepath.Join("testdata", "architectures", "exlist"), "--tls-verify=false",
	}
}

// convertTrapped converts once more, from the registry, where programs of other
// architectures are caught: none is started, and the files are the same.
func convertTrapped(t *testing.T, n *nodeTest, name string) {
	if ok, err := scriptCondition("binfmt"); !ok {
		skip(t, fmt.Sprint("a user namespace has no binfmt_misc of its own here: ", err))
	}
	dir := t.TempDir()
	caught := filepath.Join(dir, "caught")
	trapped := func(program string, args ...string) []byte {
		args = append([]string{"-Urm", "sh", "-eu", filepath.Join("testdata", "architectures", "trap.sh"), caught, program}, args...)
		out, err := exec.CommandContext(t.Context(), "unshare", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
		got, err := os.ReadFile(caught)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return got
	}
	args := append([]string{"--root", filepath.Join(dir, "none")}, convertArgs("linux/arm64,linux/ppc64le", filepath.Join(dir, "out"))...)
	args = append(args, "--no-cache", "docker://"+name)
	if got := trapped("rootcast", args...); len(got) > 0 {
		t.Errorf("convert started programs of other architectures:\n%s", got)
	}
	for _, machine := range []string{"aarch64", "ppc64le"} {
		want, got := n.manifest(filepath.Join("out", machine)), (&nodeTest{T: t, dir: dir}).manifest(filepath.Join("out", machine))
		if diff := cmp.Diff(want.Files, got.Files); diff != "" {
			t.Errorf("%s (-before +in the trap):\n%s", machine, diff)
		}
	}
	for _, arch := range []string{"arm64", "ppc64le"} { // what is started is caught
		code, err := firststage.Program(arch)
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, "init-"+arch)
		if err := os.WriteFile(program, code, 0o755); err != nil {
			t.Fatal(err)
		}
		if got := trapped(program); !strings.HasSuffix(string(got), program+"\n") {
			t.Errorf("the trap caught %q of %s", got, program)
		}
	}
}

// buildIndex makes a base image for each architecture, and of the three one index.
func (n *nodeTest) buildIndex() {
	n.rootcast("bootstrap", "--jobs", "2", "--platform", threePlatforms, "--mirror", mainSuite(n.T), "--variant", "apt",
		"-t", "localhost/base:1", "debian:bookworm")
	n.rootcast("build", "--jobs", "2", "--platform", threePlatforms, "-t", "localhost/node:1", "--build-arg", "BASE=localhost/base:1",
		filepath.Join("testdata", "architectures"))
}

// mainSuite is the machine's mirror without the updates: their lists for other
// architectures are, at times, of another hour than their index.
func mainSuite(t *testing.T) string {
	t.Helper()
	sources, err := apt.ReadSources(os.DirFS("/"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(sources, func(s apt.Source) bool { return path.Base(strings.TrimRight(s.URI, "/")) == "debian" })
	if i < 0 {
		skip(t, "the apt of this machine has no mirror of Debian")
	}
	return "deb " + sources[i].URI + " bookworm main"
}

// throughRegistry pushes the index, removes it, and pulls it again by its digest,
// which is the result.
func (n *nodeTest) throughRegistry() string {
	r := buildtest.NewRegistry(buildtest.Faults{})
	n.Cleanup(r.Close)
	pushed := n.rootcast("push", "--tls-verify=false", "localhost/node:1", r.Addr+"/hpc/node:1")
	_, digest, _ := strings.Cut(pushed, "@")
	n.rootcast("rmi", "--all", "--force")
	name := r.Addr + "/hpc/node@" + digest
	n.rootcast("pull", "--all", "--tls-verify=false", name)
	return name
}

// bootArchitecture boots the node of an architecture, by uname's name, and has a
// program of the node say what it runs on.
func bootArchitecture(t *testing.T, n *nodeTest, machine string) {
	dir := filepath.Join(n.dir, "out", machine)
	sub := &nodeTest{T: t, dir: n.dir}
	sub.rootcast("verify", "--tls-verify=false", dir)
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	root, ok := m.Root()
	if !ok {
		t.Fatal("the manifest names no root")
	}
	g := startGuest(t, dir, m, "imgurl="+strings.Join(serveHTTP(t, dir, root), ","), nil)
	g.await("login:")
	g.send("root\n")
	g.await(":~# ")
	g.send("export PS1= PS2=; stty -echo; dmesg -n 1; echo 'rea''dy'\n")
	g.await("ready\n")
	g.check(nodeCheck{"machine", "uname -m", "^" + machine + "$"})
	g.check(nodeCheck{"root", "grep ' / ' /proc/mounts", `^\w+ / tmpfs `})
	g.check(nodeCheck{"log", "grep -c 'rootcast: .*starting /' /run/rootcast/init.log", "^1$"})
}
