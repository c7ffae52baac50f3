//go:build riscv64 || loong64

package crashtest

// renameat is a system call that these machines do without.
const renameat = 1 << 32
