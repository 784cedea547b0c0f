package preflight

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestQuotas(t *testing.T) {
	private := func(s *scene) {
		s.services()
		s.s.Network.FullyPrivate, s.s.Network.NAT, s.facts.InVPC = true, fleet.NATDisable, true
	}
	run(t, map[string]fault{
		"VPCs":              {Error, "QuotaVPCs", over("vpc/L-F678F1CE")},
		"internet gateways": {Error, "QuotaInternetGateways", over("vpc/L-A4707A72")},
		"egress gateways":   {Error, "QuotaEgressGateways", both(func(s *scene) { s.s.Network.IPv6 = true }, over("vpc/L-45FE3B85"))},
		"addresses, three of which are needed": {Error, "QuotaAddresses", both(answer("quota", "ec2/L-0263D0A3", fleet.Props{"value": 5.0}),
			answer("use", "addresses", fleet.Props{"count": 3}))},
		"NAT gateways in one zone": {Error, "QuotaNATGateways", both(answer("quota", "vpc/L-FE5A380F", fleet.Props{"value": 5.0}),
			answer("use", "nats", fleet.Props{"zones": fleet.Props{"us-east-1b": 5}}))},
		"security groups":      {Error, "QuotaSecurityGroups", both(func(s *scene) { s.s.Network.ExtraCIDRs = []string{"192.168.0.0/24"} }, over("vpc/L-E79EC296"))},
		"clusters":             {Error, "QuotaClusters", over("eks/L-1194D53C")},
		"node groups":          {Error, "QuotaNodeGroups", both(func(s *scene) { s.s.NodeGroups = append(s.s.NodeGroups, group("b", "m5.large")) }, over("eks/L-6D54EA21"))},
		"nodes of a group":     {Error, "QuotaNodes", both(set(func(g *fleet.NodeGroupSpec) { g.Desired, g.Max = 200, 200 }))},
		"nodes at its maximum": {Warning, "QuotaNodes", both(set(func(g *fleet.NodeGroupSpec) { g.Max = 200 }))},
		"interface endpoints":  {Error, "QuotaInterfaceEndpoints", both(private, over("vpc/L-29B6F2EB"))},
		"gateway endpoints":    {Error, "QuotaGatewayEndpoints", both(private, over("vpc/L-1B52E74A"))},
		"roles":                {Error, "QuotaRoles", answer("use", "account", fleet.Props{"Roles": 999, "RolesQuota": 1000})},
		"policies of a role":   {Error, "QuotaPoliciesPerRole", answer("use", "account", fleet.Props{"Roles": 9, "RolesQuota": 1000, "AttachedPoliciesPerRoleQuota": 2})},
		"vCPUs now":            {Warning, "QuotaVCPUs", over("ec2/L-1216C47A")},
		"spot vCPUs now":       {Warning, "QuotaVCPUs", both(set(func(g *fleet.NodeGroupSpec) { g.Spot = true }), over("ec2/L-34B43A08"))},
		"G vCPUs":              {Warning, "QuotaVCPUs", both(set(func(g *fleet.NodeGroupSpec) { g.InstanceTypes = []string{"g5.xlarge"} }), over("ec2/L-DB2E81BA"))},
		"vCPUs with what runs": {Warning, "QuotaVCPUs", answer("use", "vcpus", fleet.Props{"quotas": fleet.Props{"ec2/L-1216C47A": 98}})},
		"vCPUs at the maximum": {Warning, "QuotaVCPUsAtMaximum", answer("use", "vcpus", fleet.Props{"quotas": fleet.Props{"ec2/L-1216C47A": 90}})},
		"instance profiles":    {Error, "QuotaInstanceProfiles", both(set(selfManaged), answer("use", "account", fleet.Props{"InstanceProfiles": 5, "InstanceProfilesQuota": 5}))},
		"Fargate profiles":     {Error, "QuotaFargateProfiles", both(fargate, func(s *scene) { s.s.Fargate = append(s.s.Fargate, s.s.Fargate[0]); s.s.Fargate[1].Name = "g" }, over("eks/L-33415657"))},
		"IAM's OIDC providers": {Error, "QuotaOIDCProviders", both(func(s *scene) { s.s.IAM.OIDC = true }, over("iam/L-858F3967"))},
		"a quota that is no one": {Warning, "Unchecked", func(s *scene) {
			s.facts.Unread = map[Question]Unread{{"quota", "vpc/L-F678F1CE"}: {Text: "throttled"}}
		}},
	})
}

func selfManaged(g *fleet.NodeGroupSpec) {
	g.SelfManaged, g.AMI, g.Group, g.InstanceTypes = true, "ami-1", &fleet.GroupSpec{}, []string{"m5.large"}
}

func fargate(s *scene) {
	s.s.Fargate = []fleet.FargateSpec{{Name: "f", Selectors: []fleet.FargateSelector{{Namespace: "x"}}}}
}

func TestNetwork(t *testing.T) {
	public := set(func(g *fleet.NodeGroupSpec) { g.Private = false })
	routes := func(routes ...any) func(*scene) {
		return bent("routes", all("routeTables", func(p fleet.Props) { p["routes"] = routes }))
	}
	run(t, map[string]fault{
		"no such VPC":                {Error, "VPCNotFound", inVPC(answer("vpc", "vpc-1", nil))},
		"no DNS":                     {Error, "VPCWithoutDNS", inVPC(bent("vpc", func(p fleet.Props) { p["enableDnsSupport"] = false }))},
		"no DNS names":               {Error, "VPCWithoutDNS", inVPC(bent("vpc", func(p fleet.Props) { p["enableDnsHostnames"] = false }))},
		"a subnet of another VPC":    {Error, "SubnetNotInVPC", inVPC(bent("subnets", func(p fleet.Props) { p["subnets"] = p["subnets"].([]any)[1:] }))},
		"no such security group":     {Error, "SecurityGroupNotFound", inVPC(both(sg, answer("groups", "sg-1", fleet.Props{"securityGroups": []any{}})))},
		"a security group elsewhere": {Error, "SecurityGroupElsewhere", inVPC(both(sg, bent("groups", all("securityGroups", func(p fleet.Props) { p["vpcId"] = "vpc-2" }))))},
		"five security groups": {Error, "TooManySecurityGroups", inVPC(func(s *scene) {
			s.s.Network.ControlPlaneSecurityGroups = []string{"sg-1", "sg-2", "sg-3", "sg-4", "sg-5"}
		})},
		"a full subnet":                {Error, "NoAddresses", inVPC(free(4))},
		"a nearly full subnet":         {Warning, "FewAddresses", inVPC(free(15))},
		"no room for nodes":            {Error, "NoAddressesForNodes", inVPC(both(free(6), set(func(g *fleet.NodeGroupSpec) { g.Desired, g.Max = 13, 13 })))},
		"no room for pods":             {Warning, "FewAddressesForPods", inVPC(free(20))},
		"no room for pods later":       {Warning, "FewAddressesAtMaximum", inVPC(free(40))},
		"a small network that is made": {Warning, "FewAddressesForPods", both(func(s *scene) { s.s.Network.CIDR = "10.42.0.0/24" }, set(func(g *fleet.NodeGroupSpec) { g.Desired, g.Max = 40, 40 }))},
		"no public addresses":          {Error, "NoPublicAddresses", inVPC(both(public, bent("subnets", all("subnets", func(p fleet.Props) { p["mapPublicIpOnLaunch"] = false }))))},
		"no way out":                   {Error, "NoWayOut", inVPC(routes())},
		"no way out but endpoints, public API server": {Error, "NoWayToAPIServer", inVPC(both(routes(), func(s *scene) { s.s.Network.PrivateAccess = false }, bent("endpoints", func(p fleet.Props) {
			var list []any
			for _, s := range services {
				list = append(list, fleet.Props{"serviceName": "com.amazonaws.us-east-1." + s})
			}
			p["vpcEndpoints"] = list
		})))},
		"a route to nowhere":              {Error, "RouteToNowhere", inVPC(routes(fleet.Props{"destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1", "state": "blackhole"}))},
		"Fargate in a public subnet":      {Error, "FargateInPublicSubnet", inVPC(both(fargate, routes(fleet.Props{"destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1", "state": "active"})))},
		"Fargate without a way out":       {Error, "NoWayOut", inVPC(both(fargate, func(s *scene) { s.s.NodeGroups = nil }, routes()))},
		"services within the VPC":         {Error, "RangesOverlap", func(s *scene) { s.s.Network.ServiceCIDR = "10.42.128.0/20" }},
		"services in public ranges":       {Error, "ServiceRange", func(s *scene) { s.s.Network.ServiceCIDR = "11.0.0.0/16" }},
		"services in a small range":       {Error, "ServiceRange", func(s *scene) { s.s.Network.ServiceCIDR = "172.20.0.0/25" }},
		"services without a range":        {Error, "ServiceRange", func(s *scene) { s.s.Network.ServiceCIDR = "172.20" }},
		"services within a peer":          {Warning, "RangesOverlapPeer", inVPC(func(s *scene) { s.s.Network.ServiceCIDR = "172.20.128.0/20" })},
		"remote nodes within the VPC":     {Error, "RangesOverlap", remote("10.42.3.0/24", "192.168.0.0/16", "172.20.0.0/16")},
		"remote nodes with services":      {Error, "RangesOverlap", remote("172.20.3.0/24", "192.168.0.0/16", "172.20.0.0/16")},
		"remote nodes and pods":           {Error, "RangesOverlap", remote("192.168.3.0/24", "192.168.0.0/16", "172.20.0.0/16")},
		"remote nodes in public":          {Error, "RemoteRange", remote("8.8.0.0/16", "192.168.0.0/16", "172.20.0.0/16")},
		"an unknown zone":                 {Error, "ZoneUnknown", func(s *scene) { s.s.Network.Zones[2] = "us-east-1x" }},
		"a closed zone":                   {Error, "ZoneClosed", bent("zones", all("zones", func(p fleet.Props) { p["state"] = "unavailable" }))},
		"a zone without consent":          {Error, "ZoneNotOptedIn", bent("zones", all("zones", func(p fleet.Props) { p["optInStatus"] = "not-opted-in" }))},
		"a zone without EKS":              {Error, "ZoneWithoutControlPlane", bent("zones", all("zones", func(p fleet.Props) { p["zoneId"] = "use1-az3" }))},
		"a zone without EKS by name":      {Error, "ZoneWithoutControlPlane", both(func(s *scene) { s.s.Network.Zones[2] = "us-east-1e" }, bent("zones", all("zones", func(p fleet.Props) { p["zoneName"] = "us-east-1e" })))},
		"a control plane in a Local Zone": {Error, "ZoneWithoutControlPlane", inVPC(bent("zones", all("zones", func(p fleet.Props) { p["zoneType"] = "local-zone" })))},
	})
}

func sg(s *scene) { s.s.Network.ControlPlaneSecurityGroups = []string{"sg-1"} }

func free(n int) func(*scene) {
	return bent("subnets", all("subnets", func(p fleet.Props) { p["availableIpAddressCount"] = n }))
}

func remote(nodes, pods, services string) func(*scene) {
	return func(s *scene) {
		s.s.Network.ServiceCIDR = services
		s.s.Remote = &fleet.RemoteSpec{NodeCIDRs: []string{nodes}, PodCIDRs: []string{pods}, Provider: "ssm"}
	}
}

func TestEndpoint(t *testing.T) {
	run(t, map[string]fault{
		"none":          {Error, "NoEndpoint", func(s *scene) { s.s.Network.PublicAccess, s.s.Network.PrivateAccess = false, false }},
		"a private one": {Warning, "PrivateEndpoint", func(s *scene) { s.s.Network.PublicAccess = false }},
		"private, with objects": {Error, "PrivateEndpoint", func(s *scene) {
			s.s.Network.PublicAccess = false
			s.s.IAM.OIDC, s.s.IAM.ServiceAccounts = true, []fleet.ServiceAccountSpec{{Namespace: "a", Name: "b", Grants: fleet.Grants{PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}}}}
		}},
		"for some only": {Warning, "EndpointForSome", func(s *scene) { s.s.Network.PublicAccessCIDRs = []string{"1.2.3.0/24"} }},
		"not for nodes": {Warning, "NodesLockedOut", func(s *scene) {
			s.s.Network.PublicAccessCIDRs, s.s.Network.PrivateAccess = []string{"1.2.3.0/24"}, false
		}},
		"for private ones": {Error, "PrivateRange", func(s *scene) { s.s.Network.PublicAccessCIDRs = []string{"10.0.0.0/8"} }},
		"for forty-one": {Error, "TooManyRanges", func(s *scene) {
			for i := range 41 {
				s.s.Network.PublicAccessCIDRs = append(s.s.Network.PublicAccessCIDRs, fmt.Sprintf("1.2.%d.0/24", i))
			}
		}},
	})
}

func TestMachines(t *testing.T) {
	own := func(data fleet.Props) func(*scene) {
		return both(set(func(g *fleet.NodeGroupSpec) { g.Template = &fleet.LaunchTemplateRef{ID: "lt-1", Version: "3"} }),
			answer("template", "lt-1/3", fleet.Props{"launchTemplateData": data}))
	}
	image := func(p fleet.Props) func(*scene) {
		return both(set(func(g *fleet.NodeGroupSpec) {
			g.AMI, g.AMIType, g.InstanceTypes = "ami-1", "CUSTOM", []string{"m5.large"}
		}), answer("images", "ami-1", p))
	}
	elsewhere := bent("offerings", all("offerings", func(p fleet.Props) { p["location"] = "us-east-1f" }))
	one := set(func(g *fleet.NodeGroupSpec) { g.InstanceTypes = []string{"m5.large"} })
	run(t, map[string]fault{
		"no such type":           {Error, "InstanceTypeUnknown", both(one, answer("types", "m5.large", fleet.Props{}))},
		"in none of its zones":   {Error, "TypeNotInZones", both(one, elsewhere)},
		"not in one zone":        {Warning, "TypeNotInZone", both(one, bent("offerings", func(p fleet.Props) { p["offerings"] = p["offerings"].([]any)[1:] }))},
		"one of several missing": {Warning, "TypeNotInZone", bent("offerings", func(p fleet.Props) { p["offerings"] = p["offerings"].([]any)[1:] })},
		"ARM machines":           {Error, "WrongArchitecture", set(func(g *fleet.NodeGroupSpec) { g.InstanceTypes = []string{"m7g.large"} })},
		"ARM images":             {Error, "WrongArchitecture", set(func(g *fleet.NodeGroupSpec) { g.AMIType = "AL2023_ARM_64_STANDARD" })},
		"no GPU":                 {Warning, "NoGPU", set(func(g *fleet.NodeGroupSpec) { g.AMIType = "AL2023_x86_64_NVIDIA" })},
		"not on spot": {Error, "NotOnSpot", both(set(func(g *fleet.NodeGroupSpec) { g.Spot = true }),
			bent("types", all("instanceTypes", func(p fleet.Props) { p["supportedUsageClasses"] = []any{"on-demand"} })))},
		"no EFA": {Error, "NoEFA", both(set(func(g *fleet.NodeGroupSpec) { g.Machine.EFA = true }),
			bent("types", all("instanceTypes", func(p fleet.Props) { p["networkInfo"] = fleet.Props{} })))},
		"no such image":              {Error, "ImageNotFound", image(fleet.Props{"images": []any{}})},
		"a failed image":             {Error, "ImageNotAvailable", image(fleet.Props{"images": []any{fleet.Props{"imageId": "ami-1", "state": "failed"}}})},
		"an ARM image":               {Error, "WrongArchitecture", image(fleet.Props{"images": []any{fleet.Props{"imageId": "ami-1", "state": "available", "architecture": "arm64"}}})},
		"no such template":           {Error, "LaunchTemplateNotFound", both(own(nil), answer("template", "lt-1/3", nil))},
		"a template with a profile":  {Error, "LaunchTemplateRefused", own(fleet.Props{"iamInstanceProfile": fleet.Props{"name": "x"}})},
		"a template with spot":       {Error, "LaunchTemplateRefused", own(fleet.Props{"instanceMarketOptions": fleet.Props{"marketType": "spot"}})},
		"a template with a subnet":   {Error, "LaunchTemplateRefused", own(fleet.Props{"networkInterfaces": []any{fleet.Props{"subnetId": "subnet-1"}}})},
		"a template with types, too": {Error, "LaunchTemplateRefused", own(fleet.Props{"instanceType": "m5.xlarge"})},
		"a template with its image":  {Error, "LaunchTemplateRefused", own(fleet.Props{"imageId": "ami-1"})},
		"no such key pair":           {Error, "KeyPairNotFound", both(set(func(g *fleet.NodeGroupSpec) { g.Machine.SSH = &fleet.SSHSpec{KeyName: "k"} }), answer("keypair", "k", nil))},
		"no such placement group":    {Error, "PlacementGroupNotFound", both(set(func(g *fleet.NodeGroupSpec) { g.Machine.Placement = "p" }), answer("placement", "p", nil))},
		"spot may have nothing":      {Info, "Capacity", set(func(g *fleet.NodeGroupSpec) { g.Spot = true })},
		"one spot type":              {Info, "OneSpotType", both(one, set(func(g *fleet.NodeGroupSpec) { g.Spot = true }))},
	})
}

func TestIdentity(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/mine"
	trusts := func(service string) func(*scene) {
		return bent("role", func(p fleet.Props) {
			p["trust"] = fleet.Props{"Statement": fleet.Props{"Effect": "Allow", "Principal": fleet.Props{"Service": service}, "Action": "sts:AssumeRole"}}
		})
	}
	control := func(s *scene) { s.s.IAM.RoleARN = role }
	node := set(func(g *fleet.NodeGroupSpec) { g.IAM.RoleARN = role })
	people := func(arn string) func(*scene) {
		return func(s *scene) { s.s.Access = append(s.s.Access, fleet.AccessSpec{Principal: arn}) }
	}
	run(t, map[string]fault{
		"no such role":               {Error, "RoleNotFound", both(control, answer("role", role, nil))},
		"a role with another path":   {Error, "RoleNotFound", both(control, bent("role", func(p fleet.Props) { p["arn"] = "arn:aws:iam::123456789012:role/team/mine" }))},
		"a role of another account":  {Error, "RoleElsewhere", func(s *scene) { s.s.IAM.RoleARN = "arn:aws:iam::999999999999:role/mine" }},
		"a role not for EKS":         {Error, "RoleTrust", both(control, trusts("ec2.amazonaws.com"))},
		"a role without TagSession":  {Error, "RoleTrust", both(control, trusts("eks.amazonaws.com"), func(s *scene) { s.s.Auto = &fleet.AutoSpec{} })},
		"a node role not for EC2":    {Error, "RoleTrust", both(node, trusts("eks.amazonaws.com"))},
		"an Auto Mode role":          {Error, "RoleTrust", both(trusts("eks.amazonaws.com"), func(s *scene) { s.s.Auto = &fleet.AutoSpec{NodePools: []string{"system"}, NodeRoleARN: role} })},
		"a Fargate role":             {Error, "RoleTrust", both(fargate, trusts("eks.amazonaws.com"), func(s *scene) { s.s.IAM.FargateRoleARN = role })},
		"a profile's Fargate role":   {Error, "RoleTrust", both(fargate, trusts("eks-fargate.amazonaws.com"), func(s *scene) { s.s.Fargate[0].RoleARN = role })},
		"a pod identity role":        {Error, "RoleTrust", both(trusts("pods.eks.amazonaws.com"), func(s *scene) { podRole(s, role) })},
		"an add-on's role":           {Error, "RoleNotFound", both(answer("role", role, nil), func(s *scene) { s.s.Addons = []fleet.AddonSpec{{Name: "vpc-cni", RoleARN: role}} })},
		"a capability's role":        {Error, "RoleTrust", both(trusts("eks.amazonaws.com"), func(s *scene) { s.s.Capabilities = []fleet.CapabilitySpec{{Name: "ack", Type: "ACK", RoleARN: role}} })},
		"a policy that is not there": {Error, "PolicyNotFound", both(set(func(g *fleet.NodeGroupSpec) { g.IAM.PolicyARNs = []string{"arn:aws:iam::aws:policy/Amazom"} }), answer("policy", "arn:aws:iam::aws:policy/Amazom", nil))},
		"a boundary that is not":     {Error, "PolicyNotFound", both(func(s *scene) { s.s.IAM.RoleBoundary = "arn:aws:iam::123456789012:policy/b" }, answer("policy", "arn:aws:iam::123456789012:policy/b", nil))},
		"no such profile":            {Error, "InstanceProfileNotFound", both(set(selfManaged), set(func(g *fleet.NodeGroupSpec) { g.IAM.ProfileARN = "arn:aws:iam::123456789012:instance-profile/p" }), answer("profile", "p", nil))},
		"nobody of that name":        {Error, "PrincipalNotFound", both(people(role), answer("principal", role, nil))},
		"a session":                  {Error, "PrincipalIsSession", people("arn:aws:sts::123456789012:assumed-role/a/b")},
		"a group":                    {Error, "PrincipalShape", people("arn:aws:iam::123456789012:group/a")},
		"no access policy": {Error, "AccessPolicyShape", func(s *scene) {
			s.s.Access = []fleet.AccessSpec{{Principal: role, Policies: []fleet.AccessPolicy{{ARN: "arn:aws:iam::aws:policy/AdministratorAccess"}}}}
		}},
		"no Identity Center": {Error, "IdentityCenterShape", func(s *scene) {
			s.s.Capabilities = []fleet.CapabilitySpec{{Name: "argo", Type: "ARGOCD", Configuration: fleet.Props{"argoCd": fleet.Props{"awsIdc": fleet.Props{"idcInstanceArn": "arn:aws:iam::123456789012:role/x"}}}}}
		}},
		"no Outpost": {Error, "OutpostShape", inVPC(func(s *scene) { s.s.Outpost = &fleet.OutpostSpec{ARN: "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"} })},
		"an Outpost elsewhere": {Error, "OutpostElsewhere", inVPC(func(s *scene) {
			s.s.Outpost = &fleet.OutpostSpec{ARN: "arn:aws:outposts:us-west-2:123456789012:outpost/op-1"}
		})},
		"an Outpost": {Info, "OutpostUnread", inVPC(func(s *scene) {
			s.s.Outpost = &fleet.OutpostSpec{ARN: "arn:aws:outposts:us-east-1:123456789012:outpost/op-1"}
		})},
		"no such key":         {Error, "KeyNotFound", both(encrypted, answer("key", keyARN, nil))},
		"a key that is off":   {Error, "KeyNotEnabled", both(encrypted, bent("key", func(p fleet.Props) { p["keyState"] = "PendingDeletion" }))},
		"an asymmetric key":   {Error, "KeyNotSymmetric", both(encrypted, bent("key", func(p fleet.Props) { p["keySpec"] = "RSA_2048" }))},
		"a key elsewhere":     {Error, "KeyElsewhere", func(s *scene) { s.s.SecretsKeyARN = "arn:aws:kms:us-west-2:123456789012:key/1" }},
		"a key out of bounds": {Error, "KeyUnusable", both(encrypted, func(s *scene) { s.facts.Unread = map[Question]Unread{{"key", keyARN}: {Denied: true}} })},
		"a disk's key":        {Error, "KeyNotEnabled", both(set(func(g *fleet.NodeGroupSpec) { g.Machine.DiskKey = keyARN }), bent("key", func(p fleet.Props) { p["keyState"] = "Disabled" }))},
		"a volume's key": {Error, "KeyNotFound", both(set(func(g *fleet.NodeGroupSpec) {
			g.Machine.Volumes = []fleet.VolumeSpec{{Name: "/dev/xvdb", GiB: 10, Key: keyARN}}
		}), answer("key", keyARN, nil))},
		"a role that is hidden": {Warning, "Unchecked", both(control, func(s *scene) { s.facts.Unread = map[Question]Unread{{"role", role}: {Denied: true}} })},
	})
}

func podRole(s *scene, arn string) {
	s.s.Addons = []fleet.AddonSpec{{Name: "eks-pod-identity-agent"}}
	s.s.IAM.PodIdentities = []fleet.PodIdentitySpec{{Namespace: "a", ServiceAccount: "b", RoleARN: arn}}
}

func encrypted(s *scene) { s.s.SecretsKeyARN = keyARN }

func TestVersions(t *testing.T) {
	version := func(v string) func(*scene) { return func(s *scene) { s.s.Version = v } }
	addon := func(version string) func(*scene) {
		return func(s *scene) { s.s.Addons = []fleet.AddonSpec{{Name: "vpc-cni", Version: version}} }
	}
	run(t, map[string]fault{
		"not offered":            {Error, "VersionNotOffered", version("1.99")},
		"not supported any more": {Error, "VersionNotOffered", version("1.28")},
		"in extended support":    {Warning, "VersionInExtendedSupport", version("1.31")},
		"extended, without it":   {Error, "VersionEnds", both(version("1.31"), func(s *scene) { s.s.SupportType = "STANDARD" })},
		"ending soon":            {Warning, "VersionEnds", version("1.33")},
		"at the very end":        {Warning, "VersionEnds", both(version("1.31"), bent("versions", all("clusterVersions", func(p fleet.Props) { p["endOfExtendedSupportDate"] = "2026-12-24T00:00:00Z" })))},
		"no such add-on":         {Error, "AddonNotFound", both(addon(""), answer("addon", "vpc-cni@1.36", fleet.Props{"versions": []any{}}))},
		"no such version":        {Error, "AddonVersion", addon("v1.12.0-eksbuild.1")},
		"a release of another":   {Error, "ReleaseVersion", set(func(g *fleet.NodeGroupSpec) { g.ReleaseVersion = "1.35.1-20260901" })},
		"Amazon Linux 2":         {Error, "AMITypeGone", set(func(g *fleet.NodeGroupSpec) { g.AMIType = "AL2_x86_64" })},
	})
}

func TestNames(t *testing.T) {
	run(t, map[string]fault{
		"a launch template":  {Error, "NameTaken", bentAbsent("templatename")},
		"a security group":   {Error, "NameTaken", both((*scene).given, func(s *scene) { s.s.Network.ExtraCIDRs = []string{"192.168.0.0/24"} }, bentAbsent("groupname"))},
		"a key pair":         {Error, "NameTaken", set(func(g *fleet.NodeGroupSpec) { g.Machine.SSH = &fleet.SSHSpec{PublicKey: "ssh-ed25519 AAAA"} })},
		"a log group":        {Info, "LogGroupExists", both(func(s *scene) { s.s.Logging = []string{"api"} }, answer("loggroup", "/aws/eks/demo/cluster", fleet.Props{"logGroupName": "x"}))},
		"a log group to cut": {Warning, "LogGroupExists", both(func(s *scene) { s.s.Logging, s.s.LogRetentionDays = []string{"api"}, 7 }, answer("loggroup", "/aws/eks/demo/cluster", fleet.Props{"logGroupName": "x"}))},
		"a role of others": {Error, "Plan", func(s *scene) {
			s.o.Found["role/cluster"] = []fleet.Resource{{Ref: fleet.Ref{ID: "role/cluster", Kind: "role"}, Tags: map[string]string{}}}
		}},
		"a cluster of others": {Error, "Plan", func(s *scene) {
			s.o.Found["cluster"] = []fleet.Resource{{Ref: fleet.Ref{ID: "cluster", Kind: "cluster"}, Status: "ACTIVE", Tags: map[string]string{}}}
		}},
	})
}

// bentAbsent makes something of a kind exist, whatever its name.
func bentAbsent(kind string) func(*scene) {
	return func(s *scene) {
		for _, q := range Ask(s.facts, s.s, s.plan()).Facts {
			if q.Kind == kind {
				s.fixed[q] = fleet.Props{"there": true}
			}
		}
	}
}

func TestPermissions(t *testing.T) {
	s := newScene(t)
	s.s.SecretsKeyARN = keyARN
	fargate(s)
	podRole(s, "arn:aws:iam::123456789012:role/pods")
	list := Ask(s.facts, s.s, s.plan()).Permissions
	has := map[string]Permission{}
	for _, p := range list {
		if !strings.HasPrefix(p.Resource, "arn:aws:") || strings.Contains(p.Resource, "${") {
			t.Errorf("%s on %s", p.Action, p.Resource)
		}
		has[p.Action+" "+p.Resource] = p
	}
	const account = "arn:aws:iam::123456789012:role/"
	for want, key := range map[string][2]string{
		"ec2:CreateVpc arn:aws:ec2:us-east-1:123456789012:vpc/*":                                                   {"aws:RequestTag/" + fleet.TagCluster, "demo"},
		"ec2:CreateTags arn:aws:ec2:us-east-1:123456789012:subnet/*":                                               {"ec2:CreateAction", "CreateSubnet"},
		"ec2:CreateSubnet arn:aws:ec2:us-east-1:123456789012:vpc/*":                                                {"aws:ResourceTag/" + fleet.TagCluster, "demo"},
		"ec2:CreateNatGateway arn:aws:ec2:us-east-1:123456789012:elastic-ip/*":                                     {"aws:ResourceTag/" + fleet.TagCluster, "demo"},
		"eks:CreateCluster arn:aws:eks:us-east-1:123456789012:cluster/demo":                                        {"aws:RequestTag/" + fleet.TagCluster, "demo"},
		"eks:TagResource arn:aws:eks:us-east-1:123456789012:nodegroup/demo/*/*":                                    {"aws:RequestTag/" + fleet.TagCluster, "demo"},
		"iam:PassRole " + account + "ekspedite/us-east-1/demo/ekspedite-us-east-1-demo-cluster":                    {"iam:PassedToService", "eks.amazonaws.com"},
		"iam:PassRole " + account + "ekspedite/us-east-1/demo/ekspedite-us-east-1-demo-fargate":                    {"iam:PassedToService", "eks-fargate-pods.amazonaws.com"},
		"iam:PassRole " + account + "pods":                                                                         {"iam:PassedToService", "pods.eks.amazonaws.com"},
		"iam:AttachRolePolicy " + account + "ekspedite/us-east-1/demo/ekspedite-us-east-1-demo-cluster":            {"iam:PolicyARN", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
		"iam:TagRole " + account + "ekspedite/us-east-1/demo/ekspedite-us-east-1-demo-node":                        {"aws:RequestTag/" + fleet.TagCluster, "demo"},
		"iam:CreateServiceLinkedRole " + account + "aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS": {"iam:AWSServiceName", "eks.amazonaws.com"},
		"kms:CreateGrant " + keyARN: {"kms:GrantIsForAWSResource", "true"},
	} {
		p, ok := has[want]
		if !ok || len(p.Context[key[0]]) == 0 {
			t.Errorf("%s with %s: %v", want, key[0], p)
		} else if key[0] != "iam:PolicyARN" && p.Context[key[0]][0] != key[1] {
			t.Errorf("%s: %v", want, p.Context)
		}
	}
	s.s.IAM.RoleBoundary = "arn:aws:iam::123456789012:policy/bound"
	for _, p := range Ask(s.facts, s.s, s.plan()).Permissions {
		if b := p.Context["iam:PermissionsBoundary"]; strings.HasSuffix(p.Resource, "-demo-cluster") && p.Action == "iam:AttachRolePolicy" && (len(b) != 1 || b[0] != s.s.IAM.RoleBoundary) {
			t.Errorf("%s: %v", p.Action, p.Context)
		}
	}
	if s.facts.Role = ""; len(Ask(s.facts, s.s, s.plan()).Permissions) > 0 {
		t.Error("permissions of nobody")
	}
	missing := func(m Missing) func(*scene) {
		m.Permission = Permission{Action: "ec2:CreateVpc", Resource: "arn:aws:ec2:us-east-1:123456789012:vpc/*", For: "vpc", Perhaps: m.Perhaps}
		return func(s *scene) { s.facts.Missing = []Missing{m} }
	}
	run(t, map[string]fault{
		"missing":             {Error, "PermissionMissing", missing(Missing{})},
		"denied":              {Error, "PermissionDenied", missing(Missing{Explicit: true, Keys: []string{"aws:SourceIp"}})},
		"out of a boundary":   {Error, "PermissionMissing", missing(Missing{By: "the permissions boundary"})},
		"not certain":         {Warning, "PermissionUnclear", missing(Missing{Keys: []string{"aws:SourceIp"}})},
		"in some cases":       {Warning, "PermissionMissing", missing(Missing{Permission: Permission{Perhaps: true}})},
		"nobody can be asked": {Warning, "Unchecked", func(s *scene) { s.facts.Unread = map[Question]Unread{{Kind: "permissions"}: {Denied: true}} }},
	})
}
