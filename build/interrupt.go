package build

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// What runs inside a build dies at once; the library's helpers around it
	// get this long to unmount and go by themselves.
	helperGrace = 500 * time.Millisecond
	// After that everything is killed, and the library has this long to
	// return before it is left behind.
	libraryGrace = 700 * time.Millisecond

	killInterval = 20 * time.Millisecond
)

// guard runs work, which starts processes and hears nothing of ctx while they
// run, and ends it soon after ctx ends. Processes that outlive work are killed
// too: a RUN step may have left a daemon.
func guard(ctx context.Context, work func() error) error {
	// Orphans come to us instead of to init; else they could not be found.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	before := descendants()
	done := make(chan error, 1)
	go func() { done <- work() }()

	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = stop(ctx, before, done)
	}
	killAll(before, func(process) bool { return true })
	reap(before)
	return err
}

// stop ends the processes of a build and waits for it to notice.
func stop(ctx context.Context, before map[int]bool, done <-chan error) error {
	helpers, everything := time.NewTimer(helperGrace), time.NewTimer(helperGrace+libraryGrace)
	defer helpers.Stop()
	defer everything.Stop()
	tick := time.NewTicker(killInterval)
	defer tick.Stop()
	self, _ := os.Stat("/proc/self/exe")
	victim := func(p process) bool { return !p.isHelper(self) }
	for {
		killAll(before, victim)
		select {
		case err := <-done:
			return err
		case <-helpers.C:
			victim = func(process) bool { return true }
		case <-everything.C:
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// process is one of our descendants.
type process struct {
	pid, parent int
	name        string
	zombie      bool
}

// isHelper tells whether p is this program again, or an OCI runtime.
func (p process) isHelper(self os.FileInfo) bool {
	switch p.name {
	case "crun", "runc", "kata-runtime", "runsc", "youki", "netavark", "pasta", "slirp4netns":
		return true
	}
	exe, err := os.Stat(filepath.Join("/proc", strconv.Itoa(p.pid), "exe"))
	return err == nil && self != nil && os.SameFile(exe, self)
}

func killAll(before map[int]bool, victim func(process) bool) {
	for _, p := range processTree(os.Getpid()) {
		if !before[p.pid] && !p.zombie && victim(p) {
			_ = unix.Kill(p.pid, unix.SIGKILL)
		}
	}
}

// reap waits for the killed orphans that came to us; nobody else does.
func reap(before map[int]bool) {
	deadline := time.Now().Add(helperGrace)
	for time.Now().Before(deadline) {
		left := false
		for _, p := range processTree(os.Getpid()) {
			if before[p.pid] || p.parent != os.Getpid() {
				continue
			}
			left = true
			_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
		}
		if !left {
			return
		}
		time.Sleep(killInterval / 4)
	}
}

func descendants() map[int]bool {
	set := map[int]bool{}
	for _, p := range processTree(os.Getpid()) {
		set[p.pid] = true
	}
	return set
}

// processTree lists the descendants of a process.
func processTree(root int) []process {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	children := map[int][]process{}
	for _, name := range names {
		if p, ok := readProcess(name); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	var list []process
	todo := []int{root}
	for len(todo) > 0 {
		found := children[todo[0]]
		delete(children, todo[0])
		todo = todo[1:]
		for _, p := range found {
			list = append(list, p)
			todo = append(todo, p.pid)
		}
	}
	return list
}

// readProcess parses /proc/PID/stat: "PID (NAME) STATE PPID …", where NAME may
// hold anything.
func readProcess(name string) (process, bool) {
	text, err := os.ReadFile(name)
	if err != nil {
		return process{}, false
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:open])))
	fields := strings.Fields(string(text[end+1:]))
	if err != nil || len(fields) < 2 {
		return process{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return process{}, false
	}
	return process{pid: pid, parent: parent, name: string(text[open+1 : end]), zombie: fields[0] == "Z"}, true
}
