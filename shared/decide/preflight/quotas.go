package preflight

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// quota is a limit on what there is of something.
type quota struct {
	code, api string // of the finding; of the calls that use it up
	service   string // Service Quotas' code: "vpc/L-F678F1CE"
	use       string // what is counted
	what      string // for people
	where     func(plan.Call) bool
}

// limits are those that calls use up. https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html,
// https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html
var limits = []quota{
	{"QuotaVPCs", "ec2:CreateVpc", "vpc/L-F678F1CE", "vpcs", "VPCs per Region", nil},
	{"QuotaInternetGateways", "ec2:CreateInternetGateway", "vpc/L-A4707A72", "igws", "internet gateways per Region", nil},
	{"QuotaEgressGateways", "ec2:CreateEgressOnlyInternetGateway", "vpc/L-45FE3B85", "egress", "egress-only internet gateways per Region", nil},
	{"QuotaAddresses", "ec2:AllocateAddress", "ec2/L-0263D0A3", "addresses", "Elastic IP addresses per Region", nil},
	{"QuotaSecurityGroups", "ec2:CreateSecurityGroup", "vpc/L-E79EC296", "groups", "security groups per Region", nil},
	{"QuotaGatewayEndpoints", "ec2:CreateVpcEndpoint", "vpc/L-1B52E74A", "gateways", "gateway VPC endpoints per Region",
		func(c plan.Call) bool { return fleet.Text(c.Input, "vpcEndpointType") == "Gateway" }},
	{"QuotaClusters", "eks:CreateCluster", "eks/L-1194D53C", "clusters", "EKS clusters per Region", nil},
}

const (
	quotaNATs       = "vpc/L-FE5A380F"
	quotaNodeGroups = "eks/L-6D54EA21"
	quotaNodes      = "eks/L-BD136A63"
	quotaFargate    = "eks/L-33415657"
	quotaProviders  = "iam/L-858F3967"
	quotaInterfaces = "vpc/L-29B6F2EB"
)

func (a *asker) quotas() {
	for _, q := range limits {
		if len(a.using(q)) > 0 {
			a.ask("quota", q.service)
			a.ask("use", q.use)
		}
	}
	for _, q := range []struct{ api, quota, use string }{
		{"ec2:CreateNatGateway", quotaNATs, "nats"}, {"eks:CreateNodegroup", quotaNodeGroups, a.within("nodegroups")},
		{"eks:CreateFargateProfile", quotaFargate, a.within("fargate")}, {"iam:CreateOpenIDConnectProvider", quotaProviders, "providers"},
	} {
		if len(a.made(q.api)) > 0 {
			a.ask("quota", q.quota)
			a.ask("use", q.use)
		}
	}
	if len(a.made("eks:CreateNodegroup")) > 0 {
		a.ask("quota", quotaNodes)
	}
	if len(a.interfaces()) > 0 {
		a.ask("quota", quotaInterfaces)
	}
	if len(a.made("iam:CreateRole"))+len(a.made("iam:CreateInstanceProfile")) > 0 {
		a.ask("use", "account")
	}
	if classes := a.classes(); len(classes) > 0 {
		a.ask("use", "vcpus")
		for _, code := range classes {
			a.ask("quota", code)
		}
	}
}

// within is the use of something within the cluster: none, while it is not there.
func (c *check) within(kind string) string {
	if c.creates() {
		return plan.Unknown(kind) // which is not asked for
	}
	return kind + "/" + c.s.Name
}

func (c *check) using(q quota) (out []plan.Call) {
	for _, call := range c.made(q.api) {
		if q.where == nil || q.where(call) {
			out = append(out, call)
		}
	}
	return out
}

func (c *check) interfaces() []plan.Call {
	return slices.DeleteFunc(c.made("ec2:CreateVpcEndpoint"), func(call plan.Call) bool { return fleet.Text(call.Input, "vpcEndpointType") == "Gateway" })
}

// value is a quota's; it is not known if it was not read.
func (c *check) value(service string) (limit int, known bool) {
	p, read := c.fact("quota", service)
	if !read || p == nil {
		return 0, false
	}
	if f, ok := p["value"].(float64); ok {
		return int(math.Min(f, math.MaxInt32)), true
	}
	return fleet.Int(p, "value"), true
}

// quotas compares what is there and what the plan makes with the account's quotas.
func (c *check) quotas() {
	for _, q := range limits {
		calls := c.using(q)
		used, read := c.fact("use", q.use)
		if len(calls) > 0 && read {
			c.over(Error, q.code, calls[0].ID, q.service, q.what, fleet.Int(used, "count"), len(calls))
		}
	}
	c.natQuota()
	for _, q := range []quota{
		{"QuotaNodeGroups", "eks:CreateNodegroup", quotaNodeGroups, c.within("nodegroups"), "managed node groups per cluster", nil},
		{"QuotaFargateProfiles", "eks:CreateFargateProfile", quotaFargate, c.within("fargate"), "Fargate profiles per cluster", nil},
		{"QuotaOIDCProviders", "iam:CreateOpenIDConnectProvider", quotaProviders, "providers", "IAM OIDC providers per account", nil},
	} {
		if calls := c.made(q.api); len(calls) > 0 {
			used, _ := c.fact("use", q.use)
			c.over(Error, q.code, calls[0].ID, q.service, q.what, fleet.Int(used, "count"), len(calls))
		}
	}
	if calls := c.interfaces(); len(calls) > 0 {
		c.over(Error, "QuotaInterfaceEndpoints", calls[0].ID, quotaInterfaces, "interface VPC endpoints per VPC", c.endpointsThere(), len(calls))
	}
	if limit, known := c.value(quotaNodes); known {
		for _, g := range c.groups() {
			if g.SelfManaged {
				continue
			}
			if g.Desired > limit {
				c.say(Error, "QuotaNodes", groupID(g), raise(quotaNodes), "node group %s wants %d nodes, and the quota of nodes per managed node group is %d", g.Name, g.Desired, limit)
			} else if g.Max > limit {
				c.say(Warning, "QuotaNodes", groupID(g), raise(quotaNodes), "node group %s may grow to %d nodes, and the quota of nodes per managed node group is %d", g.Name, g.Max, limit)
			}
		}
	}
	c.accountQuotas()
}

// over says that a quota is too small for what the plan makes.
func (c *check) over(severity Severity, code, resource, service, what string, used, more int) {
	limit, known := c.value(service)
	if known && used+more > limit {
		c.say(severity, code, resource, raise(service), "the quota of %s is %d: %d are there, and the plan makes %d", what, limit, used, more)
	}
}

func raise(service string) string {
	name, code, _ := strings.Cut(service, "/")
	region := ""
	if name == "iam" {
		region = " --region us-east-1"
	}
	return fmt.Sprintf("raise it (aws service-quotas request-service-quota-increase --service-code %s --quota-code %s --desired-value N%s) or delete what is not used", name, code, region)
}

// natQuota compares NAT gateways by zone.
func (c *check) natQuota() {
	used, read := c.fact("use", "nats")
	if !read {
		return
	}
	more, first := map[string]int{}, map[string]string{}
	for _, call := range c.made("ec2:CreateNatGateway") {
		zone := c.zoneOf(fleet.Text(call.Input, "subnetId"))
		more[zone]++
		first[zone] = call.ID
	}
	for _, zone := range slices.Sorted(maps.Keys(more)) {
		c.over(Error, "QuotaNATGateways", first[zone], quotaNATs, "NAT gateways per zone (here "+zone+")", fleet.Int(used, "zones", zone), more[zone])
	}
}

// zoneOf is the zone of a subnet that exists or that the plan makes.
func (c *check) zoneOf(subnet string) string {
	for _, call := range c.made("ec2:CreateSubnet") {
		if plan.Unknown(call.ID) == subnet {
			return fleet.Text(call.Input, "availabilityZone")
		}
	}
	if p, ok := c.subnet(subnet); ok {
		return fleet.Text(p, "availabilityZone")
	}
	return ""
}

// accountQuotas are those of IAM, which says itself what they are.
func (c *check) accountQuotas() {
	p, read := c.fact("use", "account")
	if !read {
		return
	}
	for _, q := range []struct{ api, code, key, what string }{
		{"iam:CreateRole", "QuotaRoles", "Roles", "IAM roles per account"},
		{"iam:CreateInstanceProfile", "QuotaInstanceProfiles", "InstanceProfiles", "IAM instance profiles per account"},
	} {
		calls, limit := c.made(q.api), fleet.Int(p, q.key+"Quota")
		if used := fleet.Int(p, q.key); len(calls) > 0 && limit > 0 && used+len(calls) > limit {
			c.say(Error, q.code, calls[0].ID, "raise it in Service Quotas (iam, us-east-1) or delete what is not used",
				"the quota of %s is %d: %d are there, and the plan makes %d", q.what, limit, used, len(calls))
		}
	}
	attached := map[string]int{}
	for _, call := range c.made("iam:AttachRolePolicy") {
		attached[fleet.Text(call.Input, "roleName")]++
	}
	limit := fleet.Int(p, "AttachedPoliciesPerRoleQuota")
	for _, role := range slices.Sorted(maps.Keys(attached)) {
		if limit > 0 && attached[role] > limit {
			c.say(Error, "QuotaPoliciesPerRole", "role", "raise the quota iam/L-0DA4ABF3 (us-east-1) or join policies", "role %s gets %d managed policies, and the quota is %d", role, attached[role], limit)
		}
	}
}

// vCPU quotas by the first letters of instance types. Those that have a quota of their own and are not here are not
// checked. https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
var vcpuQuotas = []struct {
	families       []string
	name           string
	onDemand, spot string
}{
	{[]string{"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"}, "standard", "ec2/L-1216C47A", "ec2/L-34B43A08"},
	{[]string{"f"}, "F", "ec2/L-74FC7D96", "ec2/L-88CF9481"},
	{[]string{"g", "gr", "vt"}, "G and VT", "ec2/L-DB2E81BA", "ec2/L-3819A6DF"},
	{[]string{"inf"}, "Inf", "ec2/L-1945791B", "ec2/L-B5D1601B"},
	{[]string{"p"}, "P", "ec2/L-417A185B", "ec2/L-7212CCBC"},
	{[]string{"trn"}, "Trn", "ec2/L-2C3B7624", "ec2/L-6B0D517C"},
	{[]string{"x"}, "X", "ec2/L-7295265B", "ec2/L-E3A00192"},
}

// family are the letters that an instance type's name begins with: "m" of m5.large, "inf" of inf2.xlarge.
func family(instanceType string) string {
	i := strings.IndexFunc(instanceType, func(r rune) bool { return r >= '0' && r <= '9' })
	return instanceType[:max(i, 0)]
}

// vcpuQuota is the quota that a type's vCPUs count against.
func vcpuQuota(instanceType string, spot bool) (service, name string) {
	for _, q := range vcpuQuotas {
		if slices.Contains(q.families, family(instanceType)) {
			if spot {
				return q.spot, q.name + " spot"
			}
			return q.onDemand, q.name + " on-demand"
		}
	}
	return "", ""
}

// types are the instance types that a group may use, as the plan says: the spec may leave the choice to a selector.
func (c *check) types(g fleet.NodeGroupSpec) []string {
	if list := fleet.Texts(c.groupCall(g.Name).Input, "instanceTypes"); len(list) > 0 {
		return list
	}
	return g.InstanceTypes
}

func (c *check) classes() (out []string) {
	for _, g := range c.groups() {
		for _, t := range c.types(g) {
			if code, _ := vcpuQuota(t, g.Spot); code != "" && !g.CapacityBlock && !slices.Contains(out, code) {
				out = append(out, code)
			}
		}
	}
	return out
}

// vcpus compares machines with the account's vCPU limits: those that are to start now, and all that may.
func (c *check) vcpus() {
	used, read := c.fact("use", "vcpus")
	if !read {
		return
	}
	now, later, names, groups := map[string]int{}, map[string]int{}, map[string]string{}, map[string][]string{}
	for _, g := range c.groups() {
		code, each := "", 0
		for _, t := range c.types(g) { // of several types, the smallest is certain to be needed
			p := c.instanceType(t)
			q, name := vcpuQuota(t, g.Spot)
			if n := fleet.Int(p, "vCpuInfo", "defaultVCpus"); n > 0 && q != "" && (each == 0 || n < each) {
				code, each, names[q] = q, n, name
			}
		}
		if code != "" && !g.CapacityBlock {
			now[code] += each * g.Desired
			later[code] += each * g.Max
			groups[code] = append(groups[code], g.Name)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(now)) {
		limit, known := c.value(code)
		running := fleet.Int(used, "quotas", code)
		who := "nodegroup/" + groups[code][0]
		switch {
		case !known:
		case running+now[code] > limit:
			c.say(Warning, "QuotaVCPUs", who, raise(code), "%s instances may have %d vCPUs in this account and Region: %d are running, and node groups %s begin with at least %d",
				names[code], limit, running, strings.Join(groups[code], ", "), now[code])
		case running+later[code] > limit:
			c.say(Warning, "QuotaVCPUsAtMaximum", who, raise(code), "%s instances may have %d vCPUs in this account and Region: %d are running, and node groups %s may grow to %d",
				names[code], limit, running, strings.Join(groups[code], ", "), later[code])
		}
	}
}

// VCPUQuota is the quota, as in Service Quotas "ec2/L-1216C47A", that the vCPUs of an instance type count against; "" where
// it is not known.
func VCPUQuota(instanceType string, spot bool) string {
	code, _ := vcpuQuota(instanceType, spot)
	return code
}
