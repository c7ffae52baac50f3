package qemu

import (
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArgs(t *testing.T) {
	tests := []struct {
		name string
		m    Machine
		want string
	}{
		{
			name: "amd64, everything",
			m:    Machine{Arch: "amd64", Kernel: "/srv/a,b/kernel", Initrd: "/srv/a,b/ramdisk.img", CommandLine: "quiet", Memory: 4096, CPUs: 3, SSHPort: 2222, Network: User},
			want: `-no-user-config -nodefaults -display none -no-reboot
				-machine q35 -accel tcg,thread=multi -cpu max,la57=off,erms=off,fsrm=off -m 4096M -smp 3 -monitor none -serial stdio
				-device virtio-rng-pci -netdev user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22 -device virtio-net-pci,netdev=net0,romfile=
				-kernel /srv/a,b/kernel -initrd /srv/a,b/ramdisk.img -append|quiet console=ttyS0,115200`,
		},
		{
			name: "arm64, defaults",
			m:    Machine{Arch: "aarch64", Kernel: "k"},
			want: `-no-user-config -nodefaults -display none -no-reboot
				-machine virt,gic-version=max -accel tcg,thread=multi -cpu max,pauth-impdef=on -m 1024M -smp 1 -monitor none -serial stdio
				-device virtio-rng-pci -netdev user,id=net0,restrict=on -device virtio-net-pci,netdev=net0,romfile=
				-kernel k -append console=ttyAMA0`,
		},
		{
			name: "arguments of its own",
			m:    Machine{Arch: "amd64", Kernel: "k", Network: None, Disks: []string{"d"}, More: []string{"-device", "e1000e"}},
			want: `-no-user-config -nodefaults -display none -no-reboot
				-machine q35 -accel tcg,thread=multi -cpu max,la57=off,erms=off,fsrm=off -m 1024M -smp 1 -monitor none -serial stdio
				-device virtio-rng-pci -drive if=none,id=disk0,format=raw,file=d -device virtio-blk-pci,drive=disk0
				-device e1000e -kernel k -append|console=ttyS0,115200`,
		},
		{
			name: "ppc64le",
			m:    Machine{Arch: "ppc64le", Kernel: "k", SSHPort: 22},
			want: `-no-user-config -nodefaults -display none -no-reboot
				-machine pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken -accel tcg,thread=multi -m 1024M -smp 1 -monitor none -serial stdio
				-device virtio-rng-pci -netdev user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:22-:22 -device virtio-net-pci,netdev=net0,romfile=
				-kernel k -append console=hvc0`,
		},
		{
			name: "riscv64",
			m:    Machine{Arch: "riscv64", Kernel: "k"},
			want: `-no-user-config -nodefaults -display none -no-reboot
				-machine virt -accel tcg,thread=multi -m 1024M -smp 1 -monitor none -serial stdio
				-device virtio-rng-pci -netdev user,id=net0,restrict=on -device virtio-net-pci,netdev=net0,romfile=
				-kernel k -append console=ttyS0,115200`,
		},
		{
			name: "s390x",
			m:    Machine{Arch: "s390x", Kernel: "k"},
			want: `-no-user-config -nodefaults -display none -no-reboot
				-machine s390-ccw-virtio -accel tcg,thread=multi -cpu max -m 1024M -smp 1 -monitor none -serial stdio
				-device virtio-rng-ccw -netdev user,id=net0,restrict=on -device virtio-net-ccw,netdev=net0
				-kernel k -append console=ttysclp0`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.m.Args()
			if err != nil {
				t.Fatal(err)
			}
			// The kernel's arguments are one argument of QEMU's.
			flags, kernel, ok := strings.Cut(tt.want, "-append|")
			want := strings.Fields(flags)
			if ok {
				want = append(want, "-append", kernel)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestArgsKVM(t *testing.T) {
	got, err := Machine{Arch: runtime.GOARCH, Kernel: "k", Accel: KVM}.Args()
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(got, " "); !strings.Contains(line, "-accel kvm -cpu host") || strings.Contains(line, "tcg") {
		t.Errorf("got %s", line)
	}
}

func TestArgsRefused(t *testing.T) {
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	tests := []struct {
		name string
		m    Machine
		want string
	}{
		{"architecture", Machine{Arch: "mips", Kernel: "k"}, `no QEMU machine for architecture "mips"; there are amd64, arm64, ppc64le, riscv64, s390x`},
		{"no kernel", Machine{}, "the machine has no kernel"},
		{"memory", Machine{Kernel: "k", Memory: -1}, "-1 MiB of memory is no memory"},
		{"processors", Machine{Kernel: "k", CPUs: -1}, "-1 processors are none"},
		{"port", Machine{Kernel: "k", SSHPort: 65536}, "port 65536 does not exist; ports are 1 to 65535"},
		{"network", Machine{Kernel: "k", Network: "bridge"}, `no network "bridge"; there are isolated, user and none`},
		{"port without a card", Machine{Kernel: "k", Network: None, SSHPort: 22}, "a port leads to a machine that has a network card"},
		{"accelerator", Machine{Kernel: "k", Accel: "xen"}, `no accelerator "xen"; there are kvm and tcg`},
		{"KVM of another", Machine{Arch: other, Kernel: "k", Accel: KVM}, "KVM runs " + runtime.GOARCH + " guests here and not " + other + "; use tcg"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.m.Args()
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		name, arch, args, want string
	}{
		{"none", "amd64", "", "console=ttyS0,115200"},
		{"without a console", "arm64", "quiet", "quiet console=ttyAMA0"},
		{"last already", "amd64", "console=tty0 console=ttyS0,9600n8 quiet", "console=tty0 console=ttyS0,9600n8 quiet"},
		{"not the last", "amd64", "console=ttyS0,9600 console=tty0 quiet", "console=tty0 quiet console=ttyS0,9600"},
		{"another machine's", "ppc64le", "console=ttyS0", "console=ttyS0 console=hvc0"},
		{"a longer name", "amd64", "console=ttyS01", "console=ttyS01 console=ttyS0,115200"},
		{"quoted", "amd64", `dyndbg="file a.c +p; file b.c +p"  quiet`, `dyndbg="file a.c +p; file b.c +p" quiet console=ttyS0,115200`},
		{"for init", "amd64", "quiet -- console=tty0 x", "quiet console=ttyS0,115200 -- console=tty0 x"},
		{"lines", "s390x", "a\n\tb\n", "a b console=ttysclp0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := lookArch(tt.arch)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, commandLine(a, tt.args)); diff != "" {
				t.Errorf("command line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestArchitecturesHaveMachines(t *testing.T) {
	for _, name := range Architectures() {
		got, err := ArchName(name)
		if err != nil || got != name {
			t.Errorf("ArchName(%s) = %s, %v", name, got, err)
		}
		if _, err := (Machine{Arch: name, Kernel: "k"}).Args(); err != nil {
			t.Error(err)
		}
	}
}

func TestMemoryFor(t *testing.T) {
	tests := []struct {
		peak int64
		want int
	}{{0, 1024}, {1 << 30, 1024}, {1<<30 + 1, 1280}, {5000 << 20, 5120}}
	for _, tt := range tests {
		if got := MemoryFor(tt.peak); got != tt.want {
			t.Errorf("MemoryFor(%d) = %d, want %d", tt.peak, got, tt.want)
		}
	}
}

func TestProgramIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, pkg := range map[string]string{
		"amd64": "qemu-system-x86", "arm64": "qemu-system-arm", "ppc64le": "qemu-system-ppc",
		"riscv64": "qemu-system-riscv", "s390x": "qemu-system-s390x",
	} {
		_, err := Start(t.Context(), Machine{Arch: name, Kernel: "k"}, Options{})
		if err == nil || !strings.Contains(err.Error(), "on Debian it is in the package "+pkg) && !strings.Contains(err.Error(), " or "+pkg) {
			t.Errorf("%s: %v, want the package %s named", name, err, pkg)
		}
	}
}
