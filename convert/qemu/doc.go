// Package qemu boots a kernel and its ramdisk in a QEMU virtual machine and
// talks to it over the serial console.
//
// A program, or a test, that logs in and runs a command:
//
//	m := qemu.Machine{Arch: "amd64", Kernel: "kernel", Initrd: "ramdisk.img", Memory: 2048}
//	s, err := qemu.Start(ctx, m, qemu.Options{Output: os.Stderr})
//	defer s.Close()
//	err = s.Expect(ctx, "login:")
//	err = s.Send("root\n")
//
// A person at a terminal gets the console itself from [Run].
//
// Guests run by software emulation unless [Machine.Accel] says KVM. There are
// hosts whose /dev/kvm answers every call and then hangs the guest, so nothing
// less than a guest that came up proves it: [Probe] boots the very kernel to
// its panic for want of a root file system and remembers the outcome.
//
// The package prints nothing by itself, needs no root and leaves no file: the
// machine has no disk. It does not know what a rootimgdir is.
package qemu
