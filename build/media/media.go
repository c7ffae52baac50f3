package media

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Format is how a medium keeps its files.
type Format string

// The formats.
const (
	Directory Format = "directory"
	RockRidge Format = "ISO 9660 with Rock Ridge"
	Joliet    Format = "ISO 9660 with Joliet"
	ISO9660   Format = "ISO 9660"
	UDF       Format = "UDF"
)

// Medium is an image or a directory, opened for reading.
type Medium struct {
	// Files is what is on it. Every link in it leads to a place within.
	Files fs.ReadLinkFS
	// Path is what it was opened by.
	Path   string
	Format Format
	// Label is the volume's name, "" of a directory.
	Label string

	close func() error
}

// Close closes the image.
func (m *Medium) Close() error { return m.close() }

// Open opens an image, a device or a directory.
func Open(name string) (*Medium, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("opening the medium: %w", err)
	}
	if info.IsDir() {
		return openDirectory(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the medium: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd) // of a device Stat does not say it
	var m *Medium
	if err == nil {
		m, err = Read(f, size)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reading the medium %s: %w", name, err)
	}
	m.Path, m.close = name, f.Close
	return m, nil
}

// Read reads an image. Rock Ridge is what distributions make for Unix; without it
// UDF has better names than Joliet, and Joliet than plain ISO 9660.
func Read(image io.ReaderAt, size int64) (*Medium, error) {
	iso, err := findISO(image, size)
	if err != nil {
		return nil, err
	}
	if iso != nil && iso.rockRidge {
		return iso.medium(RockRidge, iso.primary)
	}
	udf, err := findUDF(image, size)
	switch {
	case udf != nil:
		return udf.medium()
	case iso != nil && iso.joliet != nil:
		return iso.medium(Joliet, iso.joliet)
	case iso != nil:
		return iso.medium(ISO9660, iso.primary)
	case err != nil:
		return nil, err
	}
	return nil, errors.New("it is neither an ISO 9660 nor a UDF image")
}

// openDirectory opens what was on a medium. Nothing outside it is read: os.Root
// follows no link out of it.
func openDirectory(name string) (*Medium, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("opening the medium: %w", err)
	}
	files, ok := root.FS().(fs.ReadLinkFS)
	if !ok {
		root.Close()
		return nil, fmt.Errorf("opening the medium %s: links of directories cannot be read here", name)
	}
	return &Medium{Files: files, Path: name, Format: Directory, close: root.Close}, nil
}

// newMedium checks the links of a tree that is complete.
func newMedium(t *tree, format Format, label string) (*Medium, error) {
	err := fs.WalkDir(t, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() != fs.ModeSymlink {
			return err
		}
		return checkLink(t, name, t.lookup(name).target)
	})
	if err != nil {
		return nil, err
	}
	return &Medium{Files: t, Format: format, Label: label, close: func() error { return nil }}, nil
}
