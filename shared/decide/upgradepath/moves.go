package upgradepath

import (
	"fmt"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// places are where nodes are on the way: each group's oldest minor, by its name, and that of Fargate's.
type places struct {
	groups  map[string]fleet.Minor
	fargate fleet.Minor
}

func (f *finder) movable() *places {
	at := &places{groups: map[string]fleet.Minor{}}
	for _, g := range f.groups {
		at.groups[g.Name] = g.oldest
	}
	if k := f.kinds[NodeFargate]; k != nil {
		at.fargate = k.oldest
	}
	return at
}

// moveNeeded moves what would be too old for the next minor, as far as it gets at this one; or says what stands in the way.
func (f *finder) moveNeeded(at *places, m fleet.Minor) (blocked []string) {
	skew := f.w.Policy.Skew
	var moves []Step
	for _, g := range f.groups {
		old := at.groups[g.Name]
		if old == 0 || !mustMove(old, m, skew) {
			continue
		}
		to := g.furthest(m)
		if to <= old || mustMove(to, m, skew) {
			blocked = append(blocked, fmt.Sprintf("the control plane cannot go to %s while node group %s has %s: %s", m+1, g.Name, old, g.stuck(m)))
			continue
		}
		why := fmt.Sprintf("%s would be %s behind %s", old, count(int(m+1-old), "minor"), m+1)
		if skew == fleet.SkewStrict {
			why = fmt.Sprintf("the policy wants nodes of %s before the control plane goes on", m)
		}
		moves = append(moves, f.groupStep(g, old, to, m, why))
		at.groups[g.Name] = to
	}
	for _, k := range sortedKinds(f.kinds) {
		nodes := f.kinds[k]
		if k == NodeFargate || follows(k) && m > f.o.Version || nodes.oldest == 0 || !mustMove(nodes.oldest, m, fleet.SkewN3) {
			continue
		}
		blocked = append(blocked, fmt.Sprintf("the control plane cannot go to %s while nodes have %s (%s): %s", m+1, nodes.oldest, list(nodes.names), whose[k]))
	}
	if len(blocked) > 0 {
		return blocked
	}
	f.moves(moves)
	if at.fargate != 0 && mustMove(at.fargate, m, skew) {
		f.restart(at.fargate, m)
		at.fargate = m
	}
	return nil
}

// moveAll brings all nodes to the last minor, and to the newest images if these are wanted.
func (f *finder) moveAll(at *places, m fleet.Minor) {
	var moves []Step
	for _, g := range f.groups {
		old := at.groups[g.Name]
		if g.policy.Hold {
			if old < m {
				f.note("node group %s stays at %s: its policy holds it as long as the skew allows", g.Name, old)
			}
			continue
		}
		if old == 0 {
			f.note("node group %s: nobody knows which version it has, and it stays as it is", g.Name)
			continue
		}
		to := g.furthest(m)
		if to < m && old < m {
			f.note("%s; until then it gets no further than %s", g.stuck(m), max(to, old))
		}
		switch {
		case to > old:
			why := "nodes come to the control plane's version, all hops at once"
			if m == old+1 {
				why = "nodes come to the control plane's version"
			}
			moves = append(moves, f.groupStep(g, old, to, m, why))
		case f.w.Patch && old == m:
			if s, ok := f.renewed(g, m); ok {
				moves = append(moves, s)
			}
		}
	}
	f.moves(moves)
	if at.fargate != 0 && at.fargate < m {
		f.restart(at.fargate, m)
	}
}

// groupStep is a group's move to a minor while the control plane has another, or the same.
func (f *finder) groupStep(g mover, from, to, control fleet.Minor, why string) Step {
	if from != g.oldest { // it will have moved before
		g.oldest, g.newest, g.release = from, from, ""
	}
	s := g.step(to, f.o.Images[g.AMIType+"/"+to.String()].Release, why, f.w.Policy.Nodes)
	if to == control && g.newest < to && f.open(control) {
		s.ClosesRollback = true
		s.Why += fmt.Sprintf("; they would have to go back before the control plane could go back to %s", control-1)
	}
	return s
}

// renewed is a group's move at its minor: to a newer image, which has new nodes, too, or for nodes that trust a new authority.
func (f *finder) renewed(g mover, m fleet.Minor) (Step, bool) {
	if f.w.Policy.Patches.Images {
		if s, ok := f.patch(g, m); ok {
			return s, true
		}
	}
	return f.trust(g, m)
}

// patch is a group's move to the newest image of its minor, if it has an older one, and that one is old enough.
func (f *finder) patch(g mover, m fleet.Minor) (Step, bool) {
	if g.Custom() {
		t := g.policy.LaunchTemplateVersion[m]
		if t == "" || t == g.TemplateVersion {
			return Step{}, false
		}
		return g.step(m, "", "the policy names another version of its launch template", f.w.Policy.Nodes), true
	}
	image, ok := f.o.Images[g.AMIType+"/"+m.String()]
	if !ok || g.release == "" || compareReleases(g.release, image.Release) >= 0 {
		return Step{}, false
	}
	if age := f.w.Policy.Patches.Age; !image.Released.IsZero() && !f.w.Now.IsZero() && f.w.Now.Sub(image.Released) < age {
		f.note("node group %s: release %s is from %s, and the policy waits %s before it takes one", g.Name, image.Release, image.Released.Format("2006-01-02"), Text(age))
		return Step{}, false
	}
	return g.step(m, image.Release, "the newest image of "+m.String(), f.w.Policy.Nodes), true
}

// moves adds the moves of groups in waves of as many as may move at once. What does not fill a wave comes first: it is the
// smallest, and shows what is wrong.
func (f *finder) moves(moves []Step) {
	at := max(f.w.Policy.Nodes.GroupsAtOnce, 1)
	for i, s := range moves {
		if i == 0 || (len(moves)-i)%at == 0 {
			f.wave++
		}
		f.add(s)
		for _, g := range f.groups {
			if g.Name == s.Subject {
				f.surge += surgeCost(g.Group, s, f.w.Policy.Nodes, f.w.Hourly)
			}
		}
	}
}

// restart has the pods on Fargate made anew.
func (f *finder) restart(from, m fleet.Minor) {
	f.wave++
	f.add(Step{
		ID: "restart/fargate/" + m.String(), Kind: StepRestart, Subject: "fargate", From: from.String(), To: m.String(), Minor: m,
		Nodes: len(f.kinds[NodeFargate].names), Takes: restartTakes, ClosesRollback: from < m && f.open(m),
		Why: "a pod on Fargate has the kubelet of the control plane under which it was made",
	})
}

// others says of nodes that nobody here moves who does, and what else there is to know.
func (f *finder) others(limit fleet.Minor) {
	for _, k := range sortedKinds(f.kinds) {
		if nodes := f.kinds[k]; k != NodeFargate && nodes.oldest < limit {
			f.note("%s nodes, %d of them at %s or newer: %s", strings.ToLower(string(k)), len(nodes.names), nodes.oldest, whose[k])
		}
	}
	if reason := f.o.Incomplete["nodes"]; reason != "" {
		f.note("the nodes could not be read (%s): node groups are taken at EKS's word, and nodes of no group are left out", reason)
	}
	if f.w.Patch && !f.w.Policy.Patches.Addons {
		f.note("add-ons get what %s needs and nothing newer: the policy says so (patches.addons)", f.w.To)
	}
	if f.w.Patch && !f.w.Policy.Patches.Images {
		f.note("node groups of %s keep their images: the policy says so (patches.images)", f.w.To)
	}
	for _, b := range f.o.Busy {
		f.note("EKS is at work on %s (%s, update %s): what concerns it waits", b.Subject, b.Type, b.ID)
	}
}
