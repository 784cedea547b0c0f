package upgrade

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// hear follows the commands that have come since the last look.
func (d *decider) hear() {
	for ; d.m.Heard < len(d.in.Commands); d.m.Heard++ {
		c := d.in.Commands[d.m.Heard]
		said := said(c)
		switch c.Command {
		case CommandHalt:
			d.halt(cmp.Or(said, "somebody wanted it"), nil)
		case CommandResume:
			d.m.Halt, d.m.Troubles, d.m.Waits, d.m.Ill = nil, map[string]Trouble{}, map[string]time.Time{}, map[string]Ill{}
			d.m.Baseline = nil // whoever resumes has seen how the cluster is
			for i := range d.m.Doing {
				d.m.Doing[i].Retry = d.m.Doing[i].Moves
			}
			d.tell("", "Resumed", said)
		case CommandSkip:
			d.skip(c, said)
		case CommandAbort:
			d.m.Abort = "aborted" + prefixed(": ", said)
			d.tell("", "Aborted", said)
		case CommandRollback:
			d.rollback(said)
		}
	}
}

// said is who has said why.
func said(c Command) string {
	switch {
	case c.By != "" && c.Reason != "":
		return c.Reason + " (" + c.By + ")"
	case c.By != "":
		return "by " + c.By
	}
	return c.Reason
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// skip leaves a step out. The control plane's cannot be: what comes after it needs it.
func (d *decider) skip(c Command, said string) {
	if strings.HasPrefix(c.Step, "control-plane") {
		d.tell("control-plane", "Refused", c.Step+" cannot be skipped, since all that follows needs it: abort the run instead")
		return
	}
	k := Skip{ID: c.Step, Reason: said}
	known := func(s upgradepath.Step) {
		if s.ID == c.Step {
			k.Kind, k.Subject, k.Minor = s.Kind, s.Subject, s.Minor
		}
	}
	for _, s := range d.forth().Steps {
		known(s)
	}
	for _, x := range d.m.Doing {
		known(x.Step)
	}
	d.m.Skipped = append(d.m.Skipped, k)
	delete(d.m.Troubles, c.Step)
	d.tell(resourceOf(c.Step), "Skipped", c.Step+prefixed(": ", said))
	if h := d.m.Halt; h != nil && len(h.Failures) > 0 && !slices.ContainsFunc(h.Failures, func(f plan.Failure) bool { return f.Resource != resourceOf(c.Step) }) {
		d.m.Halt = nil // it was halted by that step alone
		d.tell("", "Resumed", "what had halted the run is skipped")
	}
}

// resourceOf is the resource of a step by its id: of "nodegroup/web/1.36.6-20261112" "nodegroup/web".
func resourceOf(id string) string {
	parts := strings.SplitN(id, "/", 3)
	if len(parts) < 3 {
		return parts[0]
	}
	return parts[0] + "/" + parts[1]
}

// rollback turns the run back if EKS can allow it.
func (d *decider) rollback(said string) {
	o := d.in.EKS
	why := cmp.Or(said, "somebody wanted it")
	if d.m.Back != nil {
		return
	}
	at, ours := d.m.Hops[o.Version]
	if !ours {
		at = o.UpgradedAt
	}
	hop := d.doing(upgradepath.StepControlPlane)
	switch {
	case at.IsZero():
		d.m.Refused = fmt.Sprintf("no rollback: the cluster has not come to %s by an upgrade that is known", o.Version)
	case !d.now.Before(at.Add(window)):
		d.m.Refused = fmt.Sprintf("no rollback: EKS allows it for seven days, until %s", stamp(at.Add(window)))
	case hop != nil:
		d.m.Refused = fmt.Sprintf("no rollback while %s is under way: EKS cannot stop it; ask again when it is done", hop.Step.ID)
	default:
		d.back(why)
		return
	}
	d.tell("control-plane", "Refused", d.m.Refused)
}

func (d *decider) doing(kind upgradepath.StepKind) *Doing {
	for i := range d.m.Doing {
		if d.m.Doing[i].Step.Kind == kind {
			return &d.m.Doing[i]
		}
	}
	return nil
}

// busyWith tells whether the run is at work on what a step is about.
func (d *decider) busyWith(s upgradepath.Step) bool {
	return slices.ContainsFunc(d.m.Doing, func(x Doing) bool { return x.Step.Kind == s.Kind && x.Step.Subject == s.Subject })
}

// names are the steps under way.
func (d *decider) names() string {
	var list []string
	for _, x := range d.m.Doing {
		list = append(list, x.Step.ID)
	}
	return strings.Join(list, ", ")
}
