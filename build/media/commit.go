package media

import (
	"bytes"
	"crypto/md5" //nolint:gosec // xCAT's fingerprints are MD5; nothing rests on them
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// fingerprintFile lists the media that were copied into a directory, as xCAT's.
const fingerprintFile = ".fingerprint"

// commit puts what was staged into its places. It is short, and not broken off.
func (c *copier) commit() error {
	if c.fresh {
		if err := os.WriteFile(filepath.Join(c.stage, fingerprintFile), c.fingerprint(nil), 0o644); err != nil { //nolint:gosec // all may read it
			return err
		}
		return os.Rename(c.stage, c.dest)
	}
	for _, d := range c.dirs {
		// A directory is there, or nothing is: plan has looked.
		if err := makeDir(c.to, d.name); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := c.moveAll(); err != nil {
		return err
	}
	return c.addFingerprint()
}

// moveAll renames files within directories that are opened without following links.
func (c *copier) moveAll() error {
	if len(c.entries) == 0 {
		return nil
	}
	parent, err := os.OpenRoot(filepath.Dir(c.dest))
	if err != nil {
		return err
	}
	defer parent.Close()
	from, to := filepath.Base(c.stage), filepath.Base(c.dest)
	for _, p := range c.entries {
		if err := c.checkParents(p.name); err != nil {
			return err
		}
		if err := parent.Rename(path.Join(from, p.name), path.Join(to, p.name)); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// checkParents makes sure that nobody made a link of a directory meanwhile.
func (c *copier) checkParents(name string) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		info, err := c.to.Lstat(dir)
		if err == nil && !info.IsDir() {
			err = errors.New("it is no directory any more")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

// fingerprint is the text of the fingerprint file with this medium's in it: the MD5
// of its sorted list of names.
func (c *copier) fingerprint(before []byte) []byte {
	names := slices.Clone(c.names)
	slices.Sort(names)
	sum := md5.Sum([]byte(strings.Join(names, "\n"))) //nolint:gosec // see above
	text := hex.EncodeToString(sum[:])
	for line := range bytes.Lines(before) {
		if string(bytes.TrimSpace(line)) == text {
			return before
		}
	}
	if len(before) > 0 && !bytes.HasSuffix(before, []byte("\n")) {
		before = append(before, '\n')
	}
	return append(before, text+"\n"...)
}

func (c *copier) addFingerprint() error {
	before, err := c.to.ReadFile(fingerprintFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := c.fingerprint(before)
	if bytes.Equal(text, before) {
		return nil
	}
	partial := fingerprintFile + ".partial"
	if err := c.to.WriteFile(partial, text, 0o644); err != nil {
		return err
	}
	return c.to.Rename(partial, fingerprintFile)
}
