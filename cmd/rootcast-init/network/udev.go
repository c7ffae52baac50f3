package network

import "fmt"

// renamesLive tells whether a kernel renames an interface that is up: since Linux
// 6.2 (net/core/dev.c, dev_change_name). What it cannot tell it takes for old.
func renamesLive(release string) bool {
	var major, minor int
	_, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return err == nil && (major > 6 || major == 6 && minor >= 2)
}

// keepNames has udev leave the names of what is up as they are. It would fail to
// change them, and up to systemd 252 it then leaves the mark of a name that is about
// to change (ID_RENAMING), for whose end networkd waits with the interface. A bond's
// interfaces keep the names that bond= has for them on any kernel.
//
// The rule comes before 80-net-setup-link.rules, which gives a name only where none
// is given, so that all else of the image's .link file is applied. Where that is
// 99-default.link, a file before it brings the names that udev would have given as
// alternative ones: what the image has for enp1s0 matches.
func (h *handover) keepNames() {
	const comment = "# Written at boot by rootcast: it is up, and keeps the name that it was brought up by.\n"
	rules := comment
	for _, name := range h.lease.hardware() {
		rules += fmt.Sprintf("ACTION==\"add\", SUBSYSTEM==\"net\", KERNEL==%q, NAME=%q\n", name, name)
		h.write("run/systemd/network/98-rootcast-"+name+".link", 0o644,
			[]byte(comment+"[Match]\nOriginalName="+name+"\n\n[Link]\nNamePolicy=keep\nAlternativeNamesPolicy=database onboard slot path\n"))
	}
	h.write("run/udev/rules.d/79-rootcast.rules", 0o644, []byte(rules))
}

// hardware names the interfaces that the lease rests on and that udev may rename.
func (l *Lease) hardware() []string {
	switch {
	case len(l.Slaves) > 0:
		return l.Slaves
	case l.Parent != "":
		return []string{l.Parent}
	default:
		return []string{l.Interface}
	}
}
