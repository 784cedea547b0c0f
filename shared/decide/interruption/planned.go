package interruption

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Notice is what AWS has said will happen to one machine, or happens to it.
type Notice struct {
	Cause string `json:"cause"` // kind of the event, or what was found by asking
	Code  string `json:"code"`  // AWS's: "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", "system-reboot"
	// Start is when it happens; zero if AWS does not say.
	Start time.Time `json:"start,omitzero"`
	// Failing: it happens now, and the machine is impaired.
	Failing bool `json:"failing,omitempty"`
	// Over: it has happened, was cancelled, or does not concern the machine any more.
	Over bool `json:"over,omitempty"`
	// SaidAt is the time of what was said: something older does not take its place.
	SaidAt time.Time `json:"saidAt"`
	// Pressed: the drain that is not by choice was begun for it.
	Pressed bool `json:"pressed,omitempty"`
}

// degraded are words in codes of machines whose hardware is failing: nothing is gained by leaving pods there until the date.
var degraded = []string{"RETIREMENT", "STORE_DRIVE"}

// Degraded tells whether the machine's hardware fails, whenever it is to be ended.
func (n Notice) Degraded() bool {
	code := strings.ToUpper(n.Code)
	return slices.ContainsFunc(degraded, func(word string) bool { return strings.Contains(code, word) })
}

// Planned is what is known of a machine's announced end, and what was done about it. Several notices of one machine, such as
// Health's and EC2's of the same reboot, are one plan.
type Planned struct {
	Notices map[string]Notice `json:"notices"` // by whatever names them: a Health event's ARN, a scheduled event's id
	// Tries counts the drains by choice that were begun, TriedAt and TriedUntil are of the last one.
	Tries      int       `json:"tries,omitempty"`
	TriedAt    time.Time `json:"triedAt,omitzero"`
	TriedUntil time.Time `json:"triedUntil,omitzero"`
}

// Hear takes a notice into the plan. It is false if nothing is new: an older word does not undo a later one.
func (p Planned) Hear(name string, n Notice) (Planned, bool) {
	old, known := p.Notices[name]
	same := known && old.Code == n.Code && old.Start.Equal(n.Start) && old.Failing == n.Failing && old.Over == n.Over
	ended := n.Over && n.SaidAt.Equal(old.SaidAt) // times have whole seconds
	if same || known && !ended && !n.SaidAt.After(old.SaidAt) {
		return p, false
	}
	n.Pressed = old.Pressed && old.Start.Equal(n.Start)
	p.Notices = maps.Clone(p.Notices)
	if p.Notices == nil {
		p.Notices = map[string]Notice{}
	}
	p.Notices[name] = n
	return p, true
}

// Verb is what is to be done about a planned drain.
type Verb string

// The verbs.
const (
	Wait  Verb = "Wait"  // look again at Step.At
	Begin Verb = "Begin" // drain by choice, and replace; give the node back at Step.Until
	Press Verb = "Press" // drain, whatever holds: the machine goes at Step.Deadline
	Over  Verb = "Over"  // nothing is left to do
)

// Step is the next thing to do about a planned drain.
type Step struct {
	Do       Verb
	At       time.Time // of Wait
	Until    time.Time // of Begin
	Deadline time.Time // of Press
	Name     string    // of the notice that it is for
	Notice   Notice
	Why      string
}

const (
	// pressLead is how long before an announced end the drain stops being by choice: as long as a terminate hook is kept waiting.
	pressLead = 15 * time.Minute
	// tryFor is how long a drain by choice may take outside of windows: what a budget has not given in an hour it will not.
	tryFor = voluntaryPatience
	// tryAgain is how long after a drain by choice that gave its node back another one is tried, where no window says when: an
	// owner has had time to see to the budget, and pods are not pushed about all day.
	tryAgain = 4 * time.Hour
	// leastWindow is what has to be left of a window for a drain to begin in it: twice what a drain may take by default.
	leastWindow = 30 * time.Minute
	// longestTry is the longest that a removal may take.
	longestTry = 24 * time.Hour
	// stale is how long after it was last told of something without a date is believed in.
	stale = 30 * 24 * time.Hour
)

// Next says what is to be done about a planned drain now, or when to ask again.
func (p Planned) Next(now time.Time, policy fleet.InterruptionPolicy, windows maintenance.Calendar) Step {
	if policy.Health.Scheduled == fleet.ScheduledIgnore {
		return Step{Do: Over, Why: "the policy ignores what AWS announces"}
	}
	out := Step{Do: Over, Why: "nothing is announced any more"}
	for _, name := range slices.Sorted(maps.Keys(p.Notices)) {
		s := p.next(now, p.Notices[name], policy, windows)
		s.Name, s.Notice = name, p.Notices[name]
		if sooner(s, out) {
			out = s
		}
	}
	return out
}

// sooner tells whether a step goes before another one: the harder first, and the earlier of equals.
func sooner(a, b Step) bool {
	rank := map[Verb]int{Press: 0, Begin: 1, Wait: 2, Over: 3}
	switch {
	case rank[a.Do] != rank[b.Do]:
		return rank[a.Do] < rank[b.Do]
	case a.Do == Press:
		return a.Deadline.Before(b.Deadline)
	case a.Do == Begin:
		return a.Until.Before(b.Until)
	case a.Do == Wait:
		return a.At.Before(b.At)
	}
	return b.Name == ""
}

// next is what one notice asks for.
func (p Planned) next(now time.Time, n Notice, policy fleet.InterruptionPolicy, windows maintenance.Calendar) Step {
	press := n.Start.Add(-pressLead)
	dated := !n.Start.IsZero() && now.Before(n.Start)
	switch {
	case n.Over:
		return Step{Do: Over, Why: n.Code + " is over"}
	case n.Pressed:
		return Step{Do: Over, Why: "the drain for " + n.Code + " has begun, whatever holds"}
	case n.Failing:
		return Step{Do: Press, Deadline: now.Add(policy.StatusChecks.Deadline), Why: n.Code + ": the machine is impaired"}
	case dated && !now.Before(press):
		return Step{Do: Press, Deadline: n.Start, Why: fmt.Sprintf("%s: the machine goes at %s", n.Code, n.Start.UTC().Format(time.RFC3339))}
	case dated:
	case !n.Degraded() || now.After(n.SaidAt.Add(stale)):
		return Step{Do: Over, Why: n.Code + ": its time has passed, or was never told"}
	}
	begin, until, why := p.begin(now, n, policy.Health, windows)
	if begin.After(now) {
		if dated && press.Before(begin) {
			begin = press
		}
		return Step{Do: Wait, At: begin, Why: n.Code + ": " + why}
	}
	if dated && press.Before(until) {
		until = press
	}
	return Step{Do: Begin, Until: until, Why: n.Code + ": " + why}
}

// begin is when the next drain by choice may begin, at the earliest now, and how long it may take.
func (p Planned) begin(now time.Time, n Notice, policy fleet.HealthEventPolicy, windows maintenance.Calendar) (begin, until time.Time, why string) {
	retry := now
	if p.Tries > 0 && p.TriedAt.Add(tryAgain).After(now) {
		retry = p.TriedAt.Add(tryAgain)
	}
	if n.Degraded() || policy.Scheduled == fleet.ScheduledImmediately {
		return retry, retry.Add(tryFor), "drained at once"
	}
	last := n.Start.Add(-policy.Lead)
	if policy.Scheduled == fleet.ScheduledWindow && last.After(now) {
		from := now
		if p.TriedUntil.After(now) {
			from = p.TriedUntil
		}
		for _, o := range windows.Openings(from, last) {
			if o.Until.Sub(o.From) >= leastWindow {
				return o.From, earlier(o.Until, o.From.Add(longestTry)), "drained in the window " + o.Window
			}
		}
	}
	if last.Before(retry) {
		last = retry
	}
	return last, last.Add(tryFor), fmt.Sprintf("drained %s before the announced time", policy.Lead)
}

// Tried is the plan after a drain by choice was begun.
func (p Planned) Tried(now time.Time, s Step) Planned {
	p.Tries++
	p.TriedAt, p.TriedUntil = now, s.Until
	return p
}

// Pressed is the plan after the drain that is not by choice was begun.
func (p Planned) Pressed(s Step) Planned {
	p.Notices = maps.Clone(p.Notices)
	n := p.Notices[s.Name]
	n.Pressed = true
	p.Notices[s.Name] = n
	return p
}
