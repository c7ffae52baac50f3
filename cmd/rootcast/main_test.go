package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/binfmt"
	"github.com/rootcast/rootcast/build/buildtest"
)

func TestMain(m *testing.M) {
	if build.InitReexec() {
		return
	}
	rootcast := func() { os.Exit(Main(os.Args)) }
	names := map[string]func(){
		"rootcast": rootcast,
		// The name under which an ordinary user's process starts itself again.
		"rootcast-in-a-user-namespace": rootcast,
	}
	for _, name := range xcatNames() {
		names[name] = rootcast
	}
	testscript.Main(m, names)
}

var updateScripts = flag.Bool("update", false, "rewrite the expected output in testdata/script")

// TestScript runs testdata/script/*.txtar. Each script has a store, a HOME and
// a TMPDIR of its own, and these commands besides testscript's:
//
//	registry [-auth USER:PASSWORD] [-fail N] [-busy N] [-cut N] [-hangup] [-rubbish] [-tls] [NAME]
//	         a registry on loopback; $REGISTRY (or $NAME) is its HOST:PORT
//	faults   the same arguments: changes how the registry behaves from now on
//	fetched N [NAME]     N blobs were asked of the registry since the last time
//	hang     a web server that never answers; $HANG is its HOST:PORT; what it is asked for
//	         stands in the file asked
//	box FILE puts a static shell there, to be COPYed to /bin/sh
//	context DIR NAME...  a build context: box as sh, and every file named
//	await FILE TEXT      waits until TEXT stands in FILE
//	signal NAME PIDFILE  sends TERM, INT or KILL; the process must end within two seconds
//	clean                nothing is mounted, no container or temporary file is left
//	noprocess TEXT       no process has TEXT in its arguments
//	smalldisk DIR        a file system of one megabyte there, until the script ends (root)
//	sshnode  this machine as a node: an sshd on loopback, called n01, whose rootcast $NODE
//	         has the store $NODE_STORE and the temporary directory $NODE_TMP; $OTHER is
//	         another architecture; node.log tells when $NODE started and ended; further
//	         nodes are denied, unknown (a host key) and down
//	hangup   cuts the connections to that sshd
//
// and the conditions [root], [userns], [runc], [overlay], [binfmt], [sshd], [genisoimage] besides testscript's.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	box := sync.OnceValues(func() (string, error) {
		name := filepath.Join(dir, "box")
		return name, buildtest.Box(name)
	})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *updateScripts,
		RequireExplicitExec: true,
		Setup:               setUpScript,
		Condition:           scriptCondition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"registry":  cmdRegistry,
			"faults":    cmdFaults,
			"fetched":   cmdFetched,
			"hang":      cmdHang,
			"box":       cmdBox(box),
			"context":   cmdContext(box),
			"await":     cmdAwait,
			"signal":    cmdSignal,
			"clean":     cmdClean,
			"noprocess": cmdNoProcess,
			"smalldisk": cmdSmallDisk,
			"sshnode":   cmdSSHNode,
			"hangup":    cmdHangUp,
		},
	})
}

// setUpScript keeps the script away from the user's images and settings.
func setUpScript(e *testscript.Env) error {
	home, tmp, storage := filepath.Join(e.WorkDir, ".home"), filepath.Join(e.WorkDir, ".tmp"), filepath.Join(e.WorkDir, ".storage")
	run := filepath.Join(home, "run")
	for _, dir := range []string{home, tmp, storage, run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	conf := filepath.Join(home, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n", scriptDriver(), filepath.Join(storage, "root"), filepath.Join(storage, "run"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	for k, v := range map[string]string{
		"HOME": home, "TMPDIR": tmp, "XDG_RUNTIME_DIR": run, "STORE": storage,
		"CONTAINERS_STORAGE_CONF": conf, "REGISTRY_AUTH_FILE": filepath.Join(home, "auth.json"),
		"SOURCE_DATE_EPOCH": "", "CI": os.Getenv("CI"), "GOARCH": "", "ARCH": runtime.GOARCH,
	} {
		e.Setenv(k, v)
	}
	// Where the machine's own cannot read a tar, hack/erofs.sh has put others there.
	erofs, err := filepath.Abs(filepath.Join("..", "..", ".cache", "erofs", "bin"))
	if err != nil {
		return err
	}
	e.Setenv("PATH", erofs+string(os.PathListSeparator)+e.Getenv("PATH"))
	e.Values[registriesKey{}] = map[string]*buildtest.Registry{}
	e.Values[fetchedKey{}] = map[string]int{}
	e.Defer(func() {
		if left := mountsBelow(e.WorkDir); len(left) > 0 {
			e.T().Log("mounts left behind: ", left)
			e.T().FailNow()
		}
	})
	return nil
}

// scriptDriver is overlay, unless the machine's tests must do without.
func scriptDriver() string {
	if d := os.Getenv("ROOTCAST_TEST_DRIVER"); d != "" {
		return d
	}
	return "overlay"
}

func scriptCondition(cond string) (bool, error) {
	var ok bool
	switch cond {
	case "root":
		ok = os.Geteuid() == 0
	case "userns":
		_, err := exec.LookPath("newuidmap")
		ok = err == nil
	case "runc":
		_, err := exec.LookPath("runc")
		ok = err == nil
	case "binfmt": // a user namespace may have a binfmt_misc of its own, from Linux 6.7 on, and there are emulators
		_, err := exec.LookPath("qemu-s390x-static")
		ok = err == nil && exec.Command("unshare", "-Urm", "mount", "-t", "binfmt_misc", "binfmt_misc", binfmt.Dir).Run() == nil
	case "sshd":
		_, err := exec.LookPath(sshdProgram)
		_, cerr := exec.LookPath("ssh")
		ok = err == nil && cerr == nil
	case "dnf":
		ok = !slices.ContainsFunc([]string{"dnf", "zypper", "rpm", "gpg"}, func(name string) bool {
			_, err := exec.LookPath(name)
			return err != nil
		})
	case "genisoimage":
		_, err := exec.LookPath("genisoimage")
		ok = err == nil
	case "overlay":
		ok = scriptDriver() == "overlay"
	default:
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	if !ok && os.Getenv("CI") == "true" {
		return false, fmt.Errorf("condition %s does not hold, and in CI it must", cond)
	}
	return ok, nil
}

type registriesKey struct{}

func registries(ts *testscript.TestScript) map[string]*buildtest.Registry {
	m, _ := ts.Value(registriesKey{}).(map[string]*buildtest.Registry)
	return m
}

func cmdRegistry(ts *testscript.TestScript, neg bool, args []string) {
	name, faults := parseFaults(ts, neg, args)
	r := buildtest.NewRegistry(faults)
	ts.Defer(r.Close)
	registries(ts)[name] = r
	ts.Setenv(name, r.Addr)
}

func cmdFaults(ts *testscript.TestScript, neg bool, args []string) {
	name, faults := parseFaults(ts, neg, args)
	r := registries(ts)[name]
	if r == nil {
		ts.Fatalf("there is no registry %s", name)
	}
	r.SetFaults(faults)
}

func parseFaults(ts *testscript.TestScript, neg bool, args []string) (string, buildtest.Faults) {
	if neg {
		ts.Fatalf("registry cannot be negated")
	}
	var f buildtest.Faults
	var auth string
	fs := flag.NewFlagSet("registry", flag.ContinueOnError)
	fs.StringVar(&auth, "auth", "", "")
	fs.IntVar(&f.FailFirst, "fail", 0, "")
	fs.IntVar(&f.TooMany, "busy", 0, "")
	fs.IntVar(&f.CutBlobs, "cut", 0, "")
	fs.BoolVar(&f.NoBlobs, "hangup", false, "")
	fs.BoolVar(&f.Rubbish, "rubbish", false, "")
	fs.BoolVar(&f.TLS, "tls", false, "")
	ts.Check(fs.Parse(args))
	f.User, f.Password, _ = strings.Cut(auth, ":")
	if fs.NArg() > 0 {
		return fs.Arg(0), f
	}
	return "REGISTRY", f
}

func cmdHang(ts *testscript.TestScript, _ bool, _ []string) {
	release := make(chan struct{})
	asked := ts.MkAbs("asked")
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = os.WriteFile(asked, []byte(r.URL.Path), 0o600)
		<-release
	}))
	ts.Defer(srv.Close)
	ts.Defer(func() { close(release) })
	ts.Setenv("HANG", srv.Listener.Addr().String())
}

type boxFunc func() (string, error)

func cmdBox(box boxFunc) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		putBox(ts, box, args[0])
	}
}

func putBox(ts *testscript.TestScript, box boxFunc, name string) {
	src, err := box()
	ts.Check(err)
	text, err := os.ReadFile(src)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name), text, 0o755))
}

func cmdContext(box boxFunc) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) < 1 {
			ts.Fatalf("usage: context DIR [FILE...]")
		}
		ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
		putBox(ts, box, filepath.Join(args[0], "sh"))
		for _, name := range args[1:] {
			to, from, ok := strings.Cut(name, "=")
			if !ok {
				to, from = filepath.Base(name), name
			}
			text, err := os.ReadFile(ts.MkAbs(from))
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(filepath.Join(args[0], to)), text, 0o644))
		}
	}
}

// patience is for what another process does; a test that passes never uses it up.
const patience = 60 * time.Second

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	name, text := ts.MkAbs(args[0]), args[1]
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got, err := os.ReadFile(name); err == nil && strings.Contains(string(got), text) {
			return
		}
	}
	ts.Fatalf("%s never held %q", args[0], text)
}

// cmdSignal signals a process; it must be dead two seconds later.
func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	p, err := os.FindProcess(pid)
	ts.Check(err)
	began := time.Now()
	ts.Check(p.Signal(signals[args[0]]))
	for !ended(pid) {
		if time.Since(began) > 2*time.Second {
			ts.Fatalf("it still runs two seconds after the signal")
		}
		time.Sleep(5 * time.Millisecond)
	}
	ts.Logf("ended after %v", time.Since(began))
}

// ended tells whether a process is gone or waits to be collected.
func ended(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return len(fields) > 0 && fields[0] == "Z"
}

func cmdClean(ts *testscript.TestScript, neg bool, _ []string) {
	work := ts.Getenv("WORK")
	left := mountsBelow(work)
	for _, pattern := range []string{
		".tmp/*", ".storage/run/rootcast/*", ".storage/root/*-containers/????????????????*/userdata",
	} {
		found, err := filepath.Glob(filepath.Join(work, pattern))
		ts.Check(err)
		left = append(left, slices.DeleteFunc(found, func(name string) bool {
			return strings.HasPrefix(filepath.Base(name), "buildah-cache-")
		})...)
	}
	switch {
	case neg && len(left) == 0:
		ts.Fatalf("nothing is left behind")
	case !neg && len(left) > 0:
		ts.Fatalf("left behind: %s", strings.Join(left, ", "))
	}
}

func mountsBelow(dir string) []string {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	var left []string
	for line := range strings.Lines(string(text)) {
		// A store's own root is bind-mounted on itself by another user's namespace, never here.
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			left = append(left, f[4])
		}
	}
	return left
}

func cmdSmallDisk(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.Mkdir(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
	ts.Defer(func() { ts.Check(syscall.Unmount(dir, 0)) })
}

func cmdNoProcess(ts *testscript.TestScript, _ bool, args []string) {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && strings.Contains(strings.ReplaceAll(string(text), "\x00", " "), args[0]) {
			ts.Fatalf("still running: %q", text)
		}
	}
}
