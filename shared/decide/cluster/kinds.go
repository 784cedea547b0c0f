package cluster

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// inCluster are the kinds that are parts of an EKS cluster, and go with it.
var inCluster = []string{"nodegroup", "addon", "fargate", "access", "accesspolicies", "podidentity", "capability", "identity", "kubernetes"}

// InCluster tells whether a kind is a part of an EKS cluster.
func InCluster(kind string) bool { return slices.Contains(inCluster, kind) }

// RefOf is the reference of a part of a cluster by its name in the graph: "nodegroup/spot".
func RefOf(id string) fleet.Ref {
	kind, name, _ := strings.Cut(id, "/")
	return fleet.Ref{ID: id, Kind: kind, Name: name}
}

// removal is what is to be known of a kind to take it away.
type removal struct {
	kind, noun, area string
	// after are the kinds of which nothing may be left before.
	after []string
	// takes is how long AWS usually works on it; 0 when it is gone with the answer.
	takes time.Duration
	// first are calls about it that have to be made before, each with a name of its own.
	first func(b *builder, have fleet.Resource) []plan.Call
	call  caller
	// withCluster: it goes with the control plane, and is deleted by itself only when the file has lost it.
	withCluster bool
	// stays: it is never deleted while the cluster lives. Why is said in words.
	stays string
}

// caller makes the call that takes something away; id is its name in the plan.
type caller func(b *builder, r removal, id string, have fleet.Resource) plan.Call

// running are the kinds that run machines or use the cluster from outside of it.
var running = []string{"nodegroup", "fargate", "asg", "instance"}

// inNetwork are the kinds that use addresses of the VPC, which they give back when they are gone.
var inNetwork = []string{"cluster", "endpoint", "nat", "balancer", "classic", "interface", "asg", "instance", "transit"}

const (
	noNetwork = "a network is not taken apart under a running cluster"
	holdsLogs = "it holds logs"
)

// removals are the kinds in the order in which they can go: whatever is named in after comes before.
var removals = []removal{
	{kind: "capability", noun: "capability", area: "capabilities", takes: 2 * time.Minute, call: child("eks:DeleteCapability", "capabilityName")},
	{kind: "podidentity", noun: "pod identity association", area: "roles for pods", withCluster: true, call: child("eks:DeletePodIdentityAssociation", "associationId")},
	{kind: "addon", noun: "add-on", area: "add-ons", withCluster: true, takes: time.Minute, call: child("eks:DeleteAddon", "addonName")},
	{kind: "identity", noun: "identity provider", area: "access", withCluster: true, takes: 5 * time.Minute, call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		return b.child(plan.Delete, id, "eks:DisassociateIdentityProviderConfig", "delete identity provider "+have.Name, fleet.Props{
			"identityProviderConfig": fleet.Props{"type": "oidc", "name": have.Name},
		})
	}},
	{kind: "nodegroup", noun: "node group", area: "node groups", takes: 5 * time.Minute, call: child("eks:DeleteNodegroup", "nodegroupName")},
	{kind: "fargate", noun: "Fargate profile", area: "Fargate", takes: 2 * time.Minute, call: child("eks:DeleteFargateProfile", "fargateProfileName")},
	{kind: "asg", noun: "Auto Scaling group", area: "node groups", takes: 3 * time.Minute, call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		return b.call(plan.Delete, id, "autoscaling:DeleteAutoScalingGroup", "delete Auto Scaling group "+have.Physical+" with its nodes", fleet.Props{
			"autoScalingGroupName": have.Physical, "forceDelete": true,
		})
	}},
	{kind: "instance", noun: "instance", area: "left by Kubernetes", after: []string{"capability", "nodegroup", "fargate", "asg"}, takes: time.Minute, call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		return b.call(plan.Delete, id, "ec2:TerminateInstances", "terminate instance "+have.Physical, fleet.Props{"instanceIds": []any{have.Physical}})
	}},
	{kind: "access", noun: "access entry", area: "access", withCluster: true, after: running, call: child("eks:DeleteAccessEntry", "principalArn")},
	// The VPC CNI's, of nodes that went before it could clean up: EKS cannot delete its security group while they have it.
	{kind: "interface", noun: "network interface", area: "left by Kubernetes", after: running, call: deletes("ec2:DeleteNetworkInterface", "networkInterfaceId")},
	{kind: "cluster", noun: "control plane", area: "control plane", takes: 5 * time.Minute, after: append([]string{"capability", "interface"}, running...), call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		return b.call(plan.Delete, id, "eks:DeleteCluster", "delete cluster "+b.s.Name, fleet.Props{"name": have.Physical})
	}},
	// What has the cluster ring outside of it.
	{kind: "subscription", noun: "log subscription", area: areaDoorbell, call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		return b.call(plan.Delete, id, "logs:DeleteSubscriptionFilter", "delete the subscription to "+have.Name, fleet.Props{"logGroupName": have.Name, "filterName": fleet.DoorbellName})
	}},
	{kind: "alarm", noun: "alarm", area: areaDoorbell, call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		return b.call(plan.Delete, id, "cloudwatch:DeleteAlarms", "delete alarm "+have.Name, fleet.Props{"alarmNames": []any{have.Name}})
	}},
	// Kubernetes would make a load balancer anew for as long as it runs.
	{kind: "balancer", noun: "load balancer", area: "left by Kubernetes", after: []string{"cluster"}, call: deletes("elbv2:DeleteLoadBalancer", "loadBalancerArn")},
	{kind: "classic", noun: "Classic Load Balancer", area: "left by Kubernetes", after: []string{"cluster"}, call: deletes("elb:DeleteLoadBalancer", "loadBalancerName")},
	{kind: "oidc", noun: "OIDC provider", area: "roles", after: []string{"cluster"}, call: deletes("iam:DeleteOpenIDConnectProvider", "openIDConnectProviderArn")},
	{kind: "template", noun: "launch template", area: "node groups", after: running, call: deletes("ec2:DeleteLaunchTemplate", "launchTemplateId")},
	{kind: "keypair", noun: "key pair", area: "node groups", after: []string{"template"}, call: deletes("ec2:DeleteKeyPair", "keyPairId")},
	{kind: "profile", noun: "instance profile", area: "roles", after: []string{"template", "cluster"}, first: (*builder).emptyProfile, call: deletes("iam:DeleteInstanceProfile", "instanceProfileName")},
	{kind: "role", noun: "role", area: "roles", after: []string{"cluster", "podidentity", "addon", "access", "profile"}, first: (*builder).bareRole, call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		c := b.call(plan.Delete, id, "iam:DeleteRole", "delete role "+have.Physical, fleet.Props{"roleName": have.Physical})
		c.Queue = id
		return c
	}},
	{kind: "loggroup", noun: "log group", area: "control plane", after: []string{"cluster"}, stays: holdsLogs, call: deletes("logs:DeleteLogGroup", "logGroupName")},
	{kind: "endpoint", noun: "VPC endpoint", area: "network", after: append([]string{"cluster"}, running...), takes: time.Minute, call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		return b.call(plan.Delete, id, "ec2:DeleteVpcEndpoints", "delete VPC endpoint "+have.Physical, fleet.Props{"vpcEndpointIds": []any{have.Physical}})
	}},
	{kind: "nat", noun: "NAT gateway", area: "network", after: append([]string{"cluster"}, running...), takes: 2 * time.Minute, stays: noNetwork, call: deletes("ec2:DeleteNatGateway", "natGatewayId")},
	{kind: "address", noun: "address", area: "network", after: []string{"nat"}, stays: noNetwork, call: deletes("ec2:ReleaseAddress", "allocationId")},
	{kind: "transit", noun: "attachment to a transit gateway", area: "network", after: append([]string{"cluster"}, running...), takes: time.Minute, stays: noNetwork,
		call: deletes("ec2:DeleteTransitGatewayVpcAttachment", "transitGatewayAttachmentId")},
	// Of the user's, which only lets go of the VPC.
	{kind: "vpngateway", noun: "virtual private gateway", area: "network", after: append([]string{"cluster"}, running...), call: func(b *builder, _ removal, id string, have fleet.Resource) plan.Call {
		vpc := b.attachedTo(have)
		return b.call(plan.Delete, id, "ec2:DetachVpnGateway", "detach virtual private gateway "+have.Physical+" from "+vpc, fleet.Props{"vpnGatewayId": have.Physical, "vpcId": vpc})
	}},
	{kind: "subnet", noun: "subnet", area: "network", after: inNetwork, stays: noNetwork, call: deletes("ec2:DeleteSubnet", "subnetId")},
	{kind: "routes", noun: "route table", area: "network", after: []string{"subnet", "endpoint", "nat"}, stays: noNetwork, call: deletes("ec2:DeleteRouteTable", "routeTableId")},
	{kind: "egress", noun: "egress-only internet gateway", area: "network", after: []string{"routes"}, stays: noNetwork, call: deletes("ec2:DeleteEgressOnlyInternetGateway", "egressOnlyInternetGatewayId")},
	{kind: "igw", noun: "internet gateway", area: "network", after: []string{"subnet", "address"}, stays: noNetwork, first: (*builder).detached, call: deletes("ec2:DeleteInternetGateway", "internetGatewayId")},
	{kind: "sg", noun: "security group", area: "network", after: append([]string{"template"}, inNetwork...), call: deletes("ec2:DeleteSecurityGroup", "groupId")},
	{kind: "kubesg", noun: "security group", area: "left by Kubernetes", after: inNetwork, call: deletes("ec2:DeleteSecurityGroup", "groupId")},
	{kind: "vpc", noun: "VPC", area: "network", after: []string{"subnet", "routes", "egress", "igw", "sg", "kubesg", "address", "transit", "vpngateway"}, stays: noNetwork, call: deletes("ec2:DeleteVpc", "vpcId")},
}

// removalOf is what is known of a kind; nil if nobody takes it away.
func removalOf(kind string) *removal {
	for i := range removals {
		if removals[i].kind == kind {
			return &removals[i]
		}
	}
	return nil
}

// before are all kinds of which nothing may be left before one of a kind goes, near and far.
func before(kind string) (out []string) {
	r := removalOf(kind)
	if r == nil {
		return nil
	}
	for _, k := range r.after {
		out = union(out, append([]string{k}, before(k)...))
	}
	return out
}

// TaggedKinds are all kinds that are found by the cluster's tag.
func TaggedKinds() []string { return union(slices.Clone(taggedKinds), []string{idTransit}) }

// ListedKinds are the kinds that are found by listing what there is, beside the control plane and the OIDC provider. What
// goes with the control plane is only asked for with all.
func ListedKinds(all bool) (out []string) {
	for _, r := range removals {
		if slices.Contains(TaggedKinds(), r.kind) || slices.Contains(strange, r.kind) || r.kind == idCluster || r.kind == idOIDC || r.withCluster && !all {
			continue
		}
		out = append(out, r.kind)
	}
	return out
}

// StrangeKinds are the kinds that are not ekspedite's own: what Kubernetes has made, and what is in the cluster's VPC.
func StrangeKinds() []string { return slices.Clone(strange) }

// child deletes a part of the EKS cluster by the field that names it.
func child(api, field string) caller {
	return func(b *builder, r removal, id string, have fleet.Resource) plan.Call {
		c := b.child(plan.Delete, id, api, "delete "+r.noun+" "+named(have), fleet.Props{field: have.Physical})
		if r.kind == "fargate" {
			c.Queue = "fargate"
		}
		return c
	}
}

// deletes deletes a thing by the field that names it, and nothing else.
func deletes(api, field string) caller {
	return func(b *builder, r removal, id string, have fleet.Resource) plan.Call {
		return b.call(plan.Delete, id, api, "delete "+r.noun+" "+named(have), fleet.Props{field: have.Physical})
	}
}

// named is what people know a thing by.
func named(have fleet.Resource) string {
	_, rest, _ := strings.Cut(have.ID, "/")
	switch {
	case have.Name != "":
		return have.Name
	case rest != "" && rest != have.Physical:
		return have.Physical + " (" + rest + ")"
	}
	return have.Physical
}
