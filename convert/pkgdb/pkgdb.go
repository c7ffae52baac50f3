package pkgdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Format is the package manager that a package belongs to.
type Format string

// The package managers.
const (
	Dpkg Format = "dpkg"
	RPM  Format = "rpm"
)

// Package is an installed package.
type Package struct {
	Format  Format
	Name    string
	Version string // with epoch and release, where they are
	Arch    string // as its package manager calls it; "" where it says none
	Files   []string
}

// Read returns the packages of all databases that fsys holds, sorted by name;
// none where there is no database. Files holds what is in fsys and is no
// directory. An rpm database is copied to a directory of its own below tempDir
// ("": the system's) while it is read. Where one database is damaged the
// packages of the others are returned with the error.
func Read(ctx context.Context, fsys fs.FS, tempDir string) ([]Package, error) {
	r := &resolver{fsys: fsys, dirs: map[string]string{}}
	debs, err := readDpkg(ctx, r)
	if err != nil {
		err = fmt.Errorf("reading the dpkg database: %w", err)
	}
	rpms, rpmErr := readRPM(ctx, r, tempDir)
	if rpmErr != nil {
		err = errors.Join(err, fmt.Errorf("reading the rpm database: %w", rpmErr))
	}
	all := append(debs, rpms...)
	slices.SortStableFunc(all, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), Compare(a.Format, a.Version, b.Version))
	})
	return all, err
}
