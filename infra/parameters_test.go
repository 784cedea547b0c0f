package main

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/ekspedite/ekspedite/infra/stacks"
)

// What a person has to give for nothing else to be needed: nothing. Each default is one that its own pattern takes.
func TestParametersHaveDefaults(t *testing.T) {
	for name, p := range stack(t, stacks.AutomationName).Parameters {
		value, ok := at(p, "Default").(string)
		if !ok || len(text(at(p, "Description"))) < 10 {
			t.Errorf("%s wants a default and a description: %v", name, p)
		}
		if pattern, ok := at(p, "AllowedPattern").(string); ok && !regexp.MustCompile(pattern).MatchString(value) {
			t.Errorf("%s: the default %q does not match %s", name, value, pattern)
		}
	}
}

func TestParametersTakeWhatPeopleGive(t *testing.T) {
	parameters := stack(t, stacks.AutomationName).Parameters
	for _, c := range []struct {
		name, value string
		ok          bool
	}{
		{"Regions", "eu-central-1", true},
		{"Regions", "eu-central-1,us-gov-west-1", true},
		{"Regions", "eu-central-1, us-east-1", false},
		{"Regions", "*", false},
		{"AttachablePolicies", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess,arn:aws:iam::123456789012:policy/team/*", true},
		{"AttachablePolicies", "AmazonS3ReadOnlyAccess", false},
		{"GivenRoles", "arn:aws:iam::123456789012:role/nodes", true},
		{"GivenRoles", "*", false},
		{"RoleBoundary", "arn:aws:iam::123456789012:policy/boundary", true},
		{"RoleBoundary", "arn:aws:iam::123456789012:policy/*", false},
		{"SweepRate", "rate(1 hour)", true},
		{"SweepRate", "hourly", false},
		{"ScalingSweepRate", "rate(5 minutes)", true},
		{"InterruptionSweepRate", "rate(5 minutes)", true},
		{"DoorbellConcurrency", "50", true},
		{"DoorbellConcurrency", "-1", false},
		{"SubnetIds", "subnet-0a1b2c3d,subnet-0a1b2c3e", true},
		{"SecurityGroupIds", "default", false},
	} {
		if got := takes(parameters[c.name], c.value); got != c.ok {
			t.Errorf("%s=%s: %v", c.name, c.value, got)
		}
	}
}

// takes tells whether CloudFormation takes a value for a parameter.
func takes(parameter any, value string) bool {
	if text(at(parameter, "Type")) != "Number" {
		return regexp.MustCompile(text(at(parameter, "AllowedPattern"))).MatchString(value)
	}
	n, err := strconv.ParseFloat(value, 64)
	least, _ := at(parameter, "MinValue").(float64)
	most, bounded := at(parameter, "MaxValue").(float64)
	return err == nil && n >= least && bounded && n <= most
}
