package lambda

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// detached gives the process a group of its own, so that what it starts is killed with it, and has the kernel kill it
// when this process ends in whatever way. (The kernel looks at the thread that forked; Go ends a thread only when a
// goroutine locked to it returns, and nothing here locks any.)
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// cpuTime reads the CPU time of a whole process with the nanoseconds of its CPU clock: /proc/PID/stat counts in steps of
// 10 ms, more than many an invocation takes.
func cpuTime(pid int) time.Duration {
	const schedClock = 2
	clock := ^pid<<3 | schedClock // MAKE_PROCESS_CPUCLOCK of the kernel's posix-timers.h
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0
	}
	return time.Duration(ts.Nano())
}

// peakMemory is the most resident memory of a process so far, in MB.
func peakMemory(pid int) int {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.Atoi(fields[0]) // a number, or the kernel has changed
	return (kb + 1023) / 1024
}
