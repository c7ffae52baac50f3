package initrd

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/convert/kmod"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// dracutScripts are the module's, as dracut.modules(7) wants them.
//
//go:embed dracut/*.sh
var dracutScripts embed.FS

// Places in the container that dracut runs in.
const (
	dracutProgram = "usr/bin/dracut"
	dracutModule  = "usr/lib/dracut/modules.d/99rootcast"
	dracutWork    = "rootcast-dracut" // its temporary files and its initrd
	dracutInclude = dracutWork + "/include"

	// DracutResult is where the initrd lies in the end: a cpio archive without compression.
	DracutResult = "/" + dracutWork + "/initrd"

	// dracutInit is where the initrd has the first program.
	dracutInit = "usr/bin/rootcast-init"
)

var errNoDracut = errors.New("the image has no dracut: add RUN apt-get install -y dracut-core (on other distributions dnf install -y dracut) to its recipe, or use --initrd builtin")

// DracutRun is what the image's own dracut is run with.
type DracutRun struct {
	Args  []string     // dracut and its arguments
	Files *rootfs.Tree // what has to be there besides the image
}

// Dracut prepares a run of the image's own dracut that makes an initrd in which
// the first program mounts the root. The options mean what they mean to [Build], but
// that dracut carries more than it is asked for, and finds the firmware of modules
// by itself.
func Dracut(ctx context.Context, image *rootfs.Tree, o Options) (*DracutRun, *Report, error) {
	if info, err := image.Stat(dracutProgram); err != nil || !info.Mode().IsRegular() {
		return nil, nil, errNoDracut
	}
	run, report, err := newDracutRun(ctx, image, o)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing dracut: %w", err)
	}
	return run, report, nil
}

func newDracutRun(ctx context.Context, image *rootfs.Tree, o Options) (*DracutRun, *Report, error) {
	b := &builder{o: o, image: image, report: &Report{}, types: map[string]uint32{".": rootfs.TypeDir}}
	if err := b.checkInit(); err != nil {
		return nil, nil, err
	}
	c, modules, err := b.chooseModules()
	if err != nil {
		return nil, nil, err
	}
	if err := b.dracutIncludes(ctx); err != nil {
		return nil, nil, err
	}
	names := make([]string, len(modules))
	for i, m := range modules {
		names[i] = m.Name
	}
	slices.Sort(names)
	files, err := b.dracutFiles(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	args := []string{
		"dracut", "--force", "--no-hostonly", "--no-hostonly-cmdline", "--no-early-microcode", "--no-compress", "--reproducible",
		// These would be there or not as the machine is on which dracut runs.
		"--omit", "lunmask virtfs",
		"--add", "rootcast", "--include", "/" + dracutInclude, "/", "--tmpdir", "/" + dracutWork, "--kver", o.Kernel.Version,
	}
	if c != nil && len(c.omitted) > 0 {
		args = append(args, "--omit-drivers", strings.Join(slices.Sorted(maps.Keys(c.omitted)), " "))
	}
	return &DracutRun{append(args, DracutResult), files}, b.report, nil
}

// dracutIncludes collects what goes into the initrd as it is.
func (b *builder) dracutIncludes(ctx context.Context) error {
	if err := b.certificates(); err != nil {
		return err
	}
	if err := b.firmware(nil); err != nil {
		return err
	}
	return b.includes(ctx)
}

// dracutFiles are the module, and what was collected so far.
func (b *builder) dracutFiles(ctx context.Context, modules []string) (*rootfs.Tree, error) {
	entries := []rootfs.Entry{
		{Path: dracutWork, Inode: dir(0o700)},
		{Path: dracutInclude, Inode: dir(0o755)},
		{Path: dracutModule, Inode: dir(0o755)},
		{Path: dracutModule + "/rootcast-init", Inode: rootfs.NewText(0o755, b.o.Init)},
		{Path: dracutModule + "/modules", Inode: rootfs.NewText(0o644, []byte(strings.Join(modules, "\n")+"\n"))},
	}
	scripts, err := dracutScripts.ReadDir("dracut")
	if err != nil {
		return nil, err
	}
	for _, s := range scripts {
		text, err := dracutScripts.ReadFile("dracut/" + s.Name())
		if err != nil {
			return nil, err
		}
		entries = append(entries, rootfs.Entry{Path: path.Join(dracutModule, s.Name()), Inode: rootfs.NewText(0o755, text)})
	}
	for _, e := range b.entries {
		e.Path = path.Join(dracutInclude, e.Path)
		if e.Target != "" {
			e.Target = path.Join(dracutInclude, e.Target)
		}
		entries = append(entries, e)
	}
	return rootfs.Merge(ctx, &rootfs.Index{Layer: "dracut", Entries: entries})
}

// CheckDracut looks at the tree of the initrd that dracut made: it leaves a module
// out, and carries on, where its configuration says so.
func CheckDracut(tree *rootfs.Tree) error {
	if info, err := tree.Stat(dracutInit); err != nil || !info.Mode().IsRegular() {
		return errors.New("the image's dracut has left rootcast's module out: its messages (-v) say why; check /etc/dracut.conf.d of the image for omit_dracutmodules and squash")
	}
	return nil
}

// Carried reports what an initrd's tree has.
func Carried(tree *rootfs.Tree) *Report {
	r := &Report{}
	for name, in := range tree.All() {
		r.Unpacked += in.Size
		name = strings.TrimPrefix(name, "usr/")
		file := path.Base(plainName(name))
		firmware, isFirmware := strings.CutPrefix(name, firmwareRoot+"/")
		switch module, isModule := strings.CutSuffix(file, ".ko"); {
		case in.IsDir():
		case isModule && strings.HasPrefix(name, "lib/modules/"):
			r.Modules = append(r.Modules, kmod.Name(module))
		case isFirmware:
			r.Firmware = append(r.Firmware, plainName(firmware))
		}
	}
	slices.Sort(r.Modules)
	return r
}
