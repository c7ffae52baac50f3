package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/bundle"
)

// site is a definition with its files below dir, two of them with one base name.
func site(t *testing.T, dir string) (*osimage.Definition, bundle.Sources) {
	t.Helper()
	write(t, dir, map[string]string{
		"install/custom/compute.pkglist":         "#INCLUDE:base.pkglist#\n#INCLUDE:../shared/base.pkglist#\nvim\n",
		"install/custom/base.pkglist":            "bash\n",
		"install/shared/base.pkglist":            "less\n",
		"install/other/compute.pkglist":          "gcc\n",
		"install/custom/kernel":                  "# an exclude list with the kernel's name\n./boot*\n",
		"install/custom/compute.synclist":        "/etc/hosts -> /etc/hosts\n",
		"install/custom/compute.post":            "#!/bin/sh\n",
		"install/netboot/kernel":                 strings.Repeat("kernel", 1000),
		"install/netboot/initrd-stateless.gz":    "initrd",
		"install/netboot/rootimg.cpio.gz":        "root",
		"install/extra/one":                      "#!/bin/sh\n",
		"install/extra/deep/two":                 "#!/bin/sh\n# no program: its permissions say so\n",
		"install/elsewhere/one":                  "other one",
		"install/netboot/versions/manifest.json": "{}",
	})
	for _, name := range []string{"install/custom/compute.post", "install/extra/one", "install/custom/base.pkglist"} {
		check(t, os.Chmod(filepath.Join(dir, name), 0o755))
	}
	d := &osimage.Definition{Name: "compute"}
	for _, pair := range [][2]string{
		{"osvers", "rocky9.4"},
		{"osarch", "x86_64"},
		{"provmethod", "netboot"},
		{"profile", "compute"},
		{"pkglist", "install/custom/compute.pkglist,install/other/compute.pkglist"},
		{"exlist", "install/custom/kernel"},
		{"synclists", "install/custom/compute.synclist"},
		{"postinstall", "install/custom/compute.post one \"two\" <3>"},
		{"rootimgdir", "install/netboot"},
		{"usercomment", "it's ours & \"quoted\""},
		{"baseimage", "localhost/base:1"},
	} {
		check(t, d.Set(pair[0], pair[1], dir))
	}
	at := func(name string) bundle.Source {
		return bundle.Source{Path: filepath.Join(dir, "install/netboot", name)}
	}
	s := bundle.Sources{Kernel: at("kernel"), Ramdisk: at("initrd-stateless.gz"), RootImg: at("rootimg.cpio.gz")}
	s.Beside = []bundle.Source{{Path: filepath.Join(dir, "install/netboot/manifest.json"), File: filepath.Join(dir, "install/netboot/versions/manifest.json")}}
	s.Extras = []bundle.Extra{
		{Src: filepath.Join(dir, "install/extra"), Dest: filepath.Join(dir, "install/into")},
		{Src: filepath.Join(dir, "install/elsewhere/one"), Dest: filepath.Join(dir, "install/one")},
		{Src: filepath.Join(dir, "install/extra/one"), Dest: filepath.Join(dir, "install/again")},
	}
	return d, s
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(name), 0o755))
		check(t, os.WriteFile(name, []byte(text), 0o644))
		check(t, os.Chtimes(name, time.Unix(1700000000, 0), time.Unix(1700000000, 0)))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, d *osimage.Definition, s bundle.Sources) []byte {
	t.Helper()
	plan, err := bundle.New(d, s)
	check(t, err)
	var b bytes.Buffer
	check(t, plan.Write(t.Context(), &b, nil))
	return b.Bytes()
}

// restore imports a bundle whose files may go below dir.
func restore(t *testing.T, data []byte, o bundle.RestoreOptions) (*bundle.Restored, error) {
	t.Helper()
	c, err := bundle.Scan(t.Context(), bytes.NewReader(data), bundle.Limits{})
	if err != nil {
		return nil, err
	}
	files, _, err := c.Files()
	if err != nil {
		return nil, err
	}
	return bundle.Restore(t.Context(), bytes.NewReader(data), c, files, o)
}

// tree is what lies below dir: permissions and contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	check(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		info, ierr := e.Info()
		found[strings.TrimPrefix(name, dir+"/")] = info.Mode().String() + " " + string(text)
		return errors.Join(err, ierr)
	}))
	return found
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	d, s := site(t, dir)
	want := tree(t, dir)
	data := pack(t, d, s)
	if again := pack(t, d, s); !bytes.Equal(data, again) {
		t.Error("the same files make other bytes")
	}
	// To an empty machine: the paths are the same.
	check(t, os.RemoveAll(filepath.Join(dir, "install")))
	places := bundle.Places{Known: []string{filepath.Join(dir, "install")}}
	r, err := restore(t, data, bundle.RestoreOptions{Places: places})
	check(t, err)
	check(t, r.Commit())
	replaced, same, err := r.Finish()
	check(t, err)
	if replaced != nil || same != 0 {
		t.Errorf("replaced %v, %d the same", replaced, same)
	}
	// The list that is included is no program, whatever it was; extras are where -e says.
	want["install/custom/base.pkglist"] = "-rw-r--r-- bash\n"
	want["install/netboot/manifest.json"] = want["install/netboot/versions/manifest.json"]
	want["install/into/one"], want["install/into/deep/two"] = want["install/extra/one"], want["install/extra/deep/two"]
	want["install/one/one"], want["install/again/one"] = want["install/elsewhere/one"], want["install/extra/one"]
	for _, name := range []string{"netboot/versions/manifest.json", "extra/one", "extra/deep/two", "elsewhere/one"} {
		delete(want, "install/"+name)
	}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}

	c, err := bundle.Scan(t.Context(), bytes.NewReader(data), bundle.Limits{})
	check(t, err)
	st, unknown, err := c.Manifest.Stanza()
	check(t, err)
	got := &osimage.Definition{Name: st.Name}
	for _, a := range st.Assignments {
		check(t, got.Set(a.Attribute, a.Value, "/"))
	}
	for _, name := range d.Attributes() {
		if got.Get(name) != d.Get(name) {
			t.Errorf("%s=%s, want %s", name, got.Get(name), d.Get(name))
		}
	}
	if unknown != nil || !slices.Equal(got.Attributes(), d.Attributes()) {
		t.Errorf("%v, unknown %v", got.Attributes(), unknown)
	}

	// Once more: all is there.
	r, err = restore(t, data, bundle.RestoreOptions{Places: places})
	check(t, err)
	check(t, r.Commit())
	if _, same, err := r.Finish(); err != nil || same != len(want) {
		t.Errorf("%d files are the same, of %d: %v", same, len(want), err)
	}
}

// xCAT finds files by base names, and directories of extra/ by the src of an extra.
func TestManifestText(t *testing.T) {
	d := &osimage.Definition{Name: "compute"}
	for _, pair := range [][2]string{{"osvers", "rocky9.4"}, {"provmethod", "netboot"}, {"usercomment", "a & b"}, {"baseimage", "x"}} {
		check(t, d.Set(pair[0], pair[1], "/"))
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"a/l": "1", "b/l": "2"})
	check(t, d.Set("exlist", "a/l,b/l", dir))
	plan, err := bundle.New(d, bundle.Sources{})
	check(t, err)
	var b bytes.Buffer
	check(t, plan.Manifest.Write(&b))
	want := strings.ReplaceAll(`<?xml version="1.0"?>
<xcatimage>
  <extra>
    <dest>DIR/b</dest>
    <src>DIR/b</src>
  </extra>
  <linuximage>
    <comments>a &amp; b</comments>
    <exlist>DIR/a/l,DIR/b/l</exlist>
    <imagename>compute</imagename>
  </linuximage>
  <osimage>
    <imagename>compute</imagename>
    <osvers>rocky9.4</osvers>
    <provmethod>netboot</provmethod>
  </osimage>
  <rootcast>
    <baseimage>x</baseimage>
  </rootcast>
</xcatimage>
`, "DIR", dir)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

// part is an entry of a tar that a test makes.
type part struct {
	name, text string
	kind       byte
	mode       int64
}

func tarOf(t *testing.T, zip bool, parts ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.Writer = &b
	z := gzip.NewWriter(&b)
	if zip {
		w = z
	}
	tw := tar.NewWriter(w)
	for _, p := range parts {
		h := &tar.Header{Name: p.name, Size: int64(len(p.text)), Mode: p.mode, Typeflag: p.kind}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if h.Typeflag != tar.TypeReg {
			h.Size, h.Linkname = 0, p.text
		}
		check(t, tw.WriteHeader(h))
		if h.Size > 0 {
			_, err := io.WriteString(tw, p.text)
			check(t, err)
		}
	}
	check(t, tw.Close())
	if zip {
		check(t, z.Close())
	}
	return b.Bytes()
}

// nested is shaped as xCAT's imgexport writes it (imgport.pm, by XML::Simple), flat as
// it did before 2.8.
const nested = `<?xml version="1.0"?>
<xcatimage>
  <extra>
    <dest>DIR/install/custom</dest>
    <src>/opt/xcat/share/xcat/netboot/rh/x.pkglist</src>
  </extra>
  <kernel>DIR/install/netboot/rhels9.4/x86_64/compute/kernel</kernel>
  <linuximage>
    <exlist>/opt/xcat/share/xcat/netboot/rh/compute.rhels9.x86_64.exlist</exlist>
    <imagename>rhels9.4-x86_64-netboot-compute</imagename>
    <pkglist>/opt/xcat/share/xcat/netboot/rh/compute.rhels9.x86_64.pkglist</pkglist>
    <postinstall>/opt/xcat/share/xcat/netboot/rh/compute.rhels9.x86_64.postinstall a b</postinstall>
    <rootimgdir>DIR/install/netboot/rhels9.4/x86_64/compute</rootimgdir>
  </linuximage>
  <osimage>
    <imagename>rhels9.4-x86_64-netboot-compute</imagename>
    <imagetype>linux</imagetype>
    <osarch>x86_64</osarch>
    <osvers>rhels9.4</osvers>
    <profile>compute</profile>
    <provmethod>netboot</provmethod>
    <synclists>DIR/install/custom/compute.synclist</synclists>
  </osimage>
  <postscripts>syslog,remoteshell</postscripts>
  <ramdisk>DIR/install/netboot/rhels9.4/x86_64/compute/initrd-stateless.gz</ramdisk>
  <rootimg>DIR/install/netboot/rhels9.4/x86_64/compute/rootimg.cpio.gz</rootimg>
</xcatimage>
`

const flat = `<?xml version="1.0"?>
<xcatimage>
  <exlist>/opt/xcat/share/xcat/netboot/rh/compute.rhels9.x86_64.exlist</exlist>
  <imagename>rhels9.4-x86_64-netboot-compute</imagename>
  <imagetype>linux</imagetype>
  <kernel>DIR/install/netboot/rhels9.4/x86_64/compute/kernel</kernel>
  <osarch>x86_64</osarch>
  <osvers>rhels9.4</osvers>
  <pkglist>/opt/xcat/share/xcat/netboot/rh/compute.rhels9.x86_64.pkglist</pkglist>
  <postinstall>/opt/xcat/share/xcat/netboot/rh/compute.rhels9.x86_64.postinstall a b</postinstall>
  <profile>compute</profile>
  <provmethod>netboot</provmethod>
  <ramdisk>DIR/install/netboot/rhels9.4/x86_64/compute/initrd-stateless.gz</ramdisk>
  <rootimg>DIR/install/netboot/rhels9.4/x86_64/compute/rootimg.cpio.gz</rootimg>
  <rootimgdir>DIR/install/netboot/rhels9.4/x86_64/compute</rootimgdir>
  <synclists>DIR/install/custom/compute.synclist</synclists>
</xcatimage>
`

// fromXCAT is a bundle as tar czf FILE . makes it.
func fromXCAT(dir, manifest string) []part {
	const top = "./rhels9.4-x86_64-netboot-compute/"
	parts := []part{{name: "./", kind: tar.TypeDir}, {name: top, kind: tar.TypeDir}}
	for _, name := range []string{"kernel", "initrd-stateless.gz", "rootimg.cpio.gz", "compute.rhels9.x86_64.exlist", "compute.rhels9.x86_64.pkglist", "compute.synclist"} {
		parts = append(parts, part{name: top + name, text: name, mode: 0o755})
	}
	parts = append(parts,
		part{name: top + "compute.rhels9.x86_64.postinstall", text: "#!/bin/sh\n", mode: 0o755},
		part{name: top + "manifest.xml", text: strings.ReplaceAll(manifest, "DIR", dir)})
	if strings.Contains(manifest, "<extra>") {
		parts = append(parts, part{name: top + "extra/", kind: tar.TypeDir}, part{name: top + "extra/x.pkglist", text: "x"})
	}
	return parts
}

func TestFromXCAT(t *testing.T) {
	for _, test := range []struct {
		name, manifest string
		zip            bool
	}{
		{"nested", nested, true},
		{"flat", flat, true},
		{"not packed", nested, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			data := tarOf(t, test.zip, fromXCAT(dir, test.manifest)...)
			c, err := bundle.Scan(t.Context(), bytes.NewReader(data), bundle.Limits{})
			check(t, err)
			if c.Packed != test.zip {
				t.Errorf("packed is %v", c.Packed)
			}
			files, missing, err := c.Files()
			check(t, err)
			if missing != nil {
				t.Errorf("missing %v", missing)
			}
			check(t, c.Manifest.SetProfile("login", filepath.Join(dir, "install"), files))
			s, unknown, err := c.Manifest.Stanza()
			check(t, err)
			if unknown != nil {
				t.Errorf("unknown %v", unknown)
			}
			got := map[string]string{}
			for _, a := range s.Assignments {
				got[a.Attribute] = a.Value
			}
			custom := dir + "/install/custom/netboot/rh/login.rhels9.x86_64."
			want := map[string]string{
				"exlist": custom + "exlist", "pkglist": custom + "pkglist", "postinstall": custom + "postinstall a b",
				"synclists": dir + "/install/custom/login.synclist", "rootimgdir": dir + "/install/netboot/rhels9.4/x86_64/login",
				"imagetype": "linux", "osarch": "x86_64", "osvers": "rhels9.4", "profile": "login", "provmethod": "netboot",
			}
			if diff := cmp.Diff(want, got); diff != "" || s.Name != "rhels9.4-x86_64-netboot-login" {
				t.Errorf("%s (-want +got):\n%s", s.Name, diff)
			}
			r, err := bundle.Restore(t.Context(), bytes.NewReader(data), c, files, bundle.RestoreOptions{Places: bundle.Places{Known: []string{dir + "/install"}}})
			check(t, err)
			check(t, r.Commit())
			_, _, err = r.Finish()
			check(t, err)
			net := "install/netboot/rhels9.4/x86_64/login/"
			wantTree := map[string]string{
				net + "kernel": "-rw-r--r-- kernel", net + "initrd-stateless.gz": "-rw-r--r-- initrd-stateless.gz", net + "rootimg.cpio.gz": "-rw-r--r-- rootimg.cpio.gz",
				"install/custom/netboot/rh/login.rhels9.x86_64.exlist":      "-rw-r--r-- compute.rhels9.x86_64.exlist",
				"install/custom/netboot/rh/login.rhels9.x86_64.pkglist":     "-rw-r--r-- compute.rhels9.x86_64.pkglist",
				"install/custom/netboot/rh/login.rhels9.x86_64.postinstall": "-rwxr-xr-x #!/bin/sh\n",
				"install/custom/login.synclist":                             "-rw-r--r-- compute.synclist",
			}
			if strings.Contains(test.manifest, "<extra>") {
				wantTree["install/custom/x.pkglist"] = "-rw-r--r-- x"
			}
			if diff := cmp.Diff(wantTree, tree(t, dir)); diff != "" {
				t.Errorf("restored (-want +got):\n%s", diff)
			}
		})
	}
}

// replace returns the parts with one changed.
func replace(parts []part, base string, change func(*part)) []part {
	parts = slices.Clone(parts)
	for i := range parts {
		if filepath.Base(parts[i].name) == base {
			change(&parts[i])
		}
	}
	return parts
}

func TestHostile(t *testing.T) {
	dir := t.TempDir()
	good := fromXCAT(dir, nested)
	manifest := func(old, with string) []part {
		return replace(good, "manifest.xml", func(p *part) { p.text = strings.ReplaceAll(p.text, old, with) })
	}
	const top = "./rhels9.4-x86_64-netboot-compute/"
	synclist := "<synclists>" + dir + "/install/custom/compute.synclist"
	for _, test := range []struct {
		name  string
		parts []part
		want  string
	}{
		{"dots", append(good[:len(good):len(good)], part{name: top + "../../evil"}), "leads out"},
		{"absolute", append(good[:len(good):len(good)], part{name: "/etc/passwd"}), "leads out"},
		{"a line break", append(good[:len(good):len(good)], part{name: top + "a\nb"}), "leads out"},
		{"a symlink", replace(good, "compute.synclist", func(p *part) { p.kind, p.text = tar.TypeSymlink, "/etc/shadow" }), "compute.synclist (no file)"},
		{"a hard link", replace(good, "kernel", func(p *part) { p.kind, p.text = tar.TypeLink, "/etc/shadow" }), "kernel (no file)"},
		{"a device", replace(good, "kernel", func(p *part) { p.kind, p.text = tar.TypeChar, "" }), "kernel (no file)"},
		{"a symlinked manifest", replace(good, "manifest.xml", func(p *part) { p.kind, p.text = tar.TypeSymlink, "kernel" }), "manifest.xml is no file"},
		{"not named", append(good[:len(good):len(good)], part{name: top + "more"}), "does not name, or bundles cannot have: more"},
		{"twice", append(good[:len(good):len(good)], part{name: top + "kernel"}), "is there twice"},
		{"two images", append(good[:len(good):len(good)], part{name: "./other/kernel"}), "two images"},
		{"no directory", []part{{name: "./manifest.xml", text: nested}}, "is not in a directory"},
		{"no manifest", good[:4], "there is no manifest.xml"},
		{"no kernel", replace(good, "kernel", func(p *part) { p.name = top + "extra/x" }), "lacks what nodes boot from"},
		{"one for two", manifest(synclist, synclist+","+dir+"/install/other/compute.synclist"), "stands for both"},
		{"dots in a path", manifest(synclist, "<synclists>"+dir+"/install/../compute.synclist"), "not an absolute one"},
		{"relative", manifest(synclist, "<synclists>compute.synclist"), "not an absolute one"},
		{"passwd", manifest(synclist, "<synclists>/etc/compute.synclist"), "places that are not known to hold such: /etc/compute.synclist"},
		{"a hidden place", manifest(synclist, "<synclists>"+dir+"/install/.git/hooks/compute.synclist"), "not known to hold such"},
		{"a definition", manifest(dir+"/install/custom</dest>", dir+"/install/osimages</dest>"), ""},
		{"the manifest itself", manifest(synclist, "<synclists>/x/manifest.xml"), "calls a file /x/manifest.xml"},
		{"a document type", manifest("<xcatimage>", `<!DOCTYPE x [<!ENTITY a "aaaa">]><xcatimage>`), "document type"},
		{"an entity", manifest("syslog", "&lol;"), "invalid character entity"},
		{"no name", manifest("rhels9.4-x86_64-netboot-compute</imagename>", "</imagename>"), "does not say the imagename"},
		{"deep", manifest("<xcatimage>", "<xcatimage>"+strings.Repeat("<a>", 20)+strings.Repeat("</a>", 20)), "within each other"},
		{"not XML", manifest("</xcatimage>", ""), "XML syntax error"},
		{"large", manifest("syslog", strings.Repeat("x", 5<<20)), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := bundle.RestoreOptions{Replace: true, Places: bundle.Places{
				Known: []string{dir + "/install", "/opt/xcat/share/xcat/netboot/rh"}, Definitions: []string{dir + "/install/osimages"},
			}}
			if test.name == "a definition" {
				test.parts = replace(test.parts, "x.pkglist", func(p *part) { p.name = top + "extra/x.yaml" })
				test.parts = replace(test.parts, "manifest.xml", func(p *part) { p.text = strings.ReplaceAll(p.text, "x.pkglist", "x.yaml") })
				test.want = "install/osimages/x.yaml"
			}
			_, err := restore(t, tarOf(t, true, test.parts...), o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if left := tree(t, dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	data := tarOf(t, true, fromXCAT(t.TempDir(), nested)...)
	for want, limits := range map[string]bundle.Limits{"more than 100 bytes": {Size: 100}, "more than 3 files": {Files: 3}} {
		if _, err := bundle.Scan(t.Context(), bytes.NewReader(data), limits); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestExisting(t *testing.T) {
	dir := t.TempDir()
	d, s := site(t, dir)
	s.Extras, s.Beside = nil, nil
	data := pack(t, d, s)
	write(t, dir, map[string]string{"install/custom/compute.synclist": "mine", "install/netboot/kernel": "mine"})
	check(t, os.RemoveAll(filepath.Join(dir, "install/other")))
	before := tree(t, dir)
	o := bundle.RestoreOptions{Places: bundle.Places{Allowed: []string{dir}}}

	_, err := restore(t, data, o)
	var exist *bundle.ExistError
	if !errors.As(err, &exist) || len(exist.Paths) != 2 {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("after it was refused (-want +got):\n%s", diff)
	}
	// Undone before and after files have their names.
	o.Replace = true
	for _, commit := range []bool{false, true} {
		r, err := restore(t, data, o)
		check(t, err)
		if commit {
			check(t, r.Commit())
		}
		check(t, r.Rollback())
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("commit %v, undone (-want +got):\n%s", commit, diff)
		}
	}
	r, err := restore(t, data, o)
	check(t, err)
	check(t, r.Commit())
	replaced, _, err := r.Finish()
	check(t, err)
	if len(replaced) != 2 {
		t.Errorf("replaced %v", replaced)
	}
	got := tree(t, dir)
	if got["install/netboot/kernel.ORIG"] != "-rw-r--r-- mine" || got["install/custom/compute.synclist"] != "-rw-r--r-- /etc/hosts -> /etc/hosts\n" {
		t.Errorf("%v", got)
	}
}

// A link that leads out of a place is not followed, nor is one replaced.
func TestLinks(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	d, s := site(t, dir)
	s.Extras, s.Beside = nil, nil
	data := pack(t, d, s)
	places := bundle.Places{Known: []string{filepath.Join(dir, "install")}}
	custom := filepath.Join(dir, "install/custom")
	check(t, os.Rename(custom, filepath.Join(out, "custom")))
	check(t, os.Symlink(filepath.Join(out, "custom"), custom))
	before := tree(t, out)
	if _, err := restore(t, data, bundle.RestoreOptions{Places: places, Replace: true}); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(before, tree(t, out)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	check(t, os.Remove(custom))
	check(t, os.Rename(filepath.Join(out, "custom"), custom))
	kernel := filepath.Join(dir, "install/netboot/kernel")
	check(t, os.WriteFile(kernel+"1", []byte("x"), 0o644))
	check(t, os.Remove(kernel))
	check(t, os.Symlink("kernel1", kernel))
	if _, err := restore(t, data, bundle.RestoreOptions{Places: places, Replace: true}); err == nil || !strings.Contains(err.Error(), "a symbolic link is there") {
		t.Errorf("%v", err)
	}
}

func TestMove(t *testing.T) {
	dir := t.TempDir()
	defs := filepath.Join(dir, "defs")
	write(t, defs, map[string]string{"one.yaml": "osvers: rocky9.4\nprofile: c\nrootimgdir: boot\npkgdir: [repo, \"http://x/y\"]\npkglist: lists/a.pkglist\ngpgkeys: key.asc\n", "lists/a.pkglist": "vim\n", "key.asc": "key"})
	d, err := osimage.Catalog{Dirs: []string{defs}}.Load("one")
	check(t, err)
	c, err := bundle.Scan(t.Context(), bytes.NewReader(pack(t, d, bundle.Sources{})), bundle.Limits{})
	check(t, err)
	files, _, err := c.Files()
	check(t, err)
	c.Manifest.Move("/else", files)
	var dests []string
	for _, f := range files {
		dests = append(dests, f.Dest)
	}
	slices.Sort(dests)
	if diff := cmp.Diff([]string{"/else/key.asc", "/else/lists/a.pkglist"}, dests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Manifest.LinuxImage["rootimgdir"] != "/else/boot" || c.Manifest.LinuxImage["pkgdir"] != "/else/repo,http://x/y" {
		t.Errorf("%v", c.Manifest.LinuxImage)
	}
	if c.Manifest.Own["gpgkeys"] != "/else/key.asc" || c.Manifest.LinuxImage["pkglist"] != "/else/lists/a.pkglist" {
		t.Errorf("%v %v", c.Manifest.Own, c.Manifest.LinuxImage)
	}
}

func TestExportErrors(t *testing.T) {
	dir := t.TempDir()
	d, s := site(t, dir)
	check(t, os.Symlink("one", filepath.Join(dir, "install/extra/link")))
	if _, err := bundle.New(d, s); err == nil || !strings.Contains(err.Error(), "extra/link is neither") {
		t.Errorf("%v", err)
	}
	s.Extras = nil
	check(t, os.Remove(filepath.Join(dir, "install/shared/base.pkglist")))
	if _, err := bundle.New(d, s); err == nil || !strings.Contains(err.Error(), "base.pkglist") {
		t.Errorf("%v", err)
	}
}

func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(nested))
	f.Add([]byte(flat))
	f.Add([]byte(`<xcatimage><kit><a><kitdir>/x</kitdir></a></kit><osimage><imagename>x</imagename></osimage></xcatimage>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := bundle.ReadManifest(bytes.NewReader(text))
		if err != nil {
			return
		}
		if _, _, err := m.Stanza(); err != nil {
			return
		}
		var b bytes.Buffer
		if m.Write(&b) != nil {
			return
		}
		again, err := bundle.ReadManifest(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("%v, of what was written:\n%s", err, b.String())
		}
		if again.Name() != m.Name() || len(again.OSImage) != len(m.OSImage) {
			t.Errorf("%v became %v", m, again)
		}
	})
}

func FuzzScan(f *testing.F) {
	t := &testing.T{}
	f.Add(tarOf(t, false, fromXCAT("/x", nested)...))
	f.Add(tarOf(t, true, fromXCAT("/x", flat)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := bundle.Scan(t.Context(), bytes.NewReader(data), bundle.Limits{Size: 1 << 20, Files: 100})
		if err != nil {
			return
		}
		files, _, err := c.Files()
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !filepath.IsAbs(file.Dest) || filepath.Clean(file.Dest) != file.Dest || strings.Contains(file.Member, "..") {
				t.Errorf("%+v", file)
			}
		}
	})
}
