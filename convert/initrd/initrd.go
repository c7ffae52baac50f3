package initrd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/kmod"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// Options says what a first stage carries.
type Options struct {
	Kernel       kernel.Kernel // the image's kernel that will boot
	Architecture string        // a GOARCH name
	Init         []byte        // the first program, static, which becomes /init

	// AddModules and OmitModules add to the modules that are carried anyway, or
	// leave out of them. Each is the name of a module, with "-" or "_"; an alias,
	// such as fs-btrfs; the modalias of a device, with a ":"; a pattern of names as
	// [path.Match] takes it; or, with a "/", a directory or file such as
	// kernel/drivers/scsi. What was omitted takes what needs it with it.
	AddModules, OmitModules []string

	// Firmware are files and directories below /lib/firmware, or patterns of them,
	// that are carried besides what the carried modules ask for.
	Firmware []string

	Include []Include // files of this machine
	CA      []byte    // certificates in PEM, which become [CAPath]
	Jobs    int       // modules read at a time; 0: the number of cores
}

// Report is what a first stage turned out to carry.
type Report struct {
	Modules  []string // their names, sorted
	Firmware []string // below /lib/firmware, sorted

	// FirmwareLacking counts files that a carried module may ask for and the
	// image does not have. Most are for hardware that nobody has.
	FirmwareLacking int

	Unpacked   int64 // bytes of all files
	HasNetwork bool  // a driver of a network card is carried or built in
	Warnings   []string
}

// builder collects the entries of the tree.
type builder struct {
	o       Options
	image   *rootfs.Tree
	report  *Report
	entries []rootfs.Entry
	types   map[string]uint32 // file type by name of what is in entries
}

// Build returns the tree of a first stage for the image, with the owners and
// modes that its archive will have and times at the epoch. A kernel without
// loadable modules is served with a warning. Errors are: a kernel that cannot mount
// an overlay or has no driver of a network card, a module or firmware that was
// asked for and is not there, an include that cannot be read, and certificates
// that are none.
func Build(ctx context.Context, image *rootfs.Tree, o Options) (*rootfs.Tree, *Report, error) {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	b := &builder{o: o, image: image, report: &Report{}, types: map[string]uint32{".": rootfs.TypeDir}}
	if err := b.build(ctx); err != nil {
		return nil, nil, fmt.Errorf("building the initrd: %w", err)
	}
	tree, err := rootfs.Merge(ctx, &rootfs.Index{Layer: "initrd", Entries: b.entries})
	if err != nil {
		return nil, nil, fmt.Errorf("building the initrd: %w", err)
	}
	for _, in := range tree.All() {
		b.report.Unpacked += in.Size
	}
	b.report.Warnings = append(b.report.Warnings, tree.Warnings...)
	return tree, b.report, nil
}

func (b *builder) build(ctx context.Context) error {
	if err := b.skeleton(); err != nil {
		return err
	}
	firmware, err := b.modules(ctx)
	if err != nil {
		return err
	}
	if err := b.firmware(firmware); err != nil {
		return err
	}
	return b.includes(ctx)
}

// chooseModules returns the modules that are carried, and who chose them; nil: the
// kernel has none.
func (b *builder) chooseModules() (*chooser, []kmod.Module, error) {
	if b.o.Kernel.Modules == "" {
		if len(b.o.AddModules) > 0 {
			return nil, nil, fmt.Errorf("adding module %q: the image has no modules of kernel %s at all", b.o.AddModules[0], b.o.Kernel.Version)
		}
		b.warn("the image has no modules of kernel %s: the initrd has none, and the kernel must have everything built in that a node needs", b.o.Kernel.Version)
		return nil, nil, nil
	}
	set, err := kmod.Read(b.image, b.o.Kernel.Modules)
	if err != nil {
		return nil, nil, err
	}
	c, err := newChooser(b.image, b.o, set)
	if err != nil {
		return nil, nil, err
	}
	chosen, err := c.choose()
	b.report.Warnings = append(b.report.Warnings, c.warnings...)
	if err != nil {
		return nil, nil, err
	}
	b.report.HasNetwork = c.hasNetwork(chosen)
	return c, chosen, c.check(chosen)
}

// modules puts the kernel's modules into the tree and returns the firmware that
// they ask for.
func (b *builder) modules(ctx context.Context) ([]string, error) {
	c, chosen, err := b.chooseModules()
	if err != nil || c == nil {
		return nil, err
	}
	asked, err := b.carry(ctx, chosen)
	if err != nil {
		return nil, err
	}
	carried := map[string]bool{}
	for _, m := range chosen {
		carried[m.Name] = true
		b.report.Modules = append(b.report.Modules, m.Name)
	}
	slices.Sort(b.report.Modules)
	if err := b.lists(c.set.Encode(func(name string) bool { return carried[name] }, kmod.Packed)); err != nil {
		return nil, err
	}
	builtin, err := builtinFirmware(b.image, b.o.Kernel.Modules, c.wantsBuiltin)
	return append(asked, builtin...), err
}

// add puts a file into the tree. What is there already gives way to a file of its
// own type alone; two directories are one.
func (b *builder) add(name string, in *rootfs.Inode) error {
	if err := b.replaces(name, in.Type()); err != nil {
		return err
	}
	b.entries = append(b.entries, rootfs.Entry{Path: name, Inode: in})
	return nil
}

// link gives the file first one more name.
func (b *builder) link(name, first string) error {
	if err := b.replaces(name, rootfs.TypeRegular); err != nil {
		return err
	}
	b.entries = append(b.entries, rootfs.Entry{Path: name, Kind: rootfs.Link, Target: first})
	return nil
}

// errReplaces is an include that would take away what the first stage needs.
var errReplaces = errors.New("the initrd has a directory there, or a file where a directory is to be: choose another name")

func (b *builder) replaces(name string, typ uint32) error {
	for dir := range parents(name) {
		if old, ok := b.types[dir]; ok && old == rootfs.TypeRegular {
			return fmt.Errorf("adding /%s: /%s: %w", name, dir, errReplaces)
		}
		if _, ok := b.types[dir]; !ok {
			b.types[dir] = rootfs.TypeDir
		}
	}
	if old, ok := b.types[name]; ok && (old == rootfs.TypeDir) != (typ == rootfs.TypeDir) {
		return fmt.Errorf("adding /%s: %w", name, errReplaces)
	}
	b.types[name] = typ
	return nil
}

func (b *builder) warn(format string, args ...any) {
	b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(format, args...))
}
