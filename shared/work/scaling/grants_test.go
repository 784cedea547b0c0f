package scaling

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// under gives the function the role and the policies that it has in the template.
func (r *rig) under(t *testing.T) {
	t.Helper()
	// The stacks without what would begin to do something.
	idle := []string{"AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig", "AWS::Scheduler::Schedule", "AWS::Events::Rule", "AWS::Lambda::Permission", "AWS::SQS::QueuePolicy"}
	var templates []stack.Template
	for _, name := range []string{"ekspedite-data", "ekspedite-automation"} {
		raw, err := os.ReadFile("../../../infra/template/" + name + ".template.json")
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(doc["Resources"].(map[string]any), func(_ string, v any) bool {
			return slices.Contains(idle, v.(map[string]any)["Type"].(string))
		})
		body, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		templates = append(templates, stack.Template{Name: name, Body: body})
	}
	providers := stack.Providers{}
	for _, p := range []stack.Providers{
		r.cloud.IAM.Providers(), r.cloud.SQS.Providers(), r.cloud.Logs.Providers(), r.cloud.Lambda.Providers(), r.cloud.EventBridge.Providers(),
		r.cloud.DynamoDB.Providers(), r.cloud.S3.Providers(),
	} {
		maps.Copy(providers, p)
	}
	loaded, err := stack.Load(templates, nil, providers, stack.Pseudo{Account: account, Region: region})
	if err != nil {
		t.Fatal(err)
	}
	role, ok := loaded.Find("ScalingFunctionRole")
	if !ok {
		t.Fatal("the template has no role for the function")
	}
	r.role = role.Attributes["Arn"]
}

// credentials are the role's, as Lambda gets them for an execution environment.
func (r *rig) credentials() aws.CredentialsProvider {
	id, secret, token, err := r.cloud.IAM.SessionFor(r.role, "scaling")
	if err != nil {
		r.t.Fatal(err)
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Source: "role"}, nil
	})
}

// TestGrants: what the template allows the function is what it takes to grow and shrink groups, to make and retire those of a
// pool, to send groups to sleep, and to launch machines without a group.
func TestGrants(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.under(t)
		grow := func(what string, n int) {
			t.Helper()
			r.kube.add(n, 900)
			r.ring()
			r.runFor(3 * time.Minute)
			if n := r.kube.waiting(); n > 0 {
				t.Errorf("%s: %d pods wait\n%s", what, n, told(r))
			}
			r.kube.remove()
			r.runFor(30 * time.Minute)
		}
		grow("a group", 4)
		pool := fleet.DefaultPool()
		pool.Name, pool.Like, pool.Types, pool.RetireAfter = "more", "base", []string{"m6i.large"}, 5*time.Minute
		r.policy(func(p *fleet.ScalingPolicy) {
			p.Pools, p.Groups = []fleet.PoolPolicy{pool}, []fleet.GroupPolicy{{Name: "base", Ignore: true}}
		})
		grow("a pool of groups", 4)
		r.runFor(20 * time.Minute)
		for _, g := range r.all() {
			if g.Pool != "" {
				t.Errorf("group %s is still there: %d nodes", g.Name, g.Desired)
			}
		}
		pool.Mode, pool.Like = fleet.PoolFleet, "own"
		r.policy(func(p *fleet.ScalingPolicy) {
			p.Pools, p.Groups = []fleet.PoolPolicy{pool}, []fleet.GroupPolicy{{Name: "base", Ignore: true}, {Name: "own", Ignore: true}}
		})
		grow("a pool without groups", 4)
		r.policy(func(p *fleet.ScalingPolicy) {
			p.Pools, p.Groups = nil, []fleet.GroupPolicy{{Name: "base", Ignore: true}}
		})
		grow("a group of ours", 4)
		bounds(t, r)
		for _, d := range r.cloud.IAM.Denied() {
			if d.RoleARN == r.role {
				t.Errorf("%d× %s on %s: %s", d.Calls, d.Action, d.Resource, d.Reason)
			}
		}
		if t.Failed() {
			t.Log(fmt.Sprint(r.all()), "\n", told(r))
		}
	})
}

// bounds sets least and greatest sizes, as windows do.
func bounds(t *testing.T, r *rig) {
	reach := r.work(&session{rig: r}).Open(region)
	least, most := 1, 12
	for _, g := range r.all() {
		a := plan.ResizeGroup{Group: g.Name, AutoScalingGroup: g.AutoScalingGroup, From: g.Desired, To: 1, Min: &least, Max: &most, EKS: g.Kind == scaling.Managed}
		if err := (apply.Scaler{Cluster: demo.Name, Sizes: reach.Sizes}).Do(t.Context(), a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	time.Sleep(time.Minute) // EKS takes its time
	for _, g := range r.all() {
		if g.Min != 1 || g.Max != 12 || g.Desired != 1 {
			t.Errorf("group %s: %d to %d, %d wanted", g.Name, g.Min, g.Max, g.Desired)
		}
	}
}
