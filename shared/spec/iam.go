package spec

import (
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// iam reads the cluster's roles, its OIDC provider and the roles for pods.
func (v value) iam(c *fleet.ClusterSpec) {
	i := v.at("iam")
	m := &c.IAM
	service := i.at("serviceRoleARN")
	m.RoleARN = service.arn(role)
	m.RoleBoundary = i.at("serviceRolePermissionsBoundary").arn(iamPolicy)
	m.NoVPCResourceController = !i.at("vpcResourceControllerPolicy").boolean(true)
	m.FargateRoleARN = i.at("fargatePodExecutionRoleARN").arn(role)
	m.FargateRoleBoundary = i.at("fargatePodExecutionRolePermissionsBoundary").arn(iamPolicy)
	if m.RoleARN != "" {
		i.excludes("iam.serviceRoleARN", "serviceRolePermissionsBoundary")
	}
	if m.FargateRoleARN != "" {
		i.excludes("iam.fargatePodExecutionRoleARN", "fargatePodExecutionRolePermissionsBoundary")
	}
	m.OIDC = i.at("withOIDC").boolean(false)
	m.AutoApplyAddonPodIdentity = v.at("addonsConfig", "autoApplyPodIdentityAssociations").boolean(false)
	accounts := i.at("serviceAccounts")
	m.ServiceAccounts = accounts.serviceAccounts()
	if len(m.ServiceAccounts) > 0 && !m.OIDC {
		accounts.wrong("need the cluster's OIDC provider: set iam.withOIDC to true, or use iam.podIdentityAssociations")
	}
	seen := map[string]bool{}
	for _, item := range i.at("podIdentityAssociations").mappings() {
		p := item.podIdentity()
		p.Namespace = item.at("namespace").namespace("")
		if key := p.Namespace + "/" + p.ServiceAccount; p.ServiceAccount != "" && seen[key] {
			item.at("serviceAccountName").wrong("%s has a pod identity association already: drop one", clip(key))
		} else {
			seen[key] = true
		}
		m.PodIdentities = append(m.PodIdentities, p)
	}
}

var wellKnown = []string{"autoScaler", "awsLoadBalancerController", "certManager", "ebsCSIController", "efsCSIController", "externalDNS",
	"imageBuilder"} // sorted

// switches are those of some booleans that are true.
func (v value) switches(names []string) []string {
	var out []string
	for _, name := range names {
		if v.at(name).boolean(false) {
			out = append(out, name)
		}
	}
	return out
}

// grants reads what a role may do from three fields, and its permissions boundary from a fourth.
func (v value) grants(policies, inline, boundary string) fleet.Grants {
	return fleet.Grants{
		PolicyARNs: v.at(policies).arns(iamPolicy),
		Inline:     v.at(inline).iamPolicy(),
		WellKnown:  v.at("wellKnownPolicies").switches(wellKnown),
		Boundary:   v.at(boundary).arn(iamPolicy),
	}
}

const roleAnnotation = "eks.amazonaws.com/role-arn"

func (v value) serviceAccounts() []fleet.ServiceAccountSpec {
	var out []fleet.ServiceAccountSpec
	seen := map[string]bool{}
	for _, item := range v.mappings() {
		meta := item.at("metadata")
		s := fleet.ServiceAccountSpec{
			Namespace: meta.at("namespace").namespace("default"), Name: meta.at("name").objectName(),
			Labels: meta.at("labels").plainLabels(), Annotations: meta.at("annotations").textMap(),
			RoleARN: item.at("attachRoleARN").arn(role), RoleName: item.at("roleName").roleName(),
			RoleOnly: item.at("roleOnly").boolean(false), SubjectPattern: item.at("subjectPattern").text(""),
			Tags:   item.at("tags").tags(),
			Grants: item.grants("attachPolicyARNs", "attachPolicy", "permissionsBoundary"),
		}
		key := s.Namespace + "/" + s.Name
		switch {
		case s.RoleARN != "":
			item.excludes("attachRoleARN", "attachPolicyARNs", "attachPolicy", "wellKnownPolicies", "permissionsBoundary", "roleName", "roleOnly",
				"subjectPattern")
		case s.Empty():
			item.wrong("grants nothing: give wellKnownPolicies, attachPolicyARNs, attachPolicy or attachRoleARN")
		}
		if seen[key] {
			meta.at("name").wrong("service account %s is there twice: drop one", clip(key))
		}
		seen[key] = true
		if _, ok := s.Annotations[roleAnnotation]; ok {
			meta.at("annotations").wrong("%s is what ekspedite sets: give an existing role by attachRoleARN", roleAnnotation)
		}
		out = append(out, s)
	}
	return out
}

// podIdentity reads an association, all but its namespace, which an add-on's takes from the add-on.
func (v value) podIdentity() fleet.PodIdentitySpec {
	account := v.at("serviceAccountName")
	p := fleet.PodIdentitySpec{
		ServiceAccount: account.objectName(), CreateServiceAccount: v.at("createServiceAccount").boolean(false),
		RoleARN: v.at("roleARN").arn(role), RoleName: v.at("roleName").roleName(), TargetRoleARN: v.at("targetRoleARN").arn(role),
		NoSessionTags: v.at("disableSessionTags").flag(), SessionPolicy: v.at("policy").jsonText(), Tags: v.at("tags").tags(),
		Grants: v.grants("permissionPolicyARNs", "permissionPolicy", "permissionsBoundaryARN"),
	}
	switch {
	case p.RoleARN != "":
		v.excludes("roleARN", "permissionPolicy", "permissionPolicyARNs", "wellKnownPolicies", "roleName", "permissionsBoundaryARN")
	case p.Empty():
		v.wrong("grants nothing: give roleARN, permissionPolicyARNs, permissionPolicy or wellKnownPolicies")
	}
	if p.SessionPolicy != "" && (p.NoSessionTags == nil || !*p.NoSessionTags) {
		v.at("policy").wrong("EKS takes it only without session tags: set disableSessionTags to true")
	}
	return p
}

// plainLabels are labels of any Kubernetes object.
func (v value) plainLabels() map[string]string {
	labels := v.textMap()
	for k, val := range labels {
		if !labelName.MatchString(k) || !labelValue.MatchString(val) {
			v.wrong("%q: %q is no Kubernetes label", clip(k), clip(val))
		}
	}
	return labels
}

// capability roles and those of pods are told apart from people by what may begin a name in Kubernetes.
var reservedNames = []string{"system:", "eks:", "aws:", "amazon:", "iam:"}

func reserved(name string) string {
	for _, r := range reservedNames {
		if strings.HasPrefix(name, r) {
			return r
		}
	}
	return ""
}
