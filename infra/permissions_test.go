package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// unconditioned are the grants that write to resources with a wildcard and no condition, each with the reason why the
// wildcard alone is narrow enough.
var unconditioned = map[string]string{
	"MakeClusterRoles": "The name's prefix is ekspedite's, a new role can do nothing, and what can be attached to it is conditioned.",
	"MakeClusters":     "Clusters are what ekspedite is for, and their names are the users'. It may create, and not delete.",
	"MakeNodeGroups":   "As for clusters.",
	"GiveAccess":       "As for clusters. An entry's Kubernetes groups mean what the cluster's own RBAC says.",
	"TagOnCreation":    "As for clusters: EKS wants this for tags on creation.",
}

var (
	reads = regexp.MustCompile(`^[a-z0-9-]+:(Describe|List|Get)[A-Za-z]+$`)
	exact = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z]+$`)
)

// statements are a policy's.
func statements(policy *resource) []any {
	return list(at(policy.Properties, "PolicyDocument", "Statement"))
}

func TestGrantsAreNarrow(t *testing.T) {
	found := map[string]bool{}
	for _, policy := range everything(t).of(t, "AWS::IAM::Policy") {
		sids := map[string]bool{}
		for _, s := range statements(policy) {
			sid := text(at(s, "Sid"))
			if at(s, "Sid") == nil || sids[sid] || !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(sid) {
				t.Errorf("%s: %q is no name for a statement, or taken", policy.ID, sid)
			}
			sids[sid] = true
			if at(s, "Effect") == "Deny" {
				continue
			}
			if at(s, "NotAction") != nil || at(s, "NotResource") != nil {
				t.Errorf("%s %s: grants everything but something", policy.ID, sid)
			}
			onlyReads := true
			for _, action := range list(at(s, "Action")) {
				if !exact.MatchString(text(action)) {
					t.Errorf("%s %s: %v is a wildcard", policy.ID, sid, action)
				}
				onlyReads = onlyReads && reads.MatchString(text(action))
			}
			for _, arn := range list(at(s, "Resource")) {
				switch arn := text(arn); {
				case !strings.Contains(arn, "*") || onlyReads:
				case arn == "*" && sid == "Trace":
				case arn == "*":
					t.Errorf("%s %s: writes to everything", policy.ID, sid)
				case at(s, "Condition") == nil && unconditioned[sid] == "":
					t.Errorf("%s %s: writes to %s without a condition, and gives no reason", policy.ID, sid, arn)
				case at(s, "Condition") == nil:
					found[sid] = true
				}
			}
		}
	}
	for sid := range unconditioned {
		if !found[sid] {
			t.Errorf("%s is not there, or needs no reason any more", sid)
		}
	}
}

// The CDK's constructs like to add statements and managed policies of their own.
func TestNothingElseGrants(t *testing.T) {
	tpl := everything(t)
	policies := map[string]int{}
	for _, policy := range tpl.of(t, "AWS::IAM::Policy") {
		for _, role := range list(policy.Properties["Roles"]) {
			policies[target(role)]++
		}
		// IAM's limit for all inline policies of a role, less what an ARN may be longer than its reference here.
		var size int
		for _, s := range statements(policy) {
			size += statementSize(t, s)
		}
		if size > 10240*9/10 {
			t.Errorf("%s has about %d characters; IAM takes 10240", policy.ID, size)
		}
		t.Logf("%s: about %d of 10240 characters", policy.ID, size)
	}
	for _, role := range tpl.of(t, "AWS::IAM::Role") {
		if role.Properties["ManagedPolicyArns"] != nil || role.Properties["Policies"] != nil || policies[role.ID] != 1 {
			t.Errorf("%s: wants one policy and nothing else", role.ID)
		}
	}
}

// statementSize is about how many characters a statement has once its references are filled in.
func statementSize(t *testing.T, statement any) int {
	t.Helper()
	var flat func(value any) any
	flat = func(value any) any {
		object, ok := value.(map[string]any)
		if !ok {
			if values, ok := value.([]any); ok {
				for i := range values {
					values[i] = flat(values[i])
				}
			}
			return value
		}
		if len(object) == 1 {
			for key := range object {
				if key == "Fn::GetAtt" || key == "Fn::ImportValue" {
					return strings.Repeat("x", 100)
				}
				if key == "Fn::Sub" || key == "Ref" {
					return strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::Region}", "ap-southeast-1",
						"${AWS::AccountId}", "123456789012").Replace(text(value))
				}
			}
		}
		for key := range object {
			object[key] = flat(object[key])
		}
		return object
	}
	raw, err := json.Marshal(flat(statement))
	if err != nil {
		t.Fatal(err)
	}
	return len(raw)
}

// CloudFormation names the stack's roles ekspedite-automation-…, which the grants for clusters' roles match.
func TestClusterFunctionCannotChangeOwnRoles(t *testing.T) {
	tpl := everything(t)
	denied := map[string]bool{}
	for _, s := range statements(tpl.Resources["ClusterFunctionPolicy"]) {
		if at(s, "Effect") == "Deny" && at(s, "Sid") == "KeepOffOwnRoles" {
			for _, arn := range list(at(s, "Resource")) {
				denied[target(arn)] = true
			}
		}
	}
	for _, role := range tpl.of(t, "AWS::IAM::Role") {
		if !denied[role.ID] {
			t.Errorf("the cluster function may attach policies to %s: add it to KeepOffOwnRoles", role.ID)
		}
	}
}
