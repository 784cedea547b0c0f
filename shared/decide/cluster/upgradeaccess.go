package cluster

import "github.com/ekspedite/ekspedite/shared/fleet"

// UpgradeGroup is the Kubernetes group of the function that upgrades clusters. Who wants it to read stored Helm releases, too,
// binds a role that may list secrets to it: RBAC cannot tell those from other secrets, so that it is not a part of our own.
const UpgradeGroup = "ekspedite:upgrade"

const upgradeName = "ekspedite-upgrade"

// upgradeRules are all that the checks before an upgrade, and the watch on its health, read in a cluster. Nothing is written:
// nodes are drained by the interruption function. Secrets are not among it.
func upgradeRules() []any {
	list := func(group string, resources ...string) any {
		return fleet.Props{"apiGroups": []any{group}, "resources": fleet.Strings(resources), "verbs": []any{"list"}}
	}
	return []any{
		list("", "nodes", "pods", "namespaces", "services", "persistentvolumes", "endpoints"),
		list("apps", "deployments", "statefulsets", "daemonsets", "replicasets"),
		list("batch", "jobs", "cronjobs"),
		list("policy", "poddisruptionbudgets"),
		list("networking.k8s.io", "networkpolicies"),
		list("admissionregistration.k8s.io", "validatingwebhookconfigurations", "mutatingwebhookconfigurations"),
		list("apiextensions.k8s.io", "customresourcedefinitions"),
		list("apiregistration.k8s.io", "apiservices"),
		list("storage.k8s.io", "storageclasses", "csidrivers"),
		list("rbac.authorization.k8s.io", "clusterrolebindings"),
		list("karpenter.sh", "nodepools"),
		list("karpenter.k8s.aws", "ec2nodeclasses"),
		list("eks.amazonaws.com", "nodeclasses"),
		// Kinds of which a version is removed some day: who has written them, and by which version. None of them holds a secret.
		list("admissionregistration.k8s.io", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
		list("certificates.k8s.io", "clustertrustbundles", "podcertificaterequests"),
		list("coordination.k8s.io", "leasecandidates"),
		list("networking.k8s.io", "ipaddresses", "servicecidrs"),
		list("resource.k8s.io", "*"),
		list("scheduling.k8s.io", "*"),
		list("storage.k8s.io", "volumeattributesclasses"),
		list("storagemigration.k8s.io", "*"),
		fleet.Props{"apiGroups": []any{""}, "resources": []any{"configmaps"}, "resourceNames": []any{"kube-proxy-config"}, "verbs": []any{"get"}},
		fleet.Props{"nonResourceURLs": []any{"/metrics"}, "verbs": []any{"get"}},
	}
}

// upgraded is what the upgrade function may see of the cluster: always, for upgrades are asked for whatever the policy says.
func (b *builder) upgraded() {
	if b.opt.UpgradeRole == "" {
		return
	}
	meta := fleet.Props{"name": upgradeName, "labels": fleet.Props{"app.kubernetes.io/managed-by": "ekspedite"}}
	const group = "rbac.authorization.k8s.io"
	b.object("access", fleet.Props{"apiVersion": group + "/v1", "kind": "ClusterRole", "metadata": meta, "rules": upgradeRules()})
	b.object("access", fleet.Props{
		"apiVersion": group + "/v1", "kind": "ClusterRoleBinding", "metadata": meta,
		"roleRef":  fleet.Props{"apiGroup": group, "kind": "ClusterRole", "name": upgradeName},
		"subjects": []any{fleet.Props{"apiGroup": group, "kind": "Group", "name": UpgradeGroup}},
	})
}
