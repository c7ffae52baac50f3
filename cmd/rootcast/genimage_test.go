package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rootcast/rootcast/build/buildtest"
)

// genimageSite is a site with a definition of the tests' RPM distribution.
type genimageSite struct {
	*testing.T
	dir string
	env []string
}

func newGenimageSite(t *testing.T) *genimageSite {
	t.Helper()
	if testing.Short() {
		t.Skip("it installs a distribution; not with -short")
	}
	if os.Geteuid() != 0 {
		skip(t, "it is for root")
	}
	media := rpmDistribution(t, "x86_64")
	s := &genimageSite{T: t, dir: t.TempDir()}
	conf := s.write("storage.conf", fmt.Sprintf("[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n", scriptDriver(), s.path("store"), s.path("run")))
	s.env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+conf, "ROOTCAST_OSIMAGES="+s.path("osimages"))
	t.Cleanup(func() {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "rootcast", "rmi", "--all", "--force")
		cmd.Env = s.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	s.write("compute.pkglist", "tree\n")
	s.write("ok.sh", "#!/bin/sh\necho $IMG_NAME >$1/etc/ok\n")
	s.run(0, "mkdef", "-t", "osimage", "-o", "compute", "osvers=rocky9.4", "osarch=x86_64", "provmethod=netboot", "profile=compute",
		"pkglist="+s.path("compute.pkglist"), "pkgdir="+filepath.Join(media, "BaseOS"), "gpgkeys="+filepath.Join(media, "RPM-GPG-KEY-rootcast-test"),
		"otherpkgdir="+media, "postinstall="+s.path("ok.sh"), "rootimgdir="+s.path("boot"))
	return s
}

func (s *genimageSite) path(name string) string { return filepath.Join(s.dir, name) }

func (s *genimageSite) write(name, text string) string {
	s.Helper()
	mode := os.FileMode(0o644)
	if strings.HasSuffix(name, ".sh") {
		mode = 0o755
	}
	if err := os.WriteFile(s.path(name), []byte(text), mode); err != nil {
		s.Fatal(err)
	}
	return s.path(name)
}

// run runs a command, which must end with a code, and returns what it printed.
func (s *genimageSite) run(code int, name string, args ...string) (stdout, stderr string) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), name, args...)
	cmd.Env = s.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.Fatalf("%s %q: exit code %d, want %d: %v\n%s", name, args, got, code, err, tail(errs.String(), 3000))
	}
	return out.String(), errs.String()
}

// genimage builds and returns the image's ID.
func (s *genimageSite) genimage(args ...string) string {
	s.Helper()
	out, _ := s.run(0, "genimage", append(args, "compute")...)
	lines := strings.Fields(out)
	return lines[len(lines)-1]
}

// set gives the definition of the site other values.
func (s *genimageSite) set(values ...string) {
	s.Helper()
	s.run(0, "chdef", append([]string{"-t", "osimage", "-o", "compute"}, values...)...)
}

// TestGenimage builds an image of the tests' RPM distribution again and again: what
// fails leaves the image that was there, and what is changed is in the next one.
func TestGenimage(t *testing.T) {
	s := newGenimageSite(t)
	first := s.genimage()
	if again := s.genimage(); again != first {
		t.Errorf("with nothing changed the image is another: %s, %s", first, again)
	}
	t.Run("fails", func(t *testing.T) { genimageFails(t, s, first) })

	// A package that leaves the list leaves the image, and a script that changed runs again.
	s.write("compute.pkglist", "#NEW_INSTALL_LIST#\npatch\n")
	s.write("ok.sh", "#!/bin/sh\necho again >$1/etc/ok\n")
	s.set("otherpkglist="+s.write("other.pkglist", "extra/site/rootcast-hello\n"), "netdrivers=virtio_net")
	second := s.genimage()
	_, _ = s.run(0, "rootcast", "diff", first, second)
	out, _ := s.run(0, "rootcast", "diff", "--json", first, second)
	for _, want := range []string{`"tree"`, `"patch"`, `"rootcast-hello"`, "etc/ok"} {
		if !strings.Contains(out, want) {
			t.Errorf("the difference of the two images has no %s:\n%s", want, tail(out, 3000))
		}
	}
	if third := s.genimage("--postinstall-on-host"); third == second {
		t.Error("a script on this machine makes the same image as one in the image")
	}

	// To others: by a registry, whose image brings the definition along.
	r := buildtest.NewRegistry(buildtest.Faults{})
	t.Cleanup(r.Close)
	s.run(0, "genimage", "--tls-verify=false", "--push", r.Addr+"/cluster", "compute")
	out, _ = s.run(0, "rootcast", "inspect", "--tls-verify=false", "--json", "docker://"+r.Addr+"/cluster/compute")
	for _, want := range []string{`"io.rootcast.osimage.name": "compute"`, `"io.rootcast.osimage.digest": "sha256:`, "imagename=compute&"} {
		if !strings.Contains(strings.ReplaceAll(out, `\u0026`, "&"), want) {
			t.Errorf("the registry's image has no %s:\n%s", want, out)
		}
	}
	t.Run("directory", func(t *testing.T) { buildDirectory(t, s) })

	// Names: the clone's image is its own.
	clone, _ := s.run(0, "lsdef", "-t", "osimage", "-z", "compute")
	cmd := exec.CommandContext(t.Context(), "mkdef", "-z")
	cmd.Env, cmd.Stdin = s.env, strings.NewReader(strings.Replace(clone, "compute:\n", "Clone:\n", 1))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mkdef -z: %v\n%s", err, out)
	}
	_, said := s.run(0, "genimage", "Clone")
	if !strings.Contains(said, "localhost/rocky9.4-x86_64-netboot-compute stays the image of osimage compute") {
		t.Errorf("nothing is said of the name that two definitions share:\n%s", tail(said, 1000))
	}
	out, _ = s.run(0, "rootcast", "images")
	for _, want := range []string{`localhost/compute `, `localhost/clone `, `localhost/rocky9.4-x86_64-netboot-compute `} {
		if !regexp.MustCompile(`(?m)^` + want).MatchString(out) {
			t.Errorf("there is no image %s:\n%s", want, out)
		}
	}
}

// buildDirectory has rootcast build take an osimage as a recipe.
func buildDirectory(t *testing.T, s *genimageSite) {
	media := rpmDistribution(t, "x86_64")
	recipe := s.path("recipe")
	if err := os.Mkdir(recipe, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("recipe/osimage.yaml", "osvers: rocky9.4\nprovmethod: netboot\nprofile: small\npkglist: small.pkglist\naddkcmdline: quiet $x\npkgdir: "+
		filepath.Join(media, "BaseOS")+"\ngpgkeys: "+filepath.Join(media, "RPM-GPG-KEY-rootcast-test")+"\n")
	s.write("recipe/small.pkglist", "no-such-package\n")
	s.write("recipe/small.x86_64.pkglist", "tree\n")
	id, _ := s.run(0, "rootcast", "build", "-q", "-t", "localhost/small:1", "--platform", "linux/amd64", recipe)
	out, _ := s.run(0, "rootcast", "inspect", "--json", "localhost/small:1")
	for _, want := range []string{strings.TrimSpace(id)[:12], `ttyS0,115200 quiet $x"`, `"rocky9.4-x86_64-netboot-small"`} {
		if !strings.Contains(out, want) {
			t.Errorf("what was built has no %s:\n%s", want, out)
		}
	}
	s.run(2, "rootcast", "build", "-q", "-t", "localhost/small:2", "--platform", "linux/mips64", recipe)
	_, said := s.run(2, "rootcast", "build", "-q", "--squash", recipe)
	if !strings.Contains(said, "--squash is for Containerfiles") {
		t.Errorf("it says %s", said)
	}
}

// genimageFails has one mistake after another end in a clear line, with the image
// that was there left alone.
func genimageFails(t *testing.T, s *genimageSite, id string) {
	for name, c := range map[string]struct {
		set  []string
		want string
	}{
		"no such package": {
			[]string{"pkglist=" + s.write("bad.pkglist", "tree\n\n# comment\nno-such-package\n")},
			`^rootcast: building osimage compute: \S+/bad.pkglist:4: no repository has no-such-package$`,
		},
		"no such group": {
			[]string{"pkglist=" + s.write("group.pkglist", "@No Such Group\n")},
			`/group.pkglist:1: no repository has @No Such Group$`,
		},
		"script": {
			[]string{"postinstall=" + s.write("fails.sh", "#!/bin/sh\necho it says why >&2\nexit 7\n")},
			`^rootcast: building osimage compute: postinstall \S+/fails.sh: exit status 7: it says why$`,
		},
		"unsigned": {
			[]string{"otherpkglist=" + s.write("unsigned.pkglist", "unsigned/rootcast-unsigned\n")},
			`is not signed.*--nogpgcheck`,
		},
		"other key": {
			[]string{"gpgkeys=" + s.write("other.asc", otherKey(t, s))},
			`rocky9.4|bootstrapping rocky:9.4`,
		},
		"dead repository": {
			[]string{"pkgdir=http://127.0.0.1:9/none"},
			`http://127.0.0.1:9/none: .*connection refused`,
		},
		"include cycle": {
			[]string{"pkglist=" + s.write("cycle.pkglist", "#INCLUDE:cycle.pkglist#\n")},
			`/cycle.pkglist:1: the list includes itself`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := s.run(0, "lsdef", "-t", "osimage", "-z", "compute")
			s.set(c.set...)
			_, said := s.run(1, "genimage", "compute")
			lines := strings.Split(strings.TrimSpace(said), "\n")
			if last := lines[len(lines)-1]; !regexp.MustCompile(c.want).MatchString(last) {
				t.Errorf("it ends with\n%s\nwant %s", last, c.want)
			}
			restore := exec.CommandContext(t.Context(), "mkdef", "-f", "-z")
			restore.Env, restore.Stdin = s.env, strings.NewReader(before)
			if out, err := restore.CombinedOutput(); err != nil {
				t.Fatalf("mkdef -f -z: %v\n%s", err, out)
			}
		})
	}
	if now := s.genimage(); now != id {
		t.Errorf("the image is %s, before the mistakes it was %s", now, id)
	}
}

// otherKey is a key that signs nothing here.
func otherKey(t *testing.T, s *genimageSite) string {
	t.Helper()
	home := s.path("gnupg")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	defer exec.CommandContext(context.WithoutCancel(t.Context()), "gpgconf", "--homedir", home, "--kill", "all").Run() //nolint:errcheck // its agent may not run
	for _, args := range [][]string{{"--quick-generate-key", "other", "rsa2048", "sign"}, {"--armor", "--export"}} {
		cmd := exec.CommandContext(t.Context(), "gpg", append([]string{"--homedir", home, "--batch", "--passphrase", ""}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %q: %v", args, err)
		}
		if args[0] == "--armor" {
			return string(out)
		}
	}
	return ""
}
