package extract

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// link makes one more name of a file.
func (w *writer) link(target, name string) error {
	if target == name {
		return nil
	}
	from, old, err := w.enter(target)
	if err != nil {
		return err
	}
	// The way to the new name may close it.
	from, err = unix.FcntlInt(uintptr(from), unix.F_DUPFD_CLOEXEC, 0) //nolint:gosec // a descriptor
	if err != nil {
		return err
	}
	defer unix.Close(from) //nolint:errcheck // it was only looked through
	err = w.create(name, func(dir int, base string) error { return unix.Linkat(from, old, dir, base, 0) })
	if err != nil {
		return fmt.Errorf("linking it to /%s: %w", target, err)
	}
	return nil
}

// member makes one name of a cpio's file with several. The content may stand with
// any of them: with the last, as GNU cpio and the kernel's gen_init_cpio write it,
// or with each. Of several the last one counts, whoever comes to it first.
func (w *writer) member(ctx context.Context, e *entry, c content) error {
	g := w.t.group(e.group)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.name == "" {
		if err := w.file(ctx, e, c); err != nil {
			return err
		}
		g.name, g.meta = e.name, *e
		if e.size > 0 {
			g.data = e.order
		}
		return nil
	}
	if err := w.link(g.name, e.name); err != nil {
		return err
	}
	return w.update(ctx, g, e, c)
}

// update gives a file that is there what one more of its entries says of it.
func (w *writer) update(ctx context.Context, g *group, e *entry, c content) error {
	data := e.size > 0 && e.order > g.data
	if e.order > g.meta.order {
		g.meta = *e
	} else if !data {
		return nil
	}
	dir, base, err := w.enter(e.name)
	if err != nil {
		return err
	}
	if e.kind() != unix.S_IFREG {
		return w.describeSpecial(dir, base, &g.meta)
	}
	flags := unix.O_WRONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if data {
		flags |= unix.O_TRUNC
		g.data = e.order
	}
	fd, err := unix.Openat(dir, base, flags, 0)
	if err != nil {
		return err
	}
	if data {
		err = copyAll(ctx, fd, e, c)
	}
	if err == nil {
		err = w.describe(place{fd, dir, base}, &g.meta)
	}
	return closed(fd, err)
}
