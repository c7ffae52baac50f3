package binfmt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// emulatorDir is where emulators out of images go: not to /usr/bin, which is the
// distribution's.
const emulatorDir = "/usr/local/libexec/rootcast"

// ErrNoEmulator says that there is no emulator for an architecture.
var ErrNoEmulator = errors.New("there is no emulator")

const emulatorAdvice = "as root: apt-get install qemu-user-static, or say where one is with --qemu-path or --from-image"

// places are the paths at which an emulator for a may be, the likeliest first.
// Distributions call the static ones qemu-ARCH-static; from Debian 13 on and in
// images made for this purpose all are static, without the suffix.
func (in Installer) places(a Arch) []string {
	dirs, suffixes := []string{"/usr/bin", "/usr/local/bin"}, []string{"-static", ""}
	if in.QEMUPath != "" {
		dirs = []string{in.QEMUPath}
	}
	if in.QEMUSuffix != "" {
		suffixes = []string{in.QEMUSuffix}
	}
	var list []string
	for _, dir := range dirs {
		for _, suffix := range suffixes {
			list = append(list, path.Join(dir, "qemu-"+a.QEMU+suffix))
		}
	}
	return list
}

// find returns the path of a static emulator for a on the machine.
func (in Installer) find(a Arch) (string, error) {
	var wrong error
	for _, name := range in.places(a) {
		kind := kindOf(in.machine().files(), name)
		switch {
		case kind == FileStatic:
			return name, nil
		case kind != FileMissing && wrong == nil:
			wrong = unfit(name, kind)
		}
	}
	if wrong == nil {
		wrong = in.none(a, "")
	}
	return "", wrong
}

func (in Installer) none(a Arch, where string) error {
	return fmt.Errorf("%w for %s programs%s, neither %s; %s", ErrNoEmulator, a.Name, where, strings.Join(in.places(a), " nor "), emulatorAdvice)
}

func unfit(name string, kind FileKind) error {
	var why string
	switch kind {
	case FileDynamic:
		why = "is not a static program, and containers have not what it needs"
	case FileForeign:
		why = "is for another architecture than this machine's"
	default:
		why = "is no program"
	}
	return fmt.Errorf("the emulator %s %s; %s", name, why, emulatorAdvice)
}

// emulator returns the path of an emulator for a that does its work.
func (in Installer) emulator(ctx context.Context, a Arch) (string, error) {
	if in.Image != nil {
		return in.extract(ctx, a)
	}
	name, err := in.find(a)
	if err != nil {
		return "", err
	}
	return name, in.tryEmulator(ctx, a, name, in.rooted(name))
}

// tryEmulator runs the emulator in a file; people know it by its name.
func (in Installer) tryEmulator(ctx context.Context, a Arch, name, file string) error {
	try := in.machine().trier()
	if try == nil {
		return nil
	}
	if err := try(ctx, a, file); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("the emulator %s does not run %s programs: %w; %s", name, a.Name, reason(err), emulatorAdvice)
	}
	return nil
}

// extract takes an emulator for a out of the image.
func (in Installer) extract(ctx context.Context, a Arch) (string, error) {
	target := path.Join(emulatorDir, "qemu-"+a.QEMU)
	var wrong error
	for _, name := range in.places(a) {
		src, err := in.Image.Open(name[1:])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = in.extractFile(ctx, a, target, name, src)
			src.Close() //nolint:errcheck // it was only read
		}
		if err == nil {
			return target, nil
		}
		if wrong == nil {
			wrong = err
		}
	}
	if wrong == nil {
		wrong = in.none(a, " in the image")
	}
	return "", wrong
}

// extractFile puts src, called name in the image, at target if it is an emulator for a.
func (in Installer) extractFile(ctx context.Context, a Arch, target, name string, src io.Reader) error {
	name += " in the image"
	var refused error
	check := func(file string) error {
		if kind := kindOf(os.DirFS("/"), file); kind != FileStatic {
			refused = unfit(name, kind)
		} else {
			refused = in.tryEmulator(ctx, a, name, file)
		}
		return refused
	}
	err := replaceFile(in.rooted(target), src, 0o755, check)
	if refused != nil {
		return refused
	}
	return in.denied(a, "putting the emulator at "+target, err)
}

// replaceFile gives a file new content, all of it or nothing. What check
// refuses never gets the name.
func replaceFile(name string, src io.Reader, perm fs.FileMode, check func(file string) error) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // every program's emulator and systemd read it
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name()) //nolint:errcheck // the first error says more
		}
	}()
	_, err = io.Copy(f, src)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && check != nil {
		err = check(f.Name())
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
