package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// calls are the APIs that were called with an effect since n reports, without repeats.
func (r *rig) calls(since int) (out []string) {
	for _, e := range r.Bus()[since:] {
		if p, ok := e.Payload.(*events.RunProgressed); ok && strings.Contains(p.Step, ":") {
			out = append(out, p.Step)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestConverge: a changed file changes what can be changed, refuses what cannot with the reason, and is then as the file says.
func TestConverge(t *testing.T) {
	old := example(t, "demo.yaml")
	for name, tc := range map[string]struct {
		from, to string
		calls    []string
		note     string
	}{
		"endpoint":    {"privateAccess: true", "privateAccess: false", []string{"eks:UpdateClusterConfig"}, ""},
		"who may ask": {"  clusterEndpoints:", "  publicAccessCIDRs: [52.94.76.0/22]\n  clusterEndpoints:", []string{"eks:UpdateClusterConfig"}, ""},
		"logging":     {"accessConfig:", "cloudWatch: {clusterLogging: {enableTypes: [audit], logRetentionInDays: 30}}\naccessConfig:", []string{"eks:UpdateClusterConfig", "logs:CreateLogGroup", "logs:PutRetentionPolicy"}, ""},
		"two at once": {"accessConfig:", "cloudWatch: {clusterLogging: {enableTypes: [audit]}}\nupgradePolicy: {supportType: STANDARD}\naccessConfig:", []string{"eks:UpdateClusterConfig"}, ""},
		"largest":     {"maxSize: 6", "maxSize: 9", []string{"eks:UpdateNodegroupConfig"}, ""},
		"labels":      {"capacity: spot ", "capacity: cheap ", []string{"eks:UpdateNodegroupConfig"}, ""},
		"a friend":    {"authenticationMode: API ", "accessEntries: [{principalARN: \"arn:aws:iam::123456789012:role/friend\", kubernetesGroups: [viewers]}]\n  authenticationMode: API ", []string{"eks:CreateAccessEntry"}, ""},
		"spot":        {"    spot: true\n", "", nil, "node group spot differs from the file in"},
		"version":     {"version: \"1.36\"", "version: \"1.35\"", nil, "versions are changed by an upgrade"},
		"auth mode":   {"authenticationMode: API ", "authenticationMode: API_AND_CONFIG_MAP ", nil, "EKS does not go back from API"},
		"fewer":       {"  - name: on-demand", "  - name: other", []string{"ec2:CreateLaunchTemplate", "eks:CreateNodegroup"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(old, tc.from, tc.to, 1)
			if changed == old {
				t.Fatalf("the example has no %q", tc.from)
			}
			inBubble(t, quick, func(t *testing.T, r *rig) {
				r.under(t, parameters)
				defer r.allowed(t)
				r.make(old, nil, nil)
				since, changed := len(r.Bus()), r.given(changed)
				r.ask("request-2", changed)
				r.run()
				done := r.Finished()
				if len(done) != 2 || done[1].Outcome != events.OutcomeActive {
					t.Fatalf("%s", last(r.Told(), 8))
				}
				if got := r.calls(since); !slices.Equal(got, tc.calls) {
					t.Errorf("calls %v, want %v", got, tc.calls)
				}
				if said := fmt.Sprint(r.Bus()[since:]); tc.note != "" && !strings.Contains(r.Told(), tc.note) {
					t.Errorf("no note %q in %s", tc.note, said)
				}
				r.Script.Writes = 0
				r.ask("request-3", changed)
				r.run()
				if done = r.Finished(); len(done) != 3 || done[2].Outcome != events.OutcomeActive || r.Script.Writes != 0 {
					t.Errorf("again: %d writes\n%s", r.Script.Writes, last(r.Told(), 8))
				}
			})
		})
	}
}

// TestDrift: a sweep puts right what somebody has changed by hand.
func TestDrift(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := example(t, "demo.yaml")
		r.make(text, nil, nil)
		want := r.shape(text)
		r.inside.Clear()
		r.Send(&events.ClusterSweepRequested{})
		r.run()
		if got := r.shape(text); !slices.Equal(got, want) {
			t.Errorf("%s", diff(got, want))
		}
		// And a sweep over what is right writes nothing and tells nobody.
		told, writes := len(r.Bus()), r.Script.Writes
		r.Send(&events.ClusterSweepRequested{})
		r.run()
		if len(r.Bus()) != told || r.Script.Writes != writes {
			t.Errorf("a quiet sweep: %d writes\n%s", r.Script.Writes-writes, last(r.Told(), 5))
		}
	})
}

// TestHiddenDrift: what a light look does not see, a sweep puts right within a day.
func TestHiddenDrift(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := example(t, "demo.yaml")
		r.make(text, nil, nil)
		want := r.shape(text)
		roles, name := iam.NewFromConfig(r.ConfigIn(region, r.Cloud)), "ekspedite-us-east-1-demo-node"
		const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
		if _, err := roles.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: &name, PolicyDocument: aws.String(trust)}); err != nil {
			t.Fatal(err)
		}
		reads := func() int {
			before := r.Script.Reads
			r.Send(&events.ClusterSweepRequested{})
			r.run()
			return r.Script.Reads - before
		}
		if n := reads(); n > 12 || slices.Equal(r.shape(text), want) {
			t.Errorf("a sweep on the same day: %d reads", n)
		}
		time.Sleep(24 * time.Hour)
		reads()
		if got := r.shape(text); !slices.Equal(got, want) {
			t.Errorf("%s", diff(got, want))
		}
		time.Sleep(25 * time.Hour)
		if full, light := reads(), reads(); full < 20 || light > 12 {
			t.Errorf("the sweeps of the next day: %d and %d reads", full, light)
		}
	})
}

// TestMany: clusters of one file in several Regions at once. One that cannot be made delays no other.
func TestMany(t *testing.T) {
	const text = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: NAME, region: REGION}
vpc: {nat: {gateway: Disable}}
managedNodeGroups:
  - {name: workers, instanceType: m5.large, minSize: 1, maxSize: 2}
`
	var docs []string
	for i, region := range []string{"us-east-1", "eu-west-1", "us-west-2", "eu-central-1", "ap-southeast-2"} {
		for _, name := range []string{"one", "two"} {
			doc := strings.NewReplacer("NAME", name, "REGION", region).Replace(text)
			if i == 1 && name == "two" {
				doc = strings.Replace(doc, "m5.large", "m5.huge", 1) // there is no such type
			}
			docs = append(docs, doc)
		}
	}
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		start := time.Now()
		r.ask("request-1", strings.Join(docs, "---\n"))
		r.run()
		done := r.Finished()
		if len(done) != len(docs) {
			t.Fatalf("%d of %d clusters ended\n%s", len(done), len(docs), last(r.Told(), 20))
		}
		for _, d := range done {
			bad := d.Subject.Region == "eu-west-1" && d.Subject.Cluster == "two"
			if took := d.FinishedAt.Sub(start); (d.Outcome == events.OutcomeActive) == bad || !bad && took > 20*time.Minute {
				t.Errorf("%s in %s: %s after %s: %s", d.Subject.Cluster, d.Subject.Region, d.Outcome, took, d.Reason)
			}
		}
	})
}
