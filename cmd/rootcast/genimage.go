package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/render"
)

const genimageDescription = `Builds the OCI image of an osimage definition, as xCAT's genimage makes a root: a
base from the repositories of pkgdir (or baseimage), the packages of pkglist and
otherpkglist, the scripts of postinstall. packimage casts it into rootimgdir.

   genimage debian12-x86_64-netboot-compute
   genimage --dryrun compute                 prints a line that does it on another machine
   genimage -k 6.1.0-37-amd64 -n nvme_rdma,mlx5_core compute
   genimage --push registry.example/cluster compute
   genimage -o debian12 -a aarch64 -p compute  of another architecture, by qemu-user-static

The image is localhost/NAME in the store, and localhost/OSVERS-ARCH-METHOD-PROFILE;
nothing that is there changes until it is made. What was built before is used again
where neither lists nor scripts nor repositories changed. rootcast help xcat tells
what is other than in xCAT.`

// genimage is what the options of genimage fill.
type genimage struct {
	e   *env
	dir string

	osvers, arch, profile, method string
	values                        map[string]*string // of attributes, by name
	rootLimit, tmpLimit, timezone string
	unchecked                     string
	given                         []string // attributes that the command line sets
	push, authFile                string
	tlsVerify                     optionalBool

	interactive, onlyInitrd, dryRun, ignoreKernel, noUpdate, hostScripts, noCache, version bool
}

func newGenimageCommand(e *env) *cli.Command {
	c := &genimage{e: e, values: map[string]*string{}}
	flags := pflag.NewFlagSet("genimage", pflag.ContinueOnError)
	c.xcatFlags(flags)
	c.ownFlags(flags)
	x := &xcatCommand{
		name: "genimage", usage: "build the image of an osimage definition, as xCAT does", arguments: "[OPTIONS] NAME",
		description: genimageDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

// attribute is an option that stands for an attribute.
func (c *genimage) attribute(flags *pflag.FlagSet, name, option, short, usage string) {
	value := new(string)
	c.values[name] = value
	flags.StringVarP(value, option, short, "", usage)
}

// xcatFlags are the options of xCAT's command and of its scripts.
func (c *genimage) xcatFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&c.arch, "arch", "a", "", "the nodes' `ARCHITECTURE`, such as aarch64 (with -o and -p; default: this machine's)")
	flags.StringVarP(&c.osvers, "osver", "o", "", "distribution and `VERSION`, instead of a NAME")
	flags.StringVarP(&c.profile, "profile", "p", "", "the nodes' `PROFILE`, instead of a NAME")
	c.attribute(flags, "nodebootif", "interface", "i", "the `INTERFACE` that nodes boot from")
	c.attribute(flags, "netdrivers", "netdrivers", "n", "`MODULES` for the initrd, with commas between them")
	c.attribute(flags, "otherifce", "otherifce", "r", "further `INTERFACES` that ask DHCP")
	flags.StringVarP(&c.rootLimit, "rootlimit", "l", "", "the root's `SIZE` in memory at most, with k, m or g")
	flags.StringVarP(&c.tmpLimit, "tmplimit", "t", "", "`SIZE` of /tmp; of no use with systemd")
	c.attribute(flags, "kernelver", "kernelver", "k", "the kernel's `VERSION`")
	c.attribute(flags, "krpmver", "krpmver", "g", "the `VERSION` of the kernel's package, for SLES and Leap")
	flags.StringVarP(&c.method, "mode", "m", "", "statelite, in the line that --dryrun prints")
	c.attribute(flags, "permission", "permission", "", "the `MODE` of /.statelite (default 755)")
	c.attribute(flags, "kerneldir", "kerneldir", "", "`DIR` of a repository of kernels")
	flags.BoolVar(&c.interactive, "interactive", false, "of no use here: a build has no terminal")
	flags.BoolVar(&c.onlyInitrd, "onlyinitrd", false, "make kernel and initrd of the image that is there once more")
	c.attribute(flags, "environvar", "env", "", "`NAME=VALUE,...` for scripts and #INCLUDE paths")
	c.attribute(flags, "pkgdir", "srcdir", "", "`REPOSITORIES` of the distribution")
	c.attribute(flags, "pkglist", "pkglist", "", "`FILES` that list the distribution's packages")
	c.attribute(flags, "otherpkgdir", "otherpkgdir", "", "`REPOSITORIES` of further packages")
	c.attribute(flags, "otherpkglist", "otherpkglist", "", "`FILES` that list further packages")
	c.attribute(flags, "postinstall", "postinstall", "", "`SCRIPTS` that change the root")
	c.attribute(flags, "rootimgdir", "rootimgdir", "", "`DIR` for what nodes boot from, which packimage makes")
	c.attribute(flags, "driverupdatesrc", "driverupdatesrc", "", "packages of drivers, as `rpm:FILE,...`")
	flags.BoolVar(&c.ignoreKernel, "ignorekernelchk", false, "add packages of drivers whatever kernel they are for")
	flags.BoolVar(&c.noUpdate, "noupdate", false, "do not bring packages up to date after otherpkglist")
	flags.StringVar(&c.timezone, "timezone", "", "the image's time `ZONE`, such as Europe/Berlin")
	flags.BoolVar(&c.dryRun, "dryrun", false, "print the line that does it, with all that the definition says, and change nothing")
	flags.BoolVarP(&c.version, "version", "v", false, "print the version and exit")
}

// ownFlags are those that xCAT does not have.
func (c *genimage) ownFlags(flags *pflag.FlagSet) {
	c.attribute(flags, "baseimage", "baseimage", "", "add the packages to OCI `IMAGE` instead of a base from the repositories")
	c.attribute(flags, "gpgkeys", "gpgkeys", "", "`FILES` of the keys that sign the repositories")
	flags.StringVar(&c.unchecked, "nogpgcheck", "", "take packages without a check of signatures: `all`, or those of otherpkgs")
	flags.Lookup("nogpgcheck").NoOptDefVal = string(render.AllUnchecked)
	flags.BoolVar(&c.hostScripts, "postinstall-on-host", false, "run postinstall on this machine, as xCAT does, rather than in the image")
	flags.BoolVar(&c.noCache, "no-cache", false, "use nothing of earlier builds")
	flags.StringVar(&c.push, "push", "", "push the image to `REGISTRY[/PATH]` too")
	flags.StringVar(&c.authFile, "authfile", "", "read the registry's credentials from `FILE`")
	flags.Var(pflagValue{&c.tlsVerify}, "tls-verify", "demand HTTPS of the registry (default true)")
	flags.Lookup("tls-verify").NoOptDefVal = "true"
	flags.StringVar(&c.dir, "osimages", "", osimagesUsage)
}

// pflagValue is a flag of the other library's kind.
type pflagValue struct{ *optionalBool }

// Type implements pflag.Value.
func (pflagValue) Type() string { return "BOOL" }

func (c *genimage) run(ctx context.Context, args []string) error {
	if c.version {
		return c.e.printLine("rootcast " + version)
	}
	d, err := c.definition(args)
	if err != nil {
		return err
	}
	if err := c.complete(d); err != nil {
		return err
	}
	if !c.dryRun { // before anything is said: it may start this process anew
		if _, err := c.e.openStore(); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(c.e.stdout, "Generating image: "); err != nil {
		return err
	}
	if c.dryRun {
		return c.e.printLine(c.commandLine(d))
	}
	if c.onlyInitrd {
		return c.initrd(ctx, d)
	}
	return c.build(ctx, d)
}

// definition is the one that the command line names, with what it says beside. A
// line of --dryrun says everything, and needs none that is stored here.
func (c *genimage) definition(args []string) (*osimage.Definition, error) {
	short := c.osvers != "" || c.profile != "" || c.arch != ""
	whole := c.osvers != "" && c.profile != "" && c.arch != "" && *c.values["pkglist"] != ""
	from := catalog(c.dir)
	switch {
	case len(args) > 1:
		return nil, usageErrorf("genimage: unexpected argument %q; see genimage --help", args[1])
	case len(args) == 1 && short && !whole:
		return nil, usageErrorf("-o, -p and -a options are not allowed when a image name is specified.")
	case len(args) == 1 && whole:
		d, err := from.Load(args[0])
		if err != nil {
			if err := osimage.CheckName(args[0]); err != nil {
				return nil, usageErrorf("%v", err)
			}
			d = &osimage.Definition{Name: args[0]}
		}
		return d, nil
	case len(args) == 1:
		return load(from, args[0])
	case c.osvers == "" || c.profile == "":
		return nil, usageErrorf("genimage: which osimage? see genimage --help, and lsdef -t osimage for those that there are")
	}
	if c.arch == "" {
		c.arch = machine()
	}
	d, err := load(from, fmt.Sprintf("%s-%s-%s-%s", c.osvers, c.arch, either(c.method, "netboot"), c.profile))
	if err != nil {
		return nil, fmt.Errorf("%w mkdef -u profile=%s osvers=%s osarch=%s makes it", err, c.profile, c.osvers, c.arch)
	}
	return d, nil
}

// complete applies the options and checks the whole.
func (c *genimage) complete(d *osimage.Definition) error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	set := map[string]string{"osvers": c.osvers, "osarch": c.arch, "profile": c.profile}
	for name, value := range c.values {
		set[name] = *value
	}
	switch c.method {
	case "":
	case "statelite", "netboot":
		set["provmethod"] = c.method
	default:
		return usageErrorf("genimage: -m %s: it can be statelite", c.method)
	}
	if d.Get("provmethod") == "" && set["provmethod"] == "" {
		set["provmethod"] = "netboot"
	}
	for name, value := range set {
		if value == "" {
			continue
		}
		if err := d.Set(name, value, dir); err != nil {
			return fmt.Errorf("osimage %s: %w", d.Name, err)
		}
		c.given = append(c.given, name)
	}
	if !d.Netboot() {
		return fmt.Errorf("osimage %s: provmethod is %s; genimage makes images for netboot and statelite", d.Name, d.Get("provmethod"))
	}
	switch render.Unchecked(c.unchecked) {
	case render.CheckAll, render.OtherUnchecked, render.AllUnchecked:
	default:
		return usageErrorf("genimage: --nogpgcheck=%s: it is all or otherpkgs", c.unchecked)
	}
	if c.tmpLimit != "" {
		c.e.say("warning: -t %s is of no use: systemd mounts /tmp itself", c.tmpLimit)
	}
	if c.interactive {
		c.e.say("warning: --interactive is of no use: a build has no terminal; packages are installed without a question")
	}
	return d.Check()
}

// commandLine is what does the same on another machine, in the order of xCAT's.
func (c *genimage) commandLine(d *osimage.Definition) string {
	words := []string{"rootcast", "genimage"}
	add := func(option, value string, quoted bool) {
		switch {
		case value == "":
		case quoted:
			words = append(words, option, doubleQuote(value))
		default:
			words = append(words, option, shellWord(value))
		}
	}
	flag := func(option string, set bool) {
		if set {
			words = append(words, option)
		}
	}
	add("-a", d.Get("osarch"), false)
	add("-o", d.Get("osvers"), false)
	add("-p", d.Get("profile"), false)
	add("-n", d.Get("netdrivers"), false)
	add("-i", d.Get("nodebootif"), false)
	add("-r", d.Get("otherifce"), false)
	add("-l", c.rootLimit, false)
	add("-t", c.tmpLimit, false)
	add("-k", d.Get("kernelver"), false)
	add("-g", d.Get("krpmver"), false)
	if d.Get("provmethod") == "statelite" {
		add("-m", "statelite", false)
	}
	add("--permission", either(d.Get("permission"), "755"), false)
	add("--kerneldir", d.Get("kerneldir"), false)
	flag("--interactive", c.interactive)
	flag("--onlyinitrd", c.onlyInitrd)
	add("--env", d.Get("environvar"), false)
	add("--srcdir", d.Get("pkgdir"), true)
	add("--pkglist", d.Get("pkglist"), false)
	add("--otherpkgdir", d.Get("otherpkgdir"), true)
	add("--otherpkglist", d.Get("otherpkglist"), false)
	add("--postinstall", d.Get("postinstall"), true)
	add("--rootimgdir", rootimgdirOf(d), false)
	add("--driverupdatesrc", d.Get("driverupdatesrc"), false)
	flag("--ignorekernelchk", c.ignoreKernel)
	flag("--noupdate", c.noUpdate)
	add("--timezone", c.timezone, false)
	add("--baseimage", d.Get("baseimage"), false)
	add("--gpgkeys", d.Get("gpgkeys"), false)
	if c.unchecked != "" {
		words = append(words, "--nogpgcheck="+c.unchecked)
	}
	flag("--postinstall-on-host", c.hostScripts)
	add("--push", c.push, false)
	return strings.Join(append(words, d.Name), " ")
}

// doubleQuote quotes as xCAT does, unless a shell would see more in the value.
func doubleQuote(value string) string {
	if strings.ContainsAny(value, "\"$`\\!") {
		return render.Quote(value)
	}
	return `"` + value + `"`
}

// shellWord quotes a value where it has to be.
func shellWord(value string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-,:=+@%", r))
	}
	if strings.ContainsFunc(value, func(r rune) bool { return !plain(r) }) {
		return render.Quote(value)
	}
	return value
}
