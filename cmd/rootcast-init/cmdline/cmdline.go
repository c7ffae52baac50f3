package cmdline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options is what the command line asks for. Values that another package
// understands, such as those of ip=, are kept as they were written.
type Options struct {
	// Where the root comes from.
	ImgURL string // imgurl=: URLs, separated by commas
	Digest string // rootcast.digest=: SHA-256 of the packed root, in hexadecimal; "": not known

	// The network.
	BootIF, NetDev             string
	IP, VLAN, Bond, Nameserver []string
	LinkWait                   time.Duration // rd.net.timeout.iflink=, rd.net.timeout.carrier=; 0: not given
	DHCPWait                   time.Duration // rd.net.timeout.dhcp=; 0: not given

	// Kernel modules.
	Modules   []string          // rootcast.modules=: loaded besides what the hardware asks for
	Params    map[string]string // module → its parameters, in the form that the kernel takes them
	Blacklist []string          // rd.driver.blacklist=, module_blacklist=

	// The root.
	RootLimit string // rootlimit=: size of the tmpfs, in bytes, with k, m, g or %; "": half of the memory
	RootFlags string // rootflags=: further options of the tmpfs
	Zram      string // rootcast.zram=: size of a compressed device for what the node writes; "": a tmpfs
	Init      string // init=: what runs first instead of what the image says

	// Statelite.
	Persistent     string // rootcast.persistent=, STATEMNT=
	PersistentOpts string // MNTOPTS=
	LocalDisk      string // rootcast.localdisk=
	Node           string // NODE=
	Format         bool   // rootcast.format=yes

	// Trouble.
	Debug bool          // rootcast.debug
	Shell bool          // rootcast.shell
	Panic time.Duration // panic=: reboot after so long, at once if negative; 0: never
}

// Parse reads the command line. What starts with "rootcast." and is unknown or
// has a bad value comes back, a line for each, and is otherwise ignored: a node
// had better boot than not.
func Parse(line string) (*Options, []string) {
	o := &Options{Params: map[string]string{}}
	var complaints []string
	for _, a := range split(line) {
		if err := o.set(a); err != nil {
			complaints = append(complaints, err.Error())
		}
	}
	return o, complaints
}

func (o *Options) set(a argument) error {
	if text := o.text(a.name); text != nil {
		*text = a.value
		return nil
	}
	if list := o.list(a.name); list != nil {
		*list = append(*list, a.value)
		return nil
	}
	switch a.name {
	case "rootcast.digest":
		return o.setDigest(a.value)
	case "rootcast.modules":
		o.Modules = append(o.Modules, words(a.value)...)
	case "rd.driver.blacklist", "module_blacklist", "modprobe.blacklist":
		o.Blacklist = append(o.Blacklist, words(a.value)...)
	case "rootcast.debug":
		return setSwitch(&o.Debug, a)
	case "rootcast.shell":
		return setSwitch(&o.Shell, a)
	case "rootcast.format":
		return setSwitch(&o.Format, a)
	case "rd.net.timeout.iflink", "rd.net.timeout.carrier":
		return setSeconds(&o.LinkWait, a)
	case "rd.net.timeout.dhcp":
		return setSeconds(&o.DHCPWait, a)
	case "panic":
		return o.setPanic(a.value)
	default:
		return o.setOther(a)
	}
	return nil
}

// text returns where the value of an argument goes whose last value counts.
func (o *Options) text(name string) *string {
	switch name {
	case "imgurl":
		return &o.ImgURL
	case "BOOTIF":
		return &o.BootIF
	case "netdev":
		return &o.NetDev
	case "rootlimit":
		return &o.RootLimit
	case "rootflags":
		return &o.RootFlags
	case "rootcast.zram":
		return &o.Zram
	case "init":
		return &o.Init
	case "rootcast.persistent", "STATEMNT":
		return &o.Persistent
	case "MNTOPTS":
		return &o.PersistentOpts
	case "rootcast.localdisk":
		return &o.LocalDisk
	case "NODE", "rootcast.node":
		return &o.Node
	}
	return nil
}

// list returns where the value of an argument goes that may stand several times.
func (o *Options) list(name string) *[]string {
	switch name {
	case "ip":
		return &o.IP
	case "vlan":
		return &o.VLAN
	case "bond":
		return &o.Bond
	case "nameserver":
		return &o.Nameserver
	}
	return nil
}

func (o *Options) setDigest(value string) error {
	digest := strings.ToLower(strings.TrimPrefix(value, "sha256:"))
	if len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
		// Without a digest any root would do: a mistyped one must match none.
		o.Digest = "?"
		return fmt.Errorf("rootcast.digest=%s is no sha256:<64 hexadecimal digits>: no root will match it", value)
	}
	o.Digest = digest
	return nil
}

// setPanic follows the kernel: seconds (kernel/panic.c, panic_timeout).
func (o *Options) setPanic(value string) error {
	seconds, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("panic=%s is no number of seconds", value)
	}
	o.Panic = time.Duration(seconds) * time.Second
	return nil
}

// setSeconds follows dracut.cmdline(7).
func setSeconds(to *time.Duration, a argument) error {
	seconds, err := strconv.ParseUint(a.value, 10, 16)
	if err != nil {
		return fmt.Errorf("%s=%s is no number of seconds", a.name, a.value)
	}
	*to = time.Duration(seconds) * time.Second
	return nil
}

// setOther takes module.param=value, which the kernel passes on to nobody once
// its modules come from an initrd.
func (o *Options) setOther(a argument) error {
	module, param, ok := strings.Cut(a.name, ".")
	switch {
	case module == "rootcast":
		return fmt.Errorf("%s is unknown to this rootcast-init", a.name)
	case !ok || module == "" || param == "" || slices.Contains([]string{"rd", "systemd", "udev"}, module):
		return nil
	}
	module = strings.ReplaceAll(module, "-", "_")
	text := param
	if a.hasValue {
		text += "=" + quote(a.value)
	}
	o.Params[module] = strings.TrimPrefix(o.Params[module]+" "+text, " ")
	return nil
}

// quote keeps a value with white space in one piece (lib/cmdline.c).
func quote(value string) string {
	if strings.ContainsAny(value, " \t\n\v\f\r") {
		return `"` + value + `"`
	}
	return value
}

// setSwitch takes name, name=1 and the like.
func setSwitch(to *bool, a argument) error {
	switch strings.ToLower(a.value) {
	case "", "1", "y", "yes", "on", "true":
		*to = true
	case "0", "n", "no", "off", "false":
		*to = false
	default:
		return fmt.Errorf("%s=%s: yes or no", a.name, a.value)
	}
	return nil
}

func words(value string) []string {
	return strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' })
}
