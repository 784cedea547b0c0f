package readiness

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var addonChecks = []check{
	{id: "ADD01", title: "Add-ons have versions for the target", severity: Block, reads: "DescribeAddon, DescribeAddonVersions", parts: []Part{PartEKS, PartReleases}, run: addonVersions},
	{id: "ADD02", title: "Add-ons that fit both versions", severity: Warn, reads: "DescribeAddonVersions", parts: []Part{PartEKS, PartReleases}, when: (*look).upgrades, run: dualValid},
	{id: "ADD03", title: "The VPC CNI's way", severity: Block, reads: "DescribeAddonVersions of vpc-cni", parts: []Part{PartEKS, PartReleases}, run: vpcCNI},
	{id: "ADD04", title: "Add-ons are healthy", severity: Block, reads: "DescribeAddon: status, health", parts: []Part{PartEKS}, run: addonHealth},
	{id: "ADD05", title: "Configuration of add-ons", severity: Block, reads: "DescribeAddon: configurationValues; DescribeAddonConfiguration", parts: []Part{PartAddons}, run: addonConfiguration},
	{id: "ADD06", title: "Fields of add-ons that others have changed", severity: Warn, reads: "managedFields of the add-ons' objects", parts: []Part{PartAddons}, run: foreignFields},
	{id: "ADD07", title: "Version skew of kube-proxy", severity: Block, reads: "the add-on's version, kube-proxy's image, nodes", parts: []Part{PartEKS, PartNodes, PartPods}, run: kubeProxySkew},
	{id: "ADD08", title: "System components that are no add-ons", severity: Warn, reads: "images in kube-system", parts: []Part{PartEKS, PartPods}, run: selfManaged},
	{id: "ADD09", title: "Controllers of others", severity: Warn, reads: "images of pods", parts: []Part{PartPods}, run: controllers},
	{id: "ADD10", title: "kube-proxy's mode", severity: Warn, reads: "ConfigMap kube-system/kube-proxy-config", parts: []Part{PartKubeProxy}, when: func(l *look) bool { return l.to >= 35 }, run: kubeProxyMode},
	{id: "ADD11", title: "ingress-nginx", severity: Warn, reads: "images of pods", parts: []Part{PartPods}, run: ingressNginx},
	{id: "ADD12", title: "Roles of add-ons", severity: Block, reads: "DescribeAddon, GetRole", parts: []Part{PartAddons, PartRoles}, run: addonRoles},
	{id: "ADD13", title: "EKS capabilities", severity: Warn, reads: "DescribeCapability", parts: []Part{PartCapabilities}, run: capabilities},
	{id: "ADD14", title: "Subscriptions of add-ons", severity: Block, reads: "DescribeAddon: health", parts: []Part{PartEKS}, run: subscriptions},
}

func fits(r fleet.AddonRelease, m fleet.Minor) bool { return slices.Contains(r.Minors, m) }

// addonVersions blocks where the way has no end: no version fits the target, or the policy holds the add-on at one that does
// not. That the installed version has to change on the way is the path's business.
func addonVersions(l *look) (out outcome) {
	out.one, out.many = "an add-on has no version for "+l.to.String(), "%d add-ons have no version for "+l.to.String()
	out.remedy = func(name string) string {
		if pin := l.p.Addons.Pins[name]; pin != "" {
			return "Take the pin " + name + ": " + pin + " out of the policy, or pin a version from: " + l.aws(fmt.Sprintf("eks describe-addon-versions --addon-name %s --kubernetes-version %s", name, l.to))
		}
		return "Wait for its version, or take it out: " + l.aws("eks delete-addon --cluster-name NAME --preserve --addon-name "+name)
	}
	for _, a := range l.o.EKS.Addons {
		releases := l.o.EKS.Releases[a.Name]
		pin := l.p.Addons.Pins[a.Name]
		i := slices.IndexFunc(releases, func(r fleet.AddonRelease) bool { return r.Version == pin })
		switch {
		case !slices.ContainsFunc(releases, func(r fleet.AddonRelease) bool { return fits(r, l.to) }):
			out.add(a.Name, a.Version+"; EKS names no version of it for "+l.to.String())
		case pin != "" && (i < 0 || !fits(releases[i], l.to)):
			out.add(a.Name, "the policy pins "+pin+", which is not for "+l.to.String())
		}
	}
	return out
}

func dualValid(l *look) (out outcome) {
	out.one, out.many = "an add-on has no version that fits both minors: it is behind or ahead for a while", "%d add-ons have no version that fits both minors: they are behind or ahead for a while"
	out.remedy = fixed("The path changes it right after the control plane; a rollback has to change it back first")
	for _, a := range l.o.EKS.Addons {
		releases := l.o.EKS.Releases[a.Name]
		if len(releases) > 0 && !slices.ContainsFunc(releases, func(r fleet.AddonRelease) bool { return fits(r, l.from) && fits(r, l.hop) }) {
			out.add(a.Name, fmt.Sprintf("none for %s and %s", l.from, l.hop))
		}
	}
	return out
}

// vpcCNI: EKS lets it go one minor at a time ("Updating VPC-CNI can only go up or down 1 minor version at a time"), each of which
// has to fit a minor of the cluster on its way.
func vpcCNI(l *look) (out outcome) {
	out.one = "the VPC CNI has no way of single minors to a version for " + l.to.String()
	out.remedy = fixed("Take it out of EKS's hands and put it in again: " + l.aws("eks delete-addon --cluster-name NAME --addon-name vpc-cni --preserve") + " && " + l.aws("eks create-addon --cluster-name NAME --addon-name vpc-cni --resolve-conflicts OVERWRITE --addon-version VERSION"))
	i := slices.IndexFunc(l.o.EKS.Addons, func(a upgradepath.Addon) bool { return a.Name == "vpc-cni" })
	if i < 0 {
		return out
	}
	_, now := release(l.o.EKS.Addons[i].Version)
	usable, last := map[int]bool{now: true}, -1
	for _, r := range l.o.EKS.Releases["vpc-cni"] {
		_, m := release(r.Version)
		for v := l.from; v <= l.to; v++ {
			usable[m] = usable[m] || fits(r, v)
		}
		if fits(r, l.to) && (last < 0 || distance(m, now) < distance(last, now)) {
			last = m
		}
	}
	for m := min(now, last); last >= 0 && m <= max(now, last); m++ {
		if !usable[m] {
			out.add("vpc-cni", fmt.Sprintf("from %s to 1.%d there is no version of 1.%d that fits %s to %s", l.o.EKS.Addons[i].Version, last, m, l.from, l.to))
			break
		}
	}
	return out
}

func distance(a, b int) int { return max(a-b, b-a) }

func addonHealth(l *look) (out outcome) {
	out.one, out.many = "an add-on is not in order: its update would fail or be refused", "%d add-ons are not in order: their updates would fail or be refused"
	out.remedy = func(name string) string {
		return l.aws("eks describe-addon --cluster-name NAME --addon-name " + name + " --query addon.health")
	}
	for _, a := range l.o.EKS.Addons {
		issues := slices.DeleteFunc(slices.Clone(a.Issues), subscription)
		if a.Status != "ACTIVE" && len(issues) == len(a.Issues) || len(issues) > 0 {
			out.add(a.Name, strings.TrimSuffix(a.Status+": "+capped(issues, 3), ": "))
		}
	}
	return out
}

func subscription(issue string) bool { return strings.HasPrefix(issue, "AddonSubscriptionNeeded") }

func subscriptions(l *look) (out outcome) {
	out.one, out.many = "an add-on's subscription has ended", "%d add-ons' subscriptions have ended"
	out.remedy = fixed("Renew it: https://console.aws.amazon.com/marketplace/home#/subscriptions")
	for _, a := range l.o.EKS.Addons {
		if slices.ContainsFunc(a.Issues, subscription) {
			out.add(a.Name, capped(a.Issues, 2))
		}
	}
	return out
}

func addonConfiguration(l *look) (out outcome) {
	out.one, out.many = "an add-on's next version refuses its configuration", "add-ons' next versions refuse their configuration: %d places"
	out.remedy = func(name string) string {
		for _, a := range l.o.Addons {
			if a.Name == name {
				return l.aws(fmt.Sprintf("eks describe-addon-configuration --addon-name %s --addon-version %s --query configurationSchema --output text", name, a.SchemaVersion))
			}
		}
		return ""
	}
	for _, a := range l.o.Addons {
		if a.Configuration == "" || a.Schema == "" {
			continue
		}
		var schema map[string]any
		var value any
		if json.Unmarshal([]byte(a.Schema), &schema) != nil {
			continue // EKS's own mistake, which is not the owner's
		}
		if err := json.Unmarshal([]byte(a.Configuration), &value); err != nil {
			out.add(a.Name, "is no JSON: "+err.Error())
			continue
		}
		for _, text := range validate(schema, schema, value, "", 0) {
			out.add(a.Name, text+" ("+a.SchemaVersion+")")
		}
	}
	return out
}

func foreignFields(l *look) (out outcome) {
	out.one, out.many = "somebody else has changed fields of an add-on", "others have changed fields of %d add-ons"
	out.remedy = fixed("Put what is wanted into configurationValues; the policy's addons.conflicts says what becomes of the rest")
	for _, a := range l.o.Addons {
		if len(a.Foreign) > 0 {
			note := capped(a.Foreign, 3)
			switch l.p.Addons.Conflicts {
			case fleet.AddonNone:
				note += "; with conflicts NONE the update fails"
			case fleet.AddonOverwrite:
				note += "; with conflicts OVERWRITE they are lost"
			}
			out.add(a.Name, note)
		}
	}
	return out
}

func kubeProxySkew(l *look) (out outcome) {
	out.one, out.many = "kube-proxy does not fit the next minor of the control plane", "kube-proxy does not fit the next minor of the control plane in %d ways"
	out.remedy = fixed(l.aws("eks update-addon --cluster-name NAME --addon-name kube-proxy --addon-version VERSION") + "   # one of: " + l.aws("eks describe-addon-versions --addon-name kube-proxy --kubernetes-version "+l.from.String()))
	check := func(object, version string) {
		m, err := fleet.ParseMinor(version)
		if err != nil {
			return
		}
		allowed := l.skew(m)
		switch {
		case m > l.hop:
			out.add(object, fmt.Sprintf("%s is newer than the control plane will be (%s)", version, l.hop))
		case l.hop-m > allowed:
			out.add(object, fmt.Sprintf("%s is %d minors behind %s; %d are allowed", version, l.hop-m, l.hop, allowed))
		}
		for _, n := range l.o.EKS.Nodes {
			if n.Kind != upgradepath.NodeFargate && n.Kind != upgradepath.NodeAuto && n.Kubelet > 0 && (n.Kubelet-m > 3 || m-n.Kubelet > 3) {
				out.add(object, fmt.Sprintf("%s is more than three minors from the kubelet of %s (%s)", version, n.Name, n.Kubelet))
				break
			}
		}
	}
	i := slices.IndexFunc(l.o.EKS.Addons, func(a upgradepath.Addon) bool { return a.Name == "kube-proxy" })
	if i >= 0 {
		check("kube-proxy", l.o.EKS.Addons[i].Version)
		return out
	}
	for _, f := range l.components() {
		if f.component == "kube-proxy" {
			check("kube-proxy ("+f.namespace+")", f.tag)
		}
	}
	return out
}

func selfManaged(l *look) (out outcome) {
	out.one, out.many = "a system component is nobody's to update", "%d system components are nobody's to update"
	out.remedy = func(name string) string {
		return l.aws("eks create-addon --cluster-name NAME --resolve-conflicts PRESERVE --addon-name " + name)
	}
	for _, f := range l.components() {
		if slices.Contains([]string{"coredns", "kube-proxy", "vpc-cni"}, f.component) && f.namespace == "kube-system" &&
			!slices.ContainsFunc(l.o.EKS.Addons, func(a upgradepath.Addon) bool { return a.Name == f.component }) {
			out.add(f.component, cmp.Or(f.tag, "no tag")+" is no EKS add-on")
		}
	}
	return out
}

func controllers(l *look) (out outcome) {
	out.one, out.many = "a controller is not made for the target", "%d controllers are not made for the target"
	out.remedy = func(object string) string {
		return "Update it before or right after the cluster: helm list -A | grep " + strings.Fields(object)[0]
	}
	for _, f := range l.components() {
		switch f.component {
		case "cluster-autoscaler":
			// https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/README.md#releases
			if f.major == 1 && fleet.Minor(f.minor) < l.to {
				out.add("cluster-autoscaler "+f.namespace, f.tag+" is made for 1."+fmt.Sprint(f.minor))
			}
		case "cert-manager":
			if top, ok := certManagerUpTo(f.major, f.minor); ok && l.to > top {
				out.add("cert-manager "+f.namespace, fmt.Sprintf("%s supports at most %s", f.tag, top))
			}
		}
	}
	return out
}

func kubeProxyMode(l *look) (out outcome) {
	out.one = "kube-proxy uses IPVS, which is deprecated since 1.35"
	out.remedy = fixed("Take nftables or iptables: " + l.aws(`eks update-addon --cluster-name NAME --addon-name kube-proxy --configuration-values '{"mode":"nftables"}'`) + "; then replace the nodes: rules of both modes stay")
	if l.o.KubeProxy.Mode == "ipvs" {
		out.add("kube-system/kube-proxy-config", "mode: ipvs")
	}
	return out
}

func ingressNginx(l *look) (out outcome) {
	out.one, out.many = "ingress-nginx gets no fixes since March 2026", "ingress-nginx gets no fixes since March 2026: %d installations"
	out.remedy = fixed("Move to a Gateway API implementation: https://kubernetes.io/blog/2025/11/11/ingress-nginx-retirement/")
	for _, f := range l.components() {
		if f.component == "ingress-nginx" {
			out.add(f.namespace+"/ingress-nginx", f.tag)
		}
	}
	return out
}

func addonRoles(l *look) (out outcome) {
	out.one, out.many = "an add-on cannot take its role", "add-ons cannot take %d roles"
	out.remedy = func(arn string) string {
		return "aws iam get-role --role-name " + arn[strings.LastIndexByte(arn, '/')+1:] + "   # make it again, or repair its trust policy"
	}
	for _, r := range l.o.AddonRoles {
		var users []string
		for _, a := range l.o.Addons {
			if slices.Contains(a.Roles, r.ARN) {
				users = append(users, a.Name)
			}
		}
		switch {
		case !r.Exists:
			out.add(r.ARN, "does not exist; "+strings.Join(users, ", "))
		case !r.Trusted:
			out.add(r.ARN, "does not trust whoever is to take it; "+strings.Join(users, ", "))
		}
	}
	return out
}

func capabilities(l *look) (out outcome) {
	out.one, out.many = "a capability is not in order", "%d capabilities are not in order"
	out.remedy = func(name string) string {
		return l.aws("eks describe-capability --cluster-name NAME --capability-name " + name)
	}
	for _, c := range l.o.Capabilities {
		if c.Status != "ACTIVE" || len(c.Issues) > 0 {
			out.add(c.Name, strings.Join(append([]string{c.Status}, c.Issues...), ", "))
		}
	}
	return out
}
