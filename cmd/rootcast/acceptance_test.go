package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rootcast/rootcast/convert/netboot"
)

// acceptance is an osimage that xCAT's administrator brings.
type acceptance struct {
	osvers, osarch, machine string
	packages, others        string                          // the lists
	pkgdir                  func(t *testing.T) string       // its repositories
	otherpkgdir             func(*testing.T, string) string // those of others; the directory of the test
	keys                    func(t *testing.T) string
	check                   nodeCheck
}

// TestAcceptance goes through what xCAT's page on building stateless images has an
// administrator do, for distributions with apt and with dnf, natively and for another
// architecture, and boots what comes out.
func TestAcceptance(t *testing.T) {
	if testing.Short() {
		t.Skip("it installs distributions; not with -short")
	}
	if os.Geteuid() != 0 {
		skip(t, "it is for root: an ordinary user's store is tried by TestScript")
	}
	debian := func(arch, machine, kernel string) acceptance {
		return acceptance{
			osvers: "debian12", osarch: machine, machine: machine, packages: kernel + "\nmount, util-linux\n#NEW_INSTALL_LIST#\n#ENV:WHY=test#\niproute2\n",
			others: "site/site-tool\n-tree\n", otherpkgdir: sitePackage,
			pkgdir: func(t *testing.T) string { return strings.TrimPrefix(mainSuite(t), "deb ") },
			check:  nodeCheck{"package", "dpkg-query -W site-tool iproute2 | wc -l", "^2$"},
		}
	}
	rpm := func(osvers, machine, groups string) acceptance {
		return acceptance{
			osvers: osvers, osarch: machine, machine: machine, packages: "kernel, util-linux\niproute\n#NEW_INSTALL_LIST#\n" + groups,
			others:      "site/rootcast-hello\ntools/rootcast-tools\n",
			pkgdir:      func(t *testing.T) string { return filepath.Join(rpmDistribution(t, machine), "BaseOS") },
			otherpkgdir: func(t *testing.T, _ string) string { return filepath.Join(rpmDistribution(t, machine), "extra") },
			keys: func(t *testing.T) string {
				return filepath.Join(rpmDistribution(t, machine), "RPM-GPG-KEY-rootcast-test")
			},
			check: nodeCheck{"package", "rpm -q rootcast-hello rootcast-tools make >/dev/null && echo all", "^all$"},
		}
	}
	for name, a := range map[string]acceptance{
		"debian-x86_64":  debian("amd64", "x86_64", "linux-image-cloud-amd64"),
		"debian-aarch64": debian("arm64", "aarch64", "linux-image-cloud-arm64"),
		"rpm-x86_64":     rpm("rocky9.4", "x86_64", "@Development Tools\n@lua:5.3\n"),
		"rpm-aarch64":    rpm("rocky9.4", "aarch64", "@Development Tools\n"),
		// zypper of Debian knows no patterns.
		"zypper-x86_64": rpm("leap15.6", "x86_64", "patterns-base-minimal_base\nmake\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.run(t)
		})
	}
}

// rpmDistribution is the tests' own RPM distribution.
func rpmDistribution(t *testing.T, machine string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", ".cache", "rpmdistro", "9.4", machine))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "BaseOS", "repodata", "repomd.xml")); err != nil {
		skip(t, "there is no RPM distribution for tests; hack/setup.sh test makes it")
	}
	return dir
}

// sitePackage is an otherpkgdir whose one package has no index.
func sitePackage(t *testing.T, dir string) string {
	t.Helper()
	tree := filepath.Join(dir, "tree")
	control := filepath.Join(tree, "DEBIAN", "control")
	out := filepath.Join(dir, "other", "site")
	for _, d := range []string{filepath.Dir(control), out} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := "Package: site-tool\nVersion: 1\nArchitecture: all\nMaintainer: site <site@example>\nDescription: a tool of the site\n"
	if err := os.WriteFile(control, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.CommandContext(t.Context(), "dpkg-deb", "-b", tree, out).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, text)
	}
	return filepath.Dir(out)
}

func (a acceptance) run(t *testing.T) {
	dir := t.TempDir()
	lists := filepath.Join(dir, "lists")
	put := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(lists, name)
		if err := os.MkdirAll(lists, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	copied := func(name string, mode os.FileMode) string {
		text, err := os.ReadFile(filepath.Join("testdata", "xcat", name))
		if err != nil {
			t.Fatal(err)
		}
		return put(name, string(text), mode)
	}
	source, clone := a.osvers+"-"+a.osarch+"-netboot-compute", "clone-"+a.osarch
	synced := put("motd", "from a synclist\n", 0o644)
	stanza := fmt.Sprintf("# <xCAT data object stanza file>\n\n%s:\n    objtype=osimage\n    environvar=SITE=here\n    exlist=%s\n", source, copied("compute.exlist", 0o644))
	if a.keys != nil {
		stanza += "    gpgkeys=" + a.keys(t) + "\n"
	}
	stanza += fmt.Sprintf("    imagetype=linux\n    osarch=%s\n    osname=Linux\n    osvers=%s\n    otherpkgdir=%s\n    otherpkglist=%s\n    pkgdir=%s\n    pkglist=%s\n    postinstall=%s here\n"+
		"    profile=compute\n    provmethod=netboot\n    rootimgdir=%s\n    synclists=%s\n",
		a.osarch, a.osvers, a.otherpkgdir(t, dir), put("compute.otherpkgs.pkglist", a.others, 0o644), a.pkgdir(t), put("compute.pkglist", a.packages, 0o644),
		copied("node.sh", 0o755), filepath.Join(dir, "boot", source), put("sync", synced+" -> /etc/motd\n", 0o644))
	if err := os.WriteFile(filepath.Join(dir, "site.stanza"), []byte(stanza), 0o644); err != nil {
		t.Fatal(err)
	}
	a.script(t, dir, source, clone)
	a.boot(t, filepath.Join(dir, "boot", clone), clone)
}

// script runs acceptance.sh with a store of its own.
func (a acceptance) script(t *testing.T, dir, source, clone string) {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("testdata", "xcat", "acceptance.sh"))
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n", scriptDriver(), filepath.Join(dir, "store"), filepath.Join(dir, "run"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "CONTAINERS_STORAGE_CONF="+conf)
	cmd := exec.CommandContext(t.Context(), "sh", script, source, clone)
	cmd.Dir, cmd.Env = dir, env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	t.Cleanup(func() { // the store's layers are read-only mounts to a test's own clean-up
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "rootcast", "rmi", "--all", "--force")
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	if err != nil {
		t.Fatalf("acceptance.sh: %v\n%s", err, tail(out.String(), 6000))
	}
}

// boot starts a node from what packimage made, as a web server gives it.
func (a acceptance) boot(t *testing.T, dir, clone string) {
	t.Helper()
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	root, ok := m.Root()
	if !ok {
		t.Fatal("the manifest names no root")
	}
	g := startGuest(t, dir, m, "imgurl="+strings.Join(serveHTTP(t, dir, root), ","), nil)
	g.await("node login: ")
	g.await("# ")
	g.send("export PS1= PS2=; stty -echo; dmesg -n 1; echo 'rea''dy'\n")
	g.await("ready\n")
	for _, c := range []nodeCheck{
		{"machine", "uname -m", "^" + a.machine + "$"},
		{"script", "cat /etc/acceptance | tr '\\n' ' '", "^osimage " + clone + " argument here site here "},
		{"hosts", "tail -n 1 /etc/hosts; ls /etc/hostname /.rootcast 2>/dev/null", "^192.0.2.1 master$"},
		{"synclist", "cat /etc/motd", "^from a synclist$"},
		{"exlist", "find /usr/share/doc /boot -mindepth 1 2>/dev/null | wc -l", "^0$"},
		a.check,
	} {
		g.check(c)
	}
}
