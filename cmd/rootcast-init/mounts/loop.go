package mounts

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// loopTries is how often another process may take the free device before us.
const loopTries = 16

// attachLoop gives the file a read-only loop device, which goes when its last
// user does: the caller closes it once it is mounted.
func attachLoop(path string) (device *os.File, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the device keeps the file
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, errors.New("this kernel has no loop devices: the image's kernel lacks the module loop, or convert left it out (--omit-module)")
	}
	if err != nil {
		return nil, err
	}
	defer control.Close() //nolint:errcheck // nothing was written
	for range loopTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("asking for a loop device: %w", err)
		}
		device, err = configureLoop(fmt.Sprintf("/dev/loop%d", n), file)
		if !errors.Is(err, unix.EBUSY) {
			return device, err
		}
	}
	return nil, errors.New("no loop device stays free")
}

func configureLoop(device string, file *os.File) (*os.File, error) {
	loop, err := openDevice(device)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(file.Fd())} //nolint:gosec // a descriptor
	config.Info.Flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
	err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) { // before Linux 5.8
		err = configureOldLoop(loop, file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("setting up %s: %w", device, err), loop.Close())
	}
	return loop, nil
}

func configureOldLoop(loop, file *os.File) error {
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_FD, int(file.Fd())); err != nil {
		return err
	}
	return unix.IoctlLoopSetStatus64(int(loop.Fd()), &unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR})
}

// openDevice waits a moment for devtmpfs to show a new device.
func openDevice(device string) (*os.File, error) {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		f, err := os.Open(device)
		if err == nil || !errors.Is(err, os.ErrNotExist) || time.Now().After(deadline) {
			return f, err
		}
	}
}
