package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const scalingRole = "arn:aws:iam::123456789012:role/scaling"

// rings plans a cluster that works, whose policy asks for a bell.
func rings(t *testing.T, bell fleet.Doorbell, change func(*fleet.ClusterSpec, *Options, *Observation)) plan.Plan {
	t.Helper()
	s := fleet.ClusterSpec{Name: "blue", Region: "us-east-1", AuthMode: "API", Logging: []string{"scheduler"}, Network: fleet.NetworkSpec{
		VPC: "vpc-1", PublicAccess: true, Private: []fleet.SubnetSpec{{Alias: "a", ID: "subnet-a"}, {Alias: "b", ID: "subnet-b"}}}}
	opt := Options{RunID: "run", Account: "123456789012", InterruptionRole: "arn:aws:iam::123456789012:role/interruption", ClusterRole: "arn:aws:iam::123456789012:role/cluster",
		Scaling: Scaling{ScalingPolicy: fleet.ScalingPolicy{Mode: fleet.ScalingAct, Doorbell: bell}, Role: scalingRole, Bell: "https://bell/ring/x", Function: "arn:bell"}}
	o := Observation{Depth: Full, Found: map[string][]fleet.Resource{}}
	if change != nil {
		change(&s, &opt, &o)
	}
	b := &builder{o: o, s: s, opt: opt, at: map[string]int{}}
	b.scaled()
	p := plan.Plan{Notes: b.notes}
	for _, r := range b.list {
		for _, c := range r.do {
			p.Add(r.area, c)
		}
		p.Notes = append(p.Notes, r.notes...)
	}
	return p
}

// apis are the calls of a plan with their resources.
func apis(p plan.Plan) (out []string) {
	for _, step := range p.Steps {
		for _, a := range step.Actions {
			c := a.(plan.Call)
			out = append(out, c.API+" "+c.ID)
		}
	}
	return out
}

func TestHowClustersRing(t *testing.T) {
	const role, binding, hook = "kubernetes:Apply kubernetes/clusterrole/ekspedite-scaling", "kubernetes:Apply kubernetes/clusterrolebinding/ekspedite-scaling",
		"kubernetes:Apply kubernetes/validatingwebhookconfiguration/ekspedite-doorbell"
	const subscribe, alarm = "logs:PutSubscriptionFilter subscription/cluster", "cloudwatch:PutMetricAlarm alarm/pending-pods"
	elsewhere := func(_ *fleet.ClusterSpec, opt *Options, _ *Observation) { opt.Scaling.Function = "" }
	for name, tc := range map[string]struct {
		bell   fleet.Doorbell
		change func(*fleet.ClusterSpec, *Options, *Observation)
		calls  []string
		note   string
	}{
		"a webhook":              {fleet.DoorbellWebhook, nil, []string{role, binding, hook}, ""},
		"a webhook, elsewhere":   {fleet.DoorbellWebhook, elsewhere, []string{role, binding, hook}, ""},
		"the log":                {fleet.DoorbellLogs, nil, []string{role, binding, subscribe}, ""},
		"the log, elsewhere":     {fleet.DoorbellLogs, elsewhere, []string{role, binding}, "functions of its own Region only"},
		"a metric":               {fleet.DoorbellMetrics, nil, []string{role, binding, alarm}, ""},
		"a metric, elsewhere":    {fleet.DoorbellMetrics, elsewhere, []string{role, binding}, "event bus of their own Region"},
		"nothing but the sweep":  {fleet.DoorbellNone, nil, []string{role, binding}, ""},
		"nobody plans its nodes": {fleet.DoorbellWebhook, func(_ *fleet.ClusterSpec, opt *Options, _ *Observation) { opt.Scaling.Mode = fleet.ScalingOff }, nil, ""},
		"no scheduler's log": {fleet.DoorbellLogs, func(s *fleet.ClusterSpec, _ *Options, _ *Observation) { s.Logging = []string{"audit"} },
			[]string{role, binding}, "add scheduler to cloudWatch.clusterLogging.enableTypes"},
		"a way out through the VPC": {fleet.DoorbellWebhook, func(s *fleet.ClusterSpec, _ *Options, _ *Observation) { s.Network.EgressMode = "CUSTOMER_ROUTED" },
			[]string{role, binding, hook}, "need a way to the internet"},
		"no way out": {fleet.DoorbellWebhook, func(s *fleet.ClusterSpec, _ *Options, _ *Observation) { s.Network.EgressMode = "CUSTOMER_ISOLATED" },
			[]string{role, binding, hook}, "it will not be heard"},
		"no way out, and a metric": {fleet.DoorbellMetrics, func(s *fleet.ClusterSpec, _ *Options, _ *Observation) { s.Network.EgressMode = "CUSTOMER_ISOLATED" },
			[]string{role, binding, alarm}, ""},
	} {
		p := rings(t, tc.bell, tc.change)
		if got := apis(p); !slices.Equal(got, tc.calls) {
			t.Errorf("%s: %v, want %v", name, got, tc.calls)
		}
		if said := strings.Join(p.Notes, "\n"); (tc.note == "") != (said == "") || !strings.Contains(said, tc.note) {
			t.Errorf("%s: notes %q, want %q", name, said, tc.note)
		}
	}
}

// What the policy asks for no longer goes; whether it is there is asked only of clusters that were scaled before.
func TestBellsAreTakenAway(t *testing.T) {
	there := func(o *Observation) {
		for _, id := range []string{"kubernetes/clusterrole/ekspedite-scaling", "kubernetes/validatingwebhookconfiguration/ekspedite-doorbell", "access/" + scalingRole, idRinging, idAlarm} {
			o.Found[id] = []fleet.Resource{{Ref: fleet.Ref{ID: id, Kind: fleet.KindOf(id)}}}
		}
	}
	off := func(_ *fleet.ClusterSpec, opt *Options, o *Observation) {
		there(o)
		opt.Scaling.Mode, opt.Scaling.Had = fleet.ScalingOff, true
	}
	want := []string{"kubernetes:Delete kubernetes/clusterrole/ekspedite-scaling", "eks:DeleteAccessEntry access/" + scalingRole,
		"kubernetes:Delete kubernetes/validatingwebhookconfiguration/ekspedite-doorbell", "logs:DeleteSubscriptionFilter " + idRinging, "cloudwatch:DeleteAlarms " + idAlarm}
	p := rings(t, fleet.DoorbellWebhook, off)
	if got := apis(p); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, step := range p.Steps { // what was said to the API server is a secret's neighbour
		if c := step.Actions[0].(plan.Call); c.Input["webhooks"] != nil {
			t.Errorf("a deletion says more than a name: %v", c.Input)
		}
	}
	never := rings(t, fleet.DoorbellWebhook, func(s *fleet.ClusterSpec, opt *Options, o *Observation) {
		off(s, opt, o)
		opt.Scaling.Had = false
	})
	if got := apis(never); got != nil {
		t.Errorf("%v", got)
	}
	blind := rings(t, fleet.DoorbellWebhook, func(s *fleet.ClusterSpec, opt *Options, o *Observation) {
		off(s, opt, o)
		o.Unreachable = "timeout"
	})
	if got := apis(blind); !slices.Equal(got, []string{want[1], want[3], want[4]}) || !strings.Contains(strings.Join(blind.Notes, "\n"), "could not be seen") {
		t.Errorf("%v, %v", got, blind.Notes)
	}
}

// Who plans without knowing the secret takes the one that is there.
func TestPlansWithoutTheSecret(t *testing.T) {
	made := rings(t, fleet.DoorbellWebhook, nil)
	object := made.Steps[len(made.Steps)-1].Actions[len(made.Steps[len(made.Steps)-1].Actions)-1].(plan.Call).Input
	p := rings(t, fleet.DoorbellWebhook, func(_ *fleet.ClusterSpec, opt *Options, o *Observation) {
		opt.Scaling.Bell = plan.Unknown("doorbell")
		o.Found["kubernetes/validatingwebhookconfiguration/ekspedite-doorbell"] = []fleet.Resource{{Props: object}}
	})
	if got := apis(p); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "webhook") }) {
		t.Errorf("%v", got)
	}
}
