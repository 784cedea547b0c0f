package readiness

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var controlPlaneChecks = []check{
	{id: "CP01", title: "The cluster is active", severity: Block, reads: "DescribeCluster: status", parts: []Part{PartEKS}, run: clusterStatus},
	{id: "CP02", title: "No update is in progress", severity: Block, reads: "ListUpdates, DescribeUpdate", parts: []Part{PartEKS}, run: updates},
	{id: "CP03", title: "EKS finds nothing wrong with the cluster", severity: Block, reads: "DescribeCluster: health", parts: []Part{PartEKS}, run: clusterIssues},
	{id: "CP04", title: "The target is ahead", severity: Block, reads: "DescribeCluster: version", parts: []Part{PartEKS}, run: ahead},
	{id: "CP05", title: "EKS offers the target", severity: Block, reads: "DescribeClusterVersions", parts: []Part{PartEKS}, run: offered},
	{id: "CP06", title: "EKS insights: errors", severity: Block, reads: "ListInsights, DescribeInsight: UPGRADE_READINESS", parts: []Part{PartInsights}, when: (*look).upgrades, run: insightErrors},
	{id: "CP07", title: "EKS insights: warnings", severity: Warn, reads: "ListInsights: UPGRADE_READINESS", parts: []Part{PartInsights}, when: (*look).upgrades, run: insightWarnings},
	{id: "CP08", title: "EKS insights are fresh", severity: Warn, reads: "ListInsights: lastRefreshTime; DescribeInsightsRefresh", parts: []Part{PartInsights}, run: insightAge},
	{id: "CP09", title: "EKS insights: configuration", severity: Warn, reads: "ListInsights: MISCONFIGURATION", parts: []Part{PartInsights}, run: misconfigurations},
	{id: "CP10", title: "The cluster's role", severity: Block, reads: "GetRole", parts: []Part{PartControlPlane, PartRole}, run: clusterRole},
	{id: "CP11", title: "Addresses for the control plane", severity: Block, reads: "DescribeSubnets", parts: []Part{PartControlPlane, PartNetwork}, when: (*look).upgrades, run: controlPlaneSubnets},
	{id: "CP12", title: "The cluster's security groups", severity: Block, reads: "DescribeSecurityGroups", parts: []Part{PartControlPlane, PartNetwork}, run: securityGroups},
	{id: "CP13", title: "The encryption key", severity: Block, reads: "DescribeKey", parts: []Part{PartControlPlane, PartKey}, when: func(l *look) bool { return l.o.ControlPlane.KeyARN != "" || l.lacks(PartControlPlane) }, run: encryptionKey},
	{id: "CP14", title: "DNS of the network", severity: Warn, reads: "DescribeVpcAttribute", parts: []Part{PartControlPlane, PartNetwork}, run: dns},
	{id: "CP15", title: "How long the version is supported", severity: Warn, reads: "DescribeClusterVersions", parts: []Part{PartEKS}, run: supportEnds},
	{id: "CP16", title: "What happens at the end of support", severity: Warn, reads: "DescribeCluster: upgradePolicy", parts: []Part{PartEKS}, run: supportType},
	{id: "CP17", title: "EKS's own upgrade and blackouts", severity: Warn, reads: "DescribeClusterVersions, the policy", parts: []Part{PartEKS}, run: forcedInBlackout},
	{id: "CP18", title: "Certificate authorities", severity: Warn, reads: "ListCertificateAuthorities, DescribeCertificateAuthority", parts: []Part{PartAuthorities}, run: authorities},
	{id: "CP19", title: "Identity providers", severity: Warn, reads: "DescribeIdentityProviderConfig", parts: []Part{PartIdentity}, run: identityProviders},
	{id: "CP20", title: "The control plane's tier", severity: Info, reads: "DescribeCluster: controlPlaneScalingConfig", parts: []Part{PartControlPlane}, run: tier},
}

// lacks tells whether a part could not be read.
func (l *look) lacks(p Part) bool { _, ok := l.o.Unread[p]; return ok }

func clusterStatus(l *look) (out outcome) {
	out.one = "EKS refuses updates of a cluster that is not ACTIVE"
	out.remedy = fixed(l.aws("eks wait cluster-active --name NAME"))
	if s := l.o.EKS.Status; s != "ACTIVE" {
		out.add("cluster", cmp.Or(s, "no status"))
	}
	return out
}

func updates(l *look) (out outcome) {
	out.one, out.many = "an update is in progress: EKS makes one at a time", "%d updates are in progress: EKS makes one at a time"
	out.remedy = func(subject string) string {
		for _, b := range l.o.EKS.Busy {
			if b.Subject == subject {
				kind, name, _ := strings.Cut(subject, "/")
				extra := map[string]string{"nodegroup": " --nodegroup-name " + name, "addon": " --addon-name " + name}[kind]
				return l.aws("eks describe-update --name NAME --update-id "+b.ID+extra) + "   # wait for its end"
			}
		}
		return ""
	}
	for _, b := range l.o.EKS.Busy {
		out.add(b.Subject, fmt.Sprintf("%s %s since %s", b.Type, b.ID, b.Begun.UTC().Format("2006-01-02 15:04")))
	}
	return out
}

func clusterIssues(l *look) (out outcome) {
	out.one, out.many = "EKS reports something wrong with the cluster", "EKS reports %d things wrong with the cluster"
	out.remedy = fixed(l.aws("eks describe-cluster --name NAME --query cluster.health"))
	for _, i := range l.o.EKS.Issues {
		out.add("cluster", i)
	}
	return out
}

func ahead(l *look) (out outcome) {
	out.remedy = fixed("Name a version after " + l.from.String() + ": --to " + (l.from + 1).String())
	switch {
	case l.to == 0:
		out.one = "no target is named"
		out.add("target", "none")
	case l.to < l.from:
		out.one = "the target is behind: going back is a rollback, and not an upgrade"
		out.add("target", l.to.String()+" is behind "+l.from.String())
		out.remedy = fixed("ekspedite upgrade rollback --cluster " + l.cluster())
	}
	return out
}

func offered(l *look) (out outcome) {
	out.one, out.many = "EKS does not offer a version on the way", "EKS does not offer %d versions on the way"
	out.remedy = fixed(l.aws("eks describe-cluster-versions") + "   # and choose one that is supported")
	for m := max(l.from+1, l.to-20); m <= l.to; m++ {
		v, ok := l.o.EKS.Find(m)
		switch {
		case !ok:
			out.add(m.String(), "not known to EKS")
		case v.Status == fleet.Unsupported:
			out.add(m.String(), "no longer supported")
		}
	}
	return out
}

// insights are those about an upgrade to the target or on the way there.
func (l *look) insights(category string, status ...string) (out []Insight) {
	for _, i := range l.o.Insights {
		if i.Category == category && slices.Contains(status, i.Status) && (i.Version == 0 || i.Version <= l.to || category != "UPGRADE_READINESS") {
			out = append(out, i)
		}
	}
	return out
}

func (i Insight) note() string {
	var parts []string
	if i.Reason != "" {
		parts = append(parts, i.Reason)
	}
	if len(i.Resources) > 0 {
		parts = append(parts, capped(i.Resources, 3))
	}
	var uses []string
	for _, d := range i.Deprecations {
		for _, c := range d.Clients {
			uses = append(uses, d.Usage+" by "+c.UserAgent)
		}
	}
	if slices.Sort(uses); len(uses) > 0 {
		parts = append(parts, capped(uses, 3))
	}
	return strings.Join(parts, "; ")
}

func (l *look) describe() func(string) string {
	return func(name string) string {
		for _, i := range l.o.Insights {
			if i.Name == name {
				text := l.aws("eks describe-insight --cluster-name NAME --id " + i.ID)
				if i.Recommendation != "" {
					text += "   # " + strings.Join(strings.Fields(i.Recommendation), " ")
				}
				return text
			}
		}
		return ""
	}
}

func insightErrors(l *look) (out outcome) {
	out.one, out.many = "EKS itself holds the cluster not ready", "EKS itself holds the cluster not ready for %d reasons"
	out.remedy = l.describe()
	for _, i := range l.insights("UPGRADE_READINESS", "ERROR") {
		if !l.fixedInsight(i) {
			out.add(i.Name, i.note())
		}
	}
	return out
}

func insightWarnings(l *look) (out outcome) {
	out.one, out.many = "EKS warns of something, or does not know", "EKS warns of %d things, or does not know"
	out.remedy = l.describe()
	for _, i := range l.insights("UPGRADE_READINESS", "WARNING", "UNKNOWN") {
		if !l.fixedInsight(i) {
			out.add(i.Name, strings.TrimSuffix(i.Status+": "+i.note(), ": "))
		}
	}
	return out
}

// staleInsight is after how long an insight is old: EKS looks every 24 hours.
const staleInsight = 24 * time.Hour

func insightAge(l *look) (out outcome) {
	out.one, out.many = "an insight is older than a day", "%d insights are older than a day"
	out.remedy = fixed(l.aws("eks start-insights-refresh --cluster-name NAME") + "   # or: ekspedite upgrade check --refresh --cluster " + l.cluster())
	for _, i := range l.o.Insights {
		if i.Category == "UPGRADE_READINESS" && l.now.Sub(i.LastRefresh) > staleInsight+time.Hour {
			out.add(i.Name, "looked at on "+i.LastRefresh.UTC().Format("2006-01-02 15:04"))
		}
	}
	if r := l.o.InsightsRefresh; r.Status == "FAILED" {
		out.add("refresh", "failed: "+r.Message)
	}
	return out
}

func misconfigurations(l *look) (out outcome) {
	out.one, out.many = "EKS finds a mistake in the configuration", "EKS finds %d mistakes in the configuration"
	out.remedy = l.describe()
	for _, i := range l.insights("MISCONFIGURATION", "ERROR", "WARNING") {
		out.add(i.Name, i.note())
	}
	return out
}

func clusterRole(l *look) (out outcome) {
	out.one = "EKS cannot take the cluster's role: the update would fail"
	r := l.o.Role
	name := r.ARN[strings.LastIndexByte(r.ARN, '/')+1:]
	out.remedy = fixed("Make the role again under the same name, trusted by eks.amazonaws.com and with AmazonEKSClusterPolicy: aws iam get-role --role-name " + name)
	switch {
	case !r.Exists:
		out.add(cmp.Or(r.ARN, l.o.ControlPlane.RoleARN), "does not exist")
	case !r.Trusted:
		out.add(r.ARN, "does not trust eks.amazonaws.com")
	}
	return out
}

func controlPlaneSubnets(l *look) (out outcome) {
	out.one, out.many = "EKS lacks addresses, or a subnet, for the new control plane's network interfaces", "EKS lacks addresses, or subnets, for the new control plane's network interfaces: %d places"
	out.remedy = fixed("Free addresses there, or give the cluster further subnets: " + l.aws("eks update-cluster-config --name NAME --resources-vpc-config subnetIds=SUBNET,SUBNET"))
	best := map[string]int{} // by zone
	for _, id := range l.o.ControlPlane.SubnetIDs {
		i := slices.IndexFunc(l.o.Subnets, func(s Subnet) bool { return s.ID == id })
		if i < 0 || !l.o.Subnets[i].Exists {
			out.add(id, "does not exist")
			continue
		}
		s := l.o.Subnets[i]
		best[s.Zone] = max(best[s.Zone], s.Free)
		if s.Free < l.p.Checks.WarnIPs {
			out.at(Warn, id, fmt.Sprintf("%d free addresses in %s; EKS recommends %d", s.Free, s.Zone, l.p.Checks.WarnIPs))
		}
	}
	good := 0
	for _, free := range best {
		if free >= l.p.Checks.BlockIPs {
			good++
		}
	}
	if good < 2 {
		var parts []string
		for _, zone := range slices.Sorted(maps.Keys(best)) {
			parts = append(parts, fmt.Sprintf("%s %d", zone, best[zone]))
		}
		out.add("zones", fmt.Sprintf("two zones with a subnet of %d free addresses are needed; there is %s", l.p.Checks.BlockIPs, cmp.Or(strings.Join(parts, ", "), "none")))
	}
	return out
}

func securityGroups(l *look) (out outcome) {
	out.one, out.many = "a security group of the control plane is not as it must be", "%d security groups of the control plane are not as they must be"
	out.remedy = func(id string) string {
		if id == l.o.ControlPlane.ClusterSecurityGroup {
			return l.aws(fmt.Sprintf("ec2 authorize-security-group-ingress --group-id %s --protocol=-1 --source-group %s", id, id))
		}
		return l.aws("eks update-cluster-config --name NAME --resources-vpc-config securityGroupIds=GROUP,GROUP") + "   # name groups that exist"
	}
	for _, id := range append(slices.Clone(l.o.ControlPlane.SecurityGroupIDs), l.o.ControlPlane.ClusterSecurityGroup) {
		i := slices.IndexFunc(l.o.SecurityGroups, func(s SecurityGroup) bool { return s.ID == id })
		switch {
		case id == "":
		case i < 0 || !l.o.SecurityGroups[i].Exists:
			out.add(id, "does not exist")
		case id == l.o.ControlPlane.ClusterSecurityGroup && !l.o.SecurityGroups[i].Self:
			out.at(Warn, id, "no longer lets in all traffic from itself, as EKS made it")
		}
	}
	return out
}

func encryptionKey(l *look) (out outcome) {
	k := l.o.Key
	out.one = "EKS cannot use the key of the API data: a new control plane could not read it"
	out.remedy = fixed(l.aws("kms enable-key --key-id " + cmp.Or(k.ARN, l.o.ControlPlane.KeyARN)))
	switch {
	case l.o.ControlPlane.KeyARN == "":
	case !k.Exists:
		out.add(l.o.ControlPlane.KeyARN, "does not exist")
	case k.State == "PendingDeletion":
		out.add(k.ARN, "will be deleted on "+date(k.Deletion))
		out.remedy = fixed(l.aws("kms cancel-key-deletion --key-id "+k.ARN) + " && " + l.aws("kms enable-key --key-id "+k.ARN))
	case k.State != "Enabled":
		out.add(k.ARN, "is "+k.State)
	}
	return out
}

func dns(l *look) (out outcome) {
	out.one = "the VPC does not resolve what a private endpoint needs"
	out.remedy = fixed(l.aws("ec2 modify-vpc-attribute --vpc-id " + l.o.ControlPlane.VPCID + " --enable-dns-hostnames"))
	v := l.o.VPC
	if l.o.ControlPlane.PrivateEndpoint && !(v.DNSSupport && v.DNSHostnames) {
		out.add(l.o.ControlPlane.VPCID, fmt.Sprintf("enableDnsSupport %t, enableDnsHostnames %t, and the endpoint is private", v.DNSSupport, v.DNSHostnames))
	}
	if l.o.ControlPlane.Egress == "CUSTOMER_ISOLATED" {
		for _, w := range l.o.Webhooks {
			if w.Service == "" && w.Fail {
				out.add(w.Configuration, "has a URL that an isolated control plane does not reach")
			}
		}
	}
	return out
}

func identityProviders(l *look) (out outcome) {
	out.one, out.many = "an identity provider is not active", "%d identity providers are not active"
	out.remedy = func(name string) string {
		return l.aws("eks describe-identity-provider-config --cluster-name NAME --identity-provider-config type=oidc,name=" + name)
	}
	for _, p := range l.o.IdentityProviders {
		if p.Status != "ACTIVE" || len(p.Issues) > 0 {
			out.add(p.Name, strings.Join(append([]string{p.Status}, p.Issues...), ", "))
		}
	}
	return out
}

func tier(l *look) (out outcome) {
	out.one = "the control plane has a tier of its own, which is paid for by the hour: check that the target offers it"
	if t := l.o.ControlPlane.Tier; t != "" && t != "standard" && l.upgrades() {
		out.add("cluster", t)
	}
	return out
}
