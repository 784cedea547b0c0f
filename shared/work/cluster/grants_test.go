package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// under gives the function the role and the policies that it has in the template, and a session of its own for each
// invocation.
func (r *rig) under(t *testing.T, parameters map[string]string) {
	t.Helper()
	// The stacks without what would begin to do something.
	idle := []string{"AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig", "AWS::Scheduler::Schedule", "AWS::Events::Rule", "AWS::SQS::QueuePolicy"}
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
		resources := doc["Resources"].(map[string]any)
		maps.DeleteFunc(resources, func(_ string, v any) bool {
			resource := v.(map[string]any)
			properties, _ := resource["Properties"].(map[string]any)
			ofRule := properties["Principal"] == "events.amazonaws.com" // a permission of a rule that is left out, too
			return slices.Contains(idle, resource["Type"].(string)) || ofRule
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
	loaded, err := stack.Load(templates, parameters, providers, stack.Pseudo{Account: account, Region: region})
	if err != nil {
		t.Fatal(err)
	}
	role, ok := loaded.Find("ClusterFunctionRole")
	if !ok {
		t.Fatal("the template has no role for the function")
	}
	r.role = role.Attributes["Arn"]
}

// session is the role's, as Lambda gets one for a new execution environment.
func (r *rig) session() aws.CredentialsProvider {
	id, secret, token, err := r.cloud.IAM.SessionFor(r.role, "cluster")
	if err != nil {
		r.t.Fatal(err)
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Source: "role"}, nil
	})
}

// denials are what the function asked for and may not.
func (r *rig) denials() (out []string) {
	for _, d := range r.cloud.IAM.Denied() {
		if d.RoleARN == r.role {
			out = append(out, fmt.Sprintf("%d× %s on %s: %s", d.Calls, d.Action, d.Resource, d.Reason))
		}
	}
	return out
}

// parameters are the template's parameters for whoever has Regions, roles and policies of their own.
var parameters = map[string]string{
	"AttachablePolicies": "arn:aws:iam::*:policy/*",
	"GivenRoles":         "arn:aws:iam::" + account + ":role/*",
}

// TestGrants makes and deletes the clusters of all examples with the permissions that the template gives, and with no others.
func TestGrants(t *testing.T) {
	files, err := filepath.Glob("../../../examples/clusters/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	for _, f := range append(files, "../../../examples/demo.yaml") {
		name := filepath.Base(f)
		t.Run(name, func(t *testing.T) {
			if why := notHere[name]; why != "" {
				t.Skip(why)
			}
			inBubble(t, quick, func(t *testing.T, r *rig) {
				text := r.given(example(t, f[len("../../../examples/"):]))
				p := maps.Clone(parameters)
				if id := r.names(text)[0]; id.Region != region {
					p["Regions"] = id.Region
				}
				r.under(t, p)
				defer r.allowed(t)
				r.make(text, nil, nil)
				done := r.finished()
				if len(done) != 1 || done[0].Outcome != events.OutcomeActive {
					t.Errorf("%s", last(r.told(), 6))
				}
				r.end(text, "request-2", true)
				if done := r.ended(); done.Outcome != events.OutcomeDeleted {
					t.Errorf("%s", last(r.told(), 6))
				}
			})
		})
	}
}
