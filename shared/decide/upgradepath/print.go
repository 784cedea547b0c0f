package upgradepath

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// String is the way for people: what happens at each version of the control plane, in which order, for how long, and why.
func (p Path) String() string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	head := fmt.Sprintf("%s: %s → %s, %s", p.Cluster, p.From, p.To, count(len(p.Steps), "step"))
	if len(p.Steps) > 0 {
		head += ", about " + Text(p.Takes)
	}
	if d := p.Watching(); d > 0 {
		head += ", " + Text(d) + " of it watching"
	}
	say("%s", head)
	for _, line := range p.Blocked {
		say("BLOCKED  %s", line)
	}
	control, wave := p.From, 0
	for i, s := range p.Steps {
		if i == 0 || p.Steps[i-1].Kind == StepControlPlane {
			say("\nat %s", control)
		}
		number := ""
		if s.Wave != wave {
			wave, number = s.Wave, fmt.Sprint(s.Wave)
		}
		say("  %2s  %-72s %10s%s", number, s.what(), Text(s.Takes), s.closes())
		say("        %s", s.Why)
		if s.Kind == StepControlPlane {
			control = s.Minor
		}
	}
	if len(p.Notes) > 0 {
		say("")
	}
	for _, line := range p.Notes {
		say("note: %s", line)
	}
	if line := p.Cost.String(); line != "" {
		say("\n%s", line)
	}
	return strings.Join(lines, "\n") + "\n"
}

// Watching is how much of the time nothing is changed.
func (p Path) Watching() (sum time.Duration) {
	for _, s := range p.Steps {
		if s.Kind == StepBake {
			sum += s.Takes
		}
	}
	return sum
}

// what is the step in a few words.
func (s Step) what() string {
	switch s.Kind {
	case StepControlPlane:
		return fmt.Sprintf("control plane  %s → %s", s.From, s.To)
	case StepBake:
		return "watch " + s.Minor.String()
	case StepAddon:
		return fmt.Sprintf("add-on %s  %s → %s", s.Subject, s.From, s.To)
	case StepAuthority:
		return "certificate authority " + s.authority()
	case StepRestart:
		return fmt.Sprintf("restart pods on Fargate (%d)  %s → %s", s.Nodes, s.From, s.To)
	}
	to := s.To
	if s.Template != "" {
		to += ", launch template version " + s.Template
	}
	return fmt.Sprintf("node group %s  %s → %s, %s, %s", s.Subject, cmp.Or(s.From, "?"), to, count(s.Nodes, "node"), strategies[s.Strategy])
}

// authority is what becomes of which certificate authority.
func (s Step) authority() string {
	switch s.To {
	case AuthorityInUse:
		return s.Subject + " is activated"
	case AuthorityGone:
		return s.Subject + " is deleted"
	}
	return s.Subject + " gets a successor"
}

var strategies = map[fleet.NodeStrategy]string{
	fleet.NodesRolling: "rolling", fleet.NodesMinimal: "minimal", fleet.NodesBlueGreen: "blue/green",
}

func (s Step) closes() string {
	if s.ClosesRollback {
		return "  ends the direct way back"
	}
	return ""
}

// String is the money in a line; "" if there is none to speak of.
func (c Cost) String() string {
	var parts []string
	if c.Surge > 0 {
		parts = append(parts, fmt.Sprintf("nodes beside the old ones cost $%.2f", c.Surge))
	}
	if c.ExtendedPerMonth > 0 {
		parts = append(parts, fmt.Sprintf("extended support costs $%.0f a month now", c.ExtendedPerMonth))
	}
	if c.PerWeek > 0 {
		parts = append(parts, fmt.Sprintf("each week of delay costs $%.0f", c.PerWeek))
	}
	if c.Saved > 0 {
		parts = append(parts, fmt.Sprintf("done now, $%.0f are saved until the present version ends", c.Saved))
	}
	return strings.Join(parts, "; ")
}

// Text is a duration as people say it: "2 d 3 h", "1 h 30 min", "45 s".
func Text(d time.Duration) string {
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Minute)
	days, hours, mins := int(d/(24*time.Hour)), int(d%(24*time.Hour)/time.Hour), int(d%time.Hour/time.Minute)
	var parts []string
	for _, p := range []struct {
		n    int
		unit string
	}{{days, "d"}, {hours, "h"}, {mins, "min"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.unit))
		}
	}
	return strings.Join(parts, " ")
}

// count is "1 minor", "4 minors".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
