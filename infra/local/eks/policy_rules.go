package eks

import (
	"maps"
	"slices"
)

// accessPolicyRules are one of the policies that ListAccessPolicies gives.
type accessPolicyRules struct {
	serviceLinked bool         // only AWS's own roles can have it
	rules         []policyRule // nil where AWS does not publish them
}

// policyRule is a rule of RBAC in one API group.
type policyRule struct {
	group     string
	resources []string
	verbs     []string
}

// accessPolicies are AWS's, with the rules of "Review access policy permissions" in the EKS user guide.
var accessPolicies = map[string]accessPolicyRules{
	"AmazonEKSClusterAdminPolicy": {rules: []policyRule{{"*", []string{"*"}, []string{"*"}}}},
	"AmazonEKSAdminViewPolicy":    {rules: []policyRule{{"*", []string{"*"}, read}}},
	"AmazonEKSAdminPolicy":        {rules: slices.Concat(viewRules, editRules, adminRules)},
	"AmazonEKSEditPolicy":         {rules: slices.Concat(viewRules, editRules)},
	"AmazonEKSViewPolicy":         {rules: viewRules},
	"AmazonEKSSecretReaderPolicy": {rules: []policyRule{{"", []string{"secrets"}, read}}},

	// Nodes here call no API, so that nothing needs to be allowed to them; the policy decides whether they may join.
	"AmazonEKSAutoNodePolicy": {},

	"AmazonAIOpsAssistantPolicy": {}, "AmazonARCRegionSwitchScalingPolicy": {},
	"AmazonEKSLoadBalancingPolicy": {}, "AmazonEKSLoadBalancingClusterPolicy": {},
	"AmazonEKSNetworkingPolicy": {}, "AmazonEKSNetworkingClusterPolicy": {},

	"AmazonEKSBlockStoragePolicy": {serviceLinked: true}, "AmazonEKSBlockStorageClusterPolicy": {serviceLinked: true},
	"AmazonEKSClusterInsightsPolicy": {serviceLinked: true}, "AmazonEKSHybridPolicy": {serviceLinked: true},
	"AmazonEKSComputePolicy": {serviceLinked: true}, "AmazonEKSComputeClusterPolicy": {serviceLinked: true},
}

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"create", "delete", "deletecollection", "patch", "update"}

	viewRules = []policyRule{
		{"apps", []string{"controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status",
			"replicasets", "replicasets/scale", "replicasets/status", "statefulsets", "statefulsets/scale", "statefulsets/status"}, read},
		{"autoscaling", []string{"horizontalpodautoscalers", "horizontalpodautoscalers/status"}, read},
		{"batch", []string{"cronjobs", "cronjobs/status", "jobs", "jobs/status"}, read},
		{"discovery.k8s.io", []string{"endpointslices"}, read},
		{"extensions", []string{"daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status", "ingresses",
			"ingresses/status", "networkpolicies", "replicasets", "replicasets/scale", "replicasets/status", "replicationcontrollers/scale"}, read},
		{"networking.k8s.io", []string{"ingresses", "ingresses/status", "networkpolicies"}, read},
		{"policy", []string{"poddisruptionbudgets", "poddisruptionbudgets/status"}, read},
		{"", []string{"configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods", "replicationcontrollers",
			"replicationcontrollers/scale", "serviceaccounts", "services", "services/status", "bindings", "events", "limitranges", "namespaces",
			"namespaces/status", "pods/log", "pods/status", "replicationcontrollers/status", "resourcequotas", "resourcequotas/status"}, read},
	}
	editRules = []policyRule{
		{"apps", []string{"daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale",
			"statefulsets", "statefulsets/scale"}, write},
		{"autoscaling", []string{"horizontalpodautoscalers"}, write},
		{"batch", []string{"cronjobs", "jobs"}, write},
		{"extensions", []string{"daemonsets", "deployments", "deployments/rollback", "deployments/scale", "ingresses", "networkpolicies",
			"replicasets", "replicasets/scale", "replicationcontrollers/scale"}, write},
		{"networking.k8s.io", []string{"ingresses", "networkpolicies"}, write},
		{"policy", []string{"poddisruptionbudgets"}, write},
		{"", []string{"pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"}, read},
		{"", []string{"serviceaccounts"}, []string{"impersonate"}},
		{"", []string{"pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "configmaps", "events", "persistentvolumeclaims",
			"replicationcontrollers", "replicationcontrollers/scale", "secrets", "serviceaccounts", "services", "services/proxy"}, write},
	}
	adminRules = []policyRule{
		{"authorization.k8s.io", []string{"localsubjectaccessreviews"}, []string{"create"}},
		{"rbac.authorization.k8s.io", []string{"rolebindings", "roles"}, slices.Concat(read, write)},
	}
)

// manifest is the rule as a ClusterRole has it.
func (r policyRule) manifest() map[string]any {
	return map[string]any{"apiGroups": []string{r.group}, "resources": r.resources, "verbs": r.verbs}
}

// byRBAC tells whether an association is enforced through RBAC. That of the cluster administrator for the whole cluster
// is the group system:masters, which works before and without any object in the cluster.
func (a *association) byRBAC(policy string) bool {
	return accessPolicies[policy].rules != nil && !a.isMaster(policy)
}

func (a *association) isMaster(policy string) bool {
	return policyPrefix+policy == clusterAdminPolicy && a.scope.Type == "cluster"
}

// group is the one that an entry's user is in when access policies are enforced through RBAC.
func (e *entry) group() string { return "eks:access-entry:" + e.arn[len(e.arn)-36:] }

// kubernetesGroups are the groups of an entry's user. The caller holds s.mu.
func (e *entry) kubernetesGroups() []string {
	groups := slices.Clone(e.groups)
	bound, master := false, false
	for arn, a := range e.policies {
		policy := arn[len(policyPrefix):]
		bound, master = bound || a.byRBAC(policy), master || a.isMaster(policy)
	}
	if bound {
		groups = append(groups, e.group())
	}
	if master {
		groups = append(groups, "system:masters")
	}
	return groups
}

// grants are what the cluster's access policies allow to whom. The caller holds s.mu.
func (c *cluster) grants() []Grant {
	var out []Grant
	for _, principal := range sortedKeys(c.entries) {
		e := c.entries[principal]
		for _, arn := range slices.Sorted(maps.Keys(e.policies)) {
			a, policy := e.policies[arn], arn[len(policyPrefix):]
			if a.byRBAC(policy) {
				out = append(out, Grant{Group: e.group(), Policy: policy, Namespaces: a.scope.Namespaces})
			}
		}
	}
	return out
}
