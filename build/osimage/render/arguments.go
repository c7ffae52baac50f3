package render

import (
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// labelValue is a value as a Containerfile takes it, with nothing expanded in it.
func labelValue(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`).Replace(text) + `"`
}

// kernelArguments are the consoles of the architecture's machines, and further ones.
func kernelArguments(d *osimage.Definition, more []string) string {
	consoles := map[string]string{"aarch64": "console=tty0 console=ttyAMA0,115200", "ppc64le": "console=tty0 console=hvc0", "ppc64el": "console=tty0 console=hvc0", "s390x": "console=ttysclp0"}
	args := []string{"console=tty0 console=ttyS0,115200"}
	if c, ok := consoles[d.Get("osarch")]; ok {
		args[0] = c
	}
	return strings.Join(append(args, more...), " ")
}

// KernelArguments are those that a definition adds to the nodes' command line:
// addkcmdline without what is for installed systems, and the memory of dump.
func KernelArguments(d *osimage.Definition) []string {
	var args []string
	for _, a := range strings.Fields(d.Get("addkcmdline")) {
		if !strings.HasPrefix(a, "R::") {
			args = append(args, a)
		}
	}
	dump := d.Get("dump")
	if dump == "" {
		return args
	}
	size := d.Get("crashkernelsize")
	switch { // as xCAT's nodeset has it
	case size != "":
	case strings.HasPrefix(d.Get("osarch"), "ppc64"):
		size = "256M@64M"
	default:
		size = "128M"
	}
	if rest, ok := strings.CutPrefix(dump, "fadump:"); ok {
		return append(args, "fadump=on", "fadump_reserve_mem="+size, "dump="+rest)
	}
	return append(args, "crashkernel="+size, "dump="+dump)
}
