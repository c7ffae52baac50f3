package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.podman.io/storage/pkg/archive"
)

// rpmWork is the directory of one run: the root, and beside it what the host's
// programs need and the image must not have.
type rpmWork struct {
	dir, root string
	keys      []string // paths
	log       *bootstrapLog
}

func (w rpmWork) path(name string) string { return filepath.Join(w.dir, name) }

// run makes the root and writes its tar to out.
func (r *rpmBootstrap) run(ctx context.Context, out io.Writer) (err error) {
	tmp, err := os.MkdirTemp(r.TempDir, "rootcast-bootstrap-")
	if err != nil {
		return fmt.Errorf("making a directory for the root: %w", err)
	}
	defer func() { err = errors.Join(err, removeTree(tmp)) }()
	if tmp, err = filepath.Abs(tmp); err != nil {
		return fmt.Errorf("making a directory for the root: %w", err)
	}
	w, err := r.prepare(tmp)
	if err != nil {
		return err
	}
	stopBeat := w.log.beat()
	defer stopBeat()
	if r.isZypper() {
		err = r.zypper(ctx, w)
	} else {
		err = r.dnf(ctx, w)
	}
	if err == nil {
		err = r.checkDatabase(ctx, w)
	}
	if ctx.Err() != nil {
		return errors.Join(errStopped, ctx.Err())
	}
	if err != nil {
		return err
	}
	w.log.add("I: writing the image")
	return r.writeRoot(out, w.root)
}

func (r *rpmBootstrap) prepare(tmp string) (rpmWork, error) {
	w := rpmWork{dir: tmp, root: filepath.Join(tmp, "root")}
	w.log = newBootstrapLog(r.say)
	w.log.stepOf, w.log.step = rpmStepOf, "starting "+r.program()
	if err := makeNewRoot(w.root); err != nil {
		return w, err
	}
	for _, dir := range []string{"keys", "repos", "home", "vars"} {
		if err := os.Mkdir(w.path(dir), 0o700); err != nil {
			return w, fmt.Errorf("making a directory for the root: %w", err)
		}
	}
	var err error
	if w.keys, err = r.writeKeys(w.path("keys")); err != nil {
		return w, err
	}
	for name, text := range map[string]string{
		"repos/rootcast.repo": r.repoFile(w.keys, false), // it may hold a password
		"home/.rpmmacros":     r.rpmMacros(),
		"dnf.conf":            r.dnfConf(w),
		"zypp.conf":           r.zyppConf(w),
	} {
		if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
			return w, fmt.Errorf("writing a configuration for %s: %w", r.program(), err)
		}
	}
	return w, nil
}

// rpmMacros are what the host's rpm must know, by itself and in dnf and zypper,
// of the new root: Debian's has its database in the home directory. /proc is a
// mount of its own there, whose owner root of a user namespace cannot change;
// the directory below is as the packages want it.
func (r *rpmBootstrap) rpmMacros() string {
	return "%_dbpath " + r.target.dbPath() + "\n%_netsharedpath /proc\n"
}

// command is a program of the host's that works on the root, or one in it.
func (r *rpmBootstrap) command(ctx context.Context, w rpmWork, inside bool, argv ...string) (*exec.Cmd, error) {
	if !inside {
		name, err := exec.LookPath(argv[0])
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", argv[0], err)
		}
		argv[0] = name
	}
	cmd := newRootCommand(ctx, w.root, inside, argv...)
	home := w.path("home")
	env := []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.epoch.Unix(), 10)}
	if inside {
		home = "/"
		env = append(env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	} else {
		env = append(env, "ZYPP_CONF="+w.path("zypp.conf"), "ZYPP_LOGFILE="+w.path("zypp.log"), "ZYPP_LOCKFILE_ROOT="+w.dir)
		env = append(env, r.proxyEnv...)
	}
	cmd.Env = newRootEnvironment(cmd.Environ(), append(env, "HOME="+home))
	return cmd, nil
}

// output runs a program and returns what it prints.
func (r *rpmBootstrap) output(ctx context.Context, w rpmWork, inside bool, argv ...string) (string, error) {
	cmd, err := r.command(ctx, w, inside, argv...)
	if err != nil {
		return "", err
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(&errs, w.log)
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s failed (%w): %s", filepath.Base(argv[0]), err, lastLine(errs.String()))
	}
	return out.String(), nil
}

// follow runs a program whose lines are steps.
func (r *rpmBootstrap) follow(ctx context.Context, w rpmWork, argv ...string) error {
	cmd, err := r.command(ctx, w, false, argv...)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = w.log, w.log
	return cmd.Run()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// checkDatabase makes sure that the root's own rpm finds the packages that the
// host's has installed. Where it looks elsewhere, or cannot read the host's kind
// of database, it is given the list of packages by export and import.
func (r *rpmBootstrap) checkDatabase(ctx context.Context, w rpmWork) error {
	db := filepath.Join(w.root, r.target.dbPath())
	want, err := r.output(ctx, w, false, "rpm", "--root", w.root, "--dbpath", r.target.dbPath(), "-qa")
	if err != nil {
		return fmt.Errorf("reading the new database of packages: %w", err)
	}
	ownPath, err := r.output(ctx, w, true, "/usr/bin/rpm", "--eval", "%{_dbpath}")
	if err != nil {
		return fmt.Errorf("asking the image's rpm for its database: %w", err)
	}
	own := filepath.Clean("/" + strings.TrimSpace(ownPath))
	if got, err := r.output(ctx, w, true, "/usr/bin/rpm", "-qa"); err == nil && sameLines(got, want) {
		return nil
	}
	w.log.add("I: rebuilding the database of packages")
	headers := w.path("headers")
	if err := r.export(ctx, w, headers); err != nil {
		return err
	}
	if err := os.RemoveAll(db); err != nil {
		return fmt.Errorf("removing the database that the image's rpm cannot read: %w", err)
	}
	if _, err := r.output(ctx, w, true, "/bin/mkdir", "-p", own); err != nil {
		return err
	}
	if _, err := r.output(ctx, w, true, "/usr/bin/rpmdb", "--initdb"); err != nil {
		return err
	}
	if err := r.importHeaders(ctx, w, headers); err != nil {
		return err
	}
	got, err := r.output(ctx, w, true, "/usr/bin/rpm", "-qa")
	if err == nil && !sameLines(got, want) {
		err = fmt.Errorf("it has %d of %d packages", strings.Count(got, "\n"), strings.Count(want, "\n"))
	}
	if err != nil {
		return fmt.Errorf("converting the database of packages for the image's rpm: %w", err)
	}
	return nil
}

// export writes the list of packages of the host's database to a file.
func (r *rpmBootstrap) export(ctx context.Context, w rpmWork, to string) (err error) {
	cmd, err := r.command(ctx, w, false, "rpmdb", "--root", w.root, "--dbpath", r.target.dbPath(), "--exportdb")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("exporting the database of packages: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	cmd.Stdout, cmd.Stderr = f, w.log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("exporting the database of packages: %w", r.rpmFailed(w, err))
	}
	return nil
}

// importHeaders has the image's rpm read the list of packages.
func (r *rpmBootstrap) importHeaders(ctx context.Context, w rpmWork, from string) error {
	cmd, err := r.command(ctx, w, true, "/usr/bin/rpmdb", "--importdb")
	if err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("importing the database of packages: %w", err)
	}
	defer f.Close()
	cmd.Stdin, cmd.Stderr = f, w.log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("importing the database of packages: %w", r.rpmFailed(w, err))
	}
	return nil
}

// sameLines compares lists in any order; keys are in one only where they were
// checked.
func sameLines(a, b string) bool {
	sorted := func(text string) []string {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		slices.Sort(lines)
		return lines
	}
	return slices.Equal(sorted(a), sorted(b))
}

// writeRoot writes the root as it belongs into an image.
func (r *rpmBootstrap) writeRoot(out io.Writer, root string) (err error) {
	files := r.ownFiles(root)
	in, err := archive.TarWithOptions(root, &archive.TarOptions{})
	if err != nil {
		return fmt.Errorf("reading the new root: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := (rootFilter{epoch: r.epoch, files: files}).copy(out, in); err != nil {
		return fmt.Errorf("reading the new root: %w", err)
	}
	return nil
}
