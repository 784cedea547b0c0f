package workload

import (
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
)

// Timing is how long a problem took to solve: medians of all runs.
type Timing struct {
	Solve time.Duration
	// CPU is what this process used meanwhile, user and system, of all its threads: the garbage collector's among them.
	CPU  time.Duration
	Runs int
}

// Measure solves a problem so many times over, each time from the beginning.
func Measure(p packing.Problem, runs int) (s packing.Solution, t Timing) {
	var solve, cpu []time.Duration
	for range runs {
		runtime.GC() // what was before is not counted
		used, began := usage(), time.Now()
		s = packing.Solve(p)
		solve = append(solve, time.Since(began))
		cpu = append(cpu, usage()-used)
	}
	return s, Timing{median(solve), median(cpu), runs}
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

func usage() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0 // it takes no other argument, and does not fail with this one
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// MaxRSSMB is the most memory that this process had at once, in MB.
func MaxRSSMB() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" { // counts bytes there, KiB elsewhere
		return float64(r.Maxrss) / 1e6
	}
	return float64(r.Maxrss) * 1024 / 1e6
}
