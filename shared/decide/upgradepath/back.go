package upgradepath

import (
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Back is the way back to the minor from which the cluster came: node groups that are newer first, without which EKS refuses,
// then add-ons that do not work there, then the control plane. Like Find it is found anew at each look. Blocked says why EKS
// would not do it. Whoever knows that the control plane is back (its update's id says so) sets UpgradedFrom to Version: then
// what is left is what can only follow it.
//
// EKS takes back the control plane and nothing else: what was written to etcd stays, and so do Fargate's, self-managed and
// hybrid nodes until somebody moves them.
func Back(o Observation, p fleet.UpgradePolicy, now time.Time) Path {
	to := o.Version - 1
	done := o.UpgradedFrom >= o.Version // the last change of version was a rollback
	if done {
		to = o.Version
	}
	f := newFinder(o, Want{To: to, Now: now, Policy: p})
	if !done {
		f.returns(to)
	}
	if len(f.blocked) == 0 {
		f.groupsBack(to)
		ways := f.waysBack(to)
		f.updates(ways, o.Version, f.addonBack)
		if !done {
			f.wave++
			f.add(Step{
				ID: "control-plane/" + to.String(), Kind: StepControlPlane, From: o.Version.String(), To: to.String(), Minor: to,
				Takes: controlPlaneTakes, Why: "EKS takes back one minor, within seven days of its upgrade",
			})
			f.updates(ways, to, f.addonBack)
		}
	}
	if k := f.kinds[NodeFargate]; k != nil && k.newest > to {
		f.restart(k.newest, to)
	}
	f.othersBack(to)
	if len(f.blocked) > 0 {
		f.steps = nil
	}
	return Path{Cluster: o.Cluster, From: o.Version, To: to, Steps: f.steps, Takes: takes(f.steps), Blocked: f.blocked, Notes: f.notes, Cost: cost(o, f.w, f.surge)}
}

// returns holds EKS's conditions of a rollback against the cluster.
func (f *finder) returns(to fleet.Minor) {
	o, now := f.o, f.w.Now
	switch {
	case o.UpgradedAt.IsZero():
		f.block("the cluster was made with %s, or nothing says when it was upgraded: there is nothing to go back to", o.Version)
		return
	case o.UpgradedFrom != to:
		f.block("the cluster came from %s: EKS goes back by one minor, from %s to %s, and no further", o.UpgradedFrom, o.Version, to)
		return
	}
	if end := o.UpgradedAt.Add(rollbackWindow); !now.Before(end) {
		f.block("EKS takes a control plane back within seven days of its upgrade: that was over on %s", end.UTC().Format("2006-01-02 15:04 MST"))
	}
	v, ok := o.Find(to)
	switch {
	case !ok || ended(v, now):
		f.block("EKS no longer offers Kubernetes %s: there is no way back to it", to)
	case extended(v, now) && !strings.EqualFold(o.SupportType, "EXTENDED"):
		f.block("Kubernetes %s is in extended support, and the cluster's support type is %s: allow it first, with aws eks update-cluster-config --name %s --upgrade-policy supportType=EXTENDED", to, strings.ToUpper(o.SupportType), o.Cluster.Name)
	}
}

// groupsBack moves the node groups that are newer than the minor to go back to.
func (f *finder) groupsBack(to fleet.Minor) {
	var moves []Step
	for _, g := range f.groups {
		if g.newest <= to {
			continue
		}
		if v := g.furthest(to); v == 0 || v < to && !g.Custom() || skewed(v, to) {
			f.block("node group %s has %s: EKS refuses to take the control plane back while it does, and %s", g.Name, g.newest, g.stuck(to))
			continue
		}
		v := g.furthest(to)
		s := g.step(v, f.o.Images[g.AMIType+"/"+v.String()].Release, fmt.Sprintf("EKS does not take the control plane back below its nodes' %s", g.newest), f.w.Policy.Nodes)
		s.From = g.newest.String()
		if g.Release != "" && g.Release != s.To && !g.Custom() {
			s.From = g.Release
		}
		moves = append(moves, s)
	}
	f.moves(moves)
}

// waysBack are the updates of the add-ons that do not work at the minor to go back to: at the present one where a version
// works with both, and else when the control plane is back.
func (f *finder) waysBack(to fleet.Minor) map[string][]Update {
	ways := map[string][]Update{}
	for _, a := range f.o.Addons {
		releases := f.o.Releases[a.Name]
		if len(releases) == 0 {
			f.note("add-on %s %s: its versions are not known, and it stays", a.Name, a.Version)
			continue
		}
		if works(a.Name, a.Version, to, releases) {
			continue
		}
		q := Question{Name: a.Name, Have: a.Version, From: f.o.Version, To: to, Releases: releases, Pin: f.w.Policy.Addons.Pins[a.Name], Back: true}
		way, gaps, ok := Way(q)
		switch {
		case !ok:
			f.note("add-on %s %s does not work with %s by EKS's list, and no version to which it could go does: look after it when the control plane is back", a.Name, a.Version, to)
		case gaps > 0:
			f.note("add-on %s: no version works with both %s and %s: it is updated when the control plane is back", a.Name, f.o.Version, to)
		}
		ways[a.Name] = way
	}
	return ways
}

// addonBack is the step of an update on the way back.
func (f *finder) addonBack(name string, u Update, _ []Update) Step {
	return Step{
		ID: "addon/" + name + "/" + u.To, Kind: StepAddon, Subject: name, From: u.From, To: u.To, Minor: u.At, Takes: addonTakes,
		Why: fmt.Sprintf("%s does not work with %s by EKS's list", u.From, f.w.To),
	}
}

// othersBack says of nodes that nobody here moves what becomes of them.
func (f *finder) othersBack(to fleet.Minor) {
	if f.o.AutoMode {
		f.note("EKS Auto Mode: EKS takes its nodes back first, which may take hours, and can be cancelled until the control plane's turn")
	}
	for _, k := range sortedKinds(f.kinds) {
		if nodes := f.kinds[k]; k != NodeFargate && k != NodeAuto && nodes.newest > to {
			f.note("%s nodes, %d of them, up to %s, would be newer than their control plane, which Kubernetes does not support: %s", strings.ToLower(string(k)), len(nodes.names), nodes.newest, whose[k])
		}
	}
}
