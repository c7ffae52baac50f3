package qemu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// device is a file that stands for a /dev/kvm which can be opened.
func device(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kvm")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProbe(t *testing.T) {
	// Short where the guest never ends, long where it must be waited for.
	const short, long = 2 * time.Second, time.Minute
	tests := []struct {
		mode    string
		timeout time.Duration
		want    Verdict
	}{
		{"kernel", long, Verdict{KVM, "a test guest came up"}},
		{"hang", short, Verdict{TCG, `a test guest with KVM hung for 2s after "Booting"`}},
		{"deaf", short, Verdict{TCG, `a test guest with KVM hung for 2s after "Booting"`}},
		{"mute", short, Verdict{TCG, "a test guest with KVM hung for 2s and its console was silent"}},
		{"silent", long, Verdict{TCG, "a test guest with KVM ended before its kernel said a word"}},
		{"fail", long, Verdict{TCG, "a test guest with KVM did not start: qemu: could not load kernel 'kernel' (exit status 1)"}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			p := Probe{Device: device(t), Timeout: tt.timeout}
			got, err := p.Choose(t.Context(), fake(t, tt.mode))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbeNeedsNoGuest(t *testing.T) {
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	m := fake(t, "kernel") // whoever starts it gets KVM
	absent := filepath.Join(t.TempDir(), "kvm")
	foreign := m
	foreign.Arch = other
	tests := []struct {
		name string
		p    Probe
		m    Machine
		want Verdict
	}{
		{"no device", Probe{Device: absent}, m, Verdict{TCG, "this host has no " + absent}},
		{"another architecture", Probe{Device: device(t)}, foreign, Verdict{TCG, "the guest is " + other + ", the host " + runtime.GOARCH}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.p.Choose(t.Context(), tt.m)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbeRemembers(t *testing.T) {
	p := Probe{Device: device(t), CacheDir: filepath.Join(t.TempDir(), "cache", "rootcast")}
	choose := func(mode string) Accel {
		t.Helper()
		v, err := p.Choose(t.Context(), fake(t, mode))
		if err != nil {
			t.Fatal(err)
		}
		return v.Accel
	}
	if got := choose("kernel"); got != KVM {
		t.Fatalf("first verdict %s", got)
	}
	if got := choose("silent"); got != KVM {
		t.Errorf("the verdict was not remembered: %s", got)
	}
	entries, err := filepath.Glob(filepath.Join(p.CacheDir, "*"))
	if err != nil || len(entries) != 1 {
		t.Fatalf("cache holds %q, %v", entries, err)
	}
	old := time.Now().Add(-p.withDefaults().MaxAge - time.Minute)
	if err := os.Chtimes(entries[0], old, old); err != nil {
		t.Fatal(err)
	}
	if got := choose("silent"); got != TCG {
		t.Errorf("an old verdict still holds: %s", got)
	}
	if err := os.WriteFile(entries[0], []byte(`{"accel":"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := choose("kernel"); got != KVM {
		t.Errorf("a broken cache entry counts: %s", got)
	}
}

// An interrupted probe proves nothing.
func TestProbeInterrupted(t *testing.T) {
	p := Probe{Device: device(t), CacheDir: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if v, err := p.Choose(ctx, fake(t, "hang")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", v, err)
	}
	if entries, err := os.ReadDir(p.CacheDir); err != nil || len(entries) > 0 {
		t.Errorf("cache holds %v, %v", entries, err)
	}
}

func TestProbeWithoutQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Probe{Device: device(t)}.Choose(t.Context(), Machine{Kernel: "k"})
	if err == nil || !strings.Contains(err.Error(), "finding QEMU for "+runtime.GOARCH) {
		t.Errorf("got %v", err)
	}
}
