package spec

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// The add-ons that have rules of their own.
const (
	vpcCNI        = "vpc-cni"
	kubeProxy     = "kube-proxy"
	coreDNS       = "coredns"
	identityAgent = "eks-pod-identity-agent"
	metricsServer = "metrics-server"
)

var (
	addonName    = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]*$`)
	addonVersion = regexp.MustCompile(`^(latest|v?[0-9]+(\.[0-9]+)*([.+-][0-9A-Za-z.+-]+)?)$`)
	lowestCNI    = []int{1, 10} // that knows IPv6
)

// addons reads the cluster's add-ons and puts eksctl's default ones behind them.
func (v value) addons(c *fleet.ClusterSpec) {
	c.NoDefaultAddons = v.at("addonsConfig", "disableDefaultAddons").boolean(false)
	list := v.at("addons")
	if list.given() && c.Outpost != nil {
		list.wrong("a cluster on an Outpost takes none: drop them")
	}
	seen := map[string]bool{}
	for _, item := range list.mappings() {
		a := item.addon(c)
		if seen[a.Name] && a.Name != "" {
			item.at("name").wrong("add-on %s is there twice: drop one", clip(a.Name))
		}
		seen[a.Name] = true
		c.Addons = append(c.Addons, a)
	}
	if !c.NoDefaultAddons && c.Outpost == nil {
		for _, name := range defaultAddons(c) {
			if !seen[name] {
				c.Addons = append(c.Addons, fleet.AddonSpec{Name: name, Default: true})
			}
		}
	}
	v.identityOfAddons(c)
	if c.Network.IPv6 && c.Auto == nil {
		v.addonsForIPv6(c)
	}
}

// defaultAddons are those that eksctl installs unasked. Auto Mode brings networking with it. Not all Regions have
// metrics-server.
func defaultAddons(c *fleet.ClusterSpec) []string {
	var out []string
	if c.Auto == nil {
		out = append(out, vpcCNI, kubeProxy, coreDNS)
	}
	for _, p := range []string{"cn-", "us-gov-", "us-iso", "eu-iso"} {
		if strings.HasPrefix(c.Region, p) {
			return out
		}
	}
	return append(out, metricsServer)
}

func (v value) addon(c *fleet.ClusterSpec) fleet.AddonSpec {
	name, ver := v.at("name"), v.at("version")
	a := fleet.AddonSpec{
		Name: strings.ToLower(name.text("")), Version: ver.text(""), Configuration: v.at("configurationValues").configuration(),
		Resolve: v.at("resolveConflicts").anyCase("", "NONE", "OVERWRITE", "PRESERVE"), RoleARN: v.at("serviceAccountRoleARN").arn(role),
		Tags:                  v.at("tags").tags(),
		UseDefaultPodIdentity: v.at("useDefaultPodIdentityAssociations").boolean(false),
		Grants:                v.grants("attachPolicyARNs", "attachPolicy", "permissionsBoundary"),
	}
	if ns := v.at("namespaceConfig", "namespace"); ns.given() {
		a.Namespace = ns.namespace("")
	}
	if !addonName.MatchString(a.Name) {
		name.wrong("%q must be an add-on's name, like vpc-cni", clip(a.Name))
	}
	if a.Version != "" && !addonVersion.MatchString(a.Version) {
		ver.wrong("%q must be a version like v1.18.1-eksbuild.1, or latest", clip(a.Version))
	}
	ways := []string{"serviceAccountRoleARN", "attachPolicyARNs", "attachPolicy", "wellKnownPolicies"}
	for i, way := range ways {
		if v.has(way) {
			v.excludes(way, ways[i+1:]...)
		}
	}
	if a.RoleARN != "" {
		v.excludes("serviceAccountRoleARN", "permissionsBoundary")
	}
	identities := v.at("podIdentityAssociations")
	a.PodIdentities = identities.addonIdentities(a)
	switch {
	case a.UseDefaultPodIdentity:
		v.excludes("useDefaultPodIdentityAssociations", append([]string{"podIdentityAssociations"}, ways...)...)
	case len(a.PodIdentities) > 0:
		v.excludes("podIdentityAssociations", ways...)
	}
	if a.Name == identityAgent && len(a.PodIdentities) > 0 {
		identities.wrong("the agent has no pod identity of its own: drop it")
	}
	if a.Name == vpcCNI && c.Network.IPv6 && tooOld(a.Version) {
		ver.wrong("%s does not know IPv6: use v1.10.0 or later", clip(a.Version))
	}
	return a
}

// tooOld compares the first two numbers of a version.
func tooOld(v string) bool {
	if v == "" || v == "latest" {
		return false
	}
	return slices.Compare(numbers(strings.TrimPrefix(v, "v"))[:2], lowestCNI) < 0
}

// numbers are the first three of a version; what is missing is 0.
func numbers(v string) []int {
	out := make([]int, 3)
	for i, part := range strings.SplitN(v, ".", 3) {
		for _, digit := range part {
			if digit < '0' || digit > '9' || out[i] > maxNumber {
				break
			}
			out[i] = out[i]*10 + int(digit-'0')
		}
	}
	return out
}

// addonIdentities are an add-on's pod identity associations. EKS takes them in the add-on's own namespace.
func (v value) addonIdentities(a fleet.AddonSpec) []fleet.PodIdentitySpec {
	var out []fleet.PodIdentitySpec
	for _, item := range v.mappings() {
		p := item.podIdentity()
		ns := item.at("namespace")
		if ns.given() {
			p.Namespace = ns.namespace("")
		}
		if a.Namespace != "" && p.Namespace != "" && p.Namespace != a.Namespace {
			ns.wrong("%s is not the add-on's namespace %s: drop it", clip(p.Namespace), clip(a.Namespace))
		}
		if len(p.WellKnown) > 0 {
			item.at("wellKnownPolicies").wrong("an add-on's pod identity takes none: set useDefaultPodIdentityAssociations on the add-on instead")
		}
		if len(p.Tags) > 0 {
			item.at("tags").wrong("an add-on's pod identity takes none: drop them")
		}
		if slices.ContainsFunc(out, func(o fleet.PodIdentitySpec) bool { return o.ServiceAccount == p.ServiceAccount }) {
			item.at("serviceAccountName").wrong("%s is there twice: drop one", clip(p.ServiceAccount))
		}
		out = append(out, p)
	}
	return out
}

// configuration is JSON, or YAML that is made JSON.
func (v value) configuration() string {
	s, ok := v.scalar()
	if !ok || strings.TrimSpace(s) == "" {
		return ""
	}
	var object map[string]any
	if json.Unmarshal([]byte(s), &object) == nil {
		return strings.TrimSpace(s)
	}
	nodes, err := decode(s)
	if err != nil || len(nodes) != 1 || nodes[0].Kind != yaml.MappingNode {
		v.wrong("must be an object in JSON or YAML")
		return ""
	}
	inner := value{r: newReader(v.r.report, v.r.before), n: nodes[0], path: v.path, line: v.line}
	doc, _ := inner.document().(fleet.Props)
	return asJSON(doc)
}

func agent(c *fleet.ClusterSpec) bool {
	return c.Auto != nil || slices.ContainsFunc(c.Addons, func(a fleet.AddonSpec) bool { return a.Name == identityAgent })
}

// identityOfAddons: pods get roles by the OIDC provider or by the agent, and one of them must be there.
func (v value) identityOfAddons(c *fleet.ClusterSpec) {
	if agent(c) {
		return
	}
	const need = "add %s to addons"
	if len(c.IAM.PodIdentities) > 0 {
		v.at("iam", "podIdentityAssociations").wrong("have no effect without the agent: "+need, identityAgent)
	}
	if auto := v.at("addonsConfig", "autoApplyPodIdentityAssociations"); c.IAM.AutoApplyAddonPodIdentity {
		auto.wrong("has no effect without the agent: "+need, identityAgent)
	}
	for i, item := range v.at("addons").mappings() {
		if i >= len(c.Addons) {
			return
		}
		switch a := c.Addons[i]; {
		case a.UseDefaultPodIdentity || len(a.PodIdentities) > 0:
			item.wrong("its pod identity has no effect without the agent: "+need, identityAgent)
		case (a.RoleARN != "" || !a.Empty()) && !c.IAM.OIDC:
			item.wrong("its role has no effect without a way for pods to get it: set iam.withOIDC to true, or "+need, identityAgent)
		}
	}
}

func (v value) addonsForIPv6(c *fleet.ClusterSpec) {
	family := v.at("kubernetesNetworkConfig", "ipFamily")
	for _, name := range []string{vpcCNI, coreDNS, kubeProxy} {
		if !slices.ContainsFunc(c.Addons, func(a fleet.AddonSpec) bool { return a.Name == name }) {
			family.wrong("an IPv6 cluster needs the add-on %s: add it to addons, or drop addonsConfig.disableDefaultAddons", name)
		}
	}
	if !c.IAM.OIDC && !agent(c) {
		family.wrong("the add-on vpc-cni needs a role to give out IPv6 addresses: set iam.withOIDC to true, or add %s to addons", identityAgent)
	}
	if older(c, 21) {
		family.wrong("IPv6 needs Kubernetes 1.21 at least: set metadata.version")
	}
}
