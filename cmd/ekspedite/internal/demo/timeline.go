package demo

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// timeline prints what happens as it happens, one line each, in seconds since an origin.
type timeline struct {
	w      io.Writer
	mu     sync.Mutex
	origin time.Time
}

// start sets the origin.
func (t *timeline) start(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.origin = at
}

// at prints one line. what is a short word that lines up.
func (t *timeline) at(when time.Time, what, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, "  %+9.3fs  %-12s %s\n", when.Sub(t.origin).Seconds(), what, fmt.Sprintf(format, args...))
}

// section prints a headline.
func (t *timeline) section(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, "\n"+format+"\n", args...)
}
