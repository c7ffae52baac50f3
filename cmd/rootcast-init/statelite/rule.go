package statelite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/statelite"
)

// partName is what a copy is called until it is whole.
const partName = ".rootcast-new"

// overlayDir keeps the changes of overlays.
const overlayDir = ".overlay"

// makeMissing makes what a rule is for where the image has nothing. It comes
// before all mounts, since nothing may change below an overlay.
func (a *applier) makeMissing(r statelite.Rule) error {
	at, err := a.image.find(r.Name(), nothing)
	switch {
	case err == nil:
		at.close()
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return err
	case statelite.Volatile(at.name):
		return nil
	}
	if at, err = a.image.find(r.Name(), missingOf(r)); err != nil {
		return fmt.Errorf("making it in the root, since the image lacks it: %w", err)
	}
	at.close()
	return nil
}

func missingOf(r statelite.Rule) missing {
	if r.IsDir() {
		return directory
	}
	return file
}

// apply applies one rule.
func (a *applier) apply(ctx context.Context, r statelite.Rule) (*Applied, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	source, err := a.image.find(r.Name(), nothing)
	if statelite.Volatile(source.name) {
		return &Applied{r, "left out: it leads to /" + source.name + ", which the booted system mounts anew", true}, nil
	}
	if err != nil {
		return nil, err
	}
	defer source.close()
	if source.dir == nil {
		return nil, errors.New("it leads to the root itself: name another path")
	}
	if source.isDir() && r.Option.Plain() == statelite.Concat {
		return &Applied{r, "left out: it is a directory, which this option cannot be for", true}, nil
	}
	mk := file
	if source.isDir() {
		mk = directory
	}
	target, err := a.root.find(r.Name(), mk) // a copy of the directory above may be older
	if err != nil {
		return nil, fmt.Errorf("making it in what is mounted above it: %w", err)
	}
	defer target.close()
	how, err := a.place(ctx, r, source, target)
	if err != nil {
		return nil, err
	}
	a.placed[r.Path] = target.name
	return &Applied{Rule: r, How: how}, nil
}

// place mounts what the rule asks for.
func (a *applier) place(ctx context.Context, r statelite.Rule, source, target *place) (how string, err error) {
	if above, ok := a.inSame(r, target); ok {
		return "with " + above.Path, nil
	}
	switch r.Option.Plain() {
	case statelite.Persistent:
		return a.keep(ctx, r, a.persistent, source, target)
	case statelite.LocalDisk:
		return a.keep(ctx, r, a.local, source, target)
	case statelite.ReadOnly:
		return "from the image", a.mountReadOnly(source, target)
	case statelite.Concat:
		return a.concat(ctx, r, source, target)
	default:
		return a.remember(ctx, source, target)
	}
}

// inSame returns the rule above that keeps the same kind of files, if what it
// mounts holds those of r already. A symlink may lead out of it.
func (a *applier) inSame(r statelite.Rule, target *place) (above statelite.Rule, ok bool) {
	above, ok = a.Rules.Above(r)
	if !ok || above.Option.Plain() != r.Option.Plain() {
		return above, false
	}
	name, ok := a.placed[above.Path]
	return above, ok && strings.HasPrefix(target.name, name+"/")
}

// put mounts a file over its path in the root.
func (a *applier) put(source, target *place) error {
	if err := bind(source.path(), target.path()); err != nil {
		return err
	}
	a.mounted = append(a.mounted, target.name)
	return nil
}

// remember gives a path to the tmpfs.
func (a *applier) remember(ctx context.Context, source, target *place) (how string, err error) {
	if source.isDir() {
		err := a.overlay(source, target)
		if err == nil {
			return "(overlay)", nil
		}
		a.Log("statelite: %s: copying it, since no overlay can be mounted: %v", "/"+target.name, err)
	}
	if err := a.copyToTmpfs(ctx, source, target); err != nil {
		return "", fmt.Errorf("copying it into memory: %w%s", err, advice(err))
	}
	return "(copied)", nil
}

func (a *applier) copyToTmpfs(ctx context.Context, source, target *place) error {
	dir, base, err := a.tmpfs.parent(target.name)
	if err != nil {
		return err
	}
	defer dir.close()
	c := copier{ctx: ctx, top: int(dir.file.Fd())}
	if err := c.copy(pair{source.in(), path.Base(source.name), c.top, base}); err != nil {
		return err
	}
	copied, err := a.tmpfs.find(target.name, nothing)
	if err != nil {
		return err
	}
	defer copied.close()
	return a.put(copied, target)
}

// parent makes the directory above a name.
func (t *tree) parent(name string) (dir *place, base string, err error) {
	dir, err = t.find(path.Dir(name), directory)
	return dir, path.Base(name), err
}

// overlay mounts an overlay over a directory, with its changes in the tmpfs.
func (a *applier) overlay(source, target *place) error {
	a.overlays++
	name := overlayDir + "/" + strconv.Itoa(a.overlays)
	upper, err := a.tmpfs.find(name+"/upper", directory)
	if err != nil {
		return err
	}
	defer upper.close()
	work, err := a.tmpfs.find(name+"/work", directory)
	if err != nil {
		return err
	}
	defer work.close()
	// The directory itself is the upper one's.
	c := copier{}
	if err := c.meta(source.path()+"/.", upper.path()+"/.", nil); err != nil {
		return err
	}
	// Paths by number need no quoting, whatever they are.
	data := "lowerdir=" + source.path() + ",upperdir=" + upper.path() + ",workdir=" + work.path()
	if err := unix.Mount("statelite", target.path(), "overlay", 0, data); err != nil {
		return err
	}
	a.mounted = append(a.mounted, target.name)
	return nil
}

// keep gives a path to a store, which it is copied to at first.
func (a *applier) keep(ctx context.Context, r statelite.Rule, s *store, source, target *place) (how string, err error) {
	how = s.from + " (kept)"
	kept, err := s.find(r.Name(), nothing)
	if errors.Is(err, os.ErrNotExist) {
		lost := 0
		if lost, err = s.populate(ctx, r, source); err != nil {
			return "", fmt.Errorf("copying it to the store %s: %w%s", s.from, err, advice(err))
		}
		how = s.from + " (first boot: copied)"
		if lost > 0 {
			how = fmt.Sprintf("%s (first boot: copied without %d extended attributes, which that file system does not take)", s.from, lost)
		}
		kept, err = s.find(r.Name(), nothing)
	}
	if err != nil {
		return "", fmt.Errorf("looking for it in the store %s: %w%s", s.from, err, advice(err))
	}
	defer kept.close()
	if kept.isDir() != target.isDir() {
		return "", fmt.Errorf("a directory and a file cannot stand in for each other, and the store %s has the other one: remove /%s there to have it copied anew", s.from, kept.name)
	}
	return how, a.put(kept, target)
}

// populate copies a path to the store; a crash leaves nothing or all of it. It
// returns how many extended attributes the store did not take.
func (s *store) populate(ctx context.Context, r statelite.Rule, source *place) (lost int, err error) {
	dir, base, err := s.parent(r.Name())
	if err != nil {
		return 0, err
	}
	defer dir.close()
	part := dir.path() + "/" + partName
	if err := os.RemoveAll(part); err != nil {
		return 0, fmt.Errorf("removing what a crash has left: %w", err)
	}
	c := copier{ctx: ctx, top: int(dir.file.Fd())}
	err = c.copy(pair{source.in(), path.Base(source.name), c.top, partName})
	if err == nil {
		err = s.sync() // the name must not come to the disk before the contents
	}
	if err == nil {
		err = unix.Renameat(c.top, partName, c.top, base)
	}
	if err == nil {
		err = s.sync()
	}
	if err != nil {
		_ = os.RemoveAll(part) // it may be full: leave room
	}
	return c.lost, err
}

// in is the directory that a place is in.
func (p *place) in() int { return int(p.dir.Fd()) }

// mountReadOnly shows the image's file read-only.
func (a *applier) mountReadOnly(source, target *place) error {
	if err := a.put(source, target); err != nil {
		return err
	}
	at, err := a.root.find(target.name, nothing)
	if err != nil {
		return err
	}
	defer at.close()
	var st unix.Statfs_t
	if err := unix.Statfs(at.path(), &st); err != nil {
		return err
	}
	// The flags of statfs(2) have the same numbers as those of mount(2), up to noexec.
	const kept = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	flags := uintptr(st.Flags)&kept | unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY
	if err := unix.Mount("", at.path(), "", flags, ""); err != nil {
		return fmt.Errorf("making it read-only: %w", err)
	}
	return nil
}

// concat makes a file in the tmpfs of the image's and the store's.
func (a *applier) concat(ctx context.Context, r statelite.Rule, source, target *place) (how string, err error) {
	if err := a.copyToTmpfs(ctx, source, target); err != nil {
		return "", fmt.Errorf("copying it into memory: %w%s", err, advice(err))
	}
	if a.persistent == nil {
		return "(the image's alone)", nil
	}
	more, err := a.persistent.find(r.Name(), nothing)
	if errors.Is(err, os.ErrNotExist) {
		return "(the image's alone, " + a.persistent.from + " has none)", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for it in the store %s: %w", a.persistent.from, err)
	}
	defer more.close()
	if more.kind != unix.S_IFREG {
		return "", fmt.Errorf("/%s in the store %s is not a file: remove it", more.name, a.persistent.from)
	}
	if err := appendFile(ctx, more.path(), a.tmpfs, target.name); err != nil {
		return "", fmt.Errorf("adding what the store %s has: %w", a.persistent.from, err)
	}
	return "(the image's, and " + a.persistent.from + ")", nil
}

// appendFile adds the contents of one file to another.
func appendFile(ctx context.Context, from string, to *tree, name string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	at, err := to.find(name, nothing)
	if err != nil {
		return err
	}
	defer at.close()
	out, err := os.OpenFile(at.path(), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := out.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	return stream(ctx, out, in, math.MaxInt64)
}

// advice tells what to check after an error of a store or of memory.
func advice(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "; make room there, or take large directories out of the rules"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "; the node's root must be root there: export it with rw,no_root_squash"
	case errors.Is(err, unix.EROFS):
		return "; it is read-only: mount and export it with rw"
	}
	return ""
}
