//go:build unix

package controlplane

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes an exclusive lock that the kernel gives up when this process ends, in whatever way.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// ownGroup keeps a Ctrl-C at the terminal from reaching the child before its parent has decided the order of things.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
