package upgrade

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// decider is one decision in the making.
type decider struct {
	now  time.Time
	in   Input
	p    fleet.UpgradePolicy
	m    Memory
	out  Decision
	path upgradepath.Path // the rest of the way, without what is skipped or only watched
	// again is when a move of nodes wants to be looked at again.
	again time.Duration
}

// Decide says what the run does next. It is pure: the same input is the same decision.
func Decide(now time.Time, in Input, p fleet.UpgradePolicy) Decision {
	d := &decider{now: now, in: in, p: p, m: in.Memory.clone()}
	d.out.Subject = "cluster " + in.EKS.Cluster.Name
	d.hear()
	d.findWay()
	if d.settle() {
		d.findWay() // what has ended is no longer on the way
	}
	d.decide()
	d.out.Memory, d.out.Path = d.m, d.path
	if d.m.Halt != nil && d.out.Outcome == "" {
		d.out.Halted, d.out.Failures = d.m.Halt.Why, d.m.Halt.Failures
	}
	d.out.Reason = d.out.Phase
	return d.out
}

// clone shares nothing that a decision changes.
func (m Memory) clone() Memory {
	m.Doing, m.Done, m.Skipped = slices.Clone(m.Doing), slices.Clone(m.Done), slices.Clone(m.Skipped)
	m.Troubles, m.Ill, m.Waits, m.Hops, m.Tries = copied(m.Troubles), copied(m.Ill), copied(m.Waits), copied(m.Hops), copied(m.Tries)
	return m
}

func copied[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

func (d *decider) tell(resource, step, detail string) {
	d.out.Lines = append(d.out.Lines, Line{resource, step, detail})
}

// findWay finds the rest of the way from what is there.
func (d *decider) findWay() {
	o := d.in.EKS
	switch {
	case d.m.Back != nil:
		if o.Version <= d.m.Back.To {
			o.UpgradedFrom = o.Version // it is back: what is left can only follow
		}
		d.path = upgradepath.Back(o, d.p, d.now)
	default:
		d.path = d.forth()
	}
	d.out.Notes = nil
	var steps []upgradepath.Step
	for _, s := range d.path.Steps {
		switch {
		case s.Kind == upgradepath.StepBake, d.skipped(s), d.rolled(s):
		case s.Kind == upgradepath.StepRestart:
			d.out.Notes = append(d.out.Notes, s.ID+": "+s.Why)
		default:
			steps = append(steps, s)
		}
	}
	d.path.Steps = steps
}

// forth is the way to where the run is to lead.
func (d *decider) forth() upgradepath.Path {
	return upgradepath.Find(d.in.EKS, upgradepath.Want{To: d.target(), Patch: d.in.Request.Patch, Policy: d.p, Now: d.now})
}

func (d *decider) target() fleet.Minor {
	if d.in.Request.To == 0 {
		return d.in.EKS.Version
	}
	return d.in.Request.To
}

func (d *decider) skipped(s upgradepath.Step) bool {
	return slices.ContainsFunc(d.m.Skipped, func(k Skip) bool {
		return k.ID == s.ID || k.Kind != "" && k.Kind == s.Kind && k.Subject == s.Subject && k.Minor == s.Minor
	})
}

// rolled tells whether a node group has come to that minor in this run, or on its way back: AMI releases that appear meanwhile are
// for the next run, and nodes of before that are still seen are going.
func (d *decider) rolled(s upgradepath.Step) bool {
	return s.Kind == upgradepath.StepNodeGroup && slices.ContainsFunc(d.m.Done, func(x Done) bool {
		return x.Step.Kind == s.Kind && x.Step.Subject == s.Subject && x.Step.Minor == s.Minor && (d.m.Back == nil || !x.Begun.Before(d.m.Back.At))
	})
}

func (d *decider) decide() {
	switch {
	case d.m.Abort != "":
		if !d.leave() {
			d.abort()
		}
		return
	case d.m.Halt != nil:
		d.rest("halted: " + d.m.Halt.Why)
		return
	}
	wrong := d.watch()
	if d.m.Halt != nil {
		d.rest("halted: " + d.m.Halt.Why)
		return
	}
	if d.partial() {
		return
	}
	if len(d.path.Blocked) > 0 {
		d.blocked()
		return
	}
	if len(d.path.Steps) == 0 && len(d.m.Doing) == 0 {
		d.end(wrong)
		return
	}
	d.proceed(wrong)
}

// partial waits for what could not be read of the cluster, for a while: a way that is found without knowing the versions of an
// add-on is no way, and nodes that nobody sees may be too old. What cannot be read for good is left to the path and the gate.
func (d *decider) partial() bool {
	const what = "incomplete"
	if len(d.in.EKS.Incomplete) == 0 {
		delete(d.m.Waits, what)
		return false
	}
	if d.waited(what) > incomplete {
		return false
	}
	var parts []string
	for _, part := range slices.Sorted(maps.Keys(d.in.EKS.Incomplete)) {
		parts = append(parts, part+" ("+d.in.EKS.Incomplete[part]+")")
	}
	d.wait(busyLook, "could not read all of the cluster: %s", strings.Join(parts, ", "))
	return true
}

// watch judges the cluster's health. A regression halts the run, or turns it back.
func (d *decider) watch() (wrong []string) {
	if d.doing(upgradepath.StepControlPlane) != nil && d.m.Baseline != nil { // its API servers are being replaced
		return nil
	}
	wrong, regression, blind := d.judge()
	if d.m.Back != nil { // the way back is the remedy
		return nil
	}
	if len(regression) == 0 {
		return wrong
	}
	why := strings.Join(regression, "; ")
	until, open := d.open()
	if open && !blind && d.p.Rollback == fleet.RollbackAuto { // for want of sight nothing is turned back
		d.back(why)
		return nil
	}
	if open {
		why += fmt.Sprintf("; a rollback to %s is possible until %s: ekspedite upgrade rollback --cluster %s", d.in.EKS.Version-1, stamp(until), d.in.EKS.Cluster.Name)
	}
	why += d.deactivate()
	var failures []plan.Failure
	for _, text := range regression {
		failures = append(failures, plan.Failure{Resource: "health", Code: "Regression", Whose: plan.Users, Text: text,
			Fix: "mend it and resume, accept it by resuming, or roll back"})
	}
	d.halt(why, failures)
	return wrong
}

// open tells whether, and until when, the control plane can go back to the version before this run's last hop.
func (d *decider) open() (until time.Time, ok bool) {
	at, ours := d.m.Hops[d.in.EKS.Version]
	if !ours {
		return time.Time{}, false
	}
	until = at.Add(window)
	return until, d.now.Before(until)
}

// back turns the run back.
func (d *decider) back(why string) {
	v := d.in.EKS.Version
	d.m.Back, d.m.Halt, d.m.Troubles, d.m.Waits = &Back{From: v, To: v - 1, Why: why, At: d.now}, nil, map[string]Trouble{}, map[string]time.Time{}
	for i := range d.m.Doing {
		d.m.Doing[i].Undo = d.m.Doing[i].Moves
	}
	d.tell("control-plane", "RollingBack", fmt.Sprintf("from %s to %s: %s", v, v-1, why))
	d.findWay()
}

func (d *decider) halt(why string, failures []plan.Failure) {
	if d.m.Halt != nil {
		return
	}
	d.m.Halt = &Halt{Why: why, Since: d.now, Failures: failures}
	d.tell("", "Halted", why)
}

// rest is a look of a run that starts nothing: it follows what AWS still works on, and then waits for somebody's word.
func (d *decider) rest(phase string) {
	d.out.Phase, d.out.LookAgain = phase, 0
	if slices.ContainsFunc(d.m.Doing, func(x Doing) bool { return !x.Moves }) { // moves stand still, too
		d.out.LookAgain = d.poll()
	}
}

func (d *decider) wait(after time.Duration, format string, args ...any) {
	d.out.Phase, d.out.LookAgain = fmt.Sprintf(format, args...), max(after, time.Second)
}

func (d *decider) abort() {
	d.out.Outcome, d.out.Phase = OutcomeAborted, d.m.Abort
	for _, x := range d.m.Doing {
		d.out.Left = append(d.out.Left, x.Step.ID+": AWS goes on with it")
	}
	for _, s := range d.path.Steps {
		if !d.busyWith(s) {
			d.out.Left = append(d.out.Left, s.ID+": not begun")
		}
	}
}

// blocked ends a run that has changed nothing, and halts another.
func (d *decider) blocked() {
	var failures []plan.Failure
	for _, text := range d.path.Blocked {
		failures = append(failures, plan.Failure{Resource: "path", Code: "NoWay", Whose: plan.Users, Text: text, Fix: "do what the text says, then ask again"})
	}
	why := strings.Join(d.path.Blocked, "; ")
	switch {
	case d.m.Back != nil && len(d.m.Doing) > 0: // what is under way now may be what is in the way
		d.wait(d.poll(), "waits for %s before it goes back", d.names())
	case d.m.Back != nil:
		d.halt("there is no way back: "+why, failures)
		d.rest("halted: " + d.m.Halt.Why)
	case d.untouched():
		d.out.Outcome, d.out.Phase, d.out.Failures = OutcomeNotReady, "there is no way: "+why, failures
	default:
		d.halt("there is no way further: "+why, failures)
		d.rest("halted: " + d.m.Halt.Why)
	}
}

// untouched tells whether the run has changed nothing.
func (d *decider) untouched() bool {
	return len(d.m.Done)+len(d.m.Doing)+len(d.m.Tries) == 0
}

// end is the end of a way, once its last version has been watched.
func (d *decider) end(wrong []string) {
	o := d.in.EKS
	if until, baking := d.baking(); baking && d.m.Back == nil {
		d.wait(min(seldom, until.Sub(d.now)), "watches version %s until %s", o.Version, stamp(until))
		return
	}
	if id, until, watched := d.activated(); watched && d.m.Back == nil {
		d.wait(min(seldom, until.Sub(d.now)), "watches the cluster under certificate authority %s until %s", id, stamp(until))
		return
	}
	if len(wrong) > 0 && len(d.m.Done) > 0 {
		d.wait(seldom, "all is done, but %s", strings.Join(wrong, "; "))
		return
	}
	for _, s := range d.m.Skipped {
		d.out.Left = append(d.out.Left, s.ID+" was skipped: "+s.Reason)
	}
	switch {
	case d.m.Back != nil:
		d.out.Outcome, d.out.Phase = OutcomeRolledBack, fmt.Sprintf("the cluster is back at %s: %s", o.Version, d.m.Back.Why)
	case len(d.m.Done) == 0 && d.m.Refused != "":
		d.out.Outcome, d.out.Phase = OutcomeFailed, d.m.Refused
	case len(d.m.Done) == 0:
		d.out.Outcome, d.out.Phase = OutcomeNothingToDo, fmt.Sprintf("the cluster is at %s, and nothing is to be done", o.Version)
	case o.Version > d.in.Request.From:
		d.out.Outcome, d.out.Phase = OutcomeUpgraded, fmt.Sprintf("upgraded from %s to %s in %d steps", d.in.Request.From, o.Version, len(d.m.Done))
	default:
		d.out.Outcome, d.out.Phase = OutcomeUpgraded, fmt.Sprintf("patched at %s in %d steps", o.Version, len(d.m.Done))
	}
}

// baking tells whether, and until when, a version is watched before anything else is changed.
func (d *decider) baking() (until time.Time, ok bool) {
	o := d.in.EKS
	v := o.Version
	at, hopped := d.m.Hops[v]
	if !hopped && o.UpgradedFrom == v-1 { // somebody else's hop is watched, too
		at = o.UpgradedAt
	}
	if at.IsZero() || slices.ContainsFunc(d.m.Skipped, func(k Skip) bool { return k.ID == BakeID(v) }) {
		return time.Time{}, false
	}
	until = at.Add(d.p.Bake)
	return until, d.now.Before(until)
}

// BakeID names the watching of a version, as the path does: whoever wants to shorten it skips that step.
func BakeID(v fleet.Minor) string { return "bake/" + v.String() }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// jitter spreads looks of many clusters: up to d, always the same for the same run and reason.
func (d *decider) jitter(of time.Duration, why string) time.Duration {
	sum := sha256.Sum256([]byte(d.in.Request.RunID + why + d.now.UTC().String()))
	return time.Duration(sum[0]) * of / 256
}
