//go:build !riscv64 && !loong64

package crashtest

import "golang.org/x/sys/unix"

const renameat = unix.SYS_RENAMEAT
