package main

import (
	"slices"
	"strings"
	"testing"
)

// TestRegionsAreBounded: whoever may act in any Region is denied all but the stack's own and those of the parameter, and what
// the stack itself has, which is where it is, is none of what is denied.
func TestRegionsAreBounded(t *testing.T) {
	roaming, bounded := map[string]bool{}, map[string]bool{}
	for _, policy := range policiesOf(t, everything(t)) {
		roles := list(policy.Properties["Roles"])
		if either, ok := at(policy.Properties["Roles"], "Fn::If").([]any); ok {
			roles = list(either[1])
		}
		for _, s := range statements(policy) {
			for _, role := range roles {
				switch {
				case at(s, "Sid") == "KeepToRegions":
					bounded[target(role)] = at(s, "Effect") == "Deny" && boundTo(t, s)
				case at(s, "Effect") == "Allow" && roams(s):
					roaming[target(role)] = true
				}
			}
		}
	}
	for role := range roaming {
		if !bounded[role] {
			t.Errorf("%s may act in any Region: it wants keepToRegions", role)
		}
	}
	for _, role := range []string{"ClusterFunctionRole", "ScalingFunctionRole", "InterruptionFunctionRole", "UpgradeFunctionRole"} {
		if !roaming[role] {
			t.Errorf("%s can act in its own Region only, and clusters are in others as well", role)
		}
	}
}

// roams tells whether a statement names resources in any Region.
func roams(s any) bool {
	return slices.ContainsFunc(list(at(s, "Resource")), func(arn any) bool {
		parts := strings.SplitN(strings.ReplaceAll(text(arn), "${AWS::", "${"), ":", 5)
		return len(parts) == 5 && parts[3] == "*"
	})
}

// boundTo tells whether a statement is about all Regions but the right ones, and about no service of the stack's own resources.
func boundTo(t *testing.T, s any) bool {
	t.Helper()
	for _, action := range list(at(s, "Action")) {
		if service, _, _ := strings.Cut(text(action), ":"); slices.Contains([]string{"*", "sqs", "dynamodb", "events", "logs", "lambda", "xray", "sts"}, service) {
			t.Errorf("KeepToRegions takes %s away", action)
		}
	}
	either, _ := at(s, "Condition", "StringNotEquals", "aws:RequestedRegion", "Fn::If").([]any)
	if len(either) != 3 || target(either[2]) != "AWS::Region" {
		return false
	}
	split := list(at(either[1], "Fn::Split"))
	return len(split) == 2 && text(split[1]) == "${AWS::Region},${Regions}"
}
