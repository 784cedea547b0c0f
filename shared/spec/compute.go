package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// autoMode reads EKS Auto Mode; nil without.
func (v value) autoMode() *fleet.AutoSpec {
	a := v.at("autoModeConfig")
	pools, node, boundary := a.at("nodePools"), a.at("nodeRoleARN"), a.at("permissionsBoundaryARN")
	s := &fleet.AutoSpec{NodeRoleARN: node.arn(role), Boundary: boundary.arn(iamPolicy)}
	known := []string{"general-purpose", "system"}
	for _, item := range pools.items() {
		if p := item.oneOf("", known...); slices.Contains(s.NodePools, p) {
			item.wrong("%q is there twice: drop one", p)
		} else if p != "" {
			s.NodePools = append(s.NodePools, p)
		}
	}
	if !pools.there() {
		s.NodePools = known
	}
	slices.Sort(s.NodePools)
	if s.NodeRoleARN != "" {
		a.excludes("nodeRoleARN", "permissionsBoundaryARN")
	}
	enabled := a.at("enabled").boolean(false)
	for _, f := range []value{node, boundary, pools} {
		switch {
		case !f.given():
		case !enabled:
			f.wrong("is about Auto Mode: set autoModeConfig.enabled to true, or drop it")
		case len(s.NodePools) == 0:
			f.wrong("is for node pools, and there are none: drop it")
		}
	}
	if !enabled {
		return nil
	}
	return s
}

var (
	profileName = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)
	// EKS lets a namespace or label of a selector have * and ?.
	pattern = regexp.MustCompile(`^[a-z0-9*?]([a-z0-9*?-]{0,61}[a-z0-9*?])?$`)
)

const maxSelectors = 5

// fargate reads Fargate profiles.
func (v value) fargate(c *fleet.ClusterSpec) {
	list := v.at("fargateProfiles")
	seen := map[string]bool{}
	for _, item := range list.mappings() {
		name := item.at("name")
		p := fleet.FargateSpec{Name: name.text(""), RoleARN: item.at("podExecutionRoleARN").arn(role), Tags: item.at("tags").tags()}
		switch {
		case !profileName.MatchString(p.Name):
			name.wrong("%q must be the profile's name: letters, digits, - and _, up to 100, a letter or digit first", clip(p.Name))
		case strings.HasPrefix(p.Name, "eks-"):
			name.wrong("%q: names that begin with eks- are AWS's own: choose another one", clip(p.Name))
		case seen[p.Name]:
			name.wrong("Fargate profile %s is there twice: give it another name", clip(p.Name))
		}
		seen[p.Name] = true
		p.Selectors = item.selectors()
		subnets := item.at("subnets")
		p.Subnets = subnets.subnetNames(c, true)
		c.Fargate = append(c.Fargate, p)
	}
	switch {
	case !list.given():
	case c.Outpost != nil:
		list.wrong("there is no Fargate on an Outpost: drop them")
	case noPrivate(c.Network):
		list.wrong("Fargate runs in private subnets, and there are none: set vpc.nat.gateway to Single or HighlyAvailable, or name some in vpc.subnets.private")
	}
}

func (v value) selectors() []fleet.FargateSelector {
	var out []fleet.FargateSelector
	list := v.at("selectors")
	for _, item := range list.mappings() {
		ns, labels := item.at("namespace"), item.at("labels")
		s := fleet.FargateSelector{Namespace: ns.text(""), Labels: labels.textMap()}
		if !pattern.MatchString(s.Namespace) {
			ns.wrong("%q must be a Kubernetes namespace, which may have * and ?", clip(s.Namespace))
		}
		if len(s.Labels) > maxSelectors {
			labels.wrong("are %d: EKS takes %d at most", len(s.Labels), maxSelectors)
		}
		out = append(out, s)
	}
	switch {
	case len(out) == 0:
		list.wrong("is missing: say which pods run on Fargate, by namespace and labels")
	case len(out) > maxSelectors:
		list.wrong("are %d: EKS takes %d at most", len(out), maxSelectors)
	}
	return out
}

// subnetNames are subnets by id, or by their name or zone in the file.
func (v value) subnetNames(c *fleet.ClusterSpec, private bool) []string {
	out := v.texts()
	given, other := c.Network.Public, c.Network.Private
	if private {
		given, other = other, given
	}
	for _, s := range out {
		is := func(subnets []fleet.SubnetSpec) bool {
			return slices.ContainsFunc(subnets, func(n fleet.SubnetSpec) bool { return n.Alias == s || n.ID == s || n.Zone == s })
		}
		switch {
		case c.Network.VPC == "" && isID(s, "subnet"):
			v.wrong("%s is in a VPC of yours: name it in vpc.id, and its subnets in vpc.subnets", s)
		case c.Network.VPC == "" && !isZone(s, c.Region) && !isLocalZone(s, c.Region):
			v.wrong("%q: the subnets that are made are called by their zones, like %sa", clip(s), clip(c.Region))
		case c.Network.VPC == "" || is(given) || isID(s, "subnet") && !is(other):
		case is(other) && private:
			v.wrong("%s is a public subnet: name private ones", clip(s))
		case is(other):
			v.wrong("%s is a private subnet: set privateNetworking to true, or name public ones", clip(s))
		default:
			v.wrong("%q is none of vpc.subnets, neither by name nor by id nor by zone", clip(s))
		}
	}
	return out
}

// capabilities reads EKS's: ACK, ARGOCD and KRO.
func (v value) capabilities(c *fleet.ClusterSpec) {
	seen, types := map[string]bool{}, map[string]bool{}
	for _, item := range v.at("capabilities").mappings() {
		name, kind := item.at("name"), item.at("type")
		s := fleet.CapabilitySpec{
			Name: name.text(""), Type: kind.anyCase("", "ACK", "ARGOCD", "KRO"), RoleARN: item.at("roleArn").arn(role),
			DeletePolicy: item.at("deletePropagationPolicy").anyCase("RETAIN", "RETAIN"), Access: item.at("accessPolicies").accessPolicies(),
			Tags:   item.at("tags").tags(),
			Grants: item.grants("attachPolicyARNs", "attachPolicy", "permissionsBoundary"),
		}
		switch {
		case !profileName.MatchString(s.Name):
			name.wrong("%q must be the capability's name: letters, digits, - and _", clip(s.Name))
		case seen[s.Name]:
			name.wrong("capability %s is there twice: give it another name", clip(s.Name))
		}
		switch {
		case !kind.there():
			kind.wrong("is missing: ACK, ARGOCD or KRO")
		case types[s.Type] && s.Type != "":
			kind.wrong("a cluster has one capability %s: drop one", s.Type)
		}
		seen[s.Name], types[s.Type] = true, true
		if s.RoleARN != "" {
			item.excludes("roleArn", "attachPolicyARNs", "attachPolicy", "permissionsBoundary")
		}
		s.Configuration = item.at("configuration").argo(s.Type)
		c.Capabilities = append(c.Capabilities, s)
	}
}

// argo is EKS's CapabilityConfigurationRequest; nil without.
func (v value) argo(kind string) fleet.Props {
	a := v.at("argocd")
	idc := a.at("awsIdc")
	arn, ns := idc.at("idcInstanceArn"), a.at("namespace")
	conf := fleet.Props{}
	sso := fleet.Props{}
	if s := arn.arn(idcInstance); s != "" {
		sso["idcInstanceArn"] = s
	}
	if s := idc.at("idcRegion").text(""); s != "" {
		sso["idcRegion"] = s
	}
	if len(sso) > 0 {
		conf["awsIdc"] = sso
	}
	if ns.given() {
		conf["namespace"] = ns.namespace("")
	}
	if list := a.at("networkAccess", "vpceIds").ids("vpce", 100); len(list) > 0 {
		conf["networkAccess"] = fleet.Props{"vpceIds": fleet.Strings(list)}
	}
	if roles := a.at("rbacRoleMappings").argoRoles(); len(roles) > 0 {
		conf["rbacRoleMappings"] = roles
	}
	switch {
	case kind == "ARGOCD" && !arn.given():
		arn.wrong("is missing: Argo CD knows its users by IAM Identity Center, like %s", idcInstance.like)
	case kind != "ARGOCD" && a.given():
		a.wrong("is for type ARGOCD: drop it")
	}
	if len(conf) == 0 {
		return nil
	}
	return fleet.Props{"argoCd": conf}
}

func (v value) argoRoles() []any {
	var out []any
	for _, item := range v.mappings() {
		kind := item.at("role")
		var who []any
		for _, id := range item.at("identities").mappings() {
			p := fleet.Props{"id": id.at("id").text(""), "type": id.at("type").oneOf("", "SSO_USER", "SSO_GROUP")}
			if p["id"] == "" || !id.at("type").there() {
				id.wrong("needs an id and a type, SSO_USER or SSO_GROUP")
			}
			who = append(who, p)
		}
		if !kind.there() || len(who) == 0 {
			item.wrong("needs a role, ADMIN, EDITOR or VIEWER, and identities")
		}
		out = append(out, fleet.Props{"role": kind.oneOf("", "ADMIN", "EDITOR", "VIEWER"), "identities": who})
	}
	return out
}

// identityProviders reads OIDC providers whose users may come in.
func (v value) identityProviders(c *fleet.ClusterSpec) {
	list := v.at("identityProviders")
	for _, item := range list.mappings() {
		kind := item.at("type")
		if kind.oneOf("", "oidc"); !kind.there() {
			kind.wrong("is missing: oidc")
		}
		conf := fleet.Props{}
		for field, name := range map[string]string{"name": "identityProviderConfigName", "issuerURL": "issuerUrl", "clientID": "clientId",
			"usernameClaim": "usernameClaim", "usernamePrefix": "usernamePrefix", "groupsClaim": "groupsClaim", "groupsPrefix": "groupsPrefix"} {
			if s := item.at(field).text(""); s != "" {
				conf[name] = s
			}
		}
		for _, field := range []string{"name", "issuerURL", "clientID"} {
			if !item.at(field).given() {
				item.at(field).wrong("is missing")
			}
		}
		if url := item.at("issuerURL"); url.given() && !strings.HasPrefix(url.text(""), "https://") {
			url.wrong("%q must begin with https://", clip(url.text("")))
		}
		if claims := item.at("requiredClaims").textMap(); len(claims) > 0 {
			conf["requiredClaims"] = claims
		}
		c.Identity = append(c.Identity, fleet.IdentityProviderSpec{Name: item.at("name").text(""), Config: conf, Tags: item.at("tags").tags()})
	}
	switch {
	case len(c.Identity) > 1:
		list.wrong("are %d: EKS takes one", len(c.Identity))
	case len(c.Identity) > 0 && c.Outpost != nil:
		list.wrong("a cluster on an Outpost takes none: drop it")
	}
}
