package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// merged is where a path lies when /bin, /sbin and /lib* are links into /usr.
func merged(name string) string {
	name = path.Clean("/" + name)
	top, _, _ := strings.Cut(name[1:], "/")
	switch top {
	case "bin", "sbin", "lib", "lib32", "lib64", "libx32":
		return "/usr" + name
	}
	return name
}

// mergedLink is a link's target after the file at name, its link, has moved.
func mergedLink(name, target string) string {
	if path.IsAbs(target) || merged(name) == path.Clean("/"+name) {
		return target
	}
	from := path.Dir(merged(name))
	to := merged(path.Join("/", path.Dir(name), target))
	// Both are absolute and clean.
	relative, err := filepath.Rel(from, to)
	if err != nil {
		return to
	}
	return relative
}

// leftOut tells what only makes images large.
func leftOut(name string) bool {
	return slices.ContainsFunc([]string{
		"/usr/share/doc", "/usr/share/man", "/usr/share/info", "/usr/share/locale", "/usr/share/lintian",
		"/usr/share/bug", "/usr/share/doc-base", "/usr/share/menu", "/usr/share/gtk-doc", "/usr/share/i18n",
		"/usr/share/initramfs-tools", "/usr/share/debconf", "/etc/init.d", "/etc/cron.daily",
	}, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") })
}

// unpack puts a package's files below root and tells whose they are, by path.
func unpack(ctx context.Context, file, root string) (owners map[string]owner, err error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	into, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer into.Close() //nolint:errcheck // a directory, which nothing is written to
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting dpkg-deb: %w", err)
	}
	owners, err = unpackTar(out, into)
	if err == nil {
		_, err = io.Copy(io.Discard, out)
	}
	_ = out.Close()
	return owners, errors.Join(err, cmd.Wait())
}

func unpackTar(r io.Reader, into *os.Root) (map[string]owner, error) {
	owners := map[string]owner{}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return owners, nil
		}
		if err != nil {
			return nil, err
		}
		name := merged(h.Name)
		if leftOut(name) || name == "/" {
			continue
		}
		if err := unpackEntry(into, h, t); err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", h.Name, err)
		}
		o := owner{mode: fmt.Sprintf("%04o", h.Mode&0o7777), user: h.Uname, group: h.Gname}
		if h.Typeflag == tar.TypeSymlink {
			o.mode = "-"
		}
		owners[name] = o
	}
}

func unpackEntry(into *os.Root, h *tar.Header, body io.Reader) error {
	name := strings.TrimPrefix(merged(h.Name), "/")
	if err := into.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		err := into.Mkdir(name, 0o755)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	case tar.TypeSymlink:
		return into.Symlink(mergedLink(h.Name, h.Linkname), name)
	case tar.TypeLink:
		return into.Link(strings.TrimPrefix(merged(h.Linkname), "/"), name)
	case tar.TypeReg:
		return writeFile(into, name, fs.FileMode(h.Mode&0o777)|0o600, body)
	}
	return fmt.Errorf("there is no RPM word for a file of type %q", h.Typeflag)
}

func writeFile(into *os.Root, name string, mode fs.FileMode, body io.Reader) (err error) {
	f, err := into.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, body)
	return err
}

// adjust runs dir/name in root, if there is such a program.
func adjust(ctx context.Context, dir, name, root string) error {
	program, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("adjusting it by %s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}
