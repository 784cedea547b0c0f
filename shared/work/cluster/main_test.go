package cluster_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// granted is every grant of the function's role in the template, and whether a test of this package used it.
var granted = struct {
	mu   sync.Mutex
	used map[string]bool
}{used: map[string]bool{}}

// allowed checks that nothing was denied to the function, and notes which of its grants it used.
func (r *rig) allowed(t *testing.T) {
	t.Helper()
	if list := r.Denied(r.RoleARN); len(list) > 0 {
		t.Errorf("denied:\n%s", strings.Join(list, "\n"))
	}
	granted.mu.Lock()
	defer granted.mu.Unlock()
	for _, g := range r.Granted(r.RoleARN) {
		name := g.Sid + " " + g.Action
		granted.used[name] = granted.used[name] || g.Calls > 0
	}
}

// rare are the grants that no test of this package uses, by who does.
var rare = map[string][]string{
	"Lambda, and the function's edge: the end-to-end tests": {
		"TakeMessages sqs:ReceiveMessage", "TakeMessages sqs:DeleteMessage", "TakeMessages sqs:GetQueueAttributes", "DeferToItself sqs:SendMessage",
		"RejectToDeadLetters sqs:SendMessage", "ReleaseMessages sqs:ChangeMessageVisibility", "Report events:PutEvents", "KeepTheLedger dynamodb:GetItem",
		"KeepTheLedger dynamodb:PutItem", "ListClusters dynamodb:Query", "WriteLogs logs:CreateLogStream", "WriteLogs logs:PutLogEvents",
		"ReadSpecs s3:GetObject", "ReadSpecs s3:GetObjectVersion",
	},
	"Lambda itself, on AWS": {"Trace xray:PutTraceSegments", "Trace xray:PutTelemetryRecords"},
	"the first cluster of an account; the embedded cloud's has its service-linked roles": {"MakeRolesOfServices iam:CreateServiceLinkedRole"},
	"AWS asks for it, and the embedded cloud does not": {
		"RunMachines ec2:RunInstances", "KeepInstanceProfiles iam:TagInstanceProfile", "UseGivenGateways ec2:CreateVpc", "ReadQuotas servicequotas:GetAWSDefaultServiceQuota",
	},
	"changes that are tested without the role: shared/awscloud, shared/decide/cluster": {
		"ChangeGroups autoscaling:AttachLoadBalancerTargetGroups", "ChangeGroups autoscaling:AttachLoadBalancers", "ChangeProviders iam:AddClientIDToOpenIDConnectProvider",
		"ChangeWhatIsInClusters eks:DeletePodIdentityAssociation", "ChangeWhatIsInClusters eks:UpdateCapability", "ChangeWhatIsInClusters eks:UpdatePodIdentityAssociation",
		"KeepRoles iam:UpdateAssumeRolePolicy", "Retag ec2:CreateTags", "WritePolicies iam:PutRolePermissionsBoundary",
		"UseGivenGateways ec2:AssociateVpcCidrBlock", "UseGivenGateways ec2:AttachVpnGateway", "UseGivenGateways ec2:DetachVpnGateway", "DeleteWhatIsOurs ec2:DetachVpnGateway",
		"WireNetworks ec2:AssociateVpcCidrBlock", "WireNetworks ec2:AttachVpnGateway", "WireNetworks ec2:DeleteRoute", "WireNetworks ec2:ModifyTransitGatewayVpcAttachment",
		"WireNetworks ec2:ModifyVpcEndpoint", "WireNetworks ec2:RevokeSecurityGroupEgress",
	},
	"what Kubernetes' controllers have left, of kinds that TestLeftByKubernetes does not leave": {
		"DeleteOfAutoMode ec2:DeleteSecurityGroup", "DeleteOfAutoMode ec2:RevokeSecurityGroupEgress", "DeleteOfAutoMode ec2:RevokeSecurityGroupIngress",
		"DeleteOfAutoMode elasticloadbalancing:DeleteLoadBalancer", "DeleteOfCNI ec2:DeleteNetworkInterface", "DeleteOfKarpenter ec2:TerminateInstances",
		"DeleteOfLoadBalancerController ec2:RevokeSecurityGroupEgress", "DeleteOfLoadBalancerController ec2:RevokeSecurityGroupIngress",
		"DeleteOfServices ec2:DeleteSecurityGroup", "DeleteOfServices ec2:RevokeSecurityGroupEgress", "DeleteOfServices ec2:RevokeSecurityGroupIngress",
		"DeleteOfServices elasticloadbalancing:DeleteLoadBalancer", "DeleteWhatIsOurs ec2:TerminateInstances",
	},
}

// TestMain fails when all tests ran and a grant was used by none: a permission that nothing needs is one too many.
func TestMain(m *testing.M) {
	code := m.Run()
	all := flag.Lookup("test.run").Value.String() == "" && !testing.Short()
	if code == 0 && all {
		known := map[string]bool{}
		for _, list := range rare {
			for _, name := range list {
				known[name] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(granted.used)) {
			if granted.used[name] == known[name] {
				fmt.Printf("grant %s: used %t, on the list of rare ones %t\n", name, granted.used[name], known[name])
				code = 1
			}
		}
	}
	os.Exit(code)
}
