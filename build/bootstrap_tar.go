package build

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rootcast/rootcast/build/apt"
)

const (
	sourcesListPath = "etc/apt/sources.list"
	imageKeyring    = "etc/apt/keyrings/rootcast-bootstrap" // and the extension of the given keyring
)

// rootFilter passes a root's tar on as it belongs into an image.
type rootFilter struct {
	epoch time.Time
	files []rootFile // to write in place of, or in addition to, the root's own
}

type rootFile struct {
	name    string
	content []byte
}

// copy leaves out what is the host's, what a package manager can make again
// and the devices, which every place an image is used in brings itself and an
// ordinary user could not make; and writes the plan's own files.
func (f rootFilter) copy(w io.Writer, r io.Reader) error {
	in, out := tar.NewReader(r), tar.NewWriter(w)
	dirs := map[string]bool{}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := strings.Trim(path.Clean("/"+h.Name), "/")
		if h.Typeflag == tar.TypeDir {
			dirs[name] = true
		}
		if isLeftOut(name, h.Typeflag == tar.TypeDir) ||
			slices.ContainsFunc(f.files, func(o rootFile) bool { return o.name == name }) {
			continue
		}
		if err := out.WriteHeader(f.header(h)); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
	if len(dirs) == 0 {
		return io.ErrUnexpectedEOF
	}
	if err := f.writeFiles(out, dirs); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// header is h without what differs from machine to machine.
func (f rootFilter) header(h *tar.Header) *tar.Header {
	c := *h
	if c.ModTime.After(f.epoch) {
		c.ModTime = f.epoch
	}
	c.ModTime = c.ModTime.Truncate(time.Second)
	c.AccessTime, c.ChangeTime = time.Time{}, time.Time{}
	c.Uname, c.Gname = "", ""
	c.Format = tar.FormatPAX
	return &c
}

func (f rootFilter) writeFiles(out *tar.Writer, dirs map[string]bool) error {
	for _, file := range f.files {
		for _, dir := range missingParents(dirs, file.name) {
			dirs[dir] = true
			h := &tar.Header{Typeflag: tar.TypeDir, Name: "./" + dir + "/", Mode: 0o755, ModTime: f.epoch, Format: tar.FormatPAX}
			if err := out.WriteHeader(h); err != nil {
				return err
			}
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./" + file.name, Mode: 0o644, Size: int64(len(file.content)), ModTime: f.epoch, Format: tar.FormatPAX}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(file.content); err != nil {
			return err
		}
	}
	return nil
}

// missingParents are the directories of a file that are not there, outer ones
// first.
func missingParents(dirs map[string]bool, name string) []string {
	var list []string
	for dir := path.Dir(name); dir != "." && !dirs[dir]; dir = path.Dir(dir) {
		list = append(list, dir)
	}
	slices.Reverse(list)
	return list
}

func isLeftOut(name string, isDir bool) bool {
	switch name {
	case "etc/hostname", "etc/resolv.conf", "etc/machine-id", "var/lib/dbus/machine-id", "var/cache/ldconfig/aux-cache",
		"etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-", "etc/subgid-":
		return true
	}
	if strings.HasPrefix(name, "dev/") {
		return true
	}
	if isDir {
		return false
	}
	for _, dir := range []string{
		"var/cache/apt/", "var/lib/apt/lists/", "var/log/apt/", "run/", "tmp/",
		"var/cache/dnf/", "var/cache/yum/", "var/cache/zypp/", "var/cache/libdnf5/",
		"var/lib/dnf/", "var/lib/yum/", "var/lib/zypp/", "var/log/dnf", "var/log/zypp", "var/log/yum", "var/log/hawkey",
	} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	if strings.HasPrefix(name, "var/log/") && strings.HasSuffix(name, ".log") {
		return true
	}
	if isRPMDatabase(path.Dir(name)) && isDatabaseByproduct(path.Base(name)) {
		return true
	}
	return strings.HasSuffix(name, "-old") && (strings.HasPrefix(name, "var/cache/debconf/") || strings.HasPrefix(name, "var/lib/dpkg/"))
}

func isRPMDatabase(dir string) bool { return dir == "var/lib/rpm" || dir == "usr/lib/sysimage/rpm" }

// isDatabaseByproduct tells the files that rpm makes again when it needs them.
func isDatabaseByproduct(name string) bool {
	switch name {
	case ".rpm.lock", ".dbenv.lock", "rpmdb.sqlite-shm", "rpmdb.sqlite-wal":
		return true
	}
	return strings.HasPrefix(name, "__db.")
}

// ownFiles are the files of the image that bootstrap writes itself: the
// sources without a mirror's password, and the key where it is not one that
// a package of the image brings.
func (p *bootstrapPlan) ownFiles() ([]rootFile, error) {
	if p.Keyring == "" {
		return []rootFile{{sourcesListPath, []byte(p.sourcesList(p.keyring, true))}}, nil
	}
	key, err := os.ReadFile(p.keyring)
	if err != nil {
		return nil, fmt.Errorf("reading the keyring: %w", err)
	}
	name := imageKeyring + path.Ext(p.keyring)
	return []rootFile{{name, key}, {sourcesListPath, []byte(p.sourcesList("/"+name, true))}}, nil
}

// sourcesList is the plan's sources as sources.list has them, signed by
// keyring unless a line that was given says otherwise.
func (p *bootstrapPlan) sourcesList(keyring string, public bool) string {
	var text strings.Builder
	for _, m := range p.sources {
		s := m.Source
		if s.SignedBy == "" {
			s.SignedBy = keyring
		}
		if public {
			s.URI = apt.Redact(s.URI)
		}
		fmt.Fprintln(&text, s)
	}
	return text.String()
}
