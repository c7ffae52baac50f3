// Package binfmt knows how a Linux machine runs programs of other
// architectures: the kernel's binfmt_misc starts QEMU's user-mode emulators for
// them. It tells what is registered and whether programs really run, registers
// emulators, and explains what is missing.
//
//	arm64, _ := binfmt.Find("arm64")
//	err := binfmt.Machine{}.Check(ctx, arm64) // nil: a container can run arm64 programs
//	handler, err := binfmt.Installer{Persistent: true}.Install(ctx, arm64)
//
// The kernel asks the handlers that are switched on, the newest first, and
// compares the first bytes of the program with their magic under their mask.
// What a handler must have for containers is the flag F: with it the kernel
// opens the emulator when the handler is registered; without it it looks for
// the emulator's path inside each container, where there is none. For the same
// reason the emulator must be a static program.
//
// rootcast's own handlers are called rootcast-qemu-…; no other handler is ever
// changed, unless it is removed by its name. They carry the flag P, by which a
// program gets its name as it was given, where the emulator understands that.
// They never carry C, by which a setuid program of another architecture would
// run the emulator, and what its environment makes of it, as root.
//
// Handlers belong to the machine and hold in all its containers. From Linux 6.7
// a user namespace may mount a binfmt_misc of its own, whose handlers hold in it
// alone, in place of the machine's.
//
// Sources: the kernel's Documentation/admin-guide/binfmt-misc.rst and
// fs/binfmt_misc.c; QEMU's scripts/qemu-binfmt-conf.sh; binfmt.d(5).
package binfmt
