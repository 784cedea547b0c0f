package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	cloudformation "github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/stacks"
	"github.com/ekspedite/ekspedite/shared/awscloud"
)

// start starts the embedded cloud with the templates as the code now makes them, and nobody to take messages from queues.
func start(t *testing.T, parameters map[string]string) *local.Cloud {
	t.Helper()
	all, err := synthesized()
	if err != nil {
		t.Fatal(err)
	}
	o := local.Options{Faults: &faults.None, Parameters: parameters, Log: slog.New(slog.DiscardHandler)}
	for _, name := range stacks.Names {
		var doc map[string]any
		if err := json.Unmarshal(all[name], &doc); err != nil {
			t.Fatal(err)
		}
		resources := doc["Resources"].(map[string]any)
		for id, r := range resources {
			if at(r, "Type") == "AWS::Lambda::EventSourceMapping" {
				delete(resources, id)
			}
		}
		body, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		o.Templates = append(o.Templates, cloudformation.Template{Name: name, Body: body})
	}
	cloud, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	return cloud
}

// A file that is put into the bucket for specs arrives on the cluster function's queue, if its name says that it is one.
func TestSpecFilesReachTheClusterFunction(t *testing.T) {
	cloud := start(t, nil)
	cfg := awscloud.Static(cloud.Endpoint(), "us-east-1", cloud.AccessKey(), cloud.SecretKey())
	bucket := cloud.Stack.Outputs[stacks.DataName+".SpecsBucket"]
	queue := cloud.Stack.Outputs[stacks.AutomationName+".ClusterQueueUrl"]
	files := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	keys := []string{"notes.txt", "clusters/blue.yaml", "clusters/blue.yaml.orig", "green.yml", "red.json"}
	for _, key := range keys {
		if _, err := files.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("kind: " + key)}); err != nil {
			t.Fatal(err)
		}
	}
	var readers []*awscloud.Objects // with the grants of those who read specs
	for _, role := range []string{"ClusterFunctionRole", "PipelineFunctionRole"} {
		r, ok := cloud.Stack.Find(role)
		if !ok {
			t.Fatal(role)
		}
		id, secret, token, err := cloud.IAM.SessionFor(r.Attributes["Arn"], "test")
		if err != nil {
			t.Fatal(err)
		}
		own := cfg.Copy()
		own.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
		})
		readers = append(readers, awscloud.NewObjects(own))
	}
	messages := sqs.NewFromConfig(cfg)
	got := map[string]bool{}
	for len(got) < 3 {
		out, err := messages.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queue, WaitTimeSeconds: 10, MaxNumberOfMessages: 10})
		if err != nil || len(out.Messages) == 0 {
			t.Fatalf("%v so far; %v", got, err)
		}
		for _, m := range out.Messages {
			e, err := events.Decode([]byte(aws.ToString(m.Body)))
			if err != nil {
				t.Fatal(err)
			}
			p, ok := e.Payload.(*events.SpecFileCreated)
			if !ok {
				continue // the schedule's
			}
			for i, objects := range readers {
				text, err := objects.Read(t.Context(), p.Bucket.Name, p.Object.Key, p.Object.VersionID)
				if err != nil || string(text) != "kind: "+p.Object.Key || p.Object.VersionID == "" || p.Bucket.Name != bucket {
					t.Errorf("%d: %+v: %q, %v", i, p, text, err)
				}
				if _, err := objects.Read(t.Context(), p.Bucket.Name, p.Object.Key, ""); err != nil {
					t.Errorf("%d: the latest version: %v", i, err)
				}
			}
			got[p.Object.Key] = true
		}
	}
	if !got["clusters/blue.yaml"] || !got["green.yml"] || !got["red.json"] {
		t.Errorf("got %v", got)
	}
}

// The template loads with everything given that can be given.
func TestTemplateWithAllParameters(t *testing.T) {
	cloud := start(t, map[string]string{
		"Regions": "eu-central-1,us-west-2", "AttachablePolicies": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
		"GivenRoles": "arn:aws:iam::123456789012:role/nodes", "RoleBoundary": "arn:aws:iam::123456789012:policy/boundary",
		"SweepRate": "rate(1 hour)", "SubnetIds": "subnet-0a1b2c3d,subnet-0a1b2c3e", "SecurityGroupIds": "sg-0a1b2c3d",
	})
	for id, want := range map[string]bool{
		"ClusterRolesBounded": true, "ClusterRolesUnbounded": false, "ClusterPoliciesOfUsers": true, "ClusterRolesOfUsers": true,
	} {
		if _, ok := cloud.Stack.Find(id); ok != want {
			t.Errorf("%s: %v", id, ok)
		}
	}
	attached := 0
	for _, g := range cloud.IAM.Report() {
		if g.Sid == "AttachToNetwork" && g.Action == "ec2:CreateNetworkInterface" {
			attached++
		}
	}
	if attached != 4 {
		t.Errorf("%d functions may be attached to the network", attached)
	}
}
