package spec

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const (
	modeAPI  = "API"
	modeBoth = "API_AND_CONFIG_MAP"
	modeMap  = "CONFIG_MAP"

	standard = "STANDARD"
	nodes    = "EC2_LINUX"
)

// accessTypes are EKS's kinds of access entries.
var accessTypes = []string{standard, "EC2", nodes, "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX"}

// access reads who may come in. eksctl's default mode allows access entries and the aws-auth ConfigMap; a cluster whose
// control plane, etcd included, is on one kind of instance of an Outpost has the ConfigMap only.
func (v value) access(c *fleet.ClusterSpec) {
	a := v.at("accessConfig")
	mode := a.at("authenticationMode")
	local := c.Outpost != nil && c.Outpost.EtcdInstanceType == ""
	if local {
		c.AuthMode = mode.oneOf(modeMap, modeAPI, modeBoth, modeMap)
	} else {
		c.AuthMode = mode.oneOf(modeBoth, modeAPI, modeBoth, modeMap)
	}
	switch {
	case local && c.AuthMode != modeMap:
		mode.wrong("a cluster on an Outpost has access entries only with outpost.etcdInstanceType: set that, or drop this")
	case local:
		v.at("outpost").warn("without outpost.etcdInstanceType there are no access entries: map the role of ekspedite's interruption function in the ConfigMap aws-auth yourself")
	case c.AuthMode == modeMap:
		mode.wrong("ekspedite comes in by access entries: use %s or %s", modeBoth, modeAPI)
	}
	admin := a.at("bootstrapClusterCreatorAdminPermissions")
	if c.NoCreatorAdmin = !admin.boolean(true); c.NoCreatorAdmin && c.Outpost != nil {
		admin.wrong("it cannot be false on an Outpost: drop it")
	}
	seen := map[string]bool{}
	list := a.at("accessEntries")
	for _, item := range list.mappings() {
		c.Access = append(c.Access, item.accessEntry(c, seen))
	}
	if list.given() && c.AuthMode == modeMap {
		list.wrong("there are none with %s: set authenticationMode to %s or %s", modeMap, modeBoth, modeAPI)
	}
	for _, item := range v.at("iamIdentityMappings").mappings() {
		if e, ok := item.identityMapping(c, seen); ok {
			c.Access = append(c.Access, e)
		}
	}
}

func (v value) accessEntry(c *fleet.ClusterSpec, seen map[string]bool) fleet.AccessSpec {
	arn := v.at("principalARN")
	user, groups, policies := v.at("kubernetesUsername"), v.at("kubernetesGroups"), v.at("accessPolicies")
	e := fleet.AccessSpec{Principal: arn.principal(seen), Type: v.at("type").oneOf(standard, accessTypes...), Username: user.text(""),
		Groups: groups.texts(), Policies: policies.accessPolicies()}
	for _, g := range e.Groups {
		if r := reserved(g); r != "" {
			groups.wrong("%q: groups that begin with %s are reserved: bind a group of your own, or use accessPolicies", clip(g), r)
		}
	}
	if r := reserved(e.Username); r != "" {
		user.wrong("%q: names that begin with %s are reserved: choose another one", clip(e.Username), r)
	}
	if e.Type == standard {
		return e
	}
	v.excludes("type "+e.Type, "kubernetesUsername", "kubernetesGroups")
	if e.Type != "EC2" {
		v.excludes("type "+e.Type, "accessPolicies")
	}
	if strings.Contains(e.Principal, ":user/") {
		arn.wrong("%s is for machines, which have a role", e.Type)
	}
	if e.Type == "EC2" && c.Auto == nil {
		v.at("type").warn("EC2 is for nodes of Auto Mode, which is not enabled: self-managed nodes take EC2_LINUX")
	}
	return e
}

// principal is a role or user that has not come in yet.
func (v value) principal(seen map[string]bool) string {
	s := v.arn(principal)
	switch {
	case s == "":
		v.wrong("is missing: the ARN of %s, like %s", principal.what, principal.like)
	case seen[s]:
		v.wrong("%s is there twice: one entry can have several groups and policies", clip(s))
	}
	seen[s] = true
	return s
}

func (v value) accessPolicies() []fleet.AccessPolicy {
	var out []fleet.AccessPolicy
	seen := map[string]bool{}
	for _, item := range v.mappings() {
		arn, scope := item.at("policyARN"), item.at("accessScope")
		p := fleet.AccessPolicy{ARN: arn.arn(accessPolicy), Namespaces: scope.at("namespaces").texts()}
		switch kind := scope.at("type"); kind.oneOf("", "cluster", "namespace") {
		case "cluster":
			scope.excludes("type cluster", "namespaces")
		case "namespace":
			if len(p.Namespaces) == 0 {
				scope.wrong("names no namespaces: list them in namespaces, or make the type cluster")
			}
		default:
			if !kind.there() {
				kind.wrong("is missing: cluster or namespace")
			}
		}
		switch {
		case p.ARN == "":
			arn.wrong("is missing: the ARN of %s, like %s", accessPolicy.what, accessPolicy.like)
		case seen[p.ARN]:
			arn.wrong("%s is there twice: one policy can be for several namespaces", clip(p.ARN))
		}
		seen[p.ARN] = true
		out = append(out, p)
	}
	return out
}

// identityMapping is an entry of the aws-auth ConfigMap as an access entry, which takes no reserved groups: what they
// stand for has another name there.
func (v value) identityMapping(c *fleet.ClusterSpec, seen map[string]bool) (fleet.AccessSpec, bool) {
	arn, user, groups := v.at("arn"), v.at("username"), v.at("groups")
	v.mappingOfWhat(arn, user, groups)
	if !arn.given() {
		return fleet.AccessSpec{}, false
	}
	if c.AuthMode == modeMap {
		v.wrong("ekspedite makes access entries of mappings, and there are none with %s: set accessConfig.authenticationMode to %s", modeMap, modeBoth)
	}
	e := fleet.AccessSpec{Principal: arn.principal(seen), Type: standard, Username: user.text("")}
	for _, g := range groups.texts() {
		switch {
		case g == "system:masters":
			e.Policies = append(e.Policies, fleet.AccessPolicy{ARN: "arn:" + partition(e.Principal) + ":eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"})
		case g == "system:bootstrappers" || g == "system:nodes":
			e.Type = nodes
		case g == "eks:kube-proxy-windows":
			e.Type = "EC2_WINDOWS"
		case reserved(g) != "":
			groups.wrong("%q: an access entry takes no groups that begin with %s: bind a group of your own, or use accessConfig.accessEntries with a policy", clip(g), reserved(g))
		default:
			e.Groups = append(e.Groups, g)
		}
	}
	slices.Sort(e.Groups)
	switch r := reserved(e.Username); {
	case e.Type != standard: // EKS names nodes itself
		e.Username, e.Groups = "", nil
	case r != "":
		user.wrong("%q: an access entry takes no names that begin with %s: choose another one", clip(e.Username), r)
	}
	return e, true
}

// mappingOfWhat holds eksctl's rules for what goes together.
func (v value) mappingOfWhat(arn, user, groups value) {
	service, account := v.has("serviceName"), v.has("account")
	who := arn.given() || user.given() || groups.given()
	switch {
	case account && (who || service || v.has("namespace")):
		v.wrong("account stands alone: make two mappings of it")
	case service && who:
		v.wrong("serviceName and arn, username, groups exclude each other: make two mappings of it")
	case service != v.has("namespace"):
		v.wrong("serviceName and namespace belong together: give both or none")
	case !arn.given() && who:
		arn.wrong("is missing: whom the mapping is for")
	}
}

// partition is that of an ARN: aws, aws-cn.
func partition(arn string) string {
	if parts := strings.SplitN(arn, ":", 3); len(parts) == 3 {
		return parts[1]
	}
	return "aws"
}
