package statelite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/statelite"
)

// Options says what to apply, and to what.
type Options struct {
	Root  string // the new root
	Rules *statelite.Rules

	// Persistent is the store of persistent files: SERVER:/DIR for NFS, or
	// LABEL=, UUID=, PARTLABEL=, PARTUUID= or /dev/… for a local disk. Every
	// node has a directory of its own there, which is made if need be.
	Persistent string

	PersistentOpts string // mount options for it, separated by commas
	LocalDisk      string // the disk for option localdisk, named as in Persistent
	Node           string // the name of the node's directory in the persistent store

	// Format allows to make a file system on an empty partition whose GPT name
	// is what LABEL= or PARTLABEL= asks for.
	Format bool

	Wait time.Duration // how long to wait for a disk to appear; 0: 30 s

	// Log gets a line for each rule, and for what may take a while.
	Log func(format string, args ...any)

	sys string // where the kernel lists block devices; "": /sys/class/block
}

// Report is what has been done.
type Report struct {
	Applied []Applied // a rule each, directories before what is in them
}

// Applied is what has become of a rule.
type Applied struct {
	statelite.Rule
	How     string // in words, as on the console
	Skipped bool   // the rule has no effect; How tells why
}

// Where the parts are, below the root.
const (
	baseDir       = ".statelite"
	tmpfsDir      = baseDir + "/tmpfs"
	persistentDir = baseDir + "/persistent"
	storeDir      = baseDir + "/store" // with all nodes' files; only while rules are applied
	imageDir      = baseDir + "/image" // the root as the image has it; only while rules are applied
	localDir      = ".sllocal/localmnt"
)

// Apply applies the rules in the root. If it fails, it has taken back its mounts,
// and may be called again.
func Apply(ctx context.Context, o Options) (*Report, error) {
	if o.Rules == nil || len(o.Rules.Rules) == 0 {
		return &Report{}, nil
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	root, err := openTree(o.Root)
	if err != nil {
		return nil, fmt.Errorf("statelite: opening the new root: %w", err)
	}
	a := &applier{Options: o, root: root, placed: map[string]string{}}
	defer a.close()
	report, err := a.all(ctx)
	if err != nil {
		a.unmount(a.mounted)
		return nil, err
	}
	return report, nil
}

// all mounts the stores and applies the rules.
func (a *applier) all(ctx context.Context) (*Report, error) {
	if err := a.mountStores(ctx); err != nil {
		return nil, err
	}
	for _, r := range a.Rules.Rules {
		if err := a.makeMissing(r); err != nil {
			return nil, fmt.Errorf("statelite: %s %s: %w", r.Path, r.Option, err)
		}
	}
	report := &Report{}
	for _, r := range a.Rules.Rules {
		done, err := a.apply(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("statelite: %s %s: %w", r.Path, r.Option, err)
		}
		a.Log("statelite: %s %s %s", r.Path, r.Option, done.How)
		report.Applied = append(report.Applied, *done)
	}
	return report, nil
}

// uses tells whether a rule has one of the options.
func (o *Options) uses(options ...statelite.Option) bool {
	for _, r := range o.Rules.Rules {
		for _, option := range options {
			if r.Option.Plain() == option {
				return true
			}
		}
	}
	return false
}

// check finds out whether the rules have what they need.
func (o *Options) check() error {
	if o.uses(statelite.Persistent) && o.Persistent == "" {
		return errors.New("statelite: there are rules for persistent files and no place for them: boot with rootcast.persistent=SERVER:/DIR or LABEL=NAME (xCAT: STATEMNT=)")
	}
	if o.uses(statelite.LocalDisk) && o.LocalDisk == "" {
		return errors.New("statelite: there are rules for the local disk and no disk for them: boot with rootcast.localdisk=LABEL=NAME")
	}
	if o.Persistent == "" || !o.usesStore() {
		return nil
	}
	if n := o.Node; n == "" || n == "." || n == ".." || len(n) > unix.NAME_MAX || strings.ContainsAny(n, "/\x00") {
		return fmt.Errorf("statelite: %q names no directory for this node in %s: boot with NODE=NAME, or let DHCP send a host name", n, o.Persistent)
	}
	return nil
}

// usesStore tells whether rules look into the persistent store.
func (o *Options) usesStore() bool { return o.uses(statelite.Persistent, statelite.Concat) }

// applier applies the rules.
type applier struct {
	Options
	root       *tree
	image      *tree  // the root without the mounts of any rule
	tmpfs      *tree  // nil: not needed
	persistent *store // nil: not needed, or none
	local      *store // nil: not needed
	mounted    []string
	helpers    []string // mounts that go when all is done
	overlays   int
	placed     map[string]string // paths of rules that hold, and where they led
}

// store keeps files from boot to boot.
type store struct {
	*tree
	from string // for the console
}

// close takes away what only the work itself needs.
func (a *applier) close() {
	a.unmount(a.helpers)
	for _, t := range []*tree{a.image, a.tmpfs, a.root} {
		t.close()
	}
	for _, s := range []*store{a.persistent, a.local} {
		if s != nil {
			s.close()
		}
	}
	for _, dir := range []string{storeDir, imageDir} {
		_ = os.Remove(a.Root + "/" + dir) // it may not be there
	}
}

// unmount takes mounts back, the last first.
func (a *applier) unmount(names []string) {
	for i := len(names) - 1; i >= 0; i-- {
		if at, err := a.root.find(names[i], nothing); err == nil {
			_ = unix.Unmount(at.path(), unix.MNT_DETACH) // there is nothing else to try
			at.close()
		}
	}
}

// mountStores mounts the places that files are kept in.
func (a *applier) mountStores(ctx context.Context) error {
	if err := a.mountImage(); err != nil {
		return fmt.Errorf("statelite: keeping the image's own files in view: %w", err)
	}
	if a.uses(statelite.Tmpfs, statelite.Concat) {
		if err := a.mountTmpfs(); err != nil {
			return fmt.Errorf("statelite: mounting the tmpfs for /%s: %w", tmpfsDir, err)
		}
	}
	if a.Persistent != "" && a.usesStore() {
		if err := a.mountPersistent(ctx); err != nil {
			return fmt.Errorf("statelite: persistent files from %s: %w", a.Persistent, err)
		}
	}
	if a.uses(statelite.LocalDisk) {
		if err := a.mountLocal(ctx); err != nil {
			return fmt.Errorf("statelite: files on the local disk %s: %w", a.LocalDisk, err)
		}
	}
	return nil
}

// mountImage shows the root once more at a place that no rule changes. A rule
// within the directory of another one takes its files from there.
func (a *applier) mountImage() error {
	root, err := a.root.find(".", nothing)
	if err != nil {
		return err
	}
	defer root.close()
	if err := a.mountAt(imageDir, func(target string) error { return bind(root.path(), target) }); err != nil {
		return err
	}
	a.helpers = append(a.helpers, imageDir)
	a.image, err = a.root.subtree(imageDir)
	return err
}

func (a *applier) mountTmpfs() error {
	err := a.mountAt(tmpfsDir, func(target string) error { return unix.Mount("statelite", target, "tmpfs", 0, "mode=0755") })
	if err != nil {
		return err
	}
	a.mounted = append(a.mounted, tmpfsDir)
	a.tmpfs, err = a.root.subtree(tmpfsDir)
	return err
}

func (a *applier) mountPersistent(ctx context.Context) error {
	from := a.Persistent
	err := a.mountAt(storeDir, func(target string) (err error) {
		from, err = a.mountSource(ctx, a.Persistent, a.PersistentOpts, target)
		return err
	})
	if err != nil {
		return err
	}
	a.helpers = append(a.helpers, storeDir)
	all, err := a.root.subtree(storeDir)
	if err != nil {
		return err
	}
	defer all.close()
	// A link here would show a node the files of another one.
	own, err := all.find(a.Node, directory)
	if err != nil {
		return fmt.Errorf("making the node's directory %s: %w%s", a.Node, err, advice(err))
	}
	defer own.close()
	if own.name != a.Node || own.kind != unix.S_IFDIR {
		return fmt.Errorf("%s there is no directory: remove it", a.Node)
	}
	err = a.mountAt(persistentDir, func(target string) error { return bind(own.path(), target) })
	if err != nil {
		return err
	}
	a.mounted = append(a.mounted, persistentDir)
	t, err := a.root.subtree(persistentDir)
	a.persistent = &store{t, "from " + strings.TrimRight(from, "/") + "/" + a.Node}
	return err
}

func (a *applier) mountLocal(ctx context.Context) error {
	from := a.LocalDisk
	err := a.mountAt(localDir, func(target string) (err error) {
		from, err = a.mountSource(ctx, a.LocalDisk, "", target)
		return err
	})
	if err != nil {
		return err
	}
	a.mounted = append(a.mounted, localDir)
	t, err := a.root.subtree(localDir)
	a.local = &store{t, "on " + from}
	return err
}

// mountAt makes a directory of the root, and has something mounted there.
func (a *applier) mountAt(name string, mount func(target string) error) error {
	at, err := a.root.find(name, directory)
	if err != nil {
		return err
	}
	defer at.close()
	return mount(at.path())
}

func bind(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting it over its path: %w", err)
	}
	return nil
}
