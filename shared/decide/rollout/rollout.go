// Package rollout decides which clusters of a fleet are upgraded next: ring after ring, so many at once, with a soak between
// the rings, and nothing more as soon as a ring has shown a regression.
package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// State is how a cluster stands in a rollout.
type State string

// The states.
const (
	Waiting State = "Waiting" // not begun
	Running State = "Running"
	Done    State = "Done" // at the version, also if it was before
	// Halted and Failed are regressions: of the cluster's own run, or of its health while the ring soaks.
	Halted State = "Halted"
	Failed State = "Failed"
	// NotReady: the readiness gate has let it out, and nothing was changed.
	NotReady State = "NotReady"
)

// Cluster is a cluster of the fleet as it was observed.
type Cluster struct {
	ID   fleet.ClusterID `json:"id"`
	Ring string          `json:"ring"`
	// State and Why are those of the run that the rollout has asked for; Waiting if it has asked for none.
	State State     `json:"state"`
	Why   string    `json:"why,omitempty"`
	Ended time.Time `json:"ended,omitzero"` // of the run
	// Opens is when its next step may start: now or before if a maintenance window is open, zero if never.
	Opens time.Time `json:"opens,omitzero"`
	// Busy: a run that is not this rollout's is under way.
	Busy bool `json:"busy,omitempty"`
}

// Observation is what a rollout's look has seen.
type Observation struct {
	To       fleet.Minor `json:"to"`
	Ring     string      `json:"ring,omitempty"` // the only one to go through; "" is all
	Halted   string      `json:"halted,omitempty"`
	Clusters []Cluster   `json:"clusters"`
}

// Decision is what is to be done now.
type Decision struct {
	// Start are the clusters whose runs are to be asked for, in the order of their names.
	Start []fleet.ClusterID `json:"start,omitempty"`
	// Phase says in a sentence what the rollout does or waits for.
	Phase string `json:"phase"`
	// Halted is why it starts nothing more, until somebody resumes it.
	Halted string `json:"halted,omitempty"`
	// Over: nothing is left to be done. Behind are clusters that are not at the version, and why.
	Over   bool     `json:"over,omitempty"`
	Behind []string `json:"behind,omitempty"`
	// LookAgain is when there may be something to do, at the latest.
	LookAgain time.Duration `json:"lookAgain,omitempty"`
	// Ring is the one that it is at; SoaksUntil when the next one may begin, while this one soaks.
	Ring       string    `json:"ring,omitempty"`
	SoaksUntil time.Time `json:"soaksUntil,omitzero"`
}

// pace is how often a rollout under way is looked at: a halt of one cluster is to stop the others within a minute.
const pace = time.Minute

// Decide says what is next. Clusters of a ring that the policy does not know belong to its last one.
func Decide(now time.Time, o Observation, p fleet.FleetPolicy) Decision {
	rings := Rings(o.Clusters, p)
	var behind []string
	for i, ring := range p.Rings {
		if o.Ring != "" && ring.Name != o.Ring {
			continue
		}
		at := survey(now, rings[ring.Name])
		behind = append(behind, at.behind...)
		if why := at.regression(ring); why != "" && o.Halted == "" {
			o.Halted = why
		}
		if o.Halted != "" {
			return Decision{Halted: o.Halted, Phase: "halted: " + o.Halted, Ring: ring.Name, Behind: behind, LookAgain: pace}
		}
		if d, over := at.next(now, ring); !over {
			d.Ring, d.Behind = ring.Name, behind
			return d
		}
		last := o.Ring != "" || i == len(p.Rings)-1 || !slices.ContainsFunc(p.Rings[i+1:], func(r fleet.Ring) bool { return len(rings[r.Name]) > 0 })
		if last || len(at.all) == 0 {
			continue
		}
		if at.done == 0 {
			why := fmt.Sprintf("no cluster of ring %s could be upgraded, so that nothing is known of %s: mend what the readiness checks say, and resume", ring.Name, version(o.To))
			return Decision{Halted: why, Phase: "halted: " + why, Ring: ring.Name, Behind: behind, LookAgain: pace}
		}
		if until := at.ended.Add(ring.Soak); now.Before(until) {
			return Decision{
				Phase: fmt.Sprintf("ring %s is done and soaks until %s", ring.Name, until.UTC().Format(time.RFC3339)),
				Ring:  ring.Name, SoaksUntil: until, Behind: behind, LookAgain: min(pace, until.Sub(now)),
			}
		}
	}
	d := Decision{Over: true, Behind: behind, Phase: "all rings are done"}
	if o.Ring != "" {
		d.Phase, d.Ring = "ring "+o.Ring+" is done", o.Ring
	}
	if len(behind) > 0 {
		d.Phase += fmt.Sprintf(", but for %d clusters", len(behind))
	}
	return d
}

// Rings are the clusters of each ring of the policy.
func Rings(clusters []Cluster, p fleet.FleetPolicy) map[string][]Cluster {
	out := map[string][]Cluster{}
	if len(p.Rings) == 0 {
		return out
	}
	for _, c := range clusters {
		ring := c.Ring
		if !slices.ContainsFunc(p.Rings, func(r fleet.Ring) bool { return r.Name == ring }) {
			ring = p.Rings[len(p.Rings)-1].Name
		}
		out[ring] = append(out[ring], c)
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b Cluster) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	}
	return out
}

// standing is how the clusters of one ring stand.
type standing struct {
	all, waiting         []Cluster
	running, done        int
	regressions, behind  []string
	ended                time.Time // when the last one was done
	earliest             time.Time // when the first of those waits may begin
	occupied, windowless []string
}

func survey(now time.Time, ring []Cluster) (s standing) {
	s.all = ring
	for _, c := range ring {
		line := c.ID.String()
		if c.Why != "" {
			line += ": " + c.Why
		}
		switch c.State {
		case Running:
			s.running++
		case Done:
			s.done++
			if c.Ended.After(s.ended) {
				s.ended = c.Ended
			}
		case Halted, Failed:
			s.regressions = append(s.regressions, line)
			s.behind = append(s.behind, line)
		case NotReady:
			s.behind = append(s.behind, line)
		default:
			switch {
			case c.Busy:
				s.occupied = append(s.occupied, c.ID.String())
			case c.Opens.IsZero():
				s.windowless = append(s.windowless, c.ID.String())
			case c.Opens.After(now):
				if s.earliest.IsZero() || c.Opens.Before(s.earliest) {
					s.earliest = c.Opens
				}
			default:
				s.waiting = append(s.waiting, c)
			}
		}
	}
	return s
}

// regression says why the ring stops the rollout; "" if it does not.
func (s standing) regression(ring fleet.Ring) string {
	if len(s.regressions) <= ring.Failures {
		return ""
	}
	return fmt.Sprintf("ring %s has a regression: %s", ring.Name, Some(s.regressions))
}

// next is what is to be done in the ring; over if it has nothing left to do.
func (s standing) next(now time.Time, ring fleet.Ring) (d Decision, over bool) {
	free := max(ring.AtOnce, 1) - s.running - len(s.occupied) // whoever has begun them: they are at work at the same time
	for _, c := range s.waiting[:min(max(free, 0), len(s.waiting))] {
		d.Start = append(d.Start, c.ID)
	}
	left := len(s.waiting) - len(d.Start)
	at := fmt.Sprintf("ring %s: %d of %d done", ring.Name, s.done, len(s.all))
	d.LookAgain = pace
	switch {
	case s.running+len(d.Start) > 0:
		d.Phase = fmt.Sprintf("%s, %d under way, %d wait for their turn", at, s.running+len(d.Start), left+len(s.occupied))
	case len(s.occupied) > 0:
		d.Phase = at + ", waiting for other runs on " + strings.Join(s.occupied, ", ")
	case !s.earliest.IsZero():
		d.Phase = at + ", waiting for a maintenance window, the first at " + s.earliest.UTC().Format(time.RFC3339)
		d.LookAgain = min(max(s.earliest.Sub(now), time.Second), 15*pace)
	case len(s.windowless) > 0:
		d.Phase = at + ", and no maintenance window of these fits: " + strings.Join(s.windowless, ", ") + ". Give them one, or ask with --now"
		d.LookAgain = 15 * pace
	default:
		return Decision{}, true
	}
	return d, false
}

// most is how many clusters a sentence names.
const most = 20

// Some joins sentences, not all where there are many.
func Some(lines []string) string {
	if more := len(lines) - most; more > 0 {
		return strings.Join(lines[:most], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(lines, "; ")
}

func version(m fleet.Minor) string {
	if m == 0 {
		return "the patches"
	}
	return m.String()
}
