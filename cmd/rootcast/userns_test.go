package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rootcast/rootcast/build/buildtest"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// testUser is made by hack/test-user.sh.
const testUser = "rootcast-test"

// ordinary runs rootcast as a user without privileges.
type ordinary struct {
	dir, home, tmp string
	uid            uint32
}

func newOrdinary(t *testing.T) *ordinary {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "needs root, to become an ordinary user")
	}
	u, err := user.Lookup(testUser)
	if err != nil {
		skip(t, "there is no user "+testUser+"; hack/test-user.sh makes it")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: the user must reach it.
	dir, err := os.MkdirTemp("", "rootcast-ordinary") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o := &ordinary{dir: dir, home: filepath.Join(dir, "home"), tmp: filepath.Join(dir, "tmp"), uid: uint32(uid)}
	for _, d := range []string{o.home, o.tmp, filepath.Join(o.home, "run")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, exe, filepath.Join(dir, "rootcast"))
	for _, d := range []string{o.dir, o.home, o.tmp, filepath.Join(o.home, "run")} {
		if err := os.Chown(d, int(o.uid), int(o.uid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return o
}

// skip is for what a machine lacks; in CI it must not lack it.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("in CI this test must run: " + why)
	}
	t.Skip(why)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func (o *ordinary) command(driver string, args ...string) *exec.Cmd {
	args = append([]string{"--storage-driver", driver, "--root", filepath.Join(o.home, driver), "--runroot", filepath.Join(o.home, "run", driver)}, args...)
	cmd := exec.Command(filepath.Join(o.dir, "rootcast"), args...)
	cmd.Dir = o.dir
	cmd.Env = []string{"HOME=" + o.home, "TMPDIR=" + o.tmp, "XDG_RUNTIME_DIR=" + filepath.Join(o.home, "run"), "PATH=" + os.Getenv("PATH"), "USER=" + testUser}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: o.uid, Gid: o.uid}}
	return cmd
}

func (o *ordinary) run(t *testing.T, driver string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := o.command(driver, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("rootcast %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), errs.String()
}

// processes are the user's and those of the user's subordinate IDs.
func (o *ordinary) processes(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(name, "cmdline"))
		if err == nil && strings.Contains(string(text), "3458s") {
			list = append(list, string(text))
		}
	}
	return list
}

func TestOrdinaryUser(t *testing.T) {
	o := newOrdinary(t)
	writeRecipe(t, o.dir, "FROM scratch\nCOPY sh /bin/sh\nRUN id\nCOPY --chown=7:8 Containerfile /of-another\n"+
		"COPY sh /sbin/init\nCOPY --chmod=600 Containerfile /boot/vmlinuz-6.1.0-1-test\n")
	reg := buildtest.NewRegistry(buildtest.Faults{})
	defer reg.Close()
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			id, log := o.run(t, driver, "build", "-t", "mine:1", "ctx")
			if !regexp.MustCompile(`^[0-9a-f]{64}\n$`).MatchString(id) {
				t.Errorf("build printed %q, want an image ID", id)
			}
			if !strings.Contains(log, "\n0 0\n") {
				t.Errorf("RUN is not root of its namespace:\n%s", log)
			}
			name, _ := o.run(t, driver, "push", "-q", "--tls-verify=false", "mine:1", reg.Addr+"/mine:1")
			o.run(t, driver, "rmi", "--all")
			back, _ := o.run(t, driver, "pull", "-q", "--tls-verify=false", strings.TrimSpace(name))
			if back != id {
				t.Errorf("pull brought %q, want %q", back, id)
			}
			// Read in place, by the namespace's root; and fetched, without a namespace or a store.
			var roots []string
			for i, image := range []string{id, "docker://" + strings.TrimSpace(name)} {
				dir := filepath.Join(o.tmp, fmt.Sprint("out", i))
				o.run(t, driver, "convert", "-q", "--no-cache", "--compress", "none", "--tls-verify=false", "--rootimgdir", dir, strings.TrimSpace(image))
				root, err := os.ReadFile(filepath.Join(dir, "ramdisk.img"))
				if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
					t.Fatal(err)
				}
				roots = append(roots, string(root))
			}
			if roots[0] != roots[1] {
				t.Errorf("the store's image makes a ramdisk of %d bytes, the registry's another one of %d", len(roots[0]), len(roots[1]))
			}
			o.checkClean(t)
		})
	}
}

// ssh has the user's own name, and so the user's keys and configuration, though the
// build itself is root of a user namespace.
func TestOrdinaryUserOffloads(t *testing.T) {
	o := newOrdinary(t)
	writeRecipe(t, o.dir, "FROM scratch\n")
	bin := filepath.Join(o.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\necho I am $(id -un) $(id -gn), and $HOME is mine: $(stat -c %U $HOME) >&2\nexit 255\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	platform := "linux/" + runtime.GOARCH
	cmd := o.command("overlay", "build", "-q", "-t", "127.0.0.1:1/x:1", "--push", "--platform", platform, "--node", platform+"=ssh://n01", "ctx")
	cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("rootcast: building for %s on n01: ssh: I am %[2]s %[2]s, and %[3]s is mine: %[2]s\n", platform, testUser, o.home)
	if err == nil || string(out) != want {
		t.Errorf("got %v: %s\nwant %s", err, out, want)
	}
	// The other side's standard input gets into the namespace too.
	cmd = o.command("overlay", "build-node")
	cmd.Stdin = strings.NewReader(`{"rootcastBuild":2}` + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "versions 1 and 2") {
		t.Errorf("build-node: %v: %s", err, out)
	}
	o.checkClean(t)
}

// A script plays dracut's part: it has what it was given, and may write.
func TestOrdinaryUserRunsDracut(t *testing.T) {
	o := newOrdinary(t)
	writeRecipe(t, o.dir, "FROM scratch\nCOPY sh /bin/sh\nCOPY sh /sbin/init\nCOPY --chmod=600 Containerfile /boot/vmlinuz-6.1.0-1-test\n"+
		"COPY --chmod=755 dracut /usr/bin/dracut\nCOPY initrd /initrd\n")
	var initrd bytes.Buffer
	if _, err := pack.Archive(t.Context(), &initrd, rootfstest.Tree(t, `file usr/bin/rootcast-init 0755 "#!"`), pack.Options{}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"dracut": "#!/bin/sh\nid\ncat /usr/lib/dracut/modules.d/99rootcast/module-setup.sh > /checked && cat /initrd > /rootcast-dracut/initrd\n",
		"initrd": initrd.String(),
	} {
		if err := os.WriteFile(filepath.Join(o.dir, "ctx", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o.run(t, "overlay", "build", "-q", "-t", "mine:1", "ctx")
	dir := filepath.Join(o.home, "out")
	if _, log := o.run(t, "overlay", "convert", "-v", "--no-cache", "--initrd", "dracut", "--rootimgdir", dir, "mine:1"); !strings.Contains(log, "\n0 0\n") {
		t.Errorf("dracut is not root of its namespace:\n%s", log)
	}
	o.run(t, "overlay", "verify", dir)
	o.checkClean(t)
}

func TestOrdinaryUserInterrupts(t *testing.T) {
	o := newOrdinary(t)
	writeRecipe(t, o.dir, "FROM scratch\nCOPY sh /bin/sh\nRUN daemon 3458s && complain asleep && sleep 3458s\n")
	cmd := o.command("overlay", "build", "ctx")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(log.String(), "\nasleep\n") {
		n, err := stderr.Read(buf)
		log.Write(buf[:n])
		if err != nil {
			t.Fatalf("the build ended early: %v\n%s", err, log.String())
		}
	}
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(&log, stderr); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d\n%s", code, exitInterrupted, log.String())
	}
	if left := o.processes(t); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
	o.checkClean(t)
}

func writeRecipe(t *testing.T, dir, text string) {
	t.Helper()
	ctx := filepath.Join(dir, "ctx")
	if err := os.Mkdir(ctx, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ctx, "Containerfile"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := buildtest.Box(filepath.Join(ctx, "sh")); err != nil {
		t.Fatal(err)
	}
}

func (o *ordinary) checkClean(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(o.tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "buildah-cache-") {
			t.Errorf("left in TMPDIR: %s", e.Name())
		}
	}
	if left := mountsBelow(o.dir); len(left) > 0 {
		t.Errorf("left mounted: %q", left)
	}
}
