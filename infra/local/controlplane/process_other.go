//go:build !unix

package controlplane

import (
	"errors"
	"os"
	"syscall"
)

func tryLock(*os.File) (bool, error) {
	return false, errors.New("the Kubernetes control plane runs on Linux and macOS only")
}

func ownGroup() *syscall.SysProcAttr { return nil }

func terminate(p *os.Process) error { return p.Kill() }
