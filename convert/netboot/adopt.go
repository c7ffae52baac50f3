package netboot

import (
	"os"
	"path/filepath"
)

// AdoptedDir is where a rootimgdir keeps the files that were in it before rootcast
// made it one of its own.
const AdoptedDir = "before-rootcast"

// adoptFiles makes files that others put under the names into something like a version,
// which nodes get until the new one is current: so here too they get all of one or
// all of the other.
func (s *site) adoptFiles(names []string) error {
	if !s.adopt {
		return nil
	}
	var plain []string
	for _, name := range append([]string{ManifestName, KernelName, InitrdName, "initrd-statelite.gz", RamdiskName}, names...) {
		if isRegular(filepath.Join(s.dir, name)) {
			plain = append(plain, name)
		}
	}
	if plain == nil {
		return nil
	}
	adopted := filepath.Join(s.dir, AdoptedDir)
	if err := os.Mkdir(adopted, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	for _, name := range plain {
		if err := os.Link(filepath.Join(s.dir, name), filepath.Join(adopted, name)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	current := filepath.Join(s.dir, currentLink)
	if _, err := os.Lstat(current); os.IsNotExist(err) {
		if err := replaceLink(current, AdoptedDir); err != nil {
			return err
		}
	}
	for _, name := range plain {
		if err := replaceLink(filepath.Join(s.dir, name), filepath.Join(currentLink, name)); err != nil {
			return err
		}
	}
	return syncDir(s.dir)
}
