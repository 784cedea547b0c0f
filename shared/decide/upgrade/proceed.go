package upgrade

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// proceed starts the steps of the next wave that may start now, and says what the others wait for.
func (d *decider) proceed(wrong []string) {
	d.repeat()
	next := d.next()
	if len(next) > 0 && d.m.Gated.IsZero() && d.m.Back == nil && !d.gate(next) {
		return
	}
	var waits []string
	after := time.Duration(0)
	hold := func(why string, again time.Duration) {
		if why != "" && !slices.Contains(waits, why) {
			waits = append(waits, why)
		}
		if again > 0 && (after == 0 || again < after) {
			after = again
		}
	}
	for _, s := range next {
		why, again := d.held(s, wrong)
		if d.out.Needs != (Needs{}) || d.out.Outcome != "" {
			return
		}
		if d.m.Halt != nil {
			break
		}
		if why == "" && again == 0 {
			d.start(s)
			continue
		}
		hold(why, again)
	}
	if d.m.Halt != nil {
		d.rest("halted: " + d.m.Halt.Why)
		return
	}
	if len(d.m.Doing) > 0 {
		hold("", d.poll())
		for _, x := range d.m.Doing {
			hold(x.Held, 0)
		}
		d.out.Working = len(waits) == 0
		waits = append([]string{"works on " + d.names()}, waits...)
	}
	if len(d.m.Done) > 0 { // what was changed is watched meanwhile
		after = min(after, heedful)
	}
	d.wait(cmp.Or(after, busyLook), "%s", strings.Join(waits, "; "))
}

// next are the steps of the first wave that are not under way.
func (d *decider) next() (out []upgradepath.Step) {
	if len(d.path.Steps) == 0 || d.doing(upgradepath.StepControlPlane) != nil || d.undoing() {
		return nil
	}
	wave := slices.MinFunc(d.path.Steps, func(a, b upgradepath.Step) int { return cmp.Compare(a.Wave, b.Wave) }).Wave
	for _, s := range d.path.Steps {
		if s.Wave == wave && !d.busyWith(s) {
			out = append(out, s)
		}
	}
	return out
}

// repeat makes calls again whose answer was not heard, with the same token: EKS answers with the update that they began.
func (d *decider) repeat() {
	var calls []plan.Action
	for i, x := range d.m.Doing {
		if x.Update != "" || x.Moves || d.closed(x) != "" {
			continue
		}
		if d.waited("answer/"+x.Step.ID) > patience {
			d.halt("no answer to "+x.Step.ID+" for a day", nil)
			continue
		}
		call := d.call(x.Step, x.Try)
		d.m.Doing[i].API = call.API
		calls = append(calls, call)
	}
	d.out.Add("repeat", calls...)
}

// closed says why a call whose answer was not heard may not be made again now, "" if it may: if it was never begun, it would begin.
func (d *decider) closed(x Doing) string {
	if d.m.Back != nil {
		return ""
	}
	if v := d.in.Calendar.Start(d.now, time.Duration(float64(x.Step.Takes)*headroom), d.in.Request.Now); !v.OK {
		return v.Why
	}
	return ""
}

// start begins a step.
func (d *decider) start(s upgradepath.Step) {
	d.m.Tries[s.ID]++
	for what := range d.m.Waits {
		if strings.HasSuffix(what, "/"+s.ID) && what != refused+s.ID {
			delete(d.m.Waits, what)
		}
	}
	x := Doing{Step: s, Try: d.m.Tries[s.ID], Asked: d.now}
	if d.moves(s) { // it begins with the next look, which reads what it needs
		x.Moves, x.Base = true, d.group(s.Subject).StandsFor
		d.m.Doing = append(d.m.Doing, x)
		d.again = time.Second
		d.tell(resource(s), "Started", fmt.Sprintf("%s: %s (expected to take %s)", s.ID, s.Why, s.Takes.Round(time.Second)))
		return
	}
	call := d.call(s, x.Try)
	x.API = call.API
	d.m.Doing = append(d.m.Doing, x)
	d.out.Add("start "+s.ID, call)
}

// held says why a step does not start now, and when to look again; "" and 0 if it does. The order is from what is cheap to
// know to what has to be read.
func (d *decider) held(s upgradepath.Step, wrong []string) (why string, again time.Duration) {
	o := d.in.EKS
	if t, failed := d.m.Troubles[s.ID]; failed && d.now.Before(t.Again) {
		return fmt.Sprintf("tries %s again at %s: %s", s.ID, stamp(t.Again), t.Text), min(seldom, t.Again.Sub(d.now))
	}
	if s.Kind == upgradepath.StepControlPlane && len(d.m.Doing) > 0 {
		return "", d.poll() // what is under way ends first
	}
	if s.Kind == upgradepath.StepNodeGroup && d.groups() >= max(1, d.p.Nodes.GroupsAtOnce) {
		return "", d.poll()
	}
	if why, again := d.others(s); why != "" {
		return why, again
	}
	if d.m.Back == nil {
		if until, baking := d.baking(); baking {
			return fmt.Sprintf("watches version %s until %s", o.Version, stamp(until)), min(seldom, until.Sub(d.now))
		}
		if len(wrong) > 0 {
			return "the cluster is not well: " + strings.Join(wrong, "; "), seldom
		}
		if v := d.in.Calendar.Start(d.now, time.Duration(float64(s.Takes)*headroom), d.in.Request.Now); !v.OK {
			if v.Next.IsZero() {
				return "waits: " + v.Why, heedful
			}
			return fmt.Sprintf("waits until %s: %s", stamp(v.Next), v.Why), max(v.Next.Sub(d.now), time.Second)
		}
	}
	return d.ready(s)
}

// groups is how many node groups are under way.
func (d *decider) groups() (n int) {
	for _, x := range d.m.Doing {
		if x.Step.Kind == upgradepath.StepNodeGroup {
			n++
		}
	}
	return n
}

// others says whether somebody else is at work on what a step is about: AWS patches its own platform when it likes, and people
// change things. That is waited for, for a day.
func (d *decider) others(s upgradepath.Step) (why string, again time.Duration) {
	var busy []string
	for _, b := range d.in.EKS.Busy {
		ours := slices.ContainsFunc(d.m.Doing, func(x Doing) bool { return x.Update == b.ID })
		if !ours && b.Subject == resource(s) {
			busy = append(busy, b.Type+" "+b.ID)
		}
	}
	if len(busy) == 0 && d.in.EKS.Status == "ACTIVE" {
		delete(d.m.Waits, "busy/"+s.ID)
		return "", 0
	}
	what := "busy/" + s.ID
	if d.waited(what) > patience {
		d.halt(fmt.Sprintf("%s has waited for a day: the cluster is %s, in progress: %s", s.ID, d.in.EKS.Status, strings.Join(busy, ", ")), nil)
		return "halted", 0
	}
	if len(busy) == 0 {
		return "the cluster is " + d.in.EKS.Status, busyLook + d.jitter(busyLook, s.ID)
	}
	return fmt.Sprintf("waits for %s, which is not ours", strings.Join(busy, ", ")), busyLook + d.jitter(busyLook, s.ID)
}

// byRun are the checks that ask what the run sees to by itself.
var byRun = map[string]bool{
	"CP02":  true, // updates in progress: waited for
	"CP04":  true, // one minor at a time: the path
	"OPS01": true, // windows: the calendar
}

// deadlocks are the checks on what would hold a drain for ever.
var deadlocks = map[string]bool{"WL01": true, "WL02": true, "WL03": true, "WL14": true}

// gate asks for the readiness of the first version before anything is changed, whenever that will be: whoever has asked shall
// hear at once that it cannot work. It is false if the decision ends here.
func (d *decider) gate(next []upgradepath.Step) bool {
	to := d.in.EKS.Version
	for _, s := range d.path.Steps {
		if s.Kind == upgradepath.StepControlPlane {
			to = s.Minor
			break
		}
	}
	if d.in.Ready == nil {
		d.out.Needs.Readiness = to
		d.wait(busyLook, "asks whether the cluster is ready for %s", to)
		return false
	}
	if d.refresh(*d.in.Ready, to) {
		return false
	}
	if failures := blockers(*d.in.Ready, d.path, nil); len(failures) > 0 {
		d.out.Outcome, d.out.Failures = OutcomeNotReady, failures
		d.out.Phase = fmt.Sprintf("the cluster is not ready for %s, nothing was changed: %s", to, texts(failures))
		return false
	}
	d.m.Gated = d.now
	d.tell("", "Ready", fmt.Sprintf("the cluster is ready for %s", to))
	return true
}

const (
	// insightsFor is how long EKS's insights are believed: it computes them once a day by itself.
	insightsFor = 24 * time.Hour
	// refreshing is how long new ones are waited for. EKS takes some minutes; where it may not be asked, nobody will.
	refreshing = 15 * time.Minute
)

// refresh has EKS compute its insights anew where they are older than what was changed since, and waits for that. An add-on that
// was too old is still an error in what was computed before its update.
func (d *decider) refresh(r readiness.Report, to fleet.Minor) bool {
	since := d.now.Add(-insightsFor)
	last := 0 // how many steps have ended: what is waited for is named by that, and not by a time that moves
	for i, x := range d.m.Done {
		if x.Ended.After(since) {
			since, last = x.Ended, i+1
		}
	}
	what := fmt.Sprintf("insights/%s/%d", to, last)
	if r.InsightsAt.IsZero() || !r.InsightsAt.Before(since) {
		delete(d.m.Waits, what)
		return false
	}
	if d.waited(what) >= refreshing {
		return false
	}
	d.out.Needs.Refresh = !r.Refreshing
	d.wait(busyLook, "has EKS look anew whether the cluster is ready for %s", to)
	return true
}

// ready asks for the readiness right before a hop of the control plane, and for what would hold a drain before a node group's
// first node is cordoned.
func (d *decider) ready(s upgradepath.Step) (why string, again time.Duration) {
	hop := s.Kind == upgradepath.StepControlPlane && d.m.Back == nil
	if !hop && s.Kind != upgradepath.StepNodeGroup || s.Kind == upgradepath.StepNodeGroup && s.Nodes == 0 {
		return "", 0
	}
	if d.in.Ready == nil {
		d.out.Needs.Readiness = s.Minor
		d.wait(busyLook, "asks whether %s can be begun", s.ID)
		return "", busyLook
	}
	if hop {
		if d.refresh(*d.in.Ready, s.Minor) {
			return "", busyLook
		}
		if failures := blockers(*d.in.Ready, d.path, nil); len(failures) > 0 {
			if d.untouched() {
				d.out.Outcome, d.out.Failures = OutcomeNotReady, failures
				d.out.Phase = fmt.Sprintf("the cluster is not ready for %s, nothing was changed: %s", s.Minor, texts(failures))
				return "", seldom
			}
			d.halt(fmt.Sprintf("the cluster is not ready for %s: %s", s.Minor, texts(failures)), failures)
		}
		return "", 0
	}
	if failures := blockers(*d.in.Ready, d.path, deadlocks); len(failures) > 0 && !d.p.Nodes.Force {
		if d.waited("drain/"+s.ID) == 0 {
			for _, f := range failures {
				d.tell(resource(s), "Held", f.Text+prefixed(": ", f.Fix))
			}
		}
		if d.waited("drain/"+s.ID) > patience {
			d.halt(fmt.Sprintf("%s could not begin for a day: %s", s.ID, texts(failures)), failures)
			return "halted", 0
		}
		return fmt.Sprintf("%s is held before its first node is cordoned: %s", s.ID, texts(failures)), heldLook
	}
	delete(d.m.Waits, "drain/"+s.ID)
	return "", 0
}

// blockers are the findings that stop a run, only those of some checks where they are named. What the way itself mends does not.
func blockers(r readiness.Report, path upgradepath.Path, only map[string]bool) (out []plan.Failure) {
	for _, f := range r.Blockers() {
		if byRun[f.ID] || only != nil && !only[f.ID] || mended(f, path) || f.ID == "CP06" && foreseen(r, path) {
			continue
		}
		text := f.Title + prefixed(": ", f.Text)
		if len(f.Evidence) > 0 {
			text += " (" + strings.Join(f.Evidence[:min(named, len(f.Evidence))], ", ") + ")"
		}
		out = append(out, plan.Failure{Resource: "check/" + f.ID, Code: f.ID, Whose: plan.Users, Text: text, Fix: f.Remedy})
	}
	return out
}

// mended tells whether the path has the very steps that mend a finding before they matter: add-ons that have to move with the
// version, and nodes that would be too old.
func mended(f readiness.Finding, path upgradepath.Path) bool {
	kinds := map[string]upgradepath.StepKind{
		"ADD01": upgradepath.StepAddon, "ADD03": upgradepath.StepAddon, "ADD07": upgradepath.StepAddon, "NODE01": upgradepath.StepNodeGroup,
	}
	kind, ok := kinds[f.ID]
	if !ok || f.Status != readiness.Fail || len(f.Evidence) == 0 || len(path.Blocked) > 0 {
		return false
	}
	if kind == upgradepath.StepNodeGroup { // a way that is not blocked moves all nodes in time: the finding names nodes, the way groups
		return slices.ContainsFunc(path.Steps, func(s upgradepath.Step) bool { return s.Kind == kind || s.Kind == upgradepath.StepRestart })
	}
	for _, object := range f.Evidence {
		name := strings.FieldsFunc(object+" ", func(r rune) bool { return r == ':' || r == ' ' })[0] // "coredns: no version fits", "and 3 more"
		if name != "and" && !slices.ContainsFunc(path.Steps, func(s upgradepath.Step) bool { return s.Kind == kind && s.Subject == name }) {
			return false
		}
	}
	return true
}

// Blockers are the findings that would stop a run along the path: not those that the run itself sees to.
func Blockers(r readiness.Report, path upgradepath.Path) []plan.Failure {
	return blockers(r, path, nil)
}

// foreseen tells whether all that EKS's insights hold against the upgrade is what the path changes before it matters: add-ons, and
// kubelets that would be too old.
func foreseen(r readiness.Report, path upgradepath.Path) bool {
	has := func(kind upgradepath.StepKind, subject string) bool {
		return slices.ContainsFunc(path.Steps, func(s upgradepath.Step) bool { return s.Kind == kind && (subject == "" || s.Subject == subject) })
	}
	for _, e := range r.InsightErrors {
		switch name := strings.ToLower(e.Name); {
		case strings.Contains(name, "kube-proxy version skew") && has(upgradepath.StepAddon, "kube-proxy"):
			continue
		case strings.Contains(name, "kubelet version skew") && has(upgradepath.StepNodeGroup, ""):
			continue
		}
		for _, arn := range e.Resources {
			_, addon, is := strings.Cut(arn, ":addon/") // arn:aws:eks:REGION:ACCOUNT:addon/CLUSTER/NAME/ID
			if parts := strings.Split(addon, "/"); !is || len(parts) < 2 || !has(upgradepath.StepAddon, parts[1]) {
				return false
			}
		}
		if len(e.Resources) == 0 {
			return false
		}
	}
	return len(r.InsightErrors) > 0 && len(path.Blocked) == 0
}

func texts(list []plan.Failure) string {
	var out []string
	for _, f := range list {
		out = append(out, f.Text)
	}
	if len(out) > named {
		out = append(out[:named], fmt.Sprintf("and %d more", len(list)-named))
	}
	return strings.Join(out, "; ")
}
