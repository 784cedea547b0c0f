package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func withFargate() fleet.ClusterSpec {
	return demoWith(func(s *fleet.ClusterSpec) {
		s.Network.NAT = fleet.NATSingle
		s.Fargate = []fleet.FargateSpec{
			{Name: "one", Selectors: []fleet.FargateSelector{{Namespace: "a", Labels: map[string]string{"x": "y"}}, {Namespace: "b"}}, Tags: map[string]string{"k": "v"}},
			{Name: "two", Selectors: []fleet.FargateSelector{{Namespace: "c"}}},
			{Name: "three", Selectors: []fleet.FargateSelector{{Namespace: "d"}}, RoleARN: "arn:aws:iam::123456789012:role/given"},
		}
	})
}

func TestFargateProfilesAreMadeOneByOne(t *testing.T) {
	s, o := withFargate(), empty()
	calls := simulate(t, s, &o)
	one, two, three := position(t, calls, "eks:CreateFargateProfile", "fargate/one"), position(t, calls, "eks:CreateFargateProfile", "fargate/two"), position(t, calls, "eks:CreateFargateProfile", "fargate/three")
	if one > two || two > three {
		t.Errorf("%d %d %d", one, two, three)
	}
	got := only(t, calls, "eks:CreateFargateProfile", "fargate/one")
	if got["podExecutionRoleArn"] != o.first(idFargateRole).ARN || len(fleet.Texts(got, "subnets")) != 3 || got["fargateProfileName"] != "one" ||
		!fleet.Covers(got["selectors"], []any{fleet.Props{"namespace": "a", "labels": map[string]string{"x": "y"}}, fleet.Props{"namespace": "b"}}) ||
		!fleet.Covers(got["tags"], fleet.Props{"k": "v"}) {
		t.Errorf("%v", got)
	}
	if got := only(t, calls, "eks:CreateFargateProfile", "fargate/three"); got["podExecutionRoleArn"] != s.Fargate[2].RoleARN {
		t.Errorf("%v", got)
	}
	trust := fleet.Text(only(t, calls, "iam:CreateRole", idFargateRole), "assumeRolePolicyDocument")
	if !strings.Contains(trust, `{"ArnLike":{"aws:SourceArn":"arn:aws:eks:us-east-1:123456789012:fargateprofile/demo/*"}}`) || !strings.Contains(trust, "eks-fargate-pods.amazonaws.com") {
		t.Error(trust)
	}
	s.IAM.FargateRoleARN = "arn:aws:iam::123456789012:role/given"
	o = empty()
	if got := called(simulate(t, s, &o), idFargateRole); got != nil {
		t.Errorf("%v for a role that is given", got)
	}
}

func TestOneProfileAtATime(t *testing.T) {
	s, o := withFargate(), empty()
	simulate(t, s, &o)
	delete(o.Found, "fargate/two")
	delete(o.Found, "fargate/three")
	o.Found["fargate/one"][0].Status = "CREATING"
	if p, err := Decide(now, o, s, opt); err != nil || !p.Empty() || p.Outcome != "" {
		t.Errorf("%v\n%s", err, p)
	}
	o.Found["fargate/one"][0].Status = "CREATE_FAILED" // in this run: it holds nobody up
	o.Made = map[string]fleet.Making{"fargate/one": {At: now, Times: 1}}
	if p, err := Decide(now, o, s, opt); err != nil || p.Len() != 1 || !strings.Contains(p.String(), "create Fargate profile two") {
		t.Errorf("%v\n%s", err, p)
	}
	o.Made = nil // in an earlier one
	calls := simulate(t, s, &o)
	if got := called(calls, "fargate/one"); !slices.Equal(got, []string{"eks:DeleteFargateProfile", "eks:CreateFargateProfile"}) {
		t.Errorf("%v", got)
	}
}

func TestFargateProfilesDoNotChange(t *testing.T) {
	s, o := withFargate(), empty()
	simulate(t, s, &o)
	for field, change := range map[string]func(f *fleet.FargateSpec){
		"selectors":           func(f *fleet.FargateSpec) { f.Selectors[0].Labels = nil },
		"podExecutionRoleARN": func(f *fleet.FargateSpec) { f.RoleARN = "arn:aws:iam::123456789012:role/other" },
		"subnets":             func(f *fleet.FargateSpec) { f.Subnets = []string{"us-east-1a"} },
	} {
		s := withFargate()
		change(&s.Fargate[0])
		p, err := Decide(now, o, s, opt)
		if err != nil || p.Outcome != OutcomeActive || !slices.ContainsFunc(p.Notes, func(n string) bool {
			return strings.Contains(n, "Fargate profile one differs from the file in "+field) && strings.Contains(n, "another name")
		}) {
			t.Errorf("%s: %v\n%s", field, err, p)
		}
	}
}
