package preflight

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// givenRole is a role that the file names, and who has to be able to assume it.
type givenRole struct {
	arn, resource, who string
	services           []string // any of them; none where it is not known
	session            bool     // sts:TagSession as well
}

// Who assumes roles. EC2 has another name in China, which roles may use as well.
var (
	byEKS          = []string{"eks.amazonaws.com"}
	byEC2          = []string{"ec2.amazonaws.com", "ec2.amazonaws.com.cn"}
	byFargate      = []string{"eks-fargate-pods.amazonaws.com"}
	byPods         = []string{"pods.eks.amazonaws.com"}
	byCapabilities = []string{"capabilities.eks.amazonaws.com"}
)

// givenRoles are those that the file names for what the plan makes.
func (c *check) givenRoles() (out []givenRole) {
	add := func(arn, resource, who string, services []string, session bool) {
		if arn != "" {
			out = append(out, givenRole{arn, resource, who, services, session})
		}
	}
	s := c.s
	if c.creates() {
		by := byEKS
		if s.Outpost != nil {
			by = byEC2
		}
		add(s.IAM.RoleARN, "cluster", "the control plane's role", by, s.Auto != nil)
		if s.Auto != nil {
			add(s.Auto.NodeRoleARN, "cluster", "the role of Auto Mode's nodes", byEC2, false)
		}
		if s.Remote != nil {
			add(s.Remote.RoleARN, "cluster", "the role of hybrid nodes", nil, false)
		}
	}
	for _, g := range c.groups() {
		add(g.IAM.RoleARN, groupID(g), "the role of node group "+g.Name, byEC2, false)
	}
	if len(c.made("eks:CreateFargateProfile")) > 0 {
		add(s.IAM.FargateRoleARN, "cluster", "the role of Fargate pods", byFargate, false)
		for _, f := range s.Fargate {
			add(f.RoleARN, "fargate/"+f.Name, "the role of Fargate profile "+f.Name, byFargate, false)
		}
	}
	if len(c.calls) == 0 {
		return out
	}
	for _, p := range s.IAM.PodIdentities {
		add(p.RoleARN, "podidentity/"+p.Namespace+"/"+p.ServiceAccount, "the role of pod identity "+p.Namespace+"/"+p.ServiceAccount, byPods, true)
	}
	for _, sa := range s.IAM.ServiceAccounts {
		add(sa.RoleARN, "cluster", "the role of service account "+sa.Namespace+"/"+sa.Name, nil, false)
	}
	for _, a := range s.Addons {
		add(a.RoleARN, "addon/"+a.Name, "the role of add-on "+a.Name, nil, false)
		for _, p := range a.PodIdentities {
			add(p.RoleARN, "addon/"+a.Name, "the pod identity role of add-on "+a.Name, byPods, true)
		}
	}
	for _, p := range s.Capabilities {
		add(p.RoleARN, "capability/"+p.Name, "the role of capability "+p.Name, byCapabilities, true)
	}
	return out
}

// givenPolicies are the managed policies that the file names, and permissions boundaries.
func (c *check) givenPolicies() (out []string) {
	if len(c.calls) == 0 {
		return nil
	}
	grants := func(g fleet.Grants) { out = append(append(out, g.PolicyARNs...), g.Boundary) }
	s := c.s
	if c.creates() {
		out = append(out, s.IAM.RoleBoundary)
		if s.Auto != nil {
			out = append(out, s.Auto.Boundary)
		}
	}
	if len(s.Fargate) > 0 {
		out = append(out, s.IAM.FargateRoleBoundary)
	}
	for _, g := range c.groups() {
		grants(g.IAM.Grants)
	}
	for _, sa := range s.IAM.ServiceAccounts {
		grants(sa.Grants)
	}
	for _, p := range s.IAM.PodIdentities {
		grants(p.Grants)
	}
	for _, a := range s.Addons {
		grants(a.Grants)
		for _, p := range a.PodIdentities {
			grants(p.Grants)
		}
	}
	for _, p := range s.Capabilities {
		grants(p.Grants)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(arn string) bool { return arn == "" })
}

// entries are the access entries that the plan makes for those whom the file names.
func (c *check) entries() (out []fleet.AccessSpec) {
	for _, a := range c.s.Access {
		if slices.ContainsFunc(c.made("eks:CreateAccessEntry"), func(call plan.Call) bool { return fleet.Text(call.Input, "principalArn") == a.Principal }) {
			out = append(out, a)
		}
	}
	return out
}

func (a *asker) identity() {
	for _, r := range a.givenRoles() {
		a.ask("role", r.arn)
	}
	for _, p := range a.givenPolicies() {
		a.ask("policy", p)
	}
	for _, e := range a.entries() {
		if kind := principalKind(e.Principal); (kind == "role" || kind == "user") && a.here(e.Principal) {
			a.ask("principal", e.Principal)
		}
	}
	for _, g := range a.groups() {
		if g.IAM.ProfileARN != "" {
			a.ask("profile", g.IAM.ProfileARN[strings.LastIndexByte(g.IAM.ProfileARN, '/')+1:])
		}
	}
	for _, k := range a.givenKeys() {
		a.ask("key", k.arn)
	}
}

// field is a part of an ARN: 3 the Region, 4 the account, 5 the resource.
func field(arn string, n int) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[n]
	}
	return ""
}

// here tells whether something is in this account, as far as that is known.
func (c *check) here(arn string) bool {
	account := field(arn, 4)
	return c.f.Account == "" || account == "" || account == "aws" || account == c.f.Account
}

func principalKind(arn string) string {
	kind, _, _ := strings.Cut(field(arn, 5), "/")
	return kind
}

// identity checks roles, policies and principals that are given.
func (c *check) identity() {
	for _, r := range c.givenRoles() {
		c.givenRole(r)
	}
	for _, arn := range c.givenPolicies() {
		if p, read := c.fact("policy", arn); read && p == nil {
			c.say(Error, "PolicyNotFound", "cluster", "aws iam list-policies", "policy %s does not exist", arn)
		}
	}
	for _, e := range c.entries() {
		c.principal(e)
	}
	for _, g := range c.groups() {
		name := g.IAM.ProfileARN[strings.LastIndexByte(g.IAM.ProfileARN, '/')+1:]
		if p, read := c.fact("profile", name); g.IAM.ProfileARN != "" && read && p == nil {
			c.say(Error, "InstanceProfileNotFound", groupID(g), "aws iam list-instance-profiles", "node group %s: instance profile %s does not exist", g.Name, g.IAM.ProfileARN)
		}
	}
	c.shapes()
}

func (c *check) givenRole(r givenRole) {
	if !c.here(r.arn) {
		c.say(Error, "RoleElsewhere", r.resource, "name a role of account "+c.f.Account, "%s (%s) is of account %s, and roles cannot be handed over to services across accounts", r.who, r.arn, field(r.arn, 4))
		return
	}
	p, read := c.fact("role", r.arn)
	if !read {
		return
	}
	if p == nil {
		c.say(Error, "RoleNotFound", r.resource, "leave it out, and ekspedite makes one", "%s (%s) does not exist", r.who, r.arn)
		return
	}
	if is := fleet.Text(p, "arn"); is != "" && is != r.arn {
		c.say(Error, "RoleNotFound", r.resource, "name it with its path", "%s: there is no %s, but %s", r.who, r.arn, is)
	}
	if len(r.services) == 0 {
		return
	}
	want := []string{"sts:AssumeRole"}
	if r.session {
		want = append(want, "sts:TagSession")
	}
	for _, action := range want {
		if !trusted(p, action, r.services) {
			c.say(Error, "RoleTrust", r.resource, "allow "+action+" to "+r.services[0]+" in its trust policy", "%s (%s) does not let %s in: its trust policy has no %s for it", r.who, r.arn, r.services[0], action)
			return
		}
	}
}

// Trusts tells whether a role, with its trust policy as "trust", lets somebody take it: a service by its name
// ("pods.eks.amazonaws.com"), or the users of an identity provider by its ARN. Conditions are not looked at.
func Trusts(role fleet.Props, who string) bool {
	if !strings.Contains(who, ":oidc-provider/") {
		return trusted(role, "sts:AssumeRole", []string{who})
	}
	for _, s := range objects(fleet.At(role, "trust", "Statement")) {
		if fleet.Text(s, "Effect") == "Allow" && slices.Contains(words(fleet.At(s, "Principal", "Federated")), who) {
			return true
		}
	}
	return false
}

// trusted tells whether a role's trust policy allows an action to a service. Conditions are not looked at.
func trusted(role fleet.Props, action string, services []string) bool {
	for _, s := range objects(fleet.At(role, "trust", "Statement")) {
		if fleet.Text(s, "Effect") != "Allow" {
			continue
		}
		who := words(fleet.At(s, "Principal", "Service"))
		anyone := slices.Contains(words(s["Principal"]), "*")
		does := slices.ContainsFunc(words(s["Action"]), func(a string) bool {
			return a == "*" || strings.EqualFold(a, "sts:*") || strings.EqualFold(a, action)
		})
		if does && (anyone || slices.ContainsFunc(who, func(w string) bool { return slices.Contains(services, w) })) {
			return true
		}
	}
	return false
}

// objects and words read what a policy document may say as one or as a list.
func objects(v any) []fleet.Props {
	if p, ok := v.(fleet.Props); ok {
		return []fleet.Props{p}
	}
	return fleet.Items(fleet.Props{"": v}, "")
}

func words(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	return fleet.Texts(fleet.Props{"": v}, "")
}

// principal checks somebody who is let into the cluster.
func (c *check) principal(e fleet.AccessSpec) {
	id := "access/" + e.Principal
	switch kind := principalKind(e.Principal); {
	case kind == "assumed-role":
		c.say(Error, "PrincipalIsSession", id, "name the role (arn:aws:iam::…:role/…)", "%s is a session of a role, and access entries are for roles and users", e.Principal)
	case kind != "role" && kind != "user" && field(e.Principal, 5) != "root":
		c.say(Error, "PrincipalShape", id, "name a role or a user by its ARN", "%s is no role and no user", e.Principal)
	default:
		if p, read := c.fact("principal", e.Principal); read && p == nil {
			c.say(Error, "PrincipalNotFound", id, "aws iam list-roles, or list-users", "%s, which the file lets into the cluster, does not exist", e.Principal)
		}
	}
	for _, p := range e.Policies {
		if !strings.Contains(p.ARN, ":eks::aws:cluster-access-policy/") {
			c.say(Error, "AccessPolicyShape", id, "aws eks list-access-policies", "%s is no access policy of EKS", p.ARN)
		}
	}
}

// shapes checks ARNs of which nothing can be read.
func (c *check) shapes() {
	for _, p := range c.s.Capabilities {
		if idc := fleet.Text(p.Configuration, "argoCd", "awsIdc", "idcInstanceArn"); idc != "" && !strings.Contains(idc, ":sso:::instance/") {
			c.say(Error, "IdentityCenterShape", "capability/"+p.Name, "aws sso-admin list-instances", "capability %s: %s is no instance of IAM Identity Center", p.Name, idc)
		}
	}
	if o := c.s.Outpost; o != nil {
		switch {
		case field(o.ARN, 2) != "outposts" || !strings.HasPrefix(field(o.ARN, 5), "outpost/op-"):
			c.say(Error, "OutpostShape", "cluster", "aws outposts list-outposts", "%s is no Outpost", o.ARN)
		case field(o.ARN, 3) != c.s.Region:
			c.say(Error, "OutpostElsewhere", "cluster", "", "Outpost %s is of another Region than the cluster (%s)", o.ARN, c.s.Region)
		default:
			c.say(Info, "OutpostUnread", "cluster", "", "whether Outpost %s has room for the control plane is not checked", o.ARN)
		}
	}
}

// givenKey is a KMS key, and what it is for.
type givenKey struct{ arn, resource, who string }

func (c *check) givenKeys() (out []givenKey) {
	encrypts := len(c.made("eks:AssociateEncryptionConfig")) > 0
	if c.s.SecretsKeyARN != "" && (c.creates() || encrypts) {
		out = append(out, givenKey{c.s.SecretsKeyARN, "cluster", "secrets"})
	}
	for _, g := range c.groups() {
		if k := g.Machine.DiskKey; k != "" {
			out = append(out, givenKey{k, groupID(g), "volumes of node group " + g.Name})
		}
		for _, v := range g.Machine.Volumes {
			if v.Key != "" {
				out = append(out, givenKey{v.Key, groupID(g), "volume " + v.Name + " of node group " + g.Name})
			}
		}
	}
	return out
}

// keys checks that keys can be used.
func (c *check) keys() {
	for _, k := range c.givenKeys() {
		if region := field(k.arn, 3); region != "" && region != c.s.Region {
			c.say(Error, "KeyElsewhere", k.resource, "name a key of "+c.s.Region, "key %s for %s is of Region %s, and the cluster of %s", k.arn, k.who, region, c.s.Region)
			continue
		}
		why, unread := c.f.Unread[Question{"key", k.arn}]
		if unread && why.Denied && k.who == "secrets" { // EKS asks for it in our name
			c.say(Error, "KeyUnusable", k.resource, "allow kms:DescribeKey and kms:CreateGrant in the key's policy and in the role's", "key %s for %s: who makes the cluster may not describe it, and EKS refuses it then", k.arn, k.who)
		}
		p, read := c.fact("key", k.arn)
		if !read {
			continue
		}
		state := fleet.Text(p, "keyState")
		switch {
		case p == nil:
			c.say(Error, "KeyNotFound", k.resource, "aws kms list-keys", "key %s for %s does not exist", k.arn, k.who)
		case state != "Enabled":
			c.say(Error, "KeyNotEnabled", k.resource, "enable it, or name another", "key %s for %s is %s", k.arn, k.who, state)
		case fleet.Text(p, "keySpec") != "SYMMETRIC_DEFAULT" || fleet.Text(p, "keyUsage") != "ENCRYPT_DECRYPT":
			c.say(Error, "KeyNotSymmetric", k.resource, "name a symmetric key that encrypts and decrypts", "key %s for %s is for %s with %s", k.arn, k.who, fleet.Text(p, "keyUsage"), fleet.Text(p, "keySpec"))
		}
	}
}
