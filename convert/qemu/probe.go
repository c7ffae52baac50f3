package qemu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	probeTimeout = 10 * time.Second
	probeMaxAge  = 6 * time.Hour
	probeMemory  = 512 // MiB; a distribution's kernel alone takes a quarter of it
	// kernelText begins every Linux kernel's log.
	kernelText = "Linux version "
)

// Probe finds out whether KVM can run guests on this host.
type Probe struct {
	// Device is KVM's device; the default is /dev/kvm.
	Device string
	// CacheDir keeps verdicts, one for each host kernel and QEMU version.
	// Empty: nothing is kept.
	CacheDir string
	// MaxAge is how long a verdict holds; the default is six hours.
	MaxAge time.Duration
	// Timeout is how long the test guest may take; the default is ten seconds.
	Timeout time.Duration
}

// Verdict is what a probe came to.
type Verdict struct {
	// Accel is what to run the machine with.
	Accel Accel `json:"accel"`
	// Reason says in a few words why.
	Reason string `json:"reason"`
}

// Choose returns KVM if a guest with m's kernel really runs with it, and TCG
// otherwise. An error means that it could not be found out: no QEMU, no such
// architecture, or ctx has ended.
func (p Probe) Choose(ctx context.Context, m Machine) (Verdict, error) {
	p, m = p.withDefaults(), m.withDefaults()
	a, err := lookArch(m.Arch)
	if err != nil {
		return Verdict{}, err
	}
	program, err := m.program()
	if err != nil {
		return Verdict{}, err
	}
	if a.name != runtime.GOARCH {
		return Verdict{TCG, fmt.Sprintf("the guest is %s, the host %s", a.name, runtime.GOARCH)}, nil
	}
	if err := openable(p.Device); err != nil {
		return Verdict{TCG, err.Error()}, nil //nolint:nilerr // the reason, not a failure
	}
	path, err := p.cachePath(ctx, program)
	if err != nil {
		return Verdict{}, err
	}
	if v, ok := p.load(path); ok {
		return v, nil
	}
	v, err := p.try(ctx, m)
	if err != nil {
		return Verdict{}, err
	}
	p.save(path, v)
	return v, nil
}

func (p Probe) withDefaults() Probe {
	if p.Device == "" {
		p.Device = "/dev/kvm"
	}
	if p.MaxAge == 0 {
		p.MaxAge = probeMaxAge
	}
	if p.Timeout == 0 {
		p.Timeout = probeTimeout
	}
	return p
}

// openable tells why the device cannot be used at all, if so.
func openable(device string) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	switch {
	case err == nil:
		return f.Close()
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("this host has no %s", device)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be opened by this user; the group kvm may", device)
	default:
		return err
	}
}

// try boots m's kernel with KVM and nothing else. It panics for want of a root
// file system, "reboots" at once, and that ends QEMU: all of which needs a
// guest that truly runs.
func (p Probe) try(ctx context.Context, m Machine) (Verdict, error) {
	limit, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	s, err := Start(ctx, Machine{
		Arch: m.Arch, Kernel: m.Kernel, Program: m.Program, Accel: KVM, Memory: probeMemory,
		CommandLine: "panic=-1 ignore_loglevel",
	}, Options{})
	if err != nil {
		return Verdict{}, err
	}
	defer s.Close()
	err = s.Wait(limit)
	switch {
	case ctx.Err() != nil:
		return Verdict{}, fmt.Errorf("trying whether KVM works: %w", ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return Verdict{TCG, fmt.Sprintf("a test guest with KVM hung for %s%s", p.Timeout, s.lastWords())}, nil
	case err != nil:
		return Verdict{TCG, "a test guest with KVM did not start: " + err.Error()}, nil
	case !s.console.contains(kernelText):
		return Verdict{TCG, "a test guest with KVM ended before its kernel said a word"}, nil
	default:
		return Verdict{KVM, "a test guest came up"}, nil
	}
}

func (s *Session) lastWords() string {
	if tail := s.Tail(1); len(tail) > 0 {
		return fmt.Sprintf(" after %q", tail[0])
	}
	return " and its console was silent"
}

// cachePath names the file for this host kernel and QEMU; "" without a cache.
func (p Probe) cachePath(ctx context.Context, program string) (string, error) {
	if p.CacheDir == "" {
		return "", nil
	}
	var host unix.Utsname
	if err := unix.Uname(&host); err != nil {
		return "", fmt.Errorf("asking for the host kernel's version: %w", err)
	}
	version, err := exec.CommandContext(ctx, program, "--version").Output()
	if ctx.Err() != nil {
		err = ctx.Err() // more telling than the signal that followed from it
	}
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", program, err)
	}
	key := sha256.New()
	for _, s := range []string{unix.ByteSliceToString(host.Release[:]), unix.ByteSliceToString(host.Version[:]), program, string(version)} {
		fmt.Fprintf(key, "%q\n", s)
	}
	return filepath.Join(p.CacheDir, "kvm-"+hex.EncodeToString(key.Sum(nil)[:8])+".json"), nil
}

// load returns an earlier verdict that still holds.
func (p Probe) load(path string) (Verdict, bool) {
	if path == "" {
		return Verdict{}, false
	}
	info, err := os.Stat(path)
	if err != nil || time.Since(info.ModTime()) > p.MaxAge {
		return Verdict{}, false
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Verdict{}, false
	}
	var v Verdict
	if err := json.Unmarshal(data, &v); err != nil || v.Accel != KVM && v.Accel != TCG {
		return Verdict{}, false
	}
	v.Reason += " (found out at " + info.ModTime().Format("15:04") + ")"
	return v, true
}

// save keeps a verdict. A cache that cannot be written costs the next boot a
// few seconds and is no reason to refuse this one.
func (p Probe) save(path string, v Verdict) {
	if path == "" {
		return
	}
	data, err := json.Marshal(v)
	if err != nil {
		return
	}
	if err := os.MkdirAll(p.CacheDir, 0o755); err != nil {
		return
	}
	_ = writeFile(path, append(data, '\n'))
}

// writeFile writes a file under a temporary name and puts it in place.
func writeFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// contains tells whether the console shows text anywhere.
func (c *console) contains(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(string(c.text), text)
}
