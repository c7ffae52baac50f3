package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sampleEvery is how often the memory of a side's processes is added up.
const sampleEvery = 20 * time.Millisecond

// shell returns a Bash script as a command in a process group of its own, which
// ends with ctx. The script ends at the first command that fails, in a pipeline too.
func shell(ctx context.Context, script string, env []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-euc", script)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output runs a script that is not measured, and returns what it prints.
func output(ctx context.Context, script string, env []string) (string, error) {
	cmd := shell(ctx, script, env)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", scriptError(script, stderr.Bytes(), err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// measure runs a script and tells what it took.
func measure(ctx context.Context, script string, env []string) (sample, error) {
	cmd := shell(ctx, script, env)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, fmt.Errorf("starting %q: %w", script, err)
	}
	stop, peaks := make(chan struct{}), make(chan int64)
	go watch(cmd.Process.Pid, stop, peaks)
	err := cmd.Wait()
	wall := time.Since(began)
	close(stop)
	peak := <-peaks
	if err != nil {
		return sample{}, scriptError(script, stderr.Bytes(), err)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample{}, errors.New("no resource usage on this system")
	}
	// The kernel knows the true peak of the largest process; the watcher knows the
	// sum over all of them, as often as it looks.
	const kib = 1024
	return sample{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak: max(peak, usage.Maxrss*kib)}, nil
}

func scriptError(script string, stderr []byte, err error) error {
	const shown = 15
	lines := strings.Split(strings.TrimSpace(string(stderr)), "\n")
	return fmt.Errorf("running %q: %w\n%s", script, err, strings.Join(lines[max(0, len(lines)-shown):], "\n"))
}

// watch sends the highest sum of resident memory of pid and its descendants.
func watch(pid int, stop <-chan struct{}, peaks chan<- int64) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	var peak int64
	for {
		select {
		case <-stop:
			peaks <- peak
			return
		case <-tick.C:
			peak = max(peak, resident(pid))
		}
	}
}

// resident adds up the memory of a process and its descendants, in bytes. One
// that ends meanwhile counts nothing.
func resident(pid int) int64 {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	var total int64
	if b, err := os.ReadFile(filepath.Join(proc, "statm")); err == nil {
		total = residentOf(string(b)) * int64(os.Getpagesize())
	}
	lists, _ := filepath.Glob(filepath.Join(proc, "task", "*", "children"))
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for child := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				total += resident(n)
			}
		}
	}
	return total
}

// residentOf reads the pages in memory out of /proc/PID/statm.
func residentOf(statm string) int64 {
	fields := strings.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages
}

// measureSide runs one side once, in a new directory for what it makes.
func (b *bench) measureSide(ctx context.Context, s side) (sample, error) {
	out := filepath.Join(b.dir, "out", s.name)
	if err := os.RemoveAll(out); err != nil {
		return sample{}, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return sample{}, err
	}
	env := append(slices.Clone(b.env), "OUT="+out)
	// What was written before reaches the disk before the clock starts.
	if _, err := output(ctx, s.before+"\nsync", env); err != nil {
		return sample{}, fmt.Errorf("preparing %s: %w", s.name, err)
	}
	time.Sleep(settle)
	result, err := measure(ctx, s.script, env)
	if s.after != "" {
		// Also after an interrupt: a mount would stay.
		if _, bad := output(context.WithoutCancel(ctx), s.after, env); bad != nil {
			err = errors.Join(err, fmt.Errorf("after it: %w", bad))
		}
	}
	if err != nil {
		return sample{}, fmt.Errorf("measuring %s: %w", s.name, err)
	}
	if s.clock != "" {
		if result.wall, err = readSeconds(filepath.Join(out, s.clock)); err != nil {
			return sample{}, fmt.Errorf("measuring %s: %w", s.name, err)
		}
	}
	if s.file != "" {
		info, err := os.Stat(filepath.Join(out, s.file))
		if err != nil {
			return sample{}, fmt.Errorf("measuring %s: %w", s.name, err)
		}
		result.size = info.Size()
	}
	return result, nil
}

// readSeconds reads a number of seconds.
func readSeconds(name string) (time.Duration, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", name, err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// settle is the pause between the preparation of a side and its run.
const settle = 300 * time.Millisecond
