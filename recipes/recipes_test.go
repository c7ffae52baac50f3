package recipes_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/convert/exlist"
	"github.com/rootcast/rootcast/recipes"
)

// profiles are the folders of the package's directory, DISTRIBUTION/PROFILE.
func profiles(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("*/*/osimage.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i] = path.Dir(list[i])
	}
	if len(list) != 16 {
		t.Fatalf("%d profiles, of 8 distributions 2 each: %q", len(list), list)
	}
	return list
}

// definition is that of a folder, for nodes of osarch.
func definition(t *testing.T, folder, osarch string) *osimage.Definition {
	t.Helper()
	file := path.Join(folder, "osimage.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := osimage.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Set("osarch", osarch, "."); err != nil {
		t.Fatal(err)
	}
	return d
}

func architecturesOf(folder string) []string {
	if strings.HasPrefix(folder, "ubuntu") {
		return []string{"x86_64", "aarch64", "ppc64el"}
	}
	return []string{"x86_64", "aarch64", "ppc64le"}
}

// Each folder is complete, and a definition made of it has no mistakes.
func TestProfiles(t *testing.T) {
	for _, folder := range profiles(t) {
		t.Run(folder, func(t *testing.T) {
			release, profile := path.Split(folder)
			d := definition(t, folder, "x86_64")
			if err := d.Check(); err != nil {
				t.Error(err)
			}
			if d.Get("osvers") != path.Clean(release) || d.Get("profile") != profile || d.Get("provmethod") != "netboot" {
				t.Errorf("osvers %s, profile %s, provmethod %s", d.Get("osvers"), d.Get("profile"), d.Get("provmethod"))
			}
			for attribute, file := range map[string]string{"pkglist": ".pkglist", "exlist": ".exlist", "postinstall": ".postinstall"} {
				if want := path.Join(folder, profile+file); d.Get(attribute) != want {
					t.Errorf("%s is %s, want %s", attribute, d.Get(attribute), want)
				}
			}
			if rules, err := exlist.Read(d.Get("exlist")); err != nil || len(rules.Rules()) < 5 {
				t.Errorf("exlist: %v", err)
			}
			script := path.Join(folder, profile+".postinstall")
			if out, err := exec.CommandContext(t.Context(), "sh", "-n", script).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", script, err, out)
			}
			readme, err := os.ReadFile(path.Join(folder, "README.md"))
			if err != nil || bytes.Count(readme, []byte("\n")) < 20 {
				t.Errorf("README.md: %d lines, %v", bytes.Count(readme, []byte("\n")), err)
			}
		})
	}
}

// A list has a kernel, a DHCP client, sshd and chrony under the names that its
// distribution has them by, and none of its packages twice.
func TestPackages(t *testing.T) {
	need := map[string][]string{
		"dnf":    {"kernel", "NetworkManager", "openssh-server", "chrony", "systemd", "dnf"},
		"zypper": {"kernel-default", "wicked", "openssh", "chrony", "systemd", "zypper"},
		"apt":    {"systemd-sysv", "systemd-resolved", "openssh-server", "chrony"},
	}
	kernels := map[string]string{"x86_64": "linux-image-amd64", "aarch64": "linux-image-arm64", "ppc64le": "linux-image-powerpc64le"}
	for _, folder := range profiles(t) {
		for _, osarch := range architecturesOf(folder) {
			release, profile := path.Split(folder)
			distribution, err := osimage.ParseDistribution(path.Clean(release))
			if err != nil {
				t.Fatal(err)
			}
			want := need[string(distribution.Family)]
			switch distribution.Name {
			case "debian":
				want = append([]string{kernels[osarch]}, want...)
			case "ubuntu":
				want = append([]string{"linux-image-generic"}, want...)
			}
			if profile == "login" {
				want = append(slices.Clone(want), "gdb", "python3", "tmux", "vim"+map[string]string{"dnf": "-enhanced"}[string(distribution.Family)])
			}
			names := packages(t, folder, osarch)
			for _, one := range want {
				if !slices.Contains(names, one) {
					t.Errorf("%s for %s has no %s", folder, osarch, one)
				}
			}
			slices.Sort(names)
			if once := slices.Compact(slices.Clone(names)); len(once) != len(names) {
				t.Errorf("%s for %s has a package twice: %q", folder, osarch, names)
			}
		}
	}
}

// packages are the names in the list that a node of osarch gets.
func packages(t *testing.T, folder, osarch string) []string {
	t.Helper()
	dir := t.TempDir()
	release, profile := path.Split(folder)
	if _, _, err := recipes.Install(path.Clean(release), osarch, profile, dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, profile+"."+osarch+".pkglist")
	if _, err := os.Stat(file); err != nil {
		file = filepath.Join(dir, profile+".pkglist")
	}
	list, err := osimage.ReadPackages([]string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pass := range list.Passes {
		for _, one := range pass.Packages {
			names = append(names, one.Name)
		}
	}
	return names
}

// No distribution's list is another's under its name.
func TestNoCopies(t *testing.T) {
	seen := map[string]string{}
	for _, folder := range profiles(t) {
		if strings.HasPrefix(folder, "debian13") {
			continue // has the same packages as Debian 12, which the archive's test proves
		}
		key := strings.Join(packages(t, folder, "x86_64"), " ")
		if other, again := seen[key]; again {
			t.Errorf("%s has the packages of %s", folder, other)
		}
		seen[key] = folder
	}
}

func TestProfileLookup(t *testing.T) {
	tests := []struct{ osvers, osarch, profile, want, problem string }{
		{"rocky9.4", "x86_64", "compute", "rocky9", ""},
		{"alma9.6", "aarch64", "login", "alma9", ""},
		{"rhels9.4", "ppc64le", "compute", "rhel9", ""},
		{"rhel9", "", "compute", "rhel9", ""},
		{"sle15.5", "x86_64", "compute", "sles15", ""},
		{"sles15sp5", "x86_64", "compute", "sles15", ""},
		{"leap15.6", "aarch64", "login", "leap15", ""},
		{"ubuntu24.04.1", "ppc64el", "compute", "ubuntu24.04", ""},
		{"debian12.5", "x86_64", "compute", "debian12", ""},
		{"ubuntu24.10", "x86_64", "compute", "", `there is no profile "compute" for ubuntu24.10; there is alma9/compute, alma9/login, `},
		{"ol9", "x86_64", "compute", "", `there is no profile "compute" for ol9`},
		{"rocky9.4", "s390x", "compute", "", "there is no profile compute of rocky9 for osarch s390x, but for x86_64, aarch64, ppc64le"},
		{"rocky9.4", "x86_64", "../compute", "", `there is no profile "../compute" for rocky9.4`},
		{"rocky9.4", "x86_64", "", "", `there is no profile "" for rocky9.4`},
		{"beos5", "x86_64", "compute", "", `there is no distribution "beos"`},
	}
	for _, test := range tests {
		t.Run(test.osvers+test.profile+test.osarch, func(t *testing.T) {
			got, err := recipes.Profile(test.osvers, test.osarch, test.profile)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("error %v, want %q", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := fs.ReadFile(got, "osimage.yaml")
			if err != nil || !bytes.Contains(text, []byte("\nosvers: "+test.want+"\n")) {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
	if _, err := recipes.Profile("rocky8", "x86_64", "compute"); !errors.Is(err, recipes.ErrNotExist) {
		t.Error(err)
	}
}

// What is changed stays as it is, and scripts can be run.
func TestInstall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	written, kept, err := recipes.Install("debian12.5", "aarch64", "compute", dir)
	if err != nil || len(kept) != 0 {
		t.Fatal(kept, err)
	}
	var names []string
	for _, one := range written {
		names = append(names, filepath.Base(one))
	}
	want := []string{"common.pkglist", "compute.aarch64.pkglist", "compute.exlist", "compute.postinstall"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(filepath.Join(dir, "compute.postinstall")); err != nil || info.Mode().Perm() != 0o755 {
		t.Error(info.Mode(), err)
	}
	changed := filepath.Join(dir, "compute.exlist")
	if err := os.WriteFile(changed, []byte("./mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	written, kept, err = recipes.Install("debian12", "aarch64", "compute", dir)
	if err != nil || len(written) != 3 || len(kept) != 1 || kept[0] != changed {
		t.Errorf("%q, %q, %v", written, kept, err)
	}
	if text, err := os.ReadFile(changed); err != nil || string(text) != "./mine\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, _, err := recipes.Install("debian12", "x86_64", "compute", changed); err == nil {
		t.Error("a file is no directory")
	}
}

// The folders in the program are those on disk.
func TestEmbedded(t *testing.T) {
	for _, folder := range profiles(t) {
		err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			inside, err := fs.ReadFile(recipes.FS(), path.Join(folder, name))
			if err != nil {
				return err
			}
			onDisk, err := os.ReadFile(filepath.Join(folder, name))
			if !bytes.Equal(inside, onDisk) {
				t.Errorf("%s/%s differs", folder, name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
