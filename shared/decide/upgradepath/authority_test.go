package upgradepath

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const day = 24 * time.Hour

// signing is the authority of a cluster made nine years and a half ago: it ends in so long.
func signing(left time.Duration) Authority {
	return Authority{ID: "ca-1", CreatedAt: today.Add(left - 10*365*day), CreatedBy: "EKS", ActivatedAt: today.Add(left - 10*365*day), Expires: today.Add(left), Distribution: distributed, Signing: AuthorityInUse}
}

// successor was made so long ago.
func successor(ago, left time.Duration) Authority {
	return Authority{ID: "ca-2", CreatedAt: today.Add(-ago), CreatedBy: "EKS", Expires: today.Add(5*365*day - ago), Distribution: distributed, Signing: AuthorityNotUsed,
		First: today.Add(left - 182*day), Final: today.Add(left - 45*day)}
}

// patched has nodes made so long ago, and nothing newer to get.
func patched(age time.Duration, list ...Authority) (Observation, Want) {
	o := cluster(36, 2)
	o.Authorities = list
	for i := range o.Groups {
		o.Groups[i].Release = "1.36.6-20261112"
	}
	for i := range o.Nodes {
		o.Nodes[i].Release, o.Nodes[i].CreatedAt = "1.36.6-20261112", today.Add(-age)
	}
	w := want(36)
	w.Patch, w.Policy.Patches.Addons = true, false
	return o, w
}

func TestAuthorityIsReplacedStepByStep(t *testing.T) {
	const near = 200 * day
	group := "nodegroup/g1/1.36.6-20261112/authority"
	failed, mine, back := successor(day, near), successor(100*day, near), successor(100*day, near)
	failed.Distribution, failed.CreatedBy = notSpread, "CUSTOMER"
	mine.Distribution = "IN_PROGRESS"
	back.ActivatedAt = today.Add(-10 * day)
	former := Authority{ID: "ca-0", CreatedAt: today.Add(-20 * 365 * day), Expires: today.Add(-day), Distribution: distributed, Signing: AuthorityNotUsed}
	kept := former
	kept.Expires = today.Add(day)
	for name, tc := range map[string]struct {
		nodes time.Duration // age
		list  []Authority
		steps []string
		note  string
	}{
		"none is known":                   {nodes: 500 * day},
		"its end is far":                  {nodes: 500 * day, list: []Authority{signing(300 * day)}},
		"its end is far, with successor":  {nodes: 500 * day, list: []Authority{signing(300 * day), successor(100*day, 300*day)}},
		"its end is near":                 {nodes: 500 * day, list: []Authority{signing(near)}, steps: []string{"authority/ca-1/succeed"}},
		"the successor is on its way":     {nodes: 500 * day, list: []Authority{signing(near), mine}, note: "is being distributed by EKS"},
		"the successor did not arrive":    {nodes: 500 * day, list: []Authority{signing(near), failed}, steps: []string{"authority/ca-2/delete"}},
		"nodes do not trust it":           {nodes: 500 * day, list: []Authority{signing(near), successor(100*day, near)}, steps: []string{group}, note: "node groups g1 have nodes that were made after"},
		"nodes may not have heard of it":  {nodes: 100*day - 23*time.Hour, list: []Authority{signing(near), successor(100*day, near)}, steps: []string{group}},
		"nobody may have heard of it":     {nodes: 500 * day, list: []Authority{signing(near), successor(23*time.Hour, near)}, note: "patches.trust"},
		"clients have time":               {nodes: day, list: []Authority{signing(near), successor(29*day, near)}, note: "(patches.trust) is over on 2026-11-24"},
		"all trust it":                    {nodes: day, list: []Authority{signing(near), successor(31*day, near)}, steps: []string{"authority/ca-2/activate"}},
		"it is being activated":           {nodes: day, list: []Authority{{ID: "ca-1", Signing: AuthorityNotUsed}, {ID: "ca-2", Signing: "ACTIVATING"}}},
		"it was taken back":               {nodes: 500 * day, list: []Authority{signing(near), back}, note: "taken back"},
		"one before it is still there":    {nodes: day, list: []Authority{signing(near), kept}, note: "delete-certificate-authority"},
		"one before it has expired":       {nodes: day, list: []Authority{signing(near), former}, steps: []string{"authority/ca-0/delete"}},
		"EKS would be earlier than usual": {nodes: day, list: []Authority{signing(400 * day), func() Authority { a := successor(100*day, 400*day); a.First = today.Add(59 * day); return a }()}, steps: []string{"authority/ca-2/activate"}},
	} {
		t.Run(name, func(t *testing.T) {
			o, w := patched(tc.nodes, tc.list...)
			p := Find(o, w)
			if !slices.Equal(ids(p), tc.steps) || !strings.Contains(strings.Join(p.Notes, "\n"), tc.note) || len(p.Blocked) > 0 {
				t.Errorf("%v, want %v and %q\n%s", ids(p), tc.steps, tc.note, p)
			}
			for _, s := range p.Steps {
				if !s.Renews() || s.Takes <= 0 || s.Why == "" || s.Minor != 36 {
					t.Errorf("%+v", s)
				}
			}
			w.Policy.Patches.Renew = 0
			if p := Find(o, w); len(p.Steps) > 0 {
				t.Errorf("EKS's own business: %v", ids(p))
			}
			w.Policy.Patches.Renew, w.Patch = 270*day, false
			if p := Find(o, w); len(p.Steps) > 0 {
				t.Errorf("without patches: %v", ids(p))
			}
		})
	}
}

// TestAuthorityWaitsForWhatCannotBeSeen: nodes that nobody here moves, or of which nobody knows whom they trust, keep a successor from being
// activated, and a note names them.
func TestAuthorityWaitsForWhatCannotBeSeen(t *testing.T) {
	base := func() (Observation, Want) { return patched(day, signing(200*day), successor(100*day, 200*day)) }
	for name, tc := range map[string]struct {
		change func(o *Observation, w *Want)
		note   string // "": nothing is in the way
	}{
		"nothing": {func(*Observation, *Want) {}, ""},
		"nodes that EKS sees to": {func(o *Observation, _ *Want) {
			*o = withNode(withNode(*o, NodeFargate, 36), NodeAuto, 36)
		}, ""},
		"a new node of Karpenter's": {func(o *Observation, _ *Want) {
			*o = withNode(*o, NodeKarpenter, 36)
			o.Nodes[len(o.Nodes)-1].CreatedAt = today.Add(-day)
		}, ""},
		"an old node of Karpenter's": {func(o *Observation, _ *Want) {
			*o = withNode(*o, NodeKarpenter, 36)
			o.Nodes[len(o.Nodes)-1].CreatedAt = today.Add(-300 * day)
		}, "Karpenter has replaced nodes Karpenter-2"},
		"a hybrid node": {func(o *Observation, _ *Want) { *o = withNode(*o, NodeHybrid, 36) }, "Hybrid-2"},
		"an image of one's own": {func(o *Observation, w *Want) {
			*o = withGroup(*o, Group{Name: "own", Version: 36, AMIType: "CUSTOM", TemplateVersion: "1"})
		}, "node groups own, with user data of their own"},
		"a self-managed group": {func(o *Observation, _ *Want) {
			*o = withGroup(*o, Group{Name: "own", Version: 36, AMIType: al2023, Release: "1.36.6-20261112", SelfManaged: true})
		}, "node groups own, with user data of their own"},
		"a group that is held": {func(o *Observation, w *Want) {
			o.Nodes[0].CreatedAt = today.Add(-300 * day)
			w.Policy.Nodes.Groups = []fleet.GroupUpgrade{{Name: "g1", Hold: true}}
		}, "unless the policy holds them"},
		"nodes that could not be read": {func(o *Observation, _ *Want) {
			o.Incomplete = map[string]string{"nodes": "connection refused"}
		}, "the nodes can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			o, w := base()
			tc.change(&o, &w)
			p := Find(o, w)
			activated := slices.Contains(ids(p), "authority/ca-2/activate")
			if activated != (tc.note == "") || !strings.Contains(strings.Join(p.Notes, "\n"), tc.note) {
				t.Errorf("activated: %t\n%s", activated, p)
			}
		})
	}
}

// TestAuthorityStepInWords: what people read.
func TestAuthorityStepInWords(t *testing.T) {
	o, w := patched(day, signing(200*day), successor(100*day, 200*day))
	if text := Find(o, w).String(); !strings.Contains(text, "certificate authority ca-2 is activated") || !strings.Contains(text, "update-kubeconfig --name prod") {
		t.Error(text)
	}
	o.Authorities = o.Authorities[:1]
	if text := Find(o, w).String(); !strings.Contains(text, "certificate authority ca-1 gets a successor") {
		t.Error(text)
	}
}

func TestRenewalDue(t *testing.T) {
	p := fleet.DefaultUpgradePolicy().Patches
	if due := RenewalDue([]Authority{signing(300 * day)}, p, today); !due.Equal(today.Add(30 * day)) {
		t.Errorf("due on %s", due)
	}
	for name, list := range map[string][]Authority{"none": nil, "no end": {{ID: "x", Signing: AuthorityInUse}}, "no signer": {successor(day, 300*day)}} {
		if due := RenewalDue(list, p, today); !due.IsZero() {
			t.Errorf("%s: %s", name, due)
		}
	}
	// By the default, the replacement is due before EKS activates a successor by itself, and before it warns of that.
	left := 400 * day
	if due, by := RenewalDue([]Authority{signing(left), successor(day, left)}, p, today), today.Add(left-182*day); by.Sub(due) < activationNotice {
		t.Errorf("due on %s, EKS acts on %s", due, by)
	}
}
