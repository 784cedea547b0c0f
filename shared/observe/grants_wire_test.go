package observe_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// TestReadinessGrants: what the template allows the upgrade function is what it takes to read all parts.
func TestReadinessGrants(t *testing.T) {
	inBubble(t, twoGroups, func(t *testing.T, r *rig) {
		role := r.upgradeRole()
		id, secret, token, err := r.cloud.IAM.SessionFor(role, "upgrade")
		if err != nil {
			t.Fatal(err)
		}
		cfg := r.config()
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Source: "role"}, nil
		})
		policy := fleet.DefaultUpgradePolicy()
		policy.Health.Alarms = []string{"some"}
		open := func(context.Context, string) (observe.ClusterAPI, error) { return r, nil }
		o, err := observe.NewReadiness(awscloud.NewReadiness(cfg), open, nil, region, time.Now).Cluster(t.Context(), demo, 0, policy)
		if err != nil {
			t.Fatal(err)
		}
		delete(o.Unread, readiness.PartHelm)
		for part, why := range o.Unread {
			t.Errorf("%s: %s", part, why)
		}
		for _, d := range r.cloud.IAM.Denied() {
			if d.RoleARN == role {
				t.Errorf("denied: %s on %s: %s", d.Action, d.Resource, d.Reason)
			}
		}
	})
}

// upgradeRole loads the committed template, without what would begin to do something, and gives the function's role.
func (r *rig) upgradeRole() string {
	idle := []string{"AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission", "AWS::Scheduler::Schedule", "AWS::Events::Rule", "AWS::SQS::QueuePolicy"}
	var templates []stack.Template
	for _, name := range []string{"ekspedite-data", "ekspedite-automation"} {
		raw, err := os.ReadFile("../../infra/template/" + name + ".template.json")
		if err != nil {
			r.t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(raw, &doc); err != nil {
			r.t.Fatal(err)
		}
		maps.DeleteFunc(doc["Resources"].(map[string]any), func(_ string, v any) bool {
			return slices.Contains(idle, v.(map[string]any)["Type"].(string))
		})
		body, err := json.Marshal(doc)
		if err != nil {
			r.t.Fatal(err)
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
		r.t.Fatal(err)
	}
	role, ok := loaded.Find("UpgradeFunctionRole")
	if !ok {
		r.t.Fatal("the template has no role for the function")
	}
	return role.Attributes["Arn"]
}
