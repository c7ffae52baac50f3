package synclist

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// like gives to a file of the image what else than content a file of this machine
// has: its owner, group, mode, extended attributes and time.
func (a *applier) like(to, from *os.File, name string) error {
	st, err := fstat(from)
	if err != nil {
		return err
	}
	uid, gid := a.owners.of(st)
	if err := a.give(to, from, name, uid, gid); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", to.Fd()), times, 0); err != nil {
		return fmt.Errorf("setting its time: %w", err)
	}
	return nil
}

// keep gives to a file what the file of the image has whose place it takes.
func (a *applier) keep(to, old *os.File, name string) error {
	st, err := fstat(old)
	if err != nil {
		return err
	}
	return a.give(to, old, name, int(st.Uid), int(st.Gid))
}

func (a *applier) give(to, from *os.File, name string, uid, gid int) error {
	st, err := fstat(from)
	if err != nil {
		return err
	}
	fd := int(to.Fd())
	if err := unix.Fchown(fd, uid, gid); err != nil {
		return fmt.Errorf("giving it to user %d and group %d: %w", uid, gid, err)
	}
	if err := unix.Fchmod(fd, st.Mode&0o7777); err != nil { // after the owner, who takes setuid away
		return fmt.Errorf("setting its mode: %w", err)
	}
	return a.xattrs(fd, int(from.Fd()), name)
}

func fstat(f *os.File) (st unix.Stat_t, err error) {
	err = unix.Fstat(int(f.Fd()), &st)
	return st, err
}

// xattrs copies the attributes that mean the same elsewhere: labels of SELinux and
// what file systems keep for themselves do not. The loss of a capability or an
// access list is an error.
func (a *applier) xattrs(to, from int, name string) error {
	names, err := xattr(func(buf []byte) (int, error) { return unix.Flistxattr(from, buf) })
	if err != nil {
		return fmt.Errorf("listing its extended attributes: %w", err)
	}
	for attribute := range strings.SplitSeq(string(bytes.TrimRight(names, "\x00")), "\x00") {
		must := attribute == "security.capability" || strings.HasPrefix(attribute, "system.posix_acl_")
		if !must && !strings.HasPrefix(attribute, "user.") {
			continue
		}
		value, err := xattr(func(buf []byte) (int, error) { return unix.Fgetxattr(from, attribute, buf) })
		if err != nil {
			return fmt.Errorf("reading its %s: %w", attribute, err)
		}
		switch err := unix.Fsetxattr(to, attribute, value, 0); {
		case err == nil:
		case must:
			return fmt.Errorf("setting its %s: %w", attribute, err)
		default:
			a.lose(attribute, name, err)
		}
	}
	return nil
}

// xattr calls a function of the kernel that says first how much it would write.
func xattr(get func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := get(nil)
		switch {
		case errors.Is(err, unix.ENOTSUP):
			return nil, nil
		case err != nil || n == 0:
			return nil, err
		}
		buf := make([]byte, n)
		n, err = get(buf)
		if !errors.Is(err, unix.ERANGE) { // it has grown meanwhile
			return buf[:max(n, 0)], err
		}
	}
}

func (a *applier) lose(attribute, name string, err error) {
	if a.lost == nil {
		a.lost = map[string]*lost{}
	}
	l := a.lost[attribute]
	if l == nil {
		l = &lost{first: name, err: err}
		a.lost[attribute] = l
	}
	l.files++
}

// owners tells which users and groups files of the image can belong to. In a user
// namespace the kernel shows owners that it does not have there as one that nobody is.
type owners struct {
	uid, gid uint32 // how those are shown; 0: this is no such namespace
	unknown  int    // files that belonged to them
}

// readOwners asks the kernel. Where /proc does not say, owners are as they are shown.
func readOwners() owners {
	return owners{uid: overflow("uid"), gid: overflow("gid")}
}

// overflow is the ID for all those that this namespace has not: 0 if it has all.
func overflow(kind string) uint32 {
	text, err := os.ReadFile("/proc/self/" + kind + "_map")
	if err != nil {
		return 0
	}
	var inside, outside, length, id uint32
	if n, err := fmt.Sscan(string(text), &inside, &outside, &length); n != 3 || err != nil || inside == 0 && length == 1<<32-1 {
		return 0
	}
	text, err = os.ReadFile("/proc/sys/kernel/overflow" + kind)
	if err != nil {
		return 0
	}
	if n, err := fmt.Sscan(string(text), &id); n != 1 || err != nil {
		return 0
	}
	return id
}

// of returns a file's owner and group for the image.
func (o *owners) of(st unix.Stat_t) (uid, gid int) {
	uid, gid = int(st.Uid), int(st.Gid)
	noUser, noGroup := o.uid != 0 && st.Uid == o.uid, o.gid != 0 && st.Gid == o.gid
	if noUser {
		uid = 0
	}
	if noGroup {
		gid = 0
	}
	if noUser || noGroup {
		o.unknown++
	}
	return uid, gid
}
