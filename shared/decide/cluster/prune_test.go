package cluster

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// listedFrom is what listing would find of what a file has made: roles by their path, and nothing of Kubernetes'.
func listedFrom(o Observation, cluster string) Observation {
	e := Observation{Depth: Full, Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}}
	for id, list := range o.Found {
		for _, r := range list {
			switch r.Kind {
			case "kubernetes", "accesspolicies", idServices, "scaling":
				continue
			case "role", "profile":
				r.Name = r.Physical
				r.ID = r.Kind + "/" + r.Physical
			default:
				if InCluster(r.Kind) || r.Kind == "asg" {
					_, r.Name, _ = strings.Cut(id, "/")
				}
			}
			e.Found[r.ID] = append(e.Found[r.ID], r)
		}
	}
	return e
}

// TestPrune: what a file has lost is named, and with --prune deleted in an order in which it can go; nothing else is.
func TestPrune(t *testing.T) {
	before := private()
	before.NodeGroups = append(before.NodeGroups, group("old", "m5.large"))
	before.Network.NAT = fleet.NATSingle
	before.IAM.OIDC = true
	o := empty()
	simulate(t, before, &o)
	after := before
	after.NodeGroups, after.Access, after.IAM.OIDC = before.NodeGroups[:1], nil, false

	everything := listedFrom(o, "private")
	tag := map[string]string{fleet.TagCluster: "private"}
	for _, id := range []string{"access/" + opt.InterruptionRole, "access/arn:aws:iam::123456789012:role/ekspedite/nodes", "addon/coredns", "addon/extra", "podidentity/shop/web", "podidentity/kube-system/ebs"} {
		kind, name, _ := strings.Cut(id, "/")
		everything.Found[id] = []fleet.Resource{{Ref: fleet.Ref{ID: id, Kind: kind, Name: name}, Physical: name, Status: "ACTIVE", Tags: tag, Props: fleet.Props{}}}
	}
	everything.Found["access/arn:aws:iam::123456789012:role/ekspedite/nodes"][0].Tags = nil // EKS made it for a node group
	everything.Found["podidentity/kube-system/ebs"][0].Props["ownerArn"] = "arn:addon"
	everything.Found["role/ekspedite-old"] = []fleet.Resource{{Ref: fleet.Ref{ID: "role/ekspedite-old", Kind: "role", Name: "ekspedite-old"}, Physical: "ekspedite-old", Props: fleet.Props{"attachedPolicies": []any{"arn:p/P"}}}}
	everything.Found["subnet/public/us-east-1z"] = []fleet.Resource{{Ref: fleet.Ref{ID: "subnet/public/us-east-1z", Kind: "subnet"}, Physical: "subnet-z", Tags: tag}}
	everything.Found["nodegroup/general-1"] = []fleet.Resource{{Ref: fleet.Ref{ID: "nodegroup/general-1", Kind: "nodegroup", Name: "general-1"}, Physical: "general-1", Status: "ACTIVE",
		Tags: map[string]string{fleet.TagCluster: "private", fleet.TagPool: "general"}, Props: fleet.Props{}}} // the planner of nodes retires it
	lost := []string{"access/arn:aws:iam::123456789012:role/people", "addon/extra", "nodegroup/old", "oidc", "podidentity/shop/web", "role/ekspedite-old", "template/old"}

	active, err := Decide(now, o, after, opt)
	if err != nil || active.Outcome != OutcomeActive {
		t.Fatal(err, active)
	}
	kept := Prune(now, active, o, everything, after, opt)
	var named []string
	for _, note := range kept.Notes {
		if strings.Contains(note, "apply with --prune") {
			named = append(named, note)
		}
	}
	if kept.Outcome != OutcomeActive || !kept.Empty() || len(named) != len(lost) ||
		!slices.Contains(kept.Notes, "subnet subnet-z (public/us-east-1z) is ekspedite's and not in the file any more: kept, since a network is not taken apart under a running cluster") {
		t.Errorf("%s", kept)
	}

	pruning := opt
	pruning.Prune = true
	forecast := ForecastPrune(active, o, everything, after, pruning)
	if forecast.Len() != len(lost)+1 || !strings.Contains(forecast.Reason, "8 calls delete what it does not name any more") {
		t.Errorf("%s", forecast)
	}
	w := &doomedWorld{t: t, o: everything}
	w.o.Made, w.o.Troubles = map[string]fleet.Making{}, map[string]fleet.Trouble{}
	var deleted []string
	for range 20 {
		p := Prune(now, active, o, w.o, after, pruning)
		if p.Outcome != "" {
			if p.Outcome != OutcomeActive {
				t.Errorf("%s", p)
			}
			break
		}
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c := a.(plan.Call)
				deleted = append(deleted, c.ID)
				if c.API == "iam:DetachRolePolicy" {
					w.carryOut(c)
				} else {
					delete(w.o.Found, c.ID)
				}
			}
		}
	}
	want := append(slices.Clone(lost), "role/ekspedite-old/P")
	slices.Sort(want)
	order := slices.Clone(deleted)
	slices.Sort(deleted)
	if !slices.Equal(deleted, want) {
		t.Errorf("deleted %v, want %v", deleted, want)
	}
	for _, pair := range [][2]string{{"nodegroup/old", "access/arn:aws:iam::123456789012:role/people"}, {"role/ekspedite-old/P", "role/ekspedite-old"}, {"podidentity/shop/web", "role/ekspedite-old"}} {
		if slices.Index(order, pair[0]) > slices.Index(order, pair[1]) {
			t.Errorf("%s goes before %s: %v", pair[1], pair[0], order)
		}
	}
}

// TestTheUnchangedFileLosesNothing: of what a file has made, it names everything.
func TestTheUnchangedFileLosesNothing(t *testing.T) {
	for _, s := range []fleet.ClusterSpec{demo(), private()} {
		o := empty()
		simulate(t, s, &o)
		active, err := Decide(now, o, s, opt)
		if err != nil {
			t.Fatal(err)
		}
		pruning := opt
		pruning.Prune = true
		e := listedFrom(o, s.Name)
		if p := Prune(now, active, o, e, s, pruning); p.Outcome != OutcomeActive || !p.Empty() || len(p.Notes) > len(active.Notes) {
			t.Errorf("%s", p)
		}
		if got := Pruning(now, o, e, s, pruning); len(got) > 0 {
			t.Error(got)
		}
	}
}

// TestWhatIsMadeCanGo: all that a file makes is taken away again, whatever has been made of it.
func TestWhatIsMadeCanGo(t *testing.T) {
	for _, s := range []fleet.ClusterSpec{demo(), private()} {
		o := empty()
		var stages []Observation
		for range 60 {
			stages = append(stages, listedFrom(o, s.Name))
			p, err := Decide(now, o, s, opt)
			if err != nil {
				t.Fatal(err)
			}
			if p.Outcome != "" {
				break
			}
			for _, step := range p.Steps {
				for _, a := range step.Actions {
					carryOut(t, &o, a.(plan.Call))
				}
			}
		}
		for i, stage := range stages {
			w := &doomedWorld{t: t, o: stage}
			was := doomed
			doomed = fleet.ClusterSpec{Name: s.Name, Region: s.Region}
			p := w.end(uint64(i), false)
			doomed = was
			if p.Outcome != OutcomeDeleted || len(w.o.Found) > 0 {
				t.Errorf("stage %d: %s\n%v", i, p, slices.Sorted(maps.Keys(w.o.Found)))
			}
		}
		if len(stages) < 4 {
			t.Errorf("only %d stages", len(stages))
		}
	}
}
