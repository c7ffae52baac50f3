package initrd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/convert/kmod"
	"github.com/rootcast/rootcast/convert/rootfs"
)

const firmwareRoot = "lib/firmware"

// firmwareDirs are where the kernel looks for firmware, in its order (fw_path in
// drivers/base/firmware_loader/main.c).
func (b *builder) firmwareDirs() []string {
	v := b.o.Kernel.Version
	return []string{firmwareRoot + "/updates/" + v, firmwareRoot + "/updates", firmwareRoot + "/" + v, firmwareRoot}
}

// firmware puts what modules asked for, as far as the image has it, and what the
// user asked for into the tree. A kernel without CONFIG_FW_LOADER_COMPRESS reads
// plain files alone, so all are decompressed.
func (b *builder) firmware(asked []string) error {
	files := map[string]string{} // by name below /lib/firmware, the image's file
	for _, name := range slices.Compact(slices.Sorted(slices.Values(asked))) {
		found, err := b.findFirmware(name)
		if err != nil {
			return fmt.Errorf("looking for the firmware %q of a module: %w", name, err)
		}
		if len(found) == 0 {
			b.report.FirmwareLacking++
		}
		maps.Copy(files, found)
	}
	for _, word := range b.o.Firmware {
		found, err := b.userFirmware(word)
		if err != nil {
			return fmt.Errorf("adding firmware %q: %w", word, err)
		}
		maps.Copy(files, found)
	}
	first := map[*rootfs.Inode]string{} // by the image's file, its name in the initrd
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := b.addFirmware(name, files[name], first); err != nil {
			return fmt.Errorf("carrying firmware %s: %w", name, err)
		}
		b.report.Firmware = append(b.report.Firmware, name)
	}
	return nil
}

// addFirmware adds a file, as one more name of the same file where it is there
// already: linux-firmware has many symlinks.
func (b *builder) addFirmware(name, from string, first map[*rootfs.Inode]string) error {
	found, err := b.stat(from)
	if err != nil {
		return err
	}
	to := path.Join(firmwareRoot, name)
	if name, ok := first[found]; ok {
		return b.link(to, name)
	}
	in, _, err := b.read(from, 0o644)
	if err != nil {
		return err
	}
	first[found] = to
	return b.add(to, in)
}

// findFirmware returns the files of the image for a name or pattern, by their
// names below /lib/firmware without the ending of a compression.
func (b *builder) findFirmware(pattern string) (map[string]string, error) {
	pattern = path.Clean("/" + pattern)[1:]
	found := map[string]string{}
	for _, dir := range b.firmwareDirs() {
		for _, end := range append([]string{""}, packings()...) {
			names, err := b.glob(path.Join(dir, pattern) + end)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				plain := plainName(strings.TrimPrefix(name, dir+"/"))
				found[plain] = cmp.Or(found[plain], name)
			}
		}
	}
	return found, nil
}

// glob returns the regular files for a pattern.
func (b *builder) glob(pattern string) ([]string, error) {
	names := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		var err error
		if names, err = fs.Glob(b.image, pattern); err != nil {
			return nil, fmt.Errorf("its pattern: %w", err)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		info, err := b.image.Stat(name)
		return err != nil || !info.Mode().IsRegular()
	}), nil
}

// userFirmware finds what a word of Options.Firmware means, which may be
// directories too.
func (b *builder) userFirmware(word string) (map[string]string, error) {
	pattern := strings.TrimPrefix(strings.TrimPrefix(path.Clean("/"+word), "/usr"), "/"+firmwareRoot)
	pattern = strings.TrimPrefix(pattern, "/")
	found, err := b.findFirmware(pattern)
	if err != nil {
		return nil, err
	}
	dirs, err := fs.Glob(b.image, path.Join(firmwareRoot, pattern))
	if err != nil {
		return nil, fmt.Errorf("its pattern: %w", err)
	}
	for _, dir := range dirs {
		if err := b.walkFirmware(dir, nil, found); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, errors.New("the image has nothing of that name below /lib/firmware: install its package in the recipe, or correct --firmware")
	}
	return found, nil
}

// walkFirmware adds the files below a directory. Symlinks to directories are
// followed, but for those that lead back to one above.
func (b *builder) walkFirmware(dir string, above []*rootfs.Inode, found map[string]string) error {
	info, err := b.image.Stat(dir)
	if err != nil || !info.IsDir() {
		return err
	}
	in, _ := info.Sys().(*rootfs.Inode)
	if slices.Contains(above, in) {
		return nil
	}
	entries, err := b.image.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		info, err := b.image.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // a symlink to what another package would have
			continue
		case err != nil:
			return err
		case info.IsDir():
			if err := b.walkFirmware(name, append(slices.Clone(above), in), found); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			plain := plainName(strings.TrimPrefix(name, firmwareRoot+"/"))
			found[plain] = cmp.Or(found[plain], name)
		}
	}
	return nil
}

// builtinFirmware returns what firmware those modules that are built in name, of
// which want says so. modules.builtin.modinfo has "MODULE.KEY=VALUE" entries, each
// with a NUL at its end (Documentation/kbuild/kbuild.rst).
func builtinFirmware(fsys fs.FS, dir string, want func(name string) bool) ([]string, error) {
	text, err := fs.ReadFile(fsys, path.Join(dir, "modules.builtin.modinfo"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading about the modules that are built in: %w", err)
	}
	var firmware []string
	for entry := range strings.SplitSeq(string(text), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		if module, ok := strings.CutSuffix(key, ".firmware"); ok && want(kmod.Name(module)) {
			firmware = append(firmware, value)
		}
	}
	return firmware, nil
}
