package osimage

import (
	"slices"
	"strings"

	"github.com/xrash/smetrics"
)

// Kind says what an attribute's value is made of.
type Kind int

// The kinds of values. Lists are separated by commas.
const (
	Text    Kind = iota // free text
	Word                // one of the attribute's Values
	List                // words
	Files               // files that are read
	Scripts             // programs that are run, each with arguments behind its path
	Places              // directories, or URLs of repositories
)

// Attribute is what a definition can say of its image.
type Attribute struct {
	// Name is what definitions and commands call it.
	Name string
	// Table and Column are where xCAT keeps it (its Schema.pm).
	Table, Column string
	Kind          Kind
	// Values are those of a Word.
	Values []string
	// Usage says in a few words what it is.
	Usage string
}

// Attributes returns every attribute, sorted by name. Those of the table
// linuximage belong to images of Linux, which all of rootcast's are.
func Attributes() []Attribute {
	list := append(imageAttributes(), linuxAttributes()...)
	for i := range list {
		if list[i].Column == "" {
			list[i].Column = list[i].Name
		}
	}
	slices.SortFunc(list, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// imageAttributes are the columns of xCAT's table osimage.
func imageAttributes() []Attribute {
	list := []Attribute{
		{Name: "baseimage", Kind: Text, Usage: "the OCI image that the packages are added to (rootcast's own)"},
		{Name: "cfmdir", Kind: Text, Usage: "of a product beside xCAT; kept, not used"},
		{Name: "description", Kind: Text, Usage: "what the image is for"},
		{Name: "environvar", Kind: List, Usage: "NAME=VALUE pairs for scripts and #INCLUDE paths"},
		{Name: "gpgkeys", Kind: Files, Usage: "keys that sign the repositories (rootcast's own)"},
		{Name: "groups", Kind: List, Usage: "groups of images, which litefile rules can name"},
		{Name: "imagetype", Kind: Word, Values: []string{"linux"}, Usage: "linux"},
		{Name: "isdeletable", Kind: Text, Usage: "of a product beside xCAT; kept, not used"},
		{Name: "kitcomponents", Kind: List, Usage: "xCAT kits; kept, not used"},
		{Name: "nfsrootopts", Kind: List, Usage: "mount options of a statelite root on NFS"},
		{Name: "osarch", Kind: Word, Values: architectures(), Usage: "the nodes' architecture"},
		{Name: "osdistroname", Kind: Text, Usage: "xCAT's distribution object, OSVERS-ARCH"},
		{Name: "osname", Kind: Word, Values: []string{"Linux"}, Usage: "Linux"},
		{Name: "osupdatename", Kind: List, Usage: "xCAT's update objects; kept, not used"},
		{Name: "osvers", Kind: Text, Usage: "distribution and version, such as debian12 or rocky9.4"},
		{Name: "postbootscripts", Kind: List, Usage: "scripts that a node runs after postscripts"},
		{Name: "postscripts", Kind: List, Usage: "scripts that a node runs when it has booted"},
		{Name: "profile", Kind: Text, Usage: "what the nodes are for, such as compute"},
		{Name: "provmethod", Kind: Word, Values: provisionMethods(), Usage: "how nodes get it: netboot or statelite here"},
		{Name: "rootfstype", Kind: Word, Values: []string{"nfs", "ramdisk"}, Usage: "where a statelite root lies"},
		{Name: "serverrole", Kind: List, Usage: "mgtnode, servicenode, compute, login, storage or utility"},
		{Name: "synclists", Kind: Files, Usage: "lists of files that are copied into the image"},
	}
	for i := range list {
		list[i].Table = "osimage"
	}
	return list
}

// linuxAttributes are the columns of xCAT's table linuximage.
func linuxAttributes() []Attribute {
	list := []Attribute{
		{Name: "addkcmdline", Kind: Text, Usage: "more kernel arguments"},
		{Name: "boottarget", Kind: Text, Usage: "xCAT's boottarget object; kept, not used"},
		{Name: "crashkernelsize", Kind: Text, Usage: "memory kept for a crash kernel"},
		{Name: "driverupdatesrc", Kind: List, Usage: "driver disks and packages, dud:PATH or rpm:PATH"},
		{Name: "dump", Kind: Text, Usage: "where a crash dump goes"},
		{Name: "exlist", Kind: Files, Usage: "lists of files that the packed image leaves out"},
		{Name: "kerneldir", Kind: Places, Usage: "a repository of further kernels"},
		{Name: "kernelver", Kind: Text, Usage: "the kernel's version"},
		{Name: "krpmver", Kind: Text, Usage: "the version of the kernel's package"},
		{Name: "netdrivers", Kind: List, Usage: "modules for the initrd"},
		{Name: "nodebootif", Kind: Text, Usage: "the interface that nodes boot from"},
		{Name: "otherifce", Kind: List, Usage: "further interfaces, by DHCP"},
		{Name: "otherpkgdir", Kind: Places, Usage: "repositories of further packages"},
		{Name: "otherpkglist", Kind: Files, Usage: "lists of further packages"},
		{Name: "partitionfile", Kind: Text, Usage: "how local disks are divided"},
		{Name: "permission", Kind: Text, Usage: "the mode of /.statelite, such as 755"},
		{Name: "pkgdir", Kind: Places, Usage: "repositories of the distribution"},
		{Name: "pkglist", Kind: Files, Usage: "lists of the distribution's packages"},
		{Name: "postinstall", Kind: Scripts, Usage: "scripts that change the root after the packages are there"},
		{Name: "rootimgdir", Kind: Places, Usage: "where the kernel, the initrd and the packed root go"},
		{Name: "template", Kind: Files, Usage: "a template of installations on disk"},
		{Name: "usercomment", Column: "comments", Kind: Text, Usage: "notes"},
	}
	for i := range list {
		list[i].Table = "linuximage"
	}
	return list
}

func architectures() []string {
	return []string{"x86_64", "aarch64", "ppc64le", "ppc64el", "riscv64", "s390x", "ppc64", "x86", "ia64"}
}

func provisionMethods() []string {
	return []string{"netboot", "statelite", "install", "boottarget", "dualboot", "sysclone", "raw"}
}

// FindAttribute returns the attribute of that name.
func FindAttribute(name string) (Attribute, bool) {
	list := Attributes()
	i := slices.IndexFunc(list, func(a Attribute) bool { return a.Name == name })
	if i < 0 {
		return Attribute{}, false
	}
	return list[i], true
}

// Own are the attributes that xCAT does not have, and its mkdef would refuse.
func Own() []string { return []string{"baseimage", "gpgkeys"} }

// hasPaths tells whether values of the attribute name files of this machine.
func (a Attribute) hasPaths() bool { return a.Kind == Files || a.Kind == Scripts || a.Kind == Places }

// nearestAttribute is what was meant by a name that no attribute has, "" if none
// is near.
func nearestAttribute(name string) string {
	best, least := "", 3 // two letters may be wrong
	for _, a := range Attributes() {
		if n := smetrics.WagnerFischer(name, a.Name, 1, 1, 1); n < least {
			best, least = a.Name, n
		}
	}
	return best
}
