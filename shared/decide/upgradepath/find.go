package upgradepath

import (
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// rollbackWindow is how long after an upgrade EKS can take the control plane back (EKS's user guide, rollback).
const rollbackWindow = 7 * 24 * time.Hour

// finder is one search.
type finder struct {
	o      Observation
	w      Want
	groups []mover
	kinds  map[NodeKind]*kind
	ways   map[string][]Update // of the add-ons, as far as each gets

	steps   []Step
	wave    int
	surge   float64
	blocked []string
	notes   []string
}

// Find is the way from what is there to what is wanted. Found again after any of its steps, it is the rest of the same way.
//
// At each minor on the way, in this order: a bake if the control plane has just come there; add-ons, those that do not work
// there and those that would not work at the next one; nodes that would be too far behind at the next one, as far as they can
// get; then the control plane. At the last minor all nodes come to it, so that with a skew of three minors a way of three hops
// moves each node once.
func Find(o Observation, w Want) Path {
	if w.To == 0 {
		w.To = o.Version
	}
	f := newFinder(o, w)
	limit := f.addonsLimit(f.versionsLimit())
	for {
		reached := f.walk(limit)
		if reached == limit {
			break
		}
		limit = reached // nodes let it get no further
	}
	f.others(limit)
	return Path{
		Cluster: o.Cluster, From: o.Version, To: w.To, Steps: f.steps, Takes: takes(f.steps),
		Blocked: f.blocked, Notes: f.notes, Cost: cost(o, w, f.surge),
	}
}

func newFinder(o Observation, w Want) *finder {
	return &finder{o: o, w: w, groups: movers(o, w.Policy.Nodes), kinds: kinds(o), ways: map[string][]Update{}}
}

func (f *finder) block(format string, args ...any) {
	f.blocked = append(f.blocked, fmt.Sprintf(format, args...))
}

func (f *finder) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// versionsLimit is the furthest minor on the way that EKS has.
func (f *finder) versionsLimit() fleet.Minor {
	from, to := f.o.Version, f.w.To
	if to < from {
		f.block("the cluster has %s, and an upgrade does not lead back to %s: within seven days of an upgrade, ekspedite upgrade rollback does", from, to)
		return from
	}
	for m := from + 1; m <= to; m++ {
		v, ok := f.o.Find(m)
		if !ok {
			f.block("EKS has no Kubernetes %s, it has %s: ask for one of these", m, strings.Join(f.o.offered(), ", "))
			return m - 1
		}
		if ended(v, f.w.Now) {
			f.block("EKS no longer offers Kubernetes %s, which is on the way: EKS's own upgrade, or a new cluster, leads past it", m)
			return m - 1
		}
	}
	return to
}

// addonsLimit finds every add-on's way to a minor, and is the furthest to which all of them get. Ways that lead further are
// kept as they are: what is done on the way to nowhere must not lead away from where a way may be opened.
func (f *finder) addonsLimit(limit fleet.Minor) fleet.Minor {
	lowest := limit
	for _, a := range f.o.Addons {
		q := f.question(a, limit)
		way, _, ok := Way(q)
		if !ok {
			short := q
			short.To = reach(q)
			way, _, _ = Way(short)
			lowest = min(lowest, short.To)
			f.stuckAddon(q, short.To, limit)
		}
		f.ways[a.Name] = way
	}
	return lowest
}

func (f *finder) question(a Addon, to fleet.Minor) Question {
	return Question{
		Name: a.Name, Have: a.Version, From: f.o.Version, To: to, Releases: f.o.Releases[a.Name],
		Pin: f.w.Policy.Addons.Pins[a.Name], Newest: f.w.Patch && f.w.Policy.Patches.Addons && to == f.w.To,
	}
}

// stuckAddon says why an add-on has no way beyond a minor, and what to do.
func (f *finder) stuckAddon(q Question, at, limit fleet.Minor) {
	name := "add-on " + q.Name + " " + q.Have
	if len(q.Releases) == 0 {
		if reason := f.o.Incomplete["releases/"+q.Name]; reason != "" {
			name += " (" + reason + ")"
		}
		if limit > f.o.Version {
			f.block("%s: its versions are not known, so that nobody can say whether it works with %s: see aws eks describe-addon-versions --addon-name %s", name, limit, q.Name)
		} else {
			f.note("%s: its versions are not known (aws eks describe-addon-versions --addon-name %s)", name, q.Name)
		}
		return
	}
	free := q
	free.Pin = ""
	if q.Pin != "" {
		if _, _, ok := Way(free); ok {
			f.blockHop(limit, "%s is pinned to %s, with which it gets no further than %s on the way to %s: change the pin (addons.pins in the policy)", name, q.Pin, at, limit)
			return
		}
	}
	if limit == f.o.Version || at == f.o.Version && !f.worksNow(q) {
		f.blockHop(limit, "%s does not work with %s by EKS's list, and neither does any newer version that can be reached: install one that does by hand (an older one, or after deleting the add-on with --preserve)", name, f.o.Version)
		return
	}
	why := "EKS has no version for " + (at + 1).String() + " that it can be updated to"
	if q.Name == vpcCNI {
		why += " one minor at a time"
	}
	f.block("%s cannot get from Kubernetes %s to %s: %s. Delete the add-on with --preserve and install it anew at %s, or stay at %s until there is one", name, at, at+1, why, at+1, at)
}

// blockHop blocks a way with hops; where the cluster stays at its minor, what is wrong is there anyway, and is noted.
func (f *finder) blockHop(limit fleet.Minor, format string, args ...any) {
	if limit > f.o.Version {
		f.block(format, args...)
	} else {
		f.note(format, args...)
	}
}

func (f *finder) worksNow(q Question) bool {
	return works(q.Name, q.Have, f.o.Version, q.Releases)
}

// walk makes the steps to a minor; if nodes are in the way, it gives the minor at which.
func (f *finder) walk(limit fleet.Minor) fleet.Minor {
	f.steps, f.wave, f.surge = nil, 0, 0
	notes := len(f.notes)
	ways := map[string][]Update{}
	for name, way := range f.ways {
		for _, u := range way {
			if u.At < limit || u.At == limit && (limit == f.w.To || u.Late) {
				ways[name] = append(ways[name], u)
			}
		}
	}
	at := f.movable()
	for m := f.o.Version; ; m++ {
		f.bake(m)
		f.updates(ways, m, f.addon)
		if m == limit {
			if limit == f.w.To {
				f.moveAll(at, m)
				f.renew(m)
			}
			return m
		}
		if blocked := f.moveNeeded(at, m); len(blocked) > 0 {
			f.notes = f.notes[:notes]
			f.blocked = append(f.blocked, blocked...)
			return m
		}
		f.hop(m)
	}
}

// add adds a step to the present wave.
func (f *finder) add(s Step) {
	s.Wave = f.wave
	f.steps = append(f.steps, s)
}

// open tells whether the control plane, once at a minor, could still go back to the one before.
func (f *finder) open(m fleet.Minor) bool {
	return m > f.o.Version || f.o.returnable(f.w.Now)
}

// returnable tells whether the cluster came to its minor by an upgrade less than seven days ago.
func (o Observation) returnable(now time.Time) bool {
	return !o.UpgradedAt.IsZero() && o.UpgradedFrom == o.Version-1 && (now.IsZero() || now.Sub(o.UpgradedAt) < rollbackWindow)
}

// bake adds what is left of the time in which a minor is watched.
func (f *finder) bake(m fleet.Minor) {
	left := f.w.Policy.Bake
	if left <= 0 {
		return
	}
	if m == f.o.Version {
		// UpgradedAt is when the upgrade began: EKS does not say when it ended
		if left -= f.w.Now.Sub(f.o.UpgradedAt) - controlPlaneTakes; left <= 0 || f.w.Now.IsZero() || !f.o.returnable(f.w.Now) {
			return
		}
	}
	f.wave++
	f.add(Step{
		ID: "bake/" + m.String(), Kind: StepBake, From: m.String(), To: m.String(), Minor: m, Takes: left,
		Why: "the new control plane is watched before anything follows that makes a way back harder",
	})
}

// hop takes the control plane from a minor to the next.
func (f *finder) hop(m fleet.Minor) {
	why := "EKS goes one minor at a time"
	if m+1 == f.w.To {
		why = "the version that is wanted"
	}
	closes := f.open(m)
	if closes {
		why += "; there is no way back to " + (m - 1).String() + " after it"
	}
	f.wave++
	f.add(Step{
		ID: "control-plane/" + (m + 1).String(), Kind: StepControlPlane, From: m.String(), To: (m + 1).String(), Minor: m + 1,
		Takes: controlPlaneTakes, ClosesRollback: closes, Why: why,
	})
}

// updates adds the updates of add-ons that are due at a minor: the first of each add-on together, then the second, and so on.
func (f *finder) updates(ways map[string][]Update, m fleet.Minor, step func(name string, u Update, rest []Update) Step) {
	for any := true; any; {
		any = false
		for _, a := range f.o.Addons { // in the observation's order
			way := ways[a.Name]
			if len(way) == 0 || way[0].At != m {
				continue
			}
			if !any {
				f.wave++
				any = true
			}
			ways[a.Name] = way[1:]
			f.add(step(a.Name, way[0], way[1:]))
		}
	}
}

// addon is the step of an update; rest are those that follow.
func (f *finder) addon(name string, u Update, rest []Update) Step {
	releases := f.o.Releases[name]
	s := Step{
		ID: "addon/" + name + "/" + u.To, Kind: StepAddon, Subject: name, From: u.From, To: u.To, Minor: u.At, Takes: addonTakes,
	}
	back := u.At - 1
	s.ClosesRollback = f.open(u.At) && works(name, u.From, back, releases) && !works(name, u.To, back, releases)
	switch {
	case u.Late && u.At == f.o.Version:
		s.Why = fmt.Sprintf("%s does not work with %s by EKS's list", u.From, u.At)
	case u.Late:
		s.Why = fmt.Sprintf("no version that can be reached works with both %s and %s: this is made as soon as the control plane is there", back, u.At)
	case len(rest) > 0 && rest[0].At == u.At && name == vpcCNI:
		s.Why = fmt.Sprintf("on the way to %s: EKS takes %s one minor at a time", rest[len(rest)-1].To, name)
	case u.At < f.w.To && !works(name, u.From, u.At+1, releases):
		s.Why = fmt.Sprintf("%s does not work with %s; this one does with both, so that the control plane can move, and go back", u.From, u.At+1)
	case name == kubeProxy && !f.w.Patch:
		s.Why = "kube-proxy goes with its cluster"
	case f.w.Patch:
		s.Why = "the newest for " + u.At.String()
	default:
		s.Why = "for what follows"
	}
	if s.ClosesRollback {
		s.Why += fmt.Sprintf("; it does not work with %s, and would have to go back before the control plane", back)
	}
	return s
}

// works tells whether a version of an add-on works at a minor.
func works(name, version string, m fleet.Minor, releases []fleet.AddonRelease) bool {
	for _, r := range releases {
		if r.Version == version {
			for _, have := range r.Minors {
				if have == m {
					return fits(name, version, m)
				}
			}
		}
	}
	return false
}
