package lambda

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// maxSamples is how many of the newest samples of each kind are kept.
const maxSamples = 10_000

// Stats is what a function did so far. Durations are nanoseconds in JSON.
type Stats struct {
	Function       string          `json:"function"`
	Environments   int             `json:"environments"` // alive now
	Busy           int             `json:"busy"`
	MaxConcurrency int             `json:"maxConcurrency"`
	ColdStarts     int             `json:"coldStarts"`
	InitFailures   int             `json:"initFailures"`
	Invocations    int             `json:"invocations"`
	Errors         int             `json:"errors"` // all kinds, crashes and timeouts among them
	Timeouts       int             `json:"timeouts"`
	Crashes        int             `json:"crashes"`
	Throttles      int             `json:"throttles"`
	Inits          []time.Duration `json:"inits"`     // from exec to the first poll, of the newest cold starts
	Durations      []time.Duration `json:"durations"` // of the newest invocations
	CPU            []time.Duration `json:"cpu"`       // CPU time of the newest invocations; Linux only
	CPUTotal       time.Duration   `json:"cpuTotal"`  // of all processes, their starts included
	PeakMemoryMB   int             `json:"peakMemoryMB"`

	endedCPU time.Duration
}

func bounded(s []time.Duration, d time.Duration) []time.Duration {
	if len(s) >= maxSamples {
		s = slices.Clone(s[maxSamples/10:])
	}
	return append(s, d)
}

func (s *Service) account(f *function, a answer, err error, took, cpu time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.stats.Invocations++
	f.stats.Durations = bounded(f.stats.Durations, took)
	f.stats.CPU = bounded(f.stats.CPU, cpu)
	if a.functionError != "" {
		f.stats.Errors++
	}
	switch {
	case errors.Is(err, errTimeout):
		f.stats.Timeouts++
	case errors.Is(err, errExit):
		f.stats.Crashes++
	}
}

// Stats returns what all functions did, by name.
func (s *Service) Stats() []Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Stats{}
	for _, name := range slices.Sorted(maps.Keys(s.functions)) {
		f := s.functions[name]
		st := f.stats
		st.Function, st.Environments, st.Busy = name, len(f.environments), f.busy
		st.Inits, st.Durations, st.CPU = slices.Clone(st.Inits), slices.Clone(st.Durations), slices.Clone(st.CPU)
		st.CPUTotal = st.endedCPU
		for e := range f.environments {
			st.CPUTotal += cpuTime(e.cmd.Process.Pid)
			st.PeakMemoryMB = max(st.PeakMemoryMB, peakMemory(e.cmd.Process.Pid))
		}
		out = append(out, st)
	}
	return out
}

// StatsOf returns what one function did.
func (s *Service) StatsOf(name string) (Stats, bool) {
	for _, st := range s.Stats() {
		if st.Function == functionName(name) {
			return st, true
		}
	}
	return Stats{}, false
}
