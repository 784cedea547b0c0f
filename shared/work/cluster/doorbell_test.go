package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/work/cluster"
)

const (
	scaler  = "arn:aws:iam::123456789012:role/ekspedite-Scaling-Role"
	bellURL = "https://abc.lambda-url.us-east-1.on.aws/"
)

// want asks for the cluster of a file with another scaling policy, and works until it is there.
func (r *rig) want(t *testing.T, request, text string, policy fleet.ScalingPolicy) {
	t.Helper()
	id, l := fleet.ClusterID{Region: region, Name: "demo"}, &ledger.Ledger{Store: r.Store, Now: time.Now}
	d := ledger.Desired{ClusterID: id, Text: text, Policy: fleet.DefaultPolicy(), RequestID: request, RunID: ledger.RunID(request, id), RequestedAt: time.Now()}
	d.Policy.Scaling = policy
	if ok, err := l.Desire(t.Context(), d); !ok || err != nil {
		t.Fatal(ok, err)
	}
	r.Send(&events.ClusterContinuation{RunID: d.RunID, Cluster: id.Name, Region: id.Region, RequestID: request, StartedAt: time.Now()})
	r.run()
	done := r.Finished()
	if len(done) == 0 || done[len(done)-1].RunID != d.RunID || done[len(done)-1].Outcome != events.OutcomeActive {
		t.Fatalf("%s", last(r.Told(), 8))
	}
}

// seen is what there is of scaling in the cluster and around it.
func (r *rig) seen(t *testing.T) (out []string) {
	t.Helper()
	for k, o := range r.inside.All() {
		if name := fleet.Text(o, "metadata", "name"); strings.Contains(name, "scaling") || strings.Contains(name, "doorbell") {
			out = append(out, strings.Split(k, "|")[2])
		}
	}
	for _, ref := range []fleet.Ref{
		{ID: "access/" + scaler, Kind: "access", Name: scaler},
		{ID: "subscription/cluster", Kind: "subscription", Name: "/aws/eks/demo/cluster"},
		{ID: "alarm/pending-pods", Kind: "alarm", Name: "ekspedite-pending-pods-demo"},
	} {
		if _, err := r.work(&cloudtest.Session{Rig: r.Rig}).Open(region).Observe.AWS.Read(t.Context(), "demo", ref); err == nil {
			out = append(out, ref.Kind)
		}
	}
	slices.Sort(out)
	return out
}

// webhook is the bell in the cluster.
func (r *rig) webhook(t *testing.T) fleet.Props {
	t.Helper()
	return r.inside.All()["demo|admissionregistration.k8s.io/v1|ValidatingWebhookConfiguration||ekspedite-doorbell"]
}

var (
	byWebhook = []string{"ClusterRole", "ClusterRoleBinding", "ValidatingWebhookConfiguration", "access"}
	byLogs    = []string{"ClusterRole", "ClusterRoleBinding", "access", "subscription"}
	byAlarm   = []string{"ClusterRole", "ClusterRoleBinding", "access", "alarm"}
	byNothing = []string{"ClusterRole", "ClusterRoleBinding", "access"}
)

// TestDoorbell: what the policy asks for is there, and what it asks for no longer is gone.
func TestDoorbell(t *testing.T) {
	text := strings.Replace(example(t, "demo.yaml"), "accessConfig:", "cloudWatch: {clusterLogging: {enableTypes: [scheduler]}}\naccessConfig:", 1)
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.under(t, parameters)
		defer r.allowed(t)
		r.scaling = cluster.Scaling{Role: scaler, URL: bellURL, Function: r.Cloud.Lambda.ARN(r.doorbell(t))}
		for i, step := range []struct {
			mode fleet.ScalingMode
			bell fleet.Doorbell
			want []string
		}{
			{fleet.ScalingOff, fleet.DoorbellWebhook, nil},
			{fleet.ScalingAct, fleet.DoorbellWebhook, byWebhook},
			{fleet.ScalingAct, fleet.DoorbellLogs, byLogs},
			{fleet.ScalingPlan, fleet.DoorbellMetrics, byAlarm},
			{fleet.ScalingPlan, fleet.DoorbellNone, byNothing},
			{fleet.ScalingPlan, fleet.DoorbellWebhook, byWebhook},
			{fleet.ScalingOff, fleet.DoorbellWebhook, nil},
			{fleet.ScalingAct, fleet.DoorbellLogs, byLogs},
		} {
			time.Sleep(10 * time.Minute)
			policy := fleet.ScalingPolicy{Mode: step.mode, Doorbell: step.bell}
			r.want(t, fmt.Sprintf("request-%d", i), text, policy)
			if got := r.seen(t); !slices.Equal(got, step.want) {
				t.Fatalf("%s, %s: %v, want %v\n%s", step.mode, step.bell, got, step.want, last(r.Told(), 12))
			}
			r.Script.Writes = 0
			r.want(t, fmt.Sprintf("request-%d-again", i), text, policy)
			if r.Script.Writes != 0 {
				t.Errorf("%s, %s, again: %d writes\n%s", step.mode, step.bell, r.Script.Writes, last(r.Told(), 8))
			}
		}
		// What rings outside of the cluster goes with it.
		r.Send(&events.ClusterDeleteRequested{RequestID: "the end", Cluster: "demo"})
		r.run()
		if done := r.Finished(); done[len(done)-1].Outcome != events.OutcomeDeleted {
			t.Fatalf("%s", last(r.Told(), 8))
		}
		if got := r.seen(t); slices.Contains(got, "subscription") || slices.Contains(got, "alarm") {
			t.Errorf("left behind: %v", got)
		}
	})
}

// doorbell is the function of the template that clusters call.
func (r *rig) doorbell(t *testing.T) string {
	t.Helper()
	for _, s := range r.Cloud.Lambda.Stats() {
		if strings.HasPrefix(s.Function, "DoorbellFunction") {
			return s.Function
		}
	}
	t.Fatal("the template has no doorbell")
	return ""
}

// TestDoorbellPath: the cluster calls by a path that the ledger's keys open, that stands in no report, and that a sweep
// replaces when there are new keys.
func TestDoorbellPath(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.scaling = cluster.Scaling{Role: scaler, URL: bellURL}
		text, l := example(t, "demo.yaml"), &ledger.Ledger{Store: r.Store, Now: time.Now}
		r.want(t, "request-1", text, fleet.ScalingPolicy{Mode: fleet.ScalingAct, Doorbell: fleet.DoorbellWebhook})
		rung := func() string {
			hooks := fleet.Items(r.webhook(t), "webhooks")
			if len(hooks) != 1 || fleet.Text(hooks[0], "failurePolicy") != "Ignore" || fleet.Int(hooks[0], "timeoutSeconds") != 1 {
				t.Fatalf("%v", hooks)
			}
			path, ok := strings.CutPrefix(fleet.Text(hooks[0], "clientConfig", "url"), strings.TrimSuffix(bellURL, "/"))
			keys, err := l.DoorbellKeys(t.Context())
			if id, opens := keys.Cluster(path); !ok || err != nil || !opens || id.String() != "us-east-1/demo" {
				t.Fatalf("%q opens %v, %v", path, id, err)
			}
			return path
		}
		first := rung()
		time.Sleep(ledger.KeyAge)
		r.Send(&events.ClusterSweepRequested{})
		r.run()
		if second := rung(); second == first {
			t.Error("the path stays although its key is old")
		}
		token := first[strings.LastIndexByte(first, '/')+1:]
		if strings.Contains(r.Told(), token) {
			t.Error("the path was reported")
		}
		run, err := l.ClusterRun(t.Context(), fleet.ClusterID{Region: region, Name: "demo"})
		if err != nil || strings.Contains(fmt.Sprintf("%+v", run), token) {
			t.Errorf("the path is in the run: %v", err)
		}
	})
}

// TestDoorbellElsewhere: what works in the Region of the functions only is said where it does not.
func TestDoorbellNotes(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.scaling = cluster.Scaling{Role: scaler, URL: bellURL, Function: "arn:aws:lambda:us-east-1:123456789012:function:bell"}
		r.want(t, "request-1", example(t, "demo.yaml"), fleet.ScalingPolicy{Mode: fleet.ScalingAct, Doorbell: fleet.DoorbellLogs})
		if !strings.Contains(r.Told(), "add scheduler to cloudWatch.clusterLogging.enableTypes") {
			t.Errorf("no note in\n%s", last(r.Told(), 8))
		}
		if got := r.seen(t); !slices.Equal(got, byNothing) {
			t.Errorf("%v", got)
		}
	})
}

// TestDoorbellAtEveryCall: a policy is switched on, to another bell and off, with a misfortune at one call after the other. The
// end is always what the policy says.
func TestDoorbellAtEveryCall(t *testing.T) {
	text := strings.Replace(example(t, "demo.yaml"), "accessConfig:", "cloudWatch: {clusterLogging: {enableTypes: [scheduler]}}\naccessConfig:", 1)
	steps := []struct {
		policy fleet.ScalingPolicy
		want   []string
	}{
		{fleet.ScalingPolicy{Mode: fleet.ScalingAct, Doorbell: fleet.DoorbellWebhook}, byWebhook},
		{fleet.ScalingPolicy{Mode: fleet.ScalingAct, Doorbell: fleet.DoorbellLogs}, byLogs},
		{fleet.ScalingPolicy{Mode: fleet.ScalingOff}, nil},
	}
	for what, e := range misfortunes {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for nth := int(e); nth < 60; nth += 7 {
				inBubble(t, quick, func(t *testing.T, r *rig) {
					r.under(t, parameters)
					r.scaling = cluster.Scaling{Role: scaler, URL: bellURL, Function: r.Cloud.Lambda.ARN(r.doorbell(t))}
					r.make(text, nil, nil)
					for i, s := range steps {
						time.Sleep(10 * time.Minute)
						first, hit := 0, ""
						r.Script.At = func(n int, op string) cloudtest.Misfortune {
							if first == 0 {
								first = n
							}
							if n-first != nth {
								return cloudtest.Nothing
							}
							hit = op
							return e
						}
						r.want(t, fmt.Sprintf("policy-%d", i), text, s.policy)
						r.Script.At = nil
						if got := r.seen(t); !slices.Equal(got, s.want) {
							t.Errorf("policy %d, %s at call %d (%s): %v, want %v\n%s", i, what, nth, hit, got, s.want, last(r.Told(), 8))
						}
					}
				})
			}
		})
	}
}
