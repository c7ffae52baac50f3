package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// resultFile is a file for what a command made, named by a flag; without a name
// there is none.
type resultFile struct{ flag, name string }

// check finds, before the work starts, what would keep the file from being
// written after it.
func (f resultFile) check() error {
	if f.name == "" {
		return nil
	}
	fi, err := os.Stat(f.name)
	switch {
	case err == nil && fi.IsDir():
		return fmt.Errorf("writing --%s: %s is a directory; name a file", f.flag, f.name)
	case err == nil && !fi.Mode().IsRegular():
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("writing --%s: %w", f.flag, err)
	}
	dir := filepath.Dir(f.name)
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("writing --%s: directory %s: %w", f.flag, dir, err)
	}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return fmt.Errorf("writing --%s: %s is not a directory", f.flag, dir)
	}
	return nil
}

// write writes text, all or nothing. A device, a pipe or a symbolic link, such
// as /dev/stdout, is not replaced by a file but written to.
func (f resultFile) write(text string) error {
	if f.name == "" {
		return nil
	}
	put := replaceFile
	if fi, err := os.Lstat(f.name); err == nil && !fi.Mode().IsRegular() {
		put = writeThrough
	}
	if err := put(f.name, text); err != nil {
		return fmt.Errorf("writing --%s: %w", f.flag, err)
	}
	return nil
}

func writeThrough(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // a result is no secret
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func replaceFile(name, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
