package observe

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func (l *readinessLook) insights() (err error) {
	if l.o.Insights, err = l.aws.Insights(l.ctx, l.id.Name); err != nil {
		return err
	}
	l.o.InsightsRefresh, err = l.aws.InsightsRefresh(l.ctx, l.id.Name)
	return err
}

func (l *readinessLook) capabilities() error {
	list, err := l.aws.Parts(l.ctx, l.id, "capability")
	l.o.Capabilities = named(list)
	return err
}

func (l *readinessLook) identityProviders() error {
	list, err := l.aws.Parts(l.ctx, l.id, "identity")
	l.o.IdentityProviders = named(list)
	return err
}

func named(list []fleet.Resource) (out []readiness.Named) {
	for _, r := range list {
		out = append(out, readiness.Named{Name: r.Name, Status: r.Status, Issues: r.Issues})
	}
	return out
}

func (l *readinessLook) authorities() error {
	list, err := l.aws.Authorities(l.ctx, l.id.Name)
	if err != nil {
		return err
	}
	for _, a := range list {
		out := readiness.Authority{ID: a.ID, Status: a.Signing, Expires: a.Expires}
		if !a.First.IsZero() {
			out.Scheduled = append(out.Scheduled, readiness.ScheduledEvent{What: "EKS activates it by itself", At: a.First})
		}
		if !a.Final.IsZero() {
			out.Scheduled = append(out.Scheduled, readiness.ScheduledEvent{What: "EKS activates it for good", At: a.Final})
		}
		l.o.Authorities = append(l.o.Authorities, out)
	}
	return nil
}

func (l *readinessLook) alarms(names []string) (err error) {
	if len(names) == 0 {
		return nil
	}
	l.o.Alarms, err = l.aws.Alarms(l.ctx, names)
	for _, name := range names {
		if err == nil && !slices.ContainsFunc(l.o.Alarms, func(a readiness.Alarm) bool { return a.Name == name }) {
			l.o.UnknownAlarms = append(l.o.UnknownAlarms, name)
		}
	}
	return err
}

// quotasFor is how long a quota's limit is believed: people raise it, once in months.
const quotasFor = time.Hour

// quotas reads what the account may have, and has.
func (l *readinessLook) quotas() error {
	codes := []string{
		readiness.QuotaOnDemand, readiness.QuotaSpot, readiness.QuotaOnDemandG, readiness.QuotaOnDemandP, readiness.QuotaSpotG, readiness.QuotaSpotP, readiness.QuotaVolumes, readiness.QuotaAutoScaling,
	}
	var use = map[string]fleet.Props{}
	var mu sync.Mutex
	var failed error
	parallel(atOnce, []string{"vcpus", "gp3", "scaling"}, func(what string) {
		p, err := l.aws.Fact(l.ctx, "use", what)
		mu.Lock()
		defer mu.Unlock()
		use[what], failed = p, cmp.Or(failed, err)
	})
	if failed != nil {
		return failed
	}
	used := func(code string) float64 {
		switch code {
		case readiness.QuotaVolumes: // in TiB
			return float64(fleet.Int(use["gp3"], "count")) / 1024
		case readiness.QuotaAutoScaling:
			return float64(fleet.Int(use["scaling"], "count"))
		}
		return float64(fleet.Int(use["vcpus"], "quotas", code))
	}
	found := make([]*readiness.Quota, len(codes))
	parallel(updatesAtOnce, codes, func(code string) {
		limit, err := kept(l.ctx, l.offers, "quota/"+code, quotasFor, func(ctx context.Context) (float64, error) {
			p, err := l.aws.Fact(ctx, "quota", code)
			v, ok := fleet.At(p, "value").(float64)
			if err == nil && !ok {
				err = fault.New(fault.NotFound, "quota %s has no value", code)
			}
			return v, err
		})
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			found[slices.Index(codes, code)] = &readiness.Quota{Code: code, Limit: limit, Used: used(code)}
		} else if !fault.Is(err, fault.NotFound) { // a Region may be without one
			failed = cmp.Or(failed, err)
		}
	})
	for _, q := range found {
		if q != nil {
			l.o.Quotas = append(l.o.Quotas, *q)
		}
	}
	return failed
}

// controlPlane takes over what DescribeCluster says beside versions, and what node groups say beside theirs.
func (l *readinessLook) controlPlane() {
	p := l.eks.cluster.Props
	c := readiness.ControlPlane{
		RoleARN: fleet.Text(p, "roleArn"), SubnetIDs: fleet.Texts(p, "resourcesVpcConfig", "subnetIds"), SecurityGroupIDs: fleet.Texts(p, "resourcesVpcConfig", "securityGroupIds"),
		ClusterSecurityGroup: fleet.Text(p, "resourcesVpcConfig", "clusterSecurityGroupId"), VPCID: fleet.Text(p, "resourcesVpcConfig", "vpcId"),
		PublicEndpoint: fleet.Flag(p, "resourcesVpcConfig", "endpointPublicAccess"), PrivateEndpoint: fleet.Flag(p, "resourcesVpcConfig", "endpointPrivateAccess"),
		IPv6: fleet.Text(p, "kubernetesNetworkConfig", "ipFamily") == "ipv6", Egress: fleet.Text(p, "resourcesVpcConfig", "controlPlaneEgressMode"),
		Tier: fleet.Text(p, "controlPlaneScalingConfig", "tier"),
	}
	for _, e := range fleet.Items(p, "encryptionConfig") {
		c.KeyARN = cmp.Or(c.KeyARN, fleet.Text(e, "provider", "keyArn"))
	}
	l.o.ControlPlane, l.o.GroupFacts = c, map[string]readiness.GroupNet{}
	for _, m := range l.eks.managed {
		l.o.GroupFacts[m.Name] = readiness.GroupNet{
			Subnets: fleet.Texts(m.Props, "subnets"), DiskGiB: fleet.Int(m.Props, "diskSize"), CapacityBlock: fleet.Text(m.Props, "capacityType") == "CAPACITY_BLOCK",
		}
	}
	for _, s := range l.eks.scaled {
		if s.Tags[fleet.TagEKSNodegroup] == "" {
			l.o.GroupFacts[cmp.Or(s.Tags[fleet.LabelNodeGroup], s.Name)] = readiness.GroupNet{Subnets: subnetsOf(s)}
		}
	}
}

// subnetsOf are the subnets of an Auto Scaling group, which it has in one text.
func subnetsOf(s fleet.Resource) (out []string) {
	for id := range strings.SplitSeq(fleet.Text(s.Props, "vPCZoneIdentifier"), ",") {
		if id = strings.TrimSpace(id); id != "" {
			out = append(out, id)
		}
	}
	return out
}

// Who takes roles.
const (
	serviceEKS         = "eks.amazonaws.com"
	servicePodIdentity = "pods.eks.amazonaws.com"
)

// role reads the cluster's role.
func (l *readinessLook) role() (err error) {
	l.o.Role, err = l.roleOf(l.o.ControlPlane.RoleARN, serviceEKS)
	return err
}

// roleOf reads a role, which one of those must be able to take.
func (l *readinessLook) roleOf(arn string, by ...string) (readiness.Role, error) {
	out := readiness.Role{ARN: arn}
	p, err := l.aws.Fact(l.ctx, "role", arn)
	if err != nil {
		return out, fault.Ignore(err, fault.NotFound)
	}
	// A role that was made again with another path is another one.
	out.Exists = fleet.Text(p, "arn") == "" || fleet.Text(p, "arn") == arn
	out.Trusted = slices.ContainsFunc(by, func(who string) bool { return preflight.Trusts(p, who) })
	return out, nil
}

// addons reads what add-ons are configured with, and their roles.
func (l *readinessLook) addons() error {
	list := l.eks.addons
	found, errs := make([]readiness.AddonFacts, len(list)), make([]error, len(list))
	var all []int
	for i := range list {
		all = append(all, i)
	}
	parallel(updatesAtOnce, all, func(i int) {
		found[i], errs[i] = l.aws.AddonFacts(l.ctx, l.id.Name, list[i], l.addonFor(list[i].Name))
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	l.o.Addons = found
	l.read(readiness.PartRoles, l.addonRoles)
	return nil
}

// addonFor is the version of an add-on that the target would have: the default one, or else the newest; "" if there is none.
func (l *readinessLook) addonFor(name string) string {
	newest := ""
	for _, r := range l.o.EKS.Releases[name] {
		if slices.Contains(r.Defaults, l.o.Target) {
			return r.Version
		}
		if newest == "" && slices.Contains(r.Minors, l.o.Target) {
			newest = r.Version
		}
	}
	return newest
}

func (l *readinessLook) addonRoles() error {
	var arns []string
	for _, a := range l.o.Addons {
		for _, arn := range a.Roles {
			if !slices.Contains(arns, arn) {
				arns = append(arns, arn)
			}
		}
	}
	by := []string{servicePodIdentity}
	if issuer := strings.TrimPrefix(fleet.Text(l.eks.cluster.Props, "identity", "oidc", "issuer"), "https://"); issuer != "" {
		arn := strings.SplitN(l.eks.cluster.ARN, ":", 6) // arn:aws:eks:REGION:ACCOUNT:cluster/NAME
		if len(arn) == 6 {
			by = append(by, "arn:"+arn[1]+":iam::"+arn[4]+":oidc-provider/"+issuer)
		}
	}
	found, errs := make([]readiness.Role, len(arns)), make([]error, len(arns))
	parallel(updatesAtOnce, arns, func(arn string) {
		i := slices.Index(arns, arn)
		found[i], errs[i] = l.roleOf(arn, by...)
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	l.o.AddonRoles = found
	return nil
}

// network reads the subnets of the control plane and of the nodes, the security groups, and the VPC.
func (l *readinessLook) network() (err error) {
	subnets := slices.Clone(l.o.ControlPlane.SubnetIDs)
	for _, g := range l.o.GroupFacts {
		subnets = append(subnets, g.Subnets...)
	}
	slices.Sort(subnets)
	if l.o.Subnets, err = l.aws.Subnets(l.ctx, slices.Compact(subnets)); err != nil {
		return err
	}
	groups := slices.Clone(l.o.ControlPlane.SecurityGroupIDs)
	if own := l.o.ControlPlane.ClusterSecurityGroup; own != "" {
		groups = append(groups, own)
	}
	if len(groups) > 0 {
		found, err := l.aws.Fact(l.ctx, "groups", strings.Join(groups, ","))
		if err != nil {
			return err
		}
		for _, id := range groups {
			l.o.SecurityGroups = append(l.o.SecurityGroups, securityGroup(id, fleet.Items(found, "securityGroups")))
		}
	}
	if l.o.ControlPlane.VPCID == "" {
		return nil
	}
	vpc, err := l.aws.Fact(l.ctx, "vpc", l.o.ControlPlane.VPCID)
	if fault.Is(err, fault.NotFound) {
		return nil // then there are no subnets either
	}
	l.o.VPC = readiness.VPC{ID: l.o.ControlPlane.VPCID, DNSSupport: fleet.Flag(vpc, "enableDnsSupport"), DNSHostnames: fleet.Flag(vpc, "enableDnsHostnames")}
	return err
}

func securityGroup(id string, found []fleet.Props) readiness.SecurityGroup {
	out := readiness.SecurityGroup{ID: id}
	for _, g := range found {
		if fleet.Text(g, "groupId") != id {
			continue
		}
		out.Exists = true
		for _, rule := range fleet.Items(g, "ipPermissions") {
			out.Self = out.Self || fleet.Text(rule, "ipProtocol") == "-1" && slices.ContainsFunc(fleet.Items(rule, "userIdGroupPairs"), func(p fleet.Props) bool { return fleet.Text(p, "groupId") == id })
		}
	}
	return out
}

// key reads the key of the cluster's data, if there is one.
func (l *readinessLook) key() error {
	arn := l.o.ControlPlane.KeyARN
	if arn == "" {
		return nil
	}
	l.o.Key = readiness.Key{ARN: arn}
	p, err := l.aws.Fact(l.ctx, "key", arn)
	if err != nil {
		return fault.Ignore(err, fault.NotFound)
	}
	l.o.Key = readiness.Key{ARN: arn, Exists: true, State: fleet.Text(p, "keyState"), Deletion: instant(p, "deletionDate")}
	return nil
}

// machines reads what the instance types are that there are and may be.
func (l *readinessLook) machines() error {
	var names []string
	for _, g := range l.o.EKS.Groups {
		names = append(names, g.InstanceTypes...)
	}
	for _, n := range l.o.Nodes {
		if n.InstanceType != "" {
			names = append(names, n.InstanceType)
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return nil
	}
	found, err := l.aws.Fact(l.ctx, "types", strings.Join(names, ","))
	if err != nil {
		return err
	}
	l.o.Machines = map[string]readiness.Machine{}
	for _, t := range fleet.Items(found, "instanceTypes") {
		l.o.Machines[fleet.Text(t, "instanceType")] = readiness.Machine{
			VCPU: fleet.Int(t, "vCpuInfo", "defaultVCpus"), IPsPerInterface: fleet.Int(t, "networkInfo", "ipv4AddressesPerInterface"), Interfaces: fleet.Int(t, "networkInfo", "maximumNetworkInterfaces"),
			LocalStorage: fleet.Flag(t, "instanceStorageSupported"), GPU: len(fleet.Items(t, "gpuInfo", "gpus")) > 0,
		}
	}
	return nil
}

// launchTemplates reads what node groups' machines are made from.
func (l *readinessLook) launchTemplates() error {
	var used []int
	for i, g := range l.o.EKS.Groups {
		if g.Template != "" && g.TemplateVersion != "" {
			used = append(used, i)
		}
	}
	found, errs := make([]readiness.Template, len(l.o.EKS.Groups)), make([]error, len(l.o.EKS.Groups))
	parallel(updatesAtOnce, used, func(i int) {
		g := l.o.EKS.Groups[i]
		found[i], errs[i] = l.aws.Template(l.ctx, g.Name, g.Template, g.TemplateVersion)
	})
	for _, i := range used {
		if errs[i] != nil {
			return errs[i]
		}
		l.o.Templates = append(l.o.Templates, found[i])
	}
	return nil
}

// scalingGroups reads how the Auto Scaling groups are.
func (l *readinessLook) scalingGroups() error {
	list := l.eks.scaled
	found, errs := make([]readiness.ScalingGroup, len(list)), make([]error, len(list))
	var all []int
	for i := range list {
		all = append(all, i)
	}
	parallel(updatesAtOnce, all, func(i int) {
		s := list[i]
		g := readiness.ScalingGroup{Name: s.Name, Group: cmp.Or(s.Tags[fleet.TagEKSNodegroup], s.Tags[fleet.LabelNodeGroup], s.Name), ByZone: map[string]int{}}
		for _, p := range fleet.Items(s.Props, "suspendedProcesses") {
			g.Suspended = append(g.Suspended, fleet.Text(p, "processName"))
		}
		slices.Sort(g.Suspended)
		for _, zone := range fleet.Texts(s.Props, "availabilityZones") {
			g.ByZone[zone] = 0
		}
		for _, m := range fleet.Items(s.Props, "instances") {
			g.ByZone[fleet.Text(m, "availabilityZone")]++
		}
		var refreshErr, activityErr error
		g.Refresh, refreshErr = l.aws.InstanceRefresh(l.ctx, s.Name)
		g.NoCapacity, activityErr = l.aws.NoCapacity(l.ctx, s.Name)
		found[i], errs[i] = g, cmp.Or(refreshErr, activityErr)
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	l.o.ScalingGroups = found
	return nil
}
