package cluster

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// namesOfEksctl are iam.serviceAccounts[].wellKnownPolicies and nodeGroups[].iam.withAddonPolicies, without App Mesh, which
// AWS has ended.
var namesOfEksctl = []string{
	"autoScaler", "awsLoadBalancerController", "certManager", "ebsCSIController", "efsCSIController", "externalDNS", "imageBuilder",
	"albIngress", "cloudWatch", "ebs", "efs", "fsx", "xRay",
}

func TestWellKnownPolicies(t *testing.T) {
	b := &builder{s: demo(), opt: opt}
	for _, name := range namesOfEksctl {
		arns, inline, err := b.policiesOf(fleet.Grants{WellKnown: []string{name}})
		if err != nil || len(arns)+len(inline) != 1 {
			t.Errorf("%s: %v %v %v", name, arns, inline, err)
		}
	}
	_, all, err := b.policiesOf(fleet.Grants{WellKnown: namesOfEksctl, Inline: `{"Statement":[]}`})
	if err != nil || all[filePolicy] == nil {
		t.Fatal(err)
	}
	delete(all, filePolicy)
	if _, _, err := b.policiesOf(fleet.Grants{WellKnown: []string{"appMesh"}}); err == nil {
		t.Error("appMesh")
	}
	if _, _, err := b.policiesOf(fleet.Grants{Inline: "{"}); err == nil {
		t.Error("no JSON")
	}
	for _, name := range []string{cniIPv6, hybridNode} {
		all[name] = b.policy(name)
	}
	for name, p := range all {
		text := document(p)
		// IAM counts a role's inline policies together, without white space: 10,240 characters.
		if name == "awsLoadBalancerController" && len(text) > 6500 || name != "awsLoadBalancerController" && len(text) > 1500 {
			t.Errorf("%s has %d characters", name, len(text))
		}
		checkStatements(t, name, p)
	}
}

// writing are the verbs of actions that change something.
func writing(action string) bool {
	_, verb, _ := strings.Cut(action, ":")
	i := strings.IndexFunc(verb[1:], unicode.IsUpper)
	return !slices.Contains([]string{"Describe", "List", "Get", "Describe*"}, verb[:max(i+1, 0)]) && verb != "Describe*"
}

// unbounded may be changed on all resources without a condition: AWS has none for them, or other controllers' things are
// meant.
var unbounded = []string{
	"elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateRule",
	"elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteRule", "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule",
	"elasticloadbalancing:RemoveListenerCertificates", "elasticloadbalancing:SetRulePriorities", "elasticloadbalancing:SetWebAcl",
	"shield:CreateProtection", "shield:DeleteProtection", "waf-regional:AssociateWebACL", "waf-regional:DisassociateWebACL",
	"wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "ec2:AssignIpv6Addresses",
}

func checkStatements(t *testing.T, name string, p fleet.Props) {
	t.Helper()
	if p["Version"] != policyVersion {
		t.Errorf("%s: %v", name, p["Version"])
	}
	for _, s := range fleet.Items(p, "Statement") {
		for _, action := range fleet.Texts(s, "Action") {
			if writing(action) && slices.Contains(fleet.Texts(s, "Resource"), "*") && s["Condition"] == nil && !slices.Contains(unbounded, action) {
				t.Errorf("%s: %s on everything without a condition", name, action)
			}
		}
	}
}

func TestPoliciesAreAboutThisCluster(t *testing.T) {
	b := &builder{s: demo(), opt: opt}
	for name, want := range map[string]string{
		"autoScaler":                `"aws:ResourceTag/k8s.io/cluster-autoscaler/demo":"owned"`,
		"awsLoadBalancerController": `"aws:ResourceTag/elbv2.k8s.aws/cluster":"demo"`,
		hybridNode:                  `"arn:aws:eks:us-east-1:123456789012:cluster/demo"`,
	} {
		if text := document(b.policy(name)); !strings.Contains(text, want) {
			t.Errorf("%s lacks %s: %s", name, want, text)
		}
	}
	b.opt.InterruptionRole = "arn:aws-cn:iam::123456789012:role/x"
	if text := document(b.policy("externalDNS")); !strings.Contains(text, "arn:aws-cn:route53:::hostedzone/*") || strings.Contains(text, "arn:aws:") {
		t.Error(text)
	}
}

func TestPoliciesOfNodeGroups(t *testing.T) {
	b := &builder{s: demo(), opt: opt}
	names := func(n fleet.NodeIAM) (out []string) {
		arns, inline, err := b.nodePoliciesOf(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, arn := range arns {
			out = append(out, last(arn))
		}
		return append(out, slices.Sorted(maps.Keys(inline))...)
	}
	if got := names(fleet.NodeIAM{Addons: []string{"autoScaler", "ebs"}}); !slices.Equal(got, append(slices.Clone(nodePolicies), "AmazonEBSCSIDriverPolicy", "autoScaler")) {
		t.Errorf("%v", got)
	}
	// eksctl's rule: policies that the file attaches take the place of all others.
	if got := names(fleet.NodeIAM{Grants: fleet.Grants{PolicyARNs: []string{"arn:aws:iam::1:policy/mine"}}}); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("%v", got)
	}
	b.s.Network.IPv6 = true
	if got := names(fleet.NodeIAM{}); !slices.Contains(got, cniIPv6) {
		t.Errorf("%v", got)
	}
}

func TestSameDocument(t *testing.T) {
	const a = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["b","a"],"Resource":"*"}]}`
	for text, want := range map[string]bool{
		a: true,
		`{"Statement":{"Action":["a","b"],"Resource":["*"],"Effect":"Allow"},"Version":"2012-10-17"}`: true,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["b"],"Resource":"*"}]}`:     false,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["b","a"],"Resource":"*"}]}`:  false,
		"": false, "not JSON": false,
	} {
		if sameDocument(a, text) != want || sameDocument(text, a) != want {
			t.Errorf("%s: not %v", text, want)
		}
	}
}
