package upgradepath

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Authority is a certificate authority of a cluster. EKS keeps two at most: the one that signs, and its successor or the one
// before. EKS appends a successor two years before the end of the one that signs, and activates it half a year before; nodes and
// clients that do not trust it by then lose the API server (EKS's user guide, "Rotate the EKS cluster certificate authority").
type Authority struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
	CreatedBy string    `json:"createdBy,omitempty"` // EKS or CUSTOMER
	// ActivatedAt is when it last became the one that signs; zero if it never did.
	ActivatedAt time.Time `json:"activatedAt,omitzero"`
	Expires     time.Time `json:"expires,omitzero"`
	// Distribution is how far EKS has brought it to what is AWS's: IN_PROGRESS, COMPLETE, FAILED, DELETING.
	Distribution string `json:"distribution,omitempty"`
	Signing      string `json:"signing,omitempty"` // NOT_USED, ACTIVATING, IN_USE
	// Rollback: the one before can be activated again.
	Rollback bool `json:"rollback,omitempty"`
	// First and Final are when EKS activates it by itself: first, and for good if that was rolled back.
	First time.Time `json:"first,omitzero"`
	Final time.Time `json:"final,omitzero"`
}

// EKS's statuses, and what a step of an authority leads to.
const (
	AuthorityInUse   = "IN_USE"
	AuthorityNotUsed = "NOT_USED" // a step to it makes a new one
	AuthorityGone    = "DELETED"

	distributed = "COMPLETE"
	notSpread   = "FAILED"
	customers   = "CUSTOMER"
)

const (
	// bundled is how long after a successor's creation new machines are taken to be told of it. EKS does not say when its trust
	// bundle had it, only that it has it: a day is ours, and much more than an update of the control plane takes.
	bundled = 24 * time.Hour
	// EKS warns 60 days before it activates a successor by itself (user guide, notifications). From then on it is due here.
	activationNotice = 60 * 24 * time.Hour
	// authorityTakes is as long as another change of the control plane: nobody has published any time.
	authorityTakes = controlPlaneTakes
)

// By is when EKS activates the authority by itself next; zero if it does not.
func (a Authority) By(now time.Time) time.Time {
	if a.First.After(now) {
		return a.First
	}
	return a.Final
}

// Signer is the authority that signs, and what there is beside it: the successor, which was made later, or the one before. Nil
// where there is none.
func Signer(list []Authority) (signer, successor, former *Authority) {
	for i := range list {
		if list[i].Signing == AuthorityInUse {
			signer = &list[i]
		}
	}
	for i := range list {
		a := &list[i]
		switch {
		case signer == nil || a == signer || a.Distribution == "DELETING":
		case a.CreatedAt.After(signer.CreatedAt):
			successor = a
		default:
			former = a
		}
	}
	return signer, successor, former
}

// RenewalDue is from when on a policy wants the authority that signs to be replaced; zero if it does not want that, or nobody
// knows.
func RenewalDue(list []Authority, p fleet.PatchPolicy, now time.Time) time.Time {
	signer, successor, _ := Signer(list)
	if p.Renew <= 0 || signer == nil || signer.Expires.IsZero() {
		return time.Time{}
	}
	due := signer.Expires.Add(-p.Renew)
	if successor != nil {
		if by := successor.By(now); !by.IsZero() && by.Add(-activationNotice).Before(due) {
			due = by.Add(-activationNotice)
		}
	}
	return due
}

// rotation is a successor that is to sign.
type rotation struct {
	to    Authority
	since time.Time // nodes that were made later trust it
}

// rotation is the replacement of the cluster's authority, if it is under way and nodes may be made to trust the new one.
func (f *finder) rotation() *rotation {
	_, to, _ := Signer(f.o.Authorities)
	if !f.renews() || to == nil || to.Distribution != distributed || !to.ActivatedAt.IsZero() {
		return nil
	}
	since := to.CreatedAt.Add(min(bundled, f.w.Policy.Patches.Trust))
	if f.w.Now.Before(since) {
		return nil
	}
	return &rotation{*to, since}
}

// renews tells whether the authority is to be replaced now.
func (f *finder) renews() bool {
	due := RenewalDue(f.o.Authorities, f.w.Policy.Patches, f.w.Now)
	return f.w.Patch && !f.w.Now.IsZero() && !due.IsZero() && !f.w.Now.Before(due)
}

// trustSuffix ends the ids of node moves that are made for trust alone.
const trustSuffix = "/authority"

// Renews tells whether a step is made to replace a certificate authority.
func (s Step) Renews() bool { return s.Kind == StepAuthority || strings.HasSuffix(s.ID, trustSuffix) }

// trust is a group's move to what it has already, for nodes that trust the successor: a machine is told whom to trust when
// it is made.
func (f *finder) trust(g mover, m fleet.Minor) (Step, bool) {
	r := f.rotation()
	if r == nil || g.Custom() || g.SelfManaged || !slices.ContainsFunc(f.o.Nodes, func(n Node) bool { return n.Group == g.Name && n.CreatedAt.Before(r.since) }) {
		return Step{}, false
	}
	s := g.step(m, g.Release, "its nodes were made before certificate authority "+r.to.ID+" and do not trust it", f.w.Policy.Nodes)
	s.From = cmp.Or(g.release, g.Release, s.From)
	s.ID += trustSuffix
	if s.Strategy == fleet.NodesBlueGreen { // another group of the same version would be taken for the same
		s.Strategy = fleet.NodesRolling
		s.Takes = groupTakes(g.Group, s.Strategy, s.Nodes, f.w.Policy.Nodes)
	}
	return s, true
}

// renew adds what is to be done now about the cluster's certificate authorities; what comes later is noted. It leads from
// what is there: a new one, then time for clients and nodes to trust it, then its activation.
func (f *finder) renew(m fleet.Minor) {
	signer, to, former := Signer(f.o.Authorities)
	if !f.renews() {
		return
	}
	step := func(subject, change, from, next, why string) {
		f.wave++
		f.add(Step{ID: "authority/" + subject + "/" + change, Kind: StepAuthority, Subject: subject, From: from, To: next, Minor: m, Takes: authorityTakes, Why: why})
	}
	ends := signer.ID + " ends on " + signer.Expires.Format(time.DateOnly)
	switch {
	case to != nil && to.Distribution == notSpread && to.CreatedBy == customers:
		step(to.ID, "delete", AuthorityNotUsed, AuthorityGone, "EKS could not distribute it, and keeps two at most: it goes, and another one is made")
	case to != nil && to.Distribution == notSpread:
		f.note("certificate authority %s, which EKS has made, could not be distributed: EKS makes another one", to.ID)
	case to == nil && former != nil && !former.Expires.IsZero() && former.Expires.Before(f.w.Now):
		step(former.ID, "delete", AuthorityNotUsed, AuthorityGone, "it has expired, and EKS keeps two at most: it makes room for the successor of "+signer.ID)
	case to == nil && former != nil:
		f.note("certificate authority %s, and EKS keeps two at most: when nothing needs %s any more, aws eks delete-certificate-authority --cluster-name %s --certificate-authority-id %s", ends, former.ID, f.o.Cluster.Name, former.ID)
	case to == nil:
		step(signer.ID, "succeed", "", AuthorityNotUsed, "certificate authority "+ends+". The new one signs nothing until nodes and clients trust it")
	case !to.ActivatedAt.IsZero():
		f.note("certificate authority %s was activated on %s and taken back: somebody will have had a reason, and it is not activated again; EKS does so by itself%s", to.ID, to.ActivatedAt.Format(time.DateOnly), on(to.By(f.w.Now)))
	case to.Distribution != distributed:
		f.note("certificate authority %s is being distributed by EKS (%s): nodes and its activation follow in a later maintenance", to.ID, to.Distribution)
	default:
		f.activate(*signer, *to, step)
	}
}

// activate has the successor sign, when all that can be seen trusts it.
func (f *finder) activate(signer, to Authority, step func(subject, change, from, next, why string)) {
	told := fmt.Sprintf("kubeconfigs, pipelines and other clients outside of the cluster must trust it by then (aws eks update-kubeconfig --name %s), and nobody here can see whether they do", f.o.Cluster.Name)
	waits := f.distrust(to)
	if from := to.CreatedAt.Add(f.w.Policy.Patches.Trust); f.w.Now.Before(from) {
		waits = append(waits, "the time that the policy gives to clients (patches.trust) is over on "+from.Format(time.DateOnly))
	}
	if len(waits) > 0 {
		f.note("certificate authority %s, the successor of %s, is not activated before all of this is so: %s. EKS activates it by itself%s; %s", to.ID, signer.ID, strings.Join(waits, "; "), on(to.By(f.w.Now)), told)
		return
	}
	step(to.ID, "activate", AuthorityNotUsed, AuthorityInUse, "all nodes trust it, and "+signer.ID+", which signs now, ends on "+signer.Expires.Format(time.DateOnly)+"; "+told)
}

// distrust says which nodes do not trust a successor, or may not, and what leads there.
func (f *finder) distrust(to Authority) (out []string) {
	if reason := f.o.Incomplete["nodes"]; reason != "" {
		return []string{"the nodes can be read (" + reason + ")"}
	}
	since := to.CreatedAt.Add(min(bundled, f.w.Policy.Patches.Trust))
	var old, own []string // groups
	for _, g := range f.groups {
		switch {
		case g.Custom() || g.SelfManaged:
			own = append(own, g.Name)
		case slices.ContainsFunc(f.o.Nodes, func(n Node) bool { return n.Group == g.Name && n.CreatedAt.Before(since) }):
			old = append(old, g.Name)
		}
	}
	if len(old) > 0 {
		out = append(out, fmt.Sprintf("node groups %s have nodes that were made after %s, to which they move unless the policy holds them", list(old), since.Format(time.DateTime)))
	}
	if len(own) > 0 {
		out = append(out, fmt.Sprintf("node groups %s, with user data of their own, have the new trust bundle in it, and new nodes: what user data says is not read here, so that somebody has to activate the authority by hand (aws eks activate-certificate-authority --cluster-name %s --certificate-authority-id %s)", list(own), f.o.Cluster.Name, to.ID))
	}
	for _, k := range sortedKinds(f.kinds) {
		var names []string
		for _, n := range f.o.Nodes {
			if n.Kind == k && k == NodeKarpenter && n.CreatedAt.Before(since) {
				names = append(names, n.Name)
			}
		}
		switch {
		case len(names) > 0:
			out = append(out, fmt.Sprintf("Karpenter has replaced nodes %s, by drift", list(names)))
		case k == NodeHybrid || k == NodeOther:
			out = append(out, fmt.Sprintf("nodes that nobody here made (%s) trust it: their owner sees to that, and activates the authority by hand", list(f.kinds[k].names)))
		}
	}
	return out
}

func on(t time.Time) string {
	if t.IsZero() {
		return " at a time that it has not said"
	}
	return " on " + t.Format(time.DateOnly)
}
