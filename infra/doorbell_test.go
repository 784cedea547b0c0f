package main

import (
	"testing"

	"github.com/ekspedite/ekspedite/infra/stacks"
)

// The doorbell is the one thing that anybody may call. Nothing else is open, and it is open to nothing more than that.
func TestOnlyTheDoorbellIsPublic(t *testing.T) {
	tpl := everything(t)
	urls := tpl.of(t, "AWS::Lambda::Url")
	if len(urls) != 1 || target(urls[0].Properties["TargetFunctionArn"]) != "DoorbellFunction" || urls[0].Properties["AuthType"] != "NONE" {
		t.Fatalf("%+v", urls)
	}
	public := 0
	for _, p := range tpl.of(t, "AWS::Lambda::Permission") {
		if rule := tpl.Resources[target(p.Properties["SourceArn"])]; rule != nil && rule.Type == "AWS::Events::Rule" && p.Properties["Principal"] == "events.amazonaws.com" {
			continue // one of this template's own rules
		}
		if target(p.Properties["FunctionName"]) != "DoorbellFunction" {
			t.Errorf("%s lets somebody call %s", p.ID, target(p.Properties["FunctionName"]))
		}
		switch {
		case p.Properties["Principal"] != "*": // CloudWatch Logs
			if p.Properties["Principal"] != "logs.amazonaws.com" || p.Properties["SourceAccount"] == nil ||
				text(p.Properties["SourceArn"]) != "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/eks/*/cluster:*" {
				t.Errorf("%s: %v", p.ID, p.Properties)
			}
		case p.Properties["FunctionUrlAuthType"] == "NONE" && p.Properties["Action"] == "lambda:InvokeFunctionUrl",
			p.Properties["InvokedViaFunctionUrl"] == true && p.Properties["Action"] == "lambda:InvokeFunction":
			public++
		default:
			t.Errorf("%s lets anybody in, by other ways than the URL: %v", p.ID, p.Properties)
		}
	}
	if public != 2 {
		t.Errorf("%d of the two permissions that Lambda wants of a public URL", public)
	}
}

// Whoever breaks into the doorbell can ring, and use its two documents' table. Nothing else.
func TestTheDoorbellMayDoLittle(t *testing.T) {
	allowed := granted(t, "Doorbell")
	for _, action := range []string{"dynamodb:GetItem", "dynamodb:PutItem", "sqs:SendMessage", "logs:CreateLogStream", "logs:PutLogEvents",
		"xray:PutTraceSegments", "xray:PutTelemetryRecords"} {
		if !allowed[action] {
			t.Errorf("%s is not granted", action)
		}
		delete(allowed, action)
	}
	if len(allowed) > 0 {
		t.Errorf("more than it needs: %v", allowed)
	}
	if stack(t, stacks.AutomationName).Outputs["DoorbellUrl"] == nil {
		t.Error("nobody is told the URL")
	}
}
