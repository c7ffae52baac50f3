package crashtest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Command is a program to run.
type Command struct {
	Args   []string // the program's path first
	Env    []string // nil: this process's
	Dir    string   // where it runs; "": here
	Output *os.File // its stdout and stderr; nil: they are thrown away
	Kill   int      // before which change it dies, counted from 1; 0: it runs to its end
}

// Result is how a program ended.
type Result struct {
	Changes int  // that it began, the one that it was killed at among them
	Killed  bool // by Run
	Exit    int  // its exit code if it was not
}

// Run runs a program and all that it starts, as a process group, which they must not leave.
func Run(c Command) (Result, error) {
	// Only the thread that a process was started by may trace it. The thread ends
	// with this goroutine, for it is never unlocked.
	type outcome struct {
		r   Result
		err error
	}
	done := make(chan outcome)
	go func() {
		runtime.LockOSThread()
		r, err := run(c)
		done <- outcome{r, err}
	}()
	o := <-done
	if o.err != nil {
		return o.r, fmt.Errorf("tracing %s: %w", c.Args[0], o.err)
	}
	return o.r, nil
}

func run(c Command) (Result, error) {
	if c.Env == nil {
		c.Env = os.Environ()
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return Result{}, err
	}
	defer null.Close()
	if c.Output == nil {
		c.Output = null
	}
	p, err := os.StartProcess(c.Args[0], c.Args, &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []*os.File{null, c.Output, c.Output},
		Sys: &unix.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return Result{}, err
	}
	t := tracer{kill: c.Kill, pid: p.Pid, seen: map[int]bool{}}
	err = t.trace()
	if err != nil {
		err = errors.Join(err, p.Kill())
	}
	return t.result, errors.Join(err, p.Release())
}

// tracer follows one process tree.
type tracer struct {
	kill   int
	pid    int
	seen   map[int]bool // processes and threads
	result Result
}

func (t *tracer) trace() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.pid, &status, 0, nil); err != nil || !status.Stopped() {
		return fmt.Errorf("it did not stop at its start: %w", err)
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACEEXEC |
		unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
	if err := unix.PtraceSetOptions(t.pid, options); err != nil {
		return err
	}
	at, sig := t.pid, 0
	for {
		if err := unix.PtraceSyscall(at, sig); err != nil && !errors.Is(err, unix.ESRCH) { // it may have been killed
			return err
		}
		var err error
		// The process group alone: this thread may have other children, which
		// were started on it before it was locked.
		at, err = unix.Wait4(-t.pid, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil
		case errors.Is(err, unix.EINTR):
			at, sig = t.pid, 0
			continue
		case err != nil:
			return err
		}
		if sig, err = t.stopped(at, status); err != nil {
			return err
		}
	}
}

// stopped handles a thread that has stopped or ended, and returns the signal that
// it goes on with.
func (t *tracer) stopped(tid int, status unix.WaitStatus) (sig int, err error) {
	t.seen[tid] = status.Stopped()
	switch {
	case status.Exited() && tid == t.pid:
		t.result.Exit = status.ExitStatus()
	case !status.Stopped():
	case status.StopSignal() == unix.SIGTRAP|0x80:
		changes, err := changing(tid)
		if err != nil || !changes || t.result.Killed {
			return 0, err
		}
		t.result.Changes++
		if t.result.Changes == t.kill {
			t.result.Killed = true
			return 0, t.killAll()
		}
	case status.StopSignal() == unix.SIGTRAP, status.StopSignal() == unix.SIGSTOP: // an event; a new thread
	default:
		return int(status.StopSignal()), nil
	}
	return 0, nil
}

func (t *tracer) killAll() error {
	for tid, lives := range t.seen {
		if !lives {
			continue
		}
		if err := unix.Kill(tid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// syscallInfo is struct ptrace_syscall_info of linux/ptrace.h at a system call's entry.
type syscallInfo struct {
	op     uint8
	_      [3]uint8
	arch   uint32
	ip, sp uint64
	number uint64
	args   [6]uint64
	_      [2]uint64
}

// changing tells whether a thread is about to change a file system.
func changing(tid int) (bool, error) {
	const (
		getSyscallInfo = 0x420e // PTRACE_GET_SYSCALL_INFO
		entry          = 1      // PTRACE_SYSCALL_INFO_ENTRY
		eventfd        = 8      // bytes that the Go runtime writes to wake itself
	)
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errors.Is(errno, unix.ESRCH) || info.op != entry {
		return false, nil
	}
	if errno != 0 {
		return false, fmt.Errorf("reading a system call: %w", errno)
	}
	switch info.number {
	case unix.SYS_OPENAT:
		return info.args[2]&unix.O_CREAT != 0, nil
	case unix.SYS_WRITE:
		return info.args[0] > 2 && info.args[2] != eventfd, nil
	case unix.SYS_PWRITE64, unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE,
		unix.SYS_MKDIRAT, unix.SYS_SYMLINKAT, unix.SYS_LINKAT, unix.SYS_UNLINKAT, renameat, unix.SYS_RENAMEAT2,
		unix.SYS_FCHMODAT, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FLOCK:
		return true, nil
	}
	return false, nil
}
