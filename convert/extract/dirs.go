package extract

import "golang.org/x/sys/unix"

// openDirs is how many directories a worker keeps open: those above the files at
// hand and some neighbours. A node's first program has 4,096 descriptors for all.
const openDirs = 32

// dirs is the directories that a worker has open, so that a file costs no walk
// from the root.
type dirs struct {
	open  []openDir
	clock uint64
}

type openDir struct {
	name string
	fd   int
	used uint64
}

// get returns a directory that is open. The descriptor is valid until openDirs
// others were added.
func (d *dirs) get(name string) (fd int, ok bool) {
	for i := range d.open {
		if o := &d.open[i]; o.name == name {
			d.clock++
			o.used = d.clock
			return o.fd, true
		}
	}
	return -1, false
}

// add keeps a directory open in the place of the one that was used longest ago.
func (d *dirs) add(name string, fd int) {
	d.clock++
	o := openDir{name, fd, d.clock}
	if len(d.open) < openDirs {
		d.open = append(d.open, o)
		return
	}
	oldest := 0
	for i := range d.open {
		if d.open[i].used < d.open[oldest].used {
			oldest = i
		}
	}
	_ = unix.Close(d.open[oldest].fd) // it was only looked through
	d.open[oldest] = o
}

// forget closes a directory that is no more.
func (d *dirs) forget(name string) {
	for i := range d.open {
		if d.open[i].name == name {
			_ = unix.Close(d.open[i].fd) // it was only looked through
			d.open[i] = d.open[len(d.open)-1]
			d.open = d.open[:len(d.open)-1]
			return
		}
	}
}

func (d *dirs) close() {
	for _, o := range d.open {
		_ = unix.Close(o.fd) // it was only looked through
	}
	d.open = nil
}

// openAt opens a directory to go through it, never by a symlink. Component by
// component this keeps below the root as openat2(2) does, which Linux has from 5.6
// on only, and costs one call for a directory whose parent is open.
func openAt(parent int, base string) (int, error) {
	return unix.Openat(parent, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}
