package osimage_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/osimage"
)

// site is a definition with every attribute set.
func site(t *testing.T, name string) *osimage.Definition {
	t.Helper()
	d := (&osimage.Definition{}).Clone(name)
	for _, a := range osimage.Attributes() {
		value := `"` + a.Name + `": with "quotes" and # "more"`
		switch a.Kind {
		case osimage.Word:
			value = a.Values[0]
		case osimage.List:
			value = "A=1, B=2,,C=yes"
		case osimage.Files:
			value = "/install/custom/one,/install/custom/two words"
		case osimage.Scripts:
			value = "/install/a.postinstall one  two,/install/b.postinstall"
		case osimage.Places:
			value = "/install/rhels9.4/ppc64le,http://mirror.example/ubuntu noble main,../up"
		case osimage.Text:
		}
		if err := d.Set(a.Name, value, "/install/custom"); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// What a real site has comes through the file, and through stanzas, without loss.
func TestEveryAttribute(t *testing.T) {
	c := osimage.Catalog{Dirs: []string{filepath.Join(t.TempDir(), "new")}}
	want := site(t, "rhels9.4-ppc64le-netboot-compute")
	if err := c.Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := c.Load(want.Name)
	if err != nil {
		t.Fatal(err)
	}
	var a, b strings.Builder
	if err := osimage.WriteStanzas(&a, want); err != nil {
		t.Fatal(err)
	}
	if err := osimage.WriteStanzas(&b, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.String(), b.String()); diff != "" {
		t.Errorf("through its file (-want +got):\n%s", diff)
	}
	stanzas, err := osimage.ReadStanzas(strings.NewReader(a.String()), "test")
	if err != nil || len(stanzas) != 1 || len(stanzas[0].Assignments) != len(osimage.Attributes()) {
		t.Fatalf("%d stanzas, %v", len(stanzas), err)
	}
	again := (&osimage.Definition{}).Clone(want.Name)
	for _, one := range stanzas[0].Assignments {
		if err := again.Set(one.Attribute, one.Value, "/"); err != nil {
			t.Error(err)
		}
		if again.Get(one.Attribute) != want.Get(one.Attribute) {
			t.Errorf("%s: %q, want %q", one.Attribute, again.Get(one.Attribute), want.Get(one.Attribute))
		}
	}
	if want.Get("pkgdir") != "/install/rhels9.4/ppc64le,http://mirror.example/ubuntu noble main,/install/up" {
		t.Errorf("pkgdir %q", want.Get("pkgdir"))
	}
}

func TestReadStanzas(t *testing.T) {
	tests := []struct {
		name, text string
		want       map[string]string // "name.attribute": value
		problems   string
	}{
		{"spaces and quotes", "# a comment\n\n a:b:\n objtype = osimage\n  osvers =  \"debian12\" \nprofile=\"a\"b\n", map[string]string{"a:b.osvers": "debian12", "a:b.profile": `"a"b`}, ""},
		{"a value with = and :", "a:\nobjtype=osimage\naddkcmdline=root=x:\n", map[string]string{"a.addkcmdline": "root=x:"}, ""},
		{
			"defaults", "default-osimage:\nobjtype=osimage\nosvers=1\nprofile=p\na:\nosvers=2\ndefault-osimage:\nprofile=q\nb:\ndefault-node:\nx=y\n",
			map[string]string{"a.osvers": "2", "a.profile": "p", "b.osvers": "1", "b.profile": "q"},
			"",
		},
		{"twice", "a:\nobjtype=osimage\na:\nobjtype=osimage\n", nil, "f:3: a is defined already in line 1"},
		{"no type", "a:\nosvers=1", nil, "f:1: a: the line objtype=osimage is missing"},
		{"another type", "n:\nobjtype=node\n", nil, "f:1: n is of type node; rootcast has osimages alone"},
		{"without a value", "a:\nobjtype=osimage\n=x\n", nil, `f:3: "=x" is neither NAME: nor ATTRIBUTE=VALUE`},
		{"nothing", "", map[string]string{}, ""},
		{"a name like defaults", "default-compute:\nobjtype=osimage\nosvers=1\ndefault-network:\nmask=x\nosvers=2\n", map[string]string{"default-compute.osvers": "1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := osimage.ReadStanzas(strings.NewReader(tt.text), "f")
			checkProblems(t, err, tt.problems)
			if tt.problems != "" {
				return
			}
			got := map[string]string{}
			for _, s := range list {
				for _, a := range s.Assignments {
					got[s.Name+"."+a.Attribute] = a.Value
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func checkProblems(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
}

func TestParse(t *testing.T) {
	tests := []struct{ name, text, problems string }{
		{"comments alone", "# nothing yet\n", ""},
		{"empty values", "osvers:\nprofile: ''\n", ""},
		{"numbers are text", "kernelver: 6.10\npermission: 0755\n", ""},
		{"not UTF-8", "\xff\xfe\xa9", "d/x.yaml: the file is not UTF-8"},
		{"a list", "- a\n", "d/x.yaml:1: an osimage is written as lines of ATTRIBUTE: VALUE"},
		{"two documents", "profile: a\n---\nprofile: b\n", "d/x.yaml:2: a file holds one osimage, and here begins another"},
		{"bad indentation", "profile: a\n osvers: b\n", "d/x.yaml:2: mapping values are not allowed in this context"},
		{"a block of one line", "description: >\n  a b\nprofile: |\n  c\n", ""},
		{"an alias", "profile: &a b\nosvers: *a\n", "d/x.yaml:2: the value of osvers is neither a text nor a list of them"},
		{"several lines", "profile: |\n  a\n  b\n", "d/x.yaml:1: the value of profile has a line break or a zero byte in it"},
		{"far from any", "nonsense: a\n", "d/x.yaml:1: 'nonsense' is not a valid attribute name for an object type of 'osimage'."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := osimage.Parse("d/x.yaml", []byte(tt.text))
			checkProblems(t, err, tt.problems)
		})
	}
	d, err := osimage.Parse("/d/x.yaml", []byte("kernelver: 6.10\npermission: 0755\npkglist: [a, /b]\npostinstall: s -x y\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range d.Attributes() {
		got[name] = d.Get(name)
	}
	want := map[string]string{"kernelver": "6.10", "permission": "0755", "pkglist": "/d/a,/b", "postinstall": "/d/s -x y"}
	if !maps.Equal(got, want) {
		t.Errorf("-want +got:\n%s", cmp.Diff(want, got))
	}
}

func TestReadPackages(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main":            "# kernel\nkernel, glibc.i686\n@Minimal Install\n@ruby:2.6\n#INCLUDE:sub/$OS.list#\n#NEW_INSTALL_LIST#\n#ENV:INITRD=no X=a=b#\nextra/ofed\n-gone\n--later\n",
		"sub/el9":         "",
		"sub/el.list":     "bash\n#INCLUDE:sub/deep.list#\n#INCLUDE:beside.list#\n",
		"sub/deep.list":   "deep",
		"sub/beside.list": "beside\n\n",
		"second":          "zlib\n",
		"bad":             "#INCLUDE:no\n#NEW_INSTALL_LIST\n#ENV:X\n../../up/x\n---x\n@\na b\n#INCLUDE:.#\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := osimage.ReadPackages([]string{dir + "/main", dir + "/second"}, map[string]string{"OS": "el"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, pass := range list.Passes {
		got = append(got, "pass "+strings.Join(pass.Env, " "))
		for _, p := range pass.Packages {
			got = append(got, strings.TrimLeft(p.Dir+"/"+p.Name, "/")+[]string{"", " before", " after"}[p.Remove])
		}
	}
	want := []string{
		"pass ", "kernel", "glibc.i686", "@Minimal Install", "@ruby:2.6", "bash", "deep", "beside",
		"pass INITRD=no X=a=b", "extra/ofed", "gone before", "later after", "pass ", "zlib",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(list.Files) != 5 {
		t.Errorf("files %q", list.Files)
	}
	_, err = osimage.ReadPackages([]string{dir + "/bad", dir + "/none"}, nil)
	var problems osimage.Problems
	if !errors.As(err, &problems) || len(problems) != 9 {
		t.Errorf("%d problems:\n%v", len(problems), err)
	}
}

// The digest covers what exclude lists include.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.exlist", "./boot*\n#INCLUDE:b.exlist#\n")
	write("b.exlist", "./usr/share/doc*\n#INCLUDE:a.exlist#\n#INCLUDE:none#\n")
	d := (&osimage.Definition{}).Clone("x")
	if err := errors.Join(d.Set("exlist", "a.exlist", dir), d.Set("partitionfile", "s:d:/nothing/of/it", dir)); err != nil {
		t.Fatal(err)
	}
	files, err := d.References()
	if want := []string{dir + "/a.exlist", dir + "/b.exlist", dir + "/none", "/nothing/of/it"}; err != nil || !cmp.Equal(want, files) {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, files))
	}
	if _, err := d.Digest(); err == nil {
		t.Error("a digest without a file that is named")
	}
	write("b.exlist", "./usr/share/doc*\n")
	if err := d.Set("partitionfile", "", dir); err != nil {
		t.Fatal(err)
	}
	a, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	write("b.exlist", "./usr/share/man*\n")
	if b, err := d.Digest(); a == b || err != nil {
		t.Errorf("%v: %s is the digest before and after", err, a)
	}
}

// A comment never goes with what it does not belong to.
func TestCommentsStay(t *testing.T) {
	tests := []struct{ name, text, unset, want string }{
		{"of the file", "# Site\n\nosvers: a\n\n# End\n", "profile", "# Site\n\nosvers: a\nprofile: new\n\n# End\n"},
		{"above what goes", "# Site\nosvers: a\nosarch: x86_64\n", "osvers", "# Site\nosarch: x86_64\nprofile: new\n"},
		{"without a line's end", "# nothing yet", "", "# nothing yet\nprofile: new\n"},
		{"alone", "# nothing yet\n", "", "# nothing yet\nprofile: new\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := osimage.Parse("/d/x.yaml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if tt.unset != "" {
				if err := d.Set(tt.unset, "", "/d"); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Set("profile", "new", "/d"); err != nil {
				t.Fatal(err)
			}
			got, err := d.Encode("/d")
			if diff := cmp.Diff(tt.want, string(got)); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestCatalog(t *testing.T) {
	mine, machine := filepath.Join(t.TempDir(), "mine"), t.TempDir()
	c := osimage.Catalog{Dirs: []string{mine, machine}}
	both := func(dir, text string) {
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	both(machine, "profile: machine\n")
	d, err := c.Load("a")
	if err != nil || d.Get("profile") != "machine" {
		t.Fatalf("%v, %v", d, err)
	}
	// It is written where it was read; a new one goes into the first.
	if err := errors.Join(d.Set("osvers", "x", "/"), c.Save(d), c.Save(d.Clone("b"))); err != nil {
		t.Fatal(err)
	}
	both(mine, "profile: mine\n")
	if d, err = c.Load("a"); err != nil || d.Get("profile") != "mine" || d.Get("osvers") != "" {
		t.Errorf("%v, %v", d, err)
	}
	names, err := c.Names()
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := errors.Join(c.Remove("a"), c.Remove("a")); err != nil {
		t.Error(err)
	}
	if err := c.Remove("a"); !errors.Is(err, osimage.ErrNotExist) {
		t.Errorf("removed thrice: %v", err)
	}
	for _, name := range []string{"", "../x", ".x", "-x", "a/b", "a b", "a=b", "a,b", strings.Repeat("x", 300)} {
		if _, err := c.Load(name); err == nil || errors.Is(err, osimage.ErrNotExist) {
			t.Errorf("%q: %v", name, err)
		}
		if err := c.Save((&osimage.Definition{}).Clone(name)); err == nil {
			t.Errorf("%q can be saved", name)
		}
	}
	// What cannot be written leaves what was there.
	if err := os.WriteFile(filepath.Join(machine, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (osimage.Catalog{Dirs: []string{filepath.Join(machine, "file")}}).Save(d.Clone("b")); err == nil {
		t.Error("a file is taken for a directory")
	}
}

func TestParseFilter(t *testing.T) {
	d := site(t, "x") // osarch is x86_64
	for text, want := range map[string]string{
		"osarch==x86_64": "true", "osarch!=x86_64": "false", "osarch=~^x": "true", "osarch=~/64$/": "true", "osarch!~86": "false", "osarch==": "false",
		"osarch": "bad", "==x": "bad", "osarch=x": "bad", "osarch=~(": "bad", "nosuch==x": "bad", "osarch!": "bad",
	} {
		got := "bad"
		if f, err := osimage.ParseFilter(text); err == nil {
			got = map[bool]string{true: "true", false: "false"}[f.Holds(d)]
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// What can be read is written so that it is read as the same again.
func FuzzParse(f *testing.F) {
	f.Add("osvers: debian12\npkglist: [a, b]\n# more\npostinstall:\n  - a b\n")
	f.Add("profile: \"a: b\"\npkgdir: http://x y z,../w\naddkcmdline: '# quiet'\n")
	f.Add("---\n- x")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := osimage.Parse("/d/x.yaml", []byte(text))
		if err != nil {
			var problems osimage.Problems
			if !errors.As(err, &problems) {
				t.Errorf("an error of type %T", err)
			}
			return
		}
		for _, dir := range []string{"/d", "/elsewhere"} {
			out, err := d.Encode(dir)
			if err != nil {
				t.Fatal(err)
			}
			again, err := osimage.Parse(dir+"/x.yaml", out)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var a, b strings.Builder
			if err := errors.Join(osimage.WriteStanzas(&a, d), osimage.WriteStanzas(&b, again)); err != nil || a.String() != b.String() {
				t.Fatalf("%v\n%s\nis read again as\n%s", err, a.String(), b.String())
			}
		}
	})
}

func FuzzReadStanzas(f *testing.F) {
	f.Add("# <xCAT data object stanza file>\n\na:\n    objtype=osimage\n    osvers=x\n")
	f.Add("default-osimage:\nobjtype=osimage\na:\nx=\"y\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := osimage.ReadStanzas(strings.NewReader(text), "f")
		if err != nil {
			return
		}
		for _, s := range list {
			if s.Name == "" && !strings.Contains(text, ":") || s.Line < 1 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func FuzzReadPackages(f *testing.F) {
	f.Add("a,b\n#INCLUDE:list#\n#NEW_INSTALL_LIST#\n#ENV:A=b#\n@g h\n-x\n--y\nd/e\n")
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, _ := osimage.ReadPackages([]string{name}, nil)
		for _, pass := range list.Passes {
			for _, p := range pass.Packages {
				if p.Name == "" || p.Dir != "" && !filepath.IsLocal(p.Dir) || p.File != name || p.Line < 1 {
					t.Errorf("%+v", p)
				}
			}
		}
	})
}
