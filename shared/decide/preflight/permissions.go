package preflight

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Permission is an action on a resource that a call of the plan needs.
type Permission struct {
	Action   string `json:"action"`
	Resource string `json:"resource"` // ARN
	// Context are the request's condition keys, each with its values: "aws:RequestTag/team", "iam:PassedToService".
	Context map[string][]string `json:"context,omitempty"`
	For     string              `json:"for"` // the call's resource
	// Perhaps: only the first time in an account, or only if EC2 asks for it.
	Perhaps bool `json:"perhaps,omitempty"`
}

// Missing is a permission that the role does not have.
type Missing struct {
	Permission
	Explicit bool `json:"explicit,omitempty"` // a statement denies it
	// Keys are condition keys of statements that would allow it, which the simulation was not told. Then nobody knows.
	Keys []string `json:"keys,omitempty"`
	// By says what forbids it where that is not the role itself: "the permissions boundary".
	By string `json:"by,omitempty"`
}

// permissions says what the role does not have. One finding an action: it may be missing for many resources.
func (c *check) permissions() {
	byAction := map[string][]Missing{}
	var denied []string
	for _, m := range c.f.Missing {
		if m.Explicit && !m.Perhaps {
			if !slices.Contains(denied, m.Action) {
				denied = append(denied, m.Action)
			}
			continue
		}
		byAction[m.Action] = append(byAction[m.Action], m)
	}
	if len(denied) > 0 {
		c.say(Error, "PermissionDenied", "cluster", "a statement with Effect Deny forbids it: of ekspedite's own, the one for all Regions but those of the stack's parameter Regions",
			"the policies of %s deny %s in Region %s", c.f.Role, short(denied), c.s.Region)
	}
	for _, action := range slices.Sorted(maps.Keys(byAction)) {
		list := byAction[action]
		m := list[0]
		for _, other := range list { // a certain one before an uncertain
			if len(other.Keys) == 0 && !other.Perhaps {
				m = other
				break
			}
		}
		const fix = "allow it in the role's policy; roles and policies of your own are named in the stack's parameters GivenRoles and AttachablePolicies"
		by := m.By
		if by == "" {
			by = "the policy of " + c.f.Role
		}
		switch {
		case len(m.Keys) > 0:
			c.say(Warning, "PermissionUnclear", m.For, "", "whether %s allows %s on %s depends on %s, which is not known before", by, action, m.Resource, strings.Join(m.Keys, ", "))
		case m.Perhaps:
			c.say(Warning, "PermissionMissing", m.For, fix, "%s does not allow %s on %s, which is needed in some cases", by, action, m.Resource)
		default:
			c.say(Error, "PermissionMissing", m.For, fix, "%s does not allow %s on %s", by, action, m.Resource)
		}
	}
}

// short is a list that people read to its end.
func short(list []string) string {
	if len(list) > 4 {
		return fmt.Sprintf("%s and %d others", strings.Join(list[:3], ", "), len(list)-3)
	}
	return strings.Join(list, ", ")
}

// ec2Resources are the types of resources that operations of EC2 act on; with a "+", the one that is made. With a field in
// brackets, only if the call has it.
var ec2Resources = map[string]string{
	"CreateVpc": "+vpc", "CreateSubnet": "+subnet vpc", "CreateInternetGateway": "+internet-gateway", "AttachInternetGateway": "internet-gateway vpc",
	"CreateRouteTable": "+route-table vpc", "CreateRoute": "route-table", "ReplaceRoute": "route-table", "DeleteRoute": "route-table",
	"AssociateRouteTable": "route-table subnet", "AllocateAddress": "+elastic-ip", "ReleaseAddress": "elastic-ip",
	"CreateNatGateway": "+natgateway subnet elastic-ip(allocationId)", "DeleteNatGateway": "natgateway",
	"ModifyVpcAttribute": "vpc", "AssociateVpcCidrBlock": "vpc", "ModifySubnetAttribute": "subnet",
	"CreateEgressOnlyInternetGateway": "+egress-only-internet-gateway vpc",
	"CreateSecurityGroup":             "+security-group vpc", "AuthorizeSecurityGroupIngress": "security-group", "RevokeSecurityGroupIngress": "security-group",
	"AuthorizeSecurityGroupEgress": "security-group", "RevokeSecurityGroupEgress": "security-group",
	"CreateVpcEndpoint": "+vpc-endpoint vpc subnet(subnetIds) security-group(securityGroupIds) route-table(routeTableIds)",
	"ModifyVpcEndpoint": "vpc-endpoint", "DeleteVpcEndpoints": "vpc-endpoint",
	"CreateLaunchTemplate": "+launch-template", "CreateLaunchTemplateVersion": "launch-template", "ModifyLaunchTemplate": "launch-template",
	"ImportKeyPair":                     "+key-pair",
	"CreateTransitGatewayVpcAttachment": "+transit-gateway-attachment vpc subnet transit-gateway",
	"ModifyTransitGatewayVpcAttachment": "transit-gateway-attachment", "AttachVpnGateway": "vpc vpn-gateway",
}

// foreign are resources of users that clusters are connected to.
var foreign = []string{"transit-gateway", "vpn-gateway"}

// services that roles are handed to, by the operation and the field that names the role.
var passed = []struct{ api, field, service string }{
	{"eks:CreateCluster", "roleArn", "eks.amazonaws.com"},
	{"eks:CreateCluster", "computeConfig.nodeRoleArn", "eks.amazonaws.com"},
	{"eks:UpdateClusterConfig", "computeConfig.nodeRoleArn", "eks.amazonaws.com"},
	{"eks:CreateNodegroup", "nodeRole", "eks.amazonaws.com"},
	{"eks:CreateAccessEntry", "principalArn", "eks.amazonaws.com"},
	{"eks:CreateFargateProfile", "podExecutionRoleArn", "eks-fargate-pods.amazonaws.com"},
	{"eks:CreatePodIdentityAssociation", "roleArn", "pods.eks.amazonaws.com"},
	{"eks:UpdatePodIdentityAssociation", "roleArn", "pods.eks.amazonaws.com"},
	{"eks:CreateAddon", "serviceAccountRoleArn", "eks.amazonaws.com"},
	{"eks:CreateCapability", "roleArn", "capabilities.eks.amazonaws.com"},
}

// linked are the roles that services make for themselves when an account uses them first.
var linked = []struct{ api, service, role string }{
	{"eks:CreateCluster", "eks.amazonaws.com", "AWSServiceRoleForAmazonEKS"},
	{"eks:CreateNodegroup", "eks-nodegroup.amazonaws.com", "AWSServiceRoleForAmazonEKSNodegroup"},
	{"eks:CreateFargateProfile", "eks-fargate.amazonaws.com", "AWSServiceRoleForAmazonEKSForFargate"},
	{"autoscaling:CreateAutoScalingGroup", "autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling"},
}

// needs collects permissions.
type needs struct {
	check
	paths map[string]string // of roles that the plan makes
	bound map[string]string // their permissions boundaries
	out   []Permission
}

// permissions of all calls of a plan, each once.
func permissions(c check) []Permission {
	n := &needs{check: c, paths: map[string]string{}, bound: map[string]string{}}
	for _, call := range c.made("iam:CreateRole") {
		name := fleet.Text(call.Input, "roleName")
		n.paths[name], n.bound[name] = fleet.Text(call.Input, "path"), fleet.Text(call.Input, "permissionsBoundary")
	}
	for _, call := range c.calls {
		service, _, _ := strings.Cut(call.API, ":")
		switch service {
		case "kubernetes":
		case "ec2":
			n.ec2(call)
		case "eks":
			n.eks(call)
		case "iam":
			n.iam(call)
		case "logs":
			n.add(call, call.API, n.arn("logs", "log-group:"+fleet.Text(call.Input, "logGroupName")), n.tagContext(call))
			if call.Input["tags"] != nil {
				n.add(call, "logs:TagResource", n.arn("logs", "log-group:"+fleet.Text(call.Input, "logGroupName")), n.tagContext(call))
			}
		case "cloudwatch":
			for _, name := range append(fleet.Texts(call.Input, "alarmNames"), fleet.Text(call.Input, "alarmName")) {
				if name != "" {
					n.add(call, call.API, n.arn("cloudwatch", "alarm:"+name), nil)
				}
			}
		case "autoscaling":
			n.add(call, call.API, n.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"+cmp.Or(known(fleet.Text(call.Input, "autoScalingGroupName")), "*")), n.tagContext(call))
		default:
			n.add(call, call.API, n.arn(service, "*"), nil)
		}
		n.roles(call)
	}
	return n.out
}

func known(s string) string {
	if plan.IsUnknown(s) {
		return ""
	}
	return s
}

func (n *needs) partition() string { return cmp.Or(field(n.f.Role, 1), "aws") }

func (n *needs) arn(service, resource string) string {
	return "arn:" + n.partition() + ":" + service + ":" + n.s.Region + ":" + n.f.Account + ":" + resource
}

func (n *needs) iamARN(resource string) string {
	return "arn:" + n.partition() + ":iam::" + n.f.Account + ":" + resource
}

func (n *needs) add(call plan.Call, action, resource string, context map[string][]string) *Permission {
	for i, p := range n.out {
		if p.Action == action && p.Resource == resource && maps.EqualFunc(p.Context, context, slices.Equal) {
			return &n.out[i]
		}
	}
	n.out = append(n.out, Permission{Action: action, Resource: resource, Context: context, For: call.ID})
	return &n.out[len(n.out)-1]
}

// tagContext are the condition keys about tags: those of what is made, and those that what it is made in carries by then.
func (n *needs) tagContext(call plan.Call) map[string][]string {
	out := map[string][]string{}
	set := func(k, v string) {
		out["aws:TagKeys"] = append(out["aws:TagKeys"], k)
		if k != "Name" && k != fleet.TagResource { // each has others: no policy is about these, and one simulation does for all
			out["aws:RequestTag/"+k] = []string{v}
		}
	}
	if tags, ok := call.Input["tags"].(map[string]string); ok {
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			set(k, tags[k])
		}
	}
	for _, list := range append(fleet.Items(call.Input, "tagSpecifications"), call.Input) {
		for _, t := range fleet.Items(list, "tags") {
			set(fleet.Text(t, "key"), fleet.Text(t, "value"))
		}
	}
	for _, k := range []string{fleet.TagCluster, fleet.TagEksctlCluster} {
		out["aws:ResourceTag/"+k] = []string{n.s.Name}
	}
	if call.API == "autoscaling:CreateOrUpdateTags" || call.API == "autoscaling:SuspendProcesses" { // perhaps of a group of EKS's
		out["aws:ResourceTag/"+fleet.TagEKSCluster] = []string{n.s.Name}
	}
	if len(out["aws:TagKeys"]) > 0 { // what is new has them
		for k, v := range out {
			if tag, ok := strings.CutPrefix(k, "aws:RequestTag/"); ok {
				out["aws:ResourceTag/"+tag] = v
			}
		}
	}
	out["aws:RequestedRegion"] = []string{n.s.Region}
	return out
}

func (n *needs) ec2(call plan.Call) {
	operation := strings.TrimPrefix(call.API, "ec2:")
	if operation == "CreateTags" || operation == "DeleteTags" {
		n.add(call, call.API, n.arn("ec2", "*/*"), n.tagContext(call)).Perhaps = true // of what type is known by the id only
		return
	}
	for _, what := range strings.Fields(cmp.Or(ec2Resources[operation], "*")) {
		what, when, conditional := strings.Cut(strings.TrimSuffix(what, ")"), "(")
		if conditional && call.Input[when] == nil {
			continue
		}
		what, made := strings.CutPrefix(what, "+")
		context := n.tagContext(call)
		if !made { // somebody else's tags
			maps.DeleteFunc(context, func(k string, _ []string) bool {
				return strings.HasPrefix(k, "aws:RequestTag/") || k == "aws:TagKeys"
			})
		}
		given := n.s.Network.VPC != "" && slices.Contains([]string{"vpc", "subnet", "route-table"}, what) && !made
		if given || slices.Contains(foreign, what) {
			maps.DeleteFunc(context, func(k string, _ []string) bool { return strings.HasPrefix(k, "aws:ResourceTag/") })
		}
		resource := n.arn("ec2", what+"/*")
		if what == "*" {
			resource = "*"
		}
		n.add(call, call.API, resource, context)
		if made && len(context["aws:TagKeys"]) > 0 {
			context = maps.Clone(context)
			context["ec2:CreateAction"] = []string{operation}
			n.add(call, "ec2:CreateTags", resource, context)
		}
	}
}

// eksKinds are the parts of a cluster as ARNs have them, by what operations call them.
var eksKinds = []struct{ part, resource string }{
	{"Nodegroup", "nodegroup/%/*/*"}, {"Addon", "addon/%/*/*"}, {"FargateProfile", "fargateprofile/%/*/*"}, {"AccessEntry", "access-entry/%/*"},
	{"AccessPolicy", "access-entry/%/*"}, {"PodIdentityAssociation", "podidentityassociation/%/*"}, {"Capability", "capability/%/*/*/*"},
	{"IdentityProviderConfig", "identityproviderconfig/%/*/*/*"},
}

func (n *needs) eks(call plan.Call) {
	cluster := n.arn("eks", "cluster/"+n.s.Name)
	operation := strings.TrimPrefix(call.API, "eks:")
	part := cluster
	for _, k := range eksKinds {
		if strings.Contains(operation, k.part) {
			part = n.arn("eks", strings.ReplaceAll(k.resource, "%", n.s.Name))
		}
	}
	context := n.tagContext(call)
	switch {
	case operation == "TagResource":
		n.add(call, call.API, cmp.Or(known(fleet.Text(call.Input, "resourceArn")), cluster), context)
	case strings.HasPrefix(operation, "Create") || operation == "AssociateIdentityProviderConfig":
		n.add(call, call.API, cluster, context) // is an action on the cluster
		if len(context["aws:TagKeys"]) > 0 {
			n.add(call, "eks:TagResource", part, context)
		}
	default:
		n.add(call, call.API, part, context)
	}
	if keys := fleet.Items(call.Input, "encryptionConfig"); len(keys) > 0 {
		for _, k := range keys {
			for _, action := range []string{"kms:DescribeKey", "kms:CreateGrant"} {
				n.add(call, action, fleet.Text(k, "provider", "keyArn"), map[string][]string{"kms:GrantIsForAWSResource": {"true"}}).Perhaps = true // the key's policy may allow it, too
			}
		}
	}
	if call.Input["launchTemplate"] != nil { // EKS tries in our name what the template says
		context = maps.Clone(context)
		context["ec2:LaunchTemplate"] = []string{n.arn("ec2", "launch-template/*")}
		n.add(call, "ec2:RunInstances", n.arn("ec2", "instance/*"), context).Perhaps = true
	}
}

// roles are the permissions to hand roles over, and to have services make their own.
func (n *needs) roles(call plan.Call) {
	for _, p := range passed {
		role := fleet.Text(call.Input, strings.Split(p.field, ".")...)
		if call.API != p.api || role == "" || plan.IsUnknown(role) {
			continue
		}
		if strings.HasPrefix(call.ID, "access/") && !strings.HasPrefix(fleet.Text(call.Input, "type"), "EC2") {
			continue // people are not handed to services
		}
		n.add(call, "iam:PassRole", role, map[string][]string{"iam:PassedToService": {p.service}})
		if strings.Contains(p.api, "PodIdentity") { // EKS looks at it in our name
			n.add(call, "iam:GetRole", role, nil)
		}
	}
	for _, l := range linked {
		if call.API == l.api {
			n.add(call, "iam:CreateServiceLinkedRole", n.iamARN("role/aws-service-role/"+l.service+"/"+l.role),
				map[string][]string{"iam:AWSServiceName": {l.service}}).Perhaps = true // once an account
		}
	}
}

func (n *needs) iam(call plan.Call) {
	role := fleet.Text(call.Input, "roleName")
	context := n.tagContext(call)
	resource, tag := "*", ""
	switch {
	case strings.Contains(call.API, "OpenIDConnectProvider"):
		resource, tag = n.iamARN("oidc-provider/"+cmp.Or(strings.TrimPrefix(known(fleet.Text(call.Input, "url")), "https://"), "oidc.eks."+n.s.Region+".amazonaws.com/id/*")), "iam:TagOpenIDConnectProvider"
	case strings.Contains(call.API, "InstanceProfile"):
		resource, tag = n.iamARN("instance-profile"+cmp.Or(fleet.Text(call.Input, "path"), n.path())+fleet.Text(call.Input, "instanceProfileName")), "iam:TagInstanceProfile"
		if strings.HasPrefix(call.API, "iam:AddRole") && role != "" {
			n.add(call, "iam:PassRole", n.iamARN("role"+cmp.Or(n.paths[role], n.path())+role), map[string][]string{"iam:PassedToService": {"ec2.amazonaws.com"}})
		}
	case role != "":
		resource, tag = n.iamARN("role"+cmp.Or(n.paths[role], n.path())+role), "iam:TagRole"
	}
	if arn := fleet.Text(call.Input, "policyArn"); arn != "" {
		context["iam:PolicyARN"] = []string{arn}
	}
	if b := cmp.Or(fleet.Text(call.Input, "permissionsBoundary"), n.bound[role]); b != "" {
		context["iam:PermissionsBoundary"] = []string{b}
	}
	n.add(call, call.API, resource, context)
	if strings.HasPrefix(call.API, "iam:Create") && len(context["aws:TagKeys"]) > 0 && tag != "" {
		n.add(call, tag, resource, context)
	}
}

// path is that of all that ekspedite makes for a cluster in IAM: see decide/cluster's RolePath.
func (n *needs) path() string { return "/ekspedite/" + n.s.Region + "/" + n.s.Name + "/" }
