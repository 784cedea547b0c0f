package cloudtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/shared/awscloud"
)

// idle are the resources of the template that would begin to do something.
var idle = []string{"AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig", "AWS::Scheduler::Schedule", "AWS::Events::Rule", "AWS::SQS::QueuePolicy"}

// Role loads the committed template, whose folder is given, with the rig's Parameters into the cloud, and gives the ARN of the role
// with that logical id.
func (r *Rig) Role(folder, logical string) string {
	r.T.Helper()
	var templates []stack.Template
	for _, name := range []string{"ekspedite-data", "ekspedite-automation"} {
		raw, err := os.ReadFile(folder + "/" + name + ".template.json")
		if err != nil {
			r.T.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(raw, &doc); err != nil {
			r.T.Fatal(err)
		}
		resources, _ := doc["Resources"].(map[string]any)
		maps.DeleteFunc(resources, func(_ string, v any) bool {
			is, _ := v.(map[string]any)
			properties, _ := is["Properties"].(map[string]any)
			ofRule := properties["Principal"] == "events.amazonaws.com" // a permission of a rule that is left out, too
			return slices.Contains(idle, fmt.Sprint(is["Type"])) || ofRule
		})
		body, err := json.Marshal(doc)
		if err != nil {
			r.T.Fatal(err)
		}
		templates = append(templates, stack.Template{Name: name, Body: body})
	}
	providers := stack.Providers{}
	for _, p := range []stack.Providers{
		r.Cloud.IAM.Providers(), r.Cloud.SQS.Providers(), r.Cloud.Logs.Providers(), r.Cloud.Lambda.Providers(), r.Cloud.EventBridge.Providers(),
		r.Cloud.DynamoDB.Providers(), r.Cloud.S3.Providers(),
	} {
		maps.Copy(providers, p)
	}
	loaded, err := stack.Load(templates, r.Parameters, providers, stack.Pseudo{Account: Account, Region: Region})
	if err != nil {
		r.T.Fatal(err)
	}
	role, ok := loaded.Find(logical)
	if !ok {
		r.T.Fatalf("the template has no %s", logical)
	}
	return role.Attributes["Arn"]
}

// As is Config with the credentials that Lambda gets for a role.
func (r *Rig) As(role string, transport http.RoundTripper) awscloud.Config {
	cfg := r.Config(transport)
	id, secret, token, err := r.Cloud.IAM.SessionFor(role, r.Function)
	if err != nil {
		r.T.Fatal(err)
	}
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Source: "role"}, nil
	})
	return cfg
}

// Denied is what was denied to a role, a line each.
func (r *Rig) Denied(role string) (out []string) {
	for _, d := range r.Cloud.IAM.Denied() {
		if d.RoleARN == role {
			out = append(out, fmt.Sprintf("%d× %s on %s: %s", d.Calls, d.Action, d.Resource, d.Reason))
		}
	}
	return out
}

// Granted is what a role may do, with how often it has.
func (r *Rig) Granted(role string) (out []iam.Grant) {
	for _, g := range r.Cloud.IAM.Report() {
		if g.RoleARN == role {
			out = append(out, g)
		}
	}
	return out
}
