//go:build !linux

package lambda

import (
	"syscall"
	"time"
)

// detached gives the process a group of its own. There is no way to have it die with this process here; Close kills it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// cpuTime is known only after a process has ended here.
func cpuTime(int) time.Duration { return 0 }

func peakMemory(int) int { return 0 }
