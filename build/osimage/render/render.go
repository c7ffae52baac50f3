package render

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// Options are what a definition does not say.
type Options struct {
	Base        string // the image that the packages are added to
	NoUpdate    bool   // packages that are there stay as they are when further ones are added
	HostScripts bool   // postinstall is left out: whoever builds runs it
	Timezone    string // such as Europe/Berlin; "": the base's
	Unchecked   Unchecked
	// Arguments are kernel arguments that the image itself asks for, beside consoles.
	Arguments []string
	// IgnoreKernel adds driver packages whatever kernel they say they are for.
	IgnoreKernel bool
}

// Unchecked says which packages are taken without a check of signatures.
type Unchecked string

// What can go unchecked.
const (
	CheckAll       Unchecked = ""          // nothing
	OtherUnchecked Unchecked = "otherpkgs" // what otherpkgdir has
	AllUnchecked   Unchecked = "all"
)

// Rendering is a build context.
type Rendering struct {
	Containerfile string
	Files         []File
	// Volumes are local repositories that the steps read, as HOST:CONTAINER:ro.
	Volumes []string
	// Repositories are what pkgdir names and Others what otherpkgdir and kerneldir do,
	// without directories that have no repository data.
	Repositories, Others []string
	// Indexes are repositories without repository data, which is to be made.
	Indexes []Index
	// Packages are those that the steps install.
	Packages []osimage.Package
}

// File is a file of the context, whose content is given or in the file Source.
type File struct {
	Name    string
	Mode    fs.FileMode
	Source  string
	Content string
}

// Index is a directory of RPM packages whose repository data goes into the
// directory Name of the context, as createrepo_c makes it, for the place of the packages.
type Index struct{ Dir, Name string }

// mountedAt is where the steps see the context's directory contextDir.
const (
	contextDir = "rootcast"
	mountedAt  = "/run/rootcast"
	rootDir    = "/." // the image's root as scripts get it: no script takes it for the machine's own
)

// indexes is where a step puts together packages and an index of them.
const indexes = "/tmp/rootcast-indexes"

// What the context's directory holds. A step sees only what it needs, so that a
// change has no other step run again.
const (
	keysPart   = "keys"
	pkgPart    = "pkgdir"
	otherPart  = "otherpkgdir"
	driverPart = "drivers"
	scriptPart = "postinstall"
)

// Render returns the build context that d stands for. The error is
// osimage.Problems: everything that keeps the image from being made.
func Render(d *osimage.Definition, o Options) (*Rendering, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	distribution, err := osimage.ParseDistribution(d.Get("osvers"))
	if err != nil {
		return nil, err
	}
	r := &renderer{d: d, o: o, distribution: distribution, out: &Rendering{}}
	if r.lists, err = osimage.ReadPackages(d.Items("pkglist"), d.Environment()); err != nil {
		return nil, err
	}
	if r.others, err = osimage.ReadPackages(d.Items("otherpkglist"), d.Environment()); err != nil {
		return nil, err
	}
	switch distribution.Family {
	case osimage.APT:
		r.manager = &apt{renderer: r}
	case osimage.DNF:
		r.manager = &dnf{r}
	default:
		r.manager = &zypper{r}
	}
	if err := r.render(); err != nil {
		return nil, err
	}
	return r.out, nil
}

// manager is a package manager, as lines of shell.
type manager interface {
	// begin is what goes before the first step, as lines of a Containerfile.
	begin() []string
	// cache is the mount that keeps what was downloaded.
	cache() []string
	// repositories adds to the rendering what pkgdir and otherpkgdir name.
	repositories() error
	// prepare is what each step does first, finish what it does last; others tells
	// that the step sees otherpkgdir.
	prepare(others bool) []string
	finish() []string
	install(names []string) ([]string, error)
	remove(names []string) []string
	upgrade() []string
	// versioned is the package of a kernel as kernelver and krpmver want it.
	versioned(name string) string
	// drivers installs packages of drivers from files.
	drivers(files []string) ([]string, error)
	// dhcp is the file that has an interface ask DHCP.
	dhcp(port string) File
}

type renderer struct {
	d             *osimage.Definition
	o             Options
	distribution  osimage.Distribution
	lists, others *osimage.PackageList
	manager       manager
	out           *Rendering
	text          strings.Builder
	problems      osimage.Problems
}

func (r *renderer) line(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

func (r *renderer) file(name, source string, mode fs.FileMode) string {
	r.out.Files = append(r.out.Files, File{Name: contextDir + "/" + name, Mode: mode, Source: source})
	return mountedAt + "/" + name
}

func (r *renderer) content(name, content string) {
	r.out.Files = append(r.out.Files, File{Name: contextDir + "/" + name, Mode: 0o644, Content: content})
}

func (r *renderer) render() error {
	if err := r.manager.repositories(); err != nil {
		return err
	}
	r.header()
	r.check()
	for _, step := range []func() error{r.packages, r.otherPackages, r.driverPackages} {
		if err := step(); err != nil {
			return err
		}
	}
	r.settings()
	r.interfaces()
	if !r.o.HostScripts && r.d.Get("postinstall") != "" {
		r.scripts()
		r.mountedFiles()
	}
	r.line("\nCMD [\"/sbin/init\"]")
	r.out.Containerfile = r.text.String()
	return problemsOf(r.problems)
}

func problemsOf(p osimage.Problems) error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// header says what the recipe is and begins with the base.
func (r *renderer) header() {
	r.line("# The osimage %s as a recipe, written by rootcast osimage render.", r.d.Name)
	r.line("#")
	r.line("#    rootcast build -t %s \\", strings.ToLower(r.d.Name))
	for _, v := range r.out.Volumes {
		r.line("#        --volume %s \\", Quote(v))
	}
	r.line("#        --platform %s .", platformOf(r.d))
	r.line("\nARG BASE=%s\nFROM ${BASE} AS root\n", r.o.Base)
	r.line("LABEL io.rootcast.kernel.args=%s\n", labelValue(kernelArguments(r.d, r.o.Arguments)))
	for _, l := range r.manager.begin() {
		r.line("%s", l)
	}
	r.state("PKGDIR_STATE", "pkgdir")
}

func platformOf(d *osimage.Definition) string {
	platform, err := osimage.Platform(d.Get("osarch"))
	if err != nil {
		return "linux/" + d.Get("osarch")
	}
	return platform
}

// state declares an argument that stands for what repositories hold: with another
// value the steps below run again.
func (r *renderer) state(name, attribute string) {
	r.line("\n# What %s holds: with another value packages are installed anew.\nARG %s=\"\"", attribute, name)
}

// run writes a RUN step of shell lines, which sees parts of the context.
func (r *renderer) run(comment string, parts, mounts, lines []string) {
	r.line("\n# %s", comment)
	r.text.WriteString("RUN ")
	for _, part := range parts {
		if r.hasPart(part) {
			mounts = append([]string{"type=bind,source=" + contextDir + "/" + part + ",target=" + mountedAt + "/" + part}, mounts...)
		}
	}
	for _, m := range mounts {
		fmt.Fprintf(&r.text, "--mount=%s \\\n    ", m)
	}
	r.text.WriteString("<<'RUN'\nset -eu\n")
	for _, l := range lines {
		r.line("%s", l)
	}
	r.line("RUN")
}

// hasPart tells whether the context has a directory.
func (r *renderer) hasPart(part string) bool {
	return slices.ContainsFunc(r.out.Files, func(f File) bool { return strings.HasPrefix(f.Name, contextDir+"/"+part+"/") }) ||
		slices.ContainsFunc(r.out.Indexes, func(x Index) bool { return strings.HasPrefix(x.Name, contextDir+"/"+part+"/") })
}

// step is a RUN step that installs.
type step struct {
	comment string
	others  bool // it sees otherpkgdir
	parts   []string
	env     []string
	lines   []string
}

func (r *renderer) install(s step) {
	parts := append([]string{keysPart, pkgPart}, s.parts...)
	if s.others {
		parts = append(parts, otherPart)
	}
	all := append(r.exports(s.env), r.manager.prepare(s.others)...)
	all = append(append(all, s.lines...), r.manager.finish()...)
	r.run(s.comment, parts, r.manager.cache(), append(all, tidy()...))
}

// exports sets the variables of environvar and of a pass.
func (r *renderer) exports(env []string) []string {
	var lines []string
	for _, pair := range append(r.d.Items("environvar"), env...) {
		name, value, _ := strings.Cut(pair, "=")
		lines = append(lines, "export "+name+"="+Quote(value))
	}
	return lines
}

// tidy removes what must differ from node to node, in the layer that brought it.
func tidy() []string {
	return []string{
		"rm -f /etc/ssh/ssh_host_*_key* /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- /var/lib/dbus/machine-id",
		"rm -f /var/log/*.log /var/lib/systemd/random-seed /var/cache/ldconfig/aux-cache",
		": >/etc/machine-id",
	}
}

func (r *renderer) packages() error {
	for i, pass := range r.lists.Passes {
		var names []string
		for _, p := range pass.Packages {
			if p.Remove != osimage.Keep { // for installations on disk alone, as xCAT has it
				continue
			}
			r.out.Packages = append(r.out.Packages, p)
			names = append(names, r.manager.versioned(p.Name))
		}
		if len(names) == 0 {
			continue
		}
		lines, err := r.manager.install(names)
		if err != nil {
			return err
		}
		r.install(step{comment: numbered("Packages", i, len(r.lists.Passes)), env: pass.Env, lines: lines})
	}
	return nil
}

// check finds what no package manager would make sense of.
func (r *renderer) check() {
	if r.d.Get("otherpkgdir") == "" {
		for _, pass := range r.others.Passes {
			for _, p := range pass.Packages {
				if p.Dir != "" && p.Remove == osimage.Keep {
					r.problems = append(r.problems, osimage.Problem{File: p.File, Line: p.Line, Text: fmt.Sprintf("%s/%s: otherpkgdir, in which the directory would be, is not set", p.Dir, p.Name)})
				}
			}
		}
	}
	switch {
	case r.distribution.Family == osimage.DNF && slices.Contains([]string{"5", "6", "7"}, r.distribution.Major()) && r.distribution.Name != "fedora":
		r.problem("osvers", "%s has yum and no dnf; images are made from release 8 on", r.d.Get("osvers"))
	case r.distribution.Family == osimage.Zypper && r.d.Get("kernelver") != "" && r.d.Get("krpmver") == "":
		r.problem("krpmver", "is missing: with kernelver SLES and Leap need the version of the kernel's package too (genimage -g)")
	}
}

func numbered(what string, i, of int) string {
	if of < 2 {
		return what + "."
	}
	return fmt.Sprintf("%s, pass %d of %d.", what, i+1, of)
}

func (r *renderer) otherPackages() error {
	if len(r.out.Others) > 0 {
		r.state("OTHERPKGDIR_STATE", "otherpkgdir")
	}
	for i, pass := range r.others.Passes {
		var before, names, after, lines []string
		for _, p := range pass.Packages {
			switch p.Remove {
			case osimage.Before:
				before = append(before, p.Name)
			case osimage.After:
				after = append(after, p.Name)
			default:
				r.out.Packages = append(r.out.Packages, p)
				names = append(names, r.manager.versioned(p.Name))
			}
		}
		if len(before)+len(names)+len(after) == 0 {
			continue
		}
		if len(before) > 0 {
			lines = append(lines, r.manager.remove(before)...)
		}
		if len(names) > 0 {
			install, err := r.manager.install(names)
			if err != nil {
				return err
			}
			lines = append(lines, install...)
		}
		if len(after) > 0 {
			lines = append(lines, r.manager.remove(after)...)
		}
		if !r.o.NoUpdate {
			lines = append(lines, r.manager.upgrade()...)
		}
		r.install(step{comment: numbered("Further packages", i, len(r.others.Passes)), others: true, env: pass.Env, lines: lines})
	}
	return nil
}

// driverPackages installs the packages of driverupdatesrc.
func (r *renderer) driverPackages() error {
	var files []string
	for i, item := range r.d.Items("driverupdatesrc") {
		kind, path, ok := strings.Cut(item, ":")
		if !ok {
			kind, path = "rpm", item
		}
		if kind != "rpm" {
			r.problem("driverupdatesrc", "%s: driver disks are not read; name the packages on it as rpm:FILE", item)
			continue
		}
		if _, err := os.Stat(path); err != nil {
			r.problem("driverupdatesrc", "%v", err)
			continue
		}
		files = append(files, r.file(fmt.Sprintf("%s/%d/%s", driverPart, i+1, filepath.Base(path)), path, 0o644))
	}
	if files == nil {
		return nil
	}
	lines, err := r.manager.drivers(files)
	if err == nil {
		r.install(step{comment: "Drivers.", parts: []string{driverPart}, lines: lines})
	}
	return err
}

func (r *renderer) problem(attribute, format string, args ...any) {
	r.problems = append(r.problems, osimage.Problem{File: r.d.Path, Text: attribute + ": " + fmt.Sprintf(format, args...)})
}

// settings are what xCAT's genimage does to a root beside packages.
func (r *renderer) settings() {
	var lines []string
	if zone := r.o.Timezone; zone != "" {
		if !filepath.IsLocal(zone) {
			r.problem("timezone", "%q is no time zone, as in Europe/Berlin", zone)
			return
		}
		file := "/usr/share/zoneinfo/" + zone
		lines = append(lines, "test -e "+Quote(file)+" || { echo "+Quote("the image has no time zone "+zone+"; tzdata brings them")+" >&2; exit 1; }",
			"ln -sf "+Quote(".."+file)+" /etc/localtime")
	}
	if r.d.Get("provmethod") == "statelite" {
		mode := r.d.Get("permission")
		if mode == "" {
			mode = "755"
		}
		lines = append(lines, "install -d -m "+Quote(mode)+" /.statelite")
	}
	if lines != nil {
		r.run("Settings.", nil, nil, lines)
	}
}

// interfaces has those of otherifce ask DHCP.
func (r *renderer) interfaces() {
	for _, port := range r.d.Items("otherifce") {
		if !isPort(port) {
			r.problem("otherifce", "%q is no interface's name, such as eth1", port)
			continue
		}
		f := r.manager.dhcp(port)
		r.out.Files = append(r.out.Files, File{Name: contextDir + "/interfaces/" + filepath.Base(f.Name), Mode: f.Mode, Content: f.Content})
		r.line("\nCOPY --chmod=%04o %s %s", f.Mode, contextDir+"/interfaces/"+filepath.Base(f.Name), f.Name)
	}
}

func isPort(name string) bool {
	bad := func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", c)
	}
	return name != "" && len(name) < 16 && !strings.ContainsFunc(name, bad) && name != "." && name != ".."
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Quote is a word as a shell takes it without looking into it.
func Quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// words are quoted words, one a line below a command.
func words(command string, names []string) []string {
	lines := []string{command + " \\"}
	for i, name := range names {
		end := " \\"
		if i == len(names)-1 {
			end = ""
		}
		lines = append(lines, "  "+Quote(name)+end)
	}
	return lines
}

// volume has the steps see a directory of this machine at its own path.
func (r *renderer) volume(dir string) {
	v := dir + ":" + dir + ":ro"
	if !slices.Contains(r.out.Volumes, v) {
		r.out.Volumes = append(r.out.Volumes, v)
	}
}
