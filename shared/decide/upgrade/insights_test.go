package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
)

// TestOldInsights: EKS is asked to compute its insights anew where they are older than what was changed, and a cluster whose
// insights stay old is not waited for for ever, nor does its memory grow.
func TestOldInsights(t *testing.T) {
	w := newWorld(t)
	w.insights = func(r *readiness.Report) { r.InsightsAt = w.now.Add(-30 * time.Hour) }
	d := w.look()
	if !d.Needs.Refresh || len(w.calls) > 0 || !strings.Contains(d.Phase, "look anew") {
		t.Fatalf("%+v: %s", d.Needs, d.Phase)
	}
	for range 60 {
		w.now = w.now.Add(30 * time.Second)
		d = w.look()
		if len(w.memory.Waits) > 5 {
			t.Fatalf("the memory grows: %v", w.memory.Waits)
		}
	}
	if len(w.calls) == 0 {
		t.Errorf("half an hour later it still waits: %s", d.Phase)
	}

	w = newWorld(t)
	asked := time.Time{}
	w.insights = func(r *readiness.Report) {
		r.InsightsAt = w.now.Add(-30 * time.Hour)
		if !asked.IsZero() { // EKS takes two minutes
			r.Refreshing = w.now.Sub(asked) < 2*time.Minute
			if !r.Refreshing {
				r.InsightsAt = w.now
			}
		}
	}
	for range 10 {
		if d = w.look(); d.Needs.Refresh {
			asked = w.now
		}
		w.now = w.now.Add(30 * time.Second)
	}
	if len(w.calls) == 0 {
		t.Errorf("five minutes later it still waits: %s", d.Phase)
	}
}

// TestForeseen: what EKS holds against an upgrade does not, if the way sees to it first.
func TestForeseen(t *testing.T) {
	path := upgradepath.Path{Steps: []upgradepath.Step{{Kind: upgradepath.StepAddon, Subject: "coredns"}, {Kind: upgradepath.StepNodeGroup, Subject: "web"}}}
	arn := func(addon string) string {
		return "arn:aws:eks:us-east-1:123456789012:addon/demo/" + addon + "/5e5d149d"
	}
	for name, c := range map[string]struct {
		errors []readiness.InsightError
		want   bool
	}{
		"an add-on that is updated":     {[]readiness.InsightError{{Name: "EKS add-on version compatibility", Resources: []string{arn("coredns")}}}, true},
		"one that is not":               {[]readiness.InsightError{{Name: "EKS add-on version compatibility", Resources: []string{arn("coredns"), arn("vpc-cni")}}}, false},
		"kubelets that are replaced":    {[]readiness.InsightError{{Name: "Kubelet version skew"}}, true},
		"a kube-proxy that stays":       {[]readiness.InsightError{{Name: "kube-proxy version skew"}}, false},
		"an API that somebody asks for": {[]readiness.InsightError{{Name: "Deprecated APIs removed in Kubernetes v1.36"}}, false},
		"nothing that is named":         {nil, false},
	} {
		if got := foreseen(readiness.Report{InsightErrors: c.errors}, path); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
