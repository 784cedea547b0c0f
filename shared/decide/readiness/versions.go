package readiness

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var versionChecks = []check{
	{id: "VER01", title: "PodSecurityPolicies", severity: Block, reads: "PodSecurityPolicies", parts: []Part{PartObjects}, when: func(l *look) bool { return l.goes(25) }, run: podSecurityPolicies},
	{id: "VER02", title: "Volumes of AWS without their driver", severity: Block, reads: "PersistentVolumes, StorageClasses, CSIDrivers", parts: []Part{PartVolumes}, when: func(l *look) bool { return l.to >= 23 }, run: volumeDrivers},
	{id: "VER03", title: "gitRepo volumes", severity: Block, reads: "pods and workloads: volumes", parts: []Part{PartPods, PartWorkloads}, when: func(l *look) bool { return l.to >= 33 }, run: gitRepos},
	{id: "VER04", title: "Addresses that are no longer valid", severity: Warn, reads: "Services, NetworkPolicies", parts: []Part{PartServices}, when: func(l *look) bool { return l.to >= 36 }, run: badAddresses},
	{id: "VER05", title: "SELinux labels of shared volumes", severity: Warn, reads: "pods: seLinuxOptions, volumes", parts: []Part{PartPods}, when: func(l *look) bool { return l.to >= 36 }, run: selinux},
	{id: "VER06", title: "Anonymous access", severity: Warn, reads: "ClusterRoleBindings", parts: []Part{PartBindings}, when: func(l *look) bool { return l.to >= 32 }, run: anonymous},
	{id: "VER07", title: "External IPs of Services", severity: Info, reads: "Services", parts: []Part{PartServices}, when: func(l *look) bool { return l.to >= 36 }, run: externalIPs},
	{id: "VER08", title: "Tokens that do not end", severity: Warn, reads: "secrets of type kubernetes.io/service-account-token", parts: []Part{PartTokens}, run: tokens},
}

var rollbackChecks = []check{
	{id: "RB01", title: "The way back", severity: Info, reads: "DescribeCluster, ListUpdates", parts: []Part{PartEKS}, run: wayBack},
	{id: "RB02", title: "EKS insights: rollback", severity: Warn, reads: "ListInsights: ROLLBACK_READINESS", parts: []Part{PartInsights}, run: rollbackInsights},
	{id: "RB04", title: "What to go back to is still there", severity: Warn, reads: "SSM parameters, DescribeAddonVersions", parts: []Part{PartEKS, PartImages, PartReleases}, when: (*look).upgrades, run: previous},
}

// catalogue is every check, in the order of the report.
var catalogue = slices.Concat(controlPlaneChecks, apiChecks, nodeChecks, addonChecks, workloadChecks, versionChecks, processChecks, rollbackChecks)

// Entry describes a check.
type Entry struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Severity Severity `json:"severity"` // the worst that it can find
	Read     string   `json:"read"`
	Parts    []Part   `json:"parts"`
}

// Catalogue describes all checks.
func Catalogue() (out []Entry) {
	for _, c := range catalogue {
		out = append(out, Entry{c.id, c.title, c.severity, c.reads, slices.Clone(c.parts)})
	}
	return out
}

func podSecurityPolicies(l *look) (out outcome) {
	out.one, out.many = "1.25 has no PodSecurityPolicy: what it forbids is allowed afterwards", "1.25 has no PodSecurityPolicies: what %d of them forbid is allowed afterwards"
	out.remedy = func(object string) string {
		return "kubectl label namespace NAMESPACE pod-security.kubernetes.io/enforce=baseline; kubectl delete psp " + strings.TrimPrefix(object, "PodSecurityPolicy ")
	}
	for _, o := range l.o.Objects {
		if o.Kind == "PodSecurityPolicy" && o.Name != "eks.privileged" { // EKS takes its own away by itself
			out.add(o.String(), "")
		}
	}
	return out
}

// inTree are the drivers that take the place of plugins that are no longer in Kubernetes.
var inTree = map[string]string{"kubernetes.io/aws-ebs": "ebs.csi.aws.com", "ebs.csi.aws.com": "ebs.csi.aws.com", "efs.csi.aws.com": "efs.csi.aws.com"}

func volumeDrivers(l *look) (out outcome) {
	out.one, out.many = "a volume has no driver: it cannot be mounted on another node", "%d volumes have no driver: they cannot be mounted on another node"
	out.remedy = func(object string) string {
		driver := inTree[l.o.StorageClasses[strings.TrimPrefix(object, "StorageClass ")]]
		for _, v := range l.o.Volumes {
			if v.Name == object {
				driver = inTree[v.Driver]
			}
		}
		addon := map[string]string{"ebs.csi.aws.com": "aws-ebs-csi-driver", "efs.csi.aws.com": "aws-efs-csi-driver"}[driver]
		return l.aws("eks create-addon --cluster-name NAME --addon-name " + addon)
	}
	for _, v := range l.o.Volumes {
		if driver, ours := inTree[v.Driver]; ours && !slices.Contains(l.o.Drivers, driver) {
			out.add(v.Name, v.Driver+" wants "+driver+", which is not installed")
		}
	}
	for _, name := range sortedKeys(l.o.StorageClasses) {
		if driver, ours := inTree[l.o.StorageClasses[name]]; ours && !slices.Contains(l.o.Drivers, driver) {
			out.at(Warn, "StorageClass "+name, "wants "+driver+" for new volumes")
		}
	}
	return out
}

// gitRepos: the kubelet has had the plugin switched off since 1.33, and has no switch any more from 1.36 on
// (GitRepoVolumeDriver in k8s.io/kubernetes/pkg/features).
func gitRepos(l *look) (out outcome) {
	out.one, out.many = "a gitRepo volume is not mounted any more", "gitRepo volumes of %d workloads are not mounted any more"
	out.remedy = fixed("Clone in an init container into an emptyDir")
	s := Block
	if l.to < 36 {
		s = Warn
	}
	for _, w := range l.o.Workloads {
		if w.GitRepo {
			out.at(s, w.Kind+" "+w.ID(), "")
		}
	}
	for _, p := range l.o.Pods {
		if p.GitRepo && p.OwnerKind == "" {
			out.at(s, "Pod "+p.ID(), "")
		}
	}
	return out
}

func badAddresses(l *look) (out outcome) {
	out.one, out.many = "an address is written as it may no longer be: the object cannot be changed without mending it", "%d addresses are written as they may no longer be: the objects cannot be changed without mending them"
	out.remedy = fixed("Write it without leading zeros, and a block with its first address: 10.0.0.0/8")
	for _, a := range l.o.Addresses {
		bad := false
		if strings.Contains(a.Text, "/") {
			p, err := netip.ParsePrefix(a.Text)
			bad = err != nil || p != p.Masked() || p.Addr().Is4In6()
		} else {
			ip, err := netip.ParseAddr(a.Text)
			bad = err != nil || ip.Is4In6()
		}
		if bad {
			out.add(a.Object, a.Text)
		}
	}
	return out
}

func selinux(l *look) (out outcome) {
	out.one, out.many = "pods with different SELinux labels share a volume", "pods with different SELinux labels share %d volumes"
	out.remedy = fixed("Give them one label, or set securityContext.seLinuxChangePolicy: Recursive")
	levels := map[string][]string{}
	for _, p := range l.o.Pods {
		for _, c := range p.Claims {
			id := p.Namespace + "/" + c
			if p.SELinuxPolicy != "Recursive" && p.SELinux != "" && !slices.Contains(levels[id], p.SELinux) {
				levels[id] = append(levels[id], p.SELinux)
			}
		}
	}
	for _, id := range sortedKeys(levels) {
		if len(levels[id]) > 1 {
			slices.Sort(levels[id])
			out.add(id, strings.Join(levels[id], ", "))
		}
	}
	return out
}

func anonymous(l *look) (out outcome) {
	out.one, out.many = "anonymous callers may do more than ask for health: EKS no longer lets them in since 1.32", "%d bindings let anonymous callers do more than ask for health: EKS no longer lets them in since 1.32"
	out.remedy = func(name string) string {
		return "kubectl get clusterrolebinding " + name + " -o yaml   # bind to a group of authenticated callers instead"
	}
	for _, b := range l.o.Anonymous {
		if b.Status != "system:public-info-viewer" {
			out.add(b.Name, "role "+b.Status)
		}
	}
	return out
}

func externalIPs(l *look) (out outcome) {
	out.one, out.many = "a Service has external IPs, which are deprecated since 1.36", "%d Services have external IPs, which are deprecated since 1.36"
	out.remedy = fixed("Use a load balancer")
	for _, s := range l.o.Services {
		if len(s.ExternalIPs) > 0 {
			out.add(s.ID(), capped(s.ExternalIPs, 3))
		}
	}
	return out
}

func tokens(l *look) (out outcome) {
	out.one, out.many = "a token of a service account does not end", "%d tokens of service accounts do not end"
	out.remedy = func(id string) string {
		ns, name := split(id)
		return fmt.Sprintf("kubectl delete secret -n %s %s   # and use projected tokens", ns, name)
	}
	for _, t := range l.o.TokenSecrets {
		out.add(t, "")
	}
	return out
}

// rollbackDays is how long EKS lets a control plane go back.
const rollbackDays = 7

func wayBack(l *look) (out outcome) {
	out.remedy = fixed("Plan the bake: the policy's bake holds add-ons and nodes back, and what moves them beyond versions valid on both sides ends the way back")
	until := l.o.EKS.UpgradedAt.AddDate(0, 0, rollbackDays)
	switch {
	case l.upgrades() && !l.o.EKS.UpgradedAt.IsZero() && l.now.Before(until):
		out.one = "the upgrade ends the way back to " + l.o.EKS.UpgradedFrom.String()
		out.add("cluster", fmt.Sprintf("until %s it could go back to %s", date(until), l.o.EKS.UpgradedFrom))
	case l.upgrades():
		out.one = fmt.Sprintf("after each minor the control plane can go back for %d days", rollbackDays)
		out.add("cluster", fmt.Sprintf("not after %s", date(l.now.AddDate(0, 0, rollbackDays))))
	}
	return out
}

func rollbackInsights(l *look) (out outcome) {
	out.one, out.many = "EKS sees an obstacle to a rollback", "EKS sees %d obstacles to a rollback"
	out.remedy = l.describe()
	for _, i := range l.insights("ROLLBACK_READINESS", "ERROR", "WARNING") {
		out.add(i.Name, i.note())
	}
	return out
}

func previous(l *look) (out outcome) {
	out.one, out.many = "what runs now could not be had again after a rollback", "%d things that run now could not be had again after a rollback"
	out.remedy = fixed("Move it to a version that is still offered before the upgrade")
	for _, a := range l.o.EKS.Addons {
		if r := l.o.EKS.Releases[a.Name]; len(r) > 0 && !slices.ContainsFunc(r, func(r fleet.AddonRelease) bool { return r.Version == a.Version }) {
			out.add("addon "+a.Name, a.Version+" is no longer offered")
		}
	}
	for _, g := range l.o.EKS.Groups {
		if g.Custom() || g.AMIType == "" {
			continue
		}
		if _, ok := l.o.EKS.Images[g.AMIType+"/"+l.from.String()]; !ok {
			out.add("nodegroup "+g.Name, fmt.Sprintf("there is no image of %s for %s any more", g.AMIType, l.from))
		}
	}
	return out
}
