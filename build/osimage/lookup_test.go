package osimage_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/osimage"
)

func TestReleases(t *testing.T) {
	tests := map[string]string{
		"rocky9.2":      "rocky9.2 rocky9 rocky9.1 rocky9.0",
		"rocky9":        "rocky9",
		"sles15sp2":     "sles15sp2 sles15sp1 sles15sp0 sles15",
		"ubuntu24.04.1": "ubuntu24.04.1 ubuntu24 ubuntu24.04.0 ubuntu24.04",
		"debian12.x":    "debian12.x debian12",
		"a.-1":          "a.-1 a",
	}
	for osvers, want := range tests {
		if got := strings.Join(osimage.Releases(osvers), " "); got != want {
			t.Errorf("%s: %s, want %s", osvers, got, want)
		}
	}
	if n := len(osimage.Releases("x1.99999999")); n > 200 {
		t.Errorf("%d names", n)
	}
}

func TestLookup(t *testing.T) {
	file := func(names ...string) fstest.MapFS {
		m := fstest.MapFS{}
		for _, name := range names {
			m[name] = &fstest.MapFile{Mode: 0o644}
		}
		return m
	}
	script := file("rh/c.postinstall", "rh/c.rhels9.postinstall")
	script["rh/c.postinstall"].Mode = 0o755
	custom := func(m fstest.MapFS) osimage.Place { return osimage.Place{Dir: "/custom", FS: m} }
	share := func(m fstest.MapFS) osimage.Place { return osimage.Place{Dir: "/share", FS: m} }
	tests := []struct {
		name, osvers, ext, want string
		places                  []osimage.Place
	}{
		{"the narrowest", "rocky9.4", "pkglist", "/share/rocky/c.rocky9.4.x86_64.pkglist", []osimage.Place{share(file("rocky/c.rocky9.4.x86_64.pkglist", "rocky/c.rocky9.4.pkglist", "rocky/c.pkglist"))}},
		{"release before architecture", "rocky9.4", "exlist", "/share/rocky/c.rocky9.exlist", []osimage.Place{share(file("rocky/c.rocky9.exlist", "rocky/c.x86_64.exlist"))}},
		{"an earlier minor release", "rocky9.4", "pkglist", "/share/rocky/c.rocky9.2.pkglist", []osimage.Place{share(file("rocky/c.rocky9.2.pkglist", "rocky/c.rocky9.1.x86_64.pkglist", "rocky/c.rocky9.5.pkglist"))}},
		{"architecture before any", "rocky9.4", "pkglist", "/share/rocky/c.x86_64.pkglist", []osimage.Place{share(file("rocky/c.x86_64.pkglist", "rocky/c.pkglist", "rocky/d.rocky9.4.pkglist"))}},
		{"the site's first", "rocky9.4", "pkglist", "/custom/rocky/c.pkglist", []osimage.Place{custom(file("rocky/c.pkglist")), share(file("rocky/c.rocky9.4.x86_64.pkglist"))}},
		{"the longest directory", "rhels9.4", "pkglist", "/share/rhels9/c.pkglist", []osimage.Place{share(file("rh/c.rhels9.4.pkglist", "rhels9/c.pkglist"))}},
		{"SUSE's directory", "leap15.6", "pkglist", "/share/sles/c.leap15.pkglist", []osimage.Place{share(file("sles/c.leap15.pkglist"))}},
		{"no directory", "rocky9", "pkglist", "", []osimage.Place{share(file("sles/c.pkglist"))}},
		{"a script must be executable", "rhels9.4", "postinstall", "/share/rh/c.postinstall", []osimage.Place{share(script)}},
		{"a directory is no list", "rocky9", "pkglist", "", []osimage.Place{share(file("rocky/c.pkglist/x"))}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := osimage.Target{OSVers: test.osvers, OSArch: "x86_64", Profile: "c"}.Lookup(test.ext, test.places...)
			if err != nil || got.File != test.want {
				t.Errorf("%q, %v; want %q; passed %q", got.File, err, test.want, got.Passed)
			}
		})
	}
	got, err := osimage.Target{OSVers: "rhels9.1", OSArch: "x86_64", Profile: "c"}.Lookup("postinstall", custom(nil), share(script))
	want := osimage.Finding{File: "/share/rh/c.postinstall", Why: "for any release and architecture", Passed: []string{
		"/custom: no directory for rhels9.1",
		"/share/rh/c.rhels9.postinstall: cannot be run; chmod +x it if it is meant",
		"/share/rh: no c.rhels9.1.x86_64.postinstall, c.rhels9.1.postinstall, c.rhels9.x86_64.postinstall, c.rhels9.0.x86_64.postinstall, c.rhels9.0.postinstall, c.x86_64.postinstall",
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []osimage.Target{{"", "x86_64", "c"}, {"../x", "x86_64", "c"}, {"rocky9", "x86_64", "a/../../b"}, {"rocky9", "..", "c"}} {
		if _, err := bad.Lookup("pkglist", share(nil)); err == nil {
			t.Errorf("%v is looked for", bad)
		}
	}
}

func TestOSVersOf(t *testing.T) {
	tests := []struct{ text, want, problem string }{
		{"PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n", "debian12", ""},
		{"ID=\"rhel\"\nVERSION_ID='9.4'\n", "rhels9.4", ""},
		{"ID=\"almalinux\"\nVERSION_ID=\"9.6\"\n", "alma9.6", ""},
		{"ID=sles\nVERSION_ID=15.5\n", "sle15.5", ""},
		{"ID=\"opensuse-leap\"\nVERSION_ID=\"15.6\"", "leap15.6", ""},
		{"ID=centos\nVERSION_ID=9", "centos-stream9", ""},
		{"#ID=debian\nID=arch\n", "", `os-release says ID=arch VERSION_ID=: osvers "arch" has no version`},
		{"", "", "has no version"},
	}
	for _, test := range tests {
		got, err := osimage.OSVersOf(strings.NewReader(test.text))
		if got != test.want || (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%q: %q, %v", test.text, got, err)
		}
	}
}

func FuzzOSVersOf(f *testing.F) {
	f.Add("ID=debian\nVERSION_ID=\"12\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		osvers, err := osimage.OSVersOf(strings.NewReader(text))
		if err != nil {
			return
		}
		if _, err := osimage.ParseDistribution(osvers); err != nil {
			t.Error(err)
		}
		for _, one := range osimage.Releases(osvers) {
			if one == "" {
				t.Errorf("%q has a release without a name", osvers)
			}
		}
	})
}
