package main

import (
	"os"
	"path/filepath"

	"github.com/rootcast/rootcast/build/osimage"
)

// systemOSImages is where the machine's definitions lie.
const systemOSImages = "/etc/rootcast/osimages"

const osimagesUsage = "definitions are in `DIR` (default: $ROOTCAST_OSIMAGES, else ~/.config/rootcast/osimages and " + systemOSImages + "; root's the latter)"

// catalog is where definitions are looked for: dir if it is given, else what the
// environment names, else the user's and the machine's, for root the machine's.
func catalog(dir string) osimage.Catalog {
	if dir = either(dir, os.Getenv("ROOTCAST_OSIMAGES")); dir != "" {
		return osimage.Catalog{Dirs: []string{dir}}
	}
	c := osimage.Catalog{Dirs: []string{systemOSImages}}
	if os.Geteuid() == 0 {
		return c
	}
	if config, err := os.UserConfigDir(); err == nil {
		c.Dirs = append([]string{filepath.Join(config, "rootcast", "osimages")}, c.Dirs...)
	}
	return c
}

// warnOfSharing says which other definitions have the rootimgdir of one in list:
// what is made by the one would take the place of the other's.
func (e *env) warnOfSharing(c osimage.Catalog, list ...*osimage.Definition) {
	for _, d := range list {
		others, err := c.Sharing(d)
		if err != nil {
			e.say("warning: whether %s shares its rootimgdir is not known: %v", d.Name, oneLine(err))
		}
		for _, other := range others {
			e.say("warning: %s and %s have the same rootimgdir, %s: give one of them another by chdef -t osimage -o %s rootimgdir=DIR",
				d.Name, other, d.Get("rootimgdir"), d.Name)
		}
	}
}
