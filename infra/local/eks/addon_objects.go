package eks

import "maps"

// objects are the add-on in the cluster, with the configuration that its workloads understand. Service accounts carry
// the annotation by which IAM roles for service accounts work.
func (a addonSpec) objects(version, namespace, roleARN, region string, config map[string]any) []Object {
	var out []Object
	if namespace != "kube-system" {
		out = append(out, Object{"/api/v1/namespaces/" + namespace, map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace},
		}})
	}
	accounts := map[string]bool{}
	for _, w := range a.workloads {
		if w.account == "" || accounts[w.account] {
			continue
		}
		accounts[w.account] = true
		meta := map[string]any{"name": w.account, "namespace": namespace}
		if needsRole := len(a.accounts) > 0 && a.accounts[0].ServiceAccount == w.account; needsRole && roleARN != "" {
			meta["annotations"] = map[string]string{"eks.amazonaws.com/role-arn": roleARN}
		}
		out = append(out, Object{"/api/v1/namespaces/" + namespace + "/serviceaccounts/" + w.account, map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}})
	}
	for _, w := range a.workloads {
		values := config
		if w.section != "" {
			values, _ = config[w.section].(map[string]any)
		}
		out = append(out, w.object(version, namespace, region, values))
	}
	return out
}

func (w workload) object(version, namespace, region string, values map[string]any) Object {
	labels := w.labels
	if labels == nil {
		labels = map[string]string{"app.kubernetes.io/name": w.name, "app.kubernetes.io/managed-by": "EKS"}
	}
	spec := map[string]any{
		"selector": map[string]any{"matchLabels": w.selector(labels)},
		"template": map[string]any{"metadata": w.podMeta(labels, values), "spec": w.podSpec(version, region, values)},
	}
	if w.kind == "Deployment" {
		spec["replicas"] = w.replicas
		if n, ok := values["replicaCount"]; ok {
			spec["replicas"] = n
		}
	}
	plural := map[string]string{"Deployment": "deployments", "DaemonSet": "daemonsets"}[w.kind]
	return Object{"/apis/apps/v1/namespaces/" + namespace + "/" + plural + "/" + w.name, map[string]any{
		"apiVersion": "apps/v1", "kind": w.kind, "spec": spec,
		"metadata": map[string]any{"name": w.name, "namespace": namespace, "labels": labels},
	}}
}

// selector is immutable: that of aws-node has one label only.
func (w workload) selector(labels map[string]string) map[string]string {
	if app := labels["k8s-app"]; app != "" && w.kind == "DaemonSet" {
		return map[string]string{"k8s-app": app}
	}
	return labels
}

func (w workload) podMeta(labels map[string]string, values map[string]any) map[string]any {
	all := map[string]any{}
	for k, v := range labels {
		all[k] = v
	}
	if more, ok := values["podLabels"].(map[string]any); ok {
		maps.Copy(all, more)
	}
	meta := map[string]any{"labels": all}
	if annotations, ok := values["podAnnotations"].(map[string]any); ok {
		meta["annotations"] = annotations
	}
	return meta
}

func (w workload) podSpec(version, region string, values map[string]any) map[string]any {
	repository := "602401143452.dkr.ecr." + region + ".amazonaws.com/"
	requests := map[string]string{"cpu": w.cpu}
	if w.memory != "" {
		requests["memory"] = w.memory
	}
	resources := any(map[string]any{"requests": requests})
	if r, ok := values["resources"]; ok {
		resources = r
	}
	containers := []map[string]any{{"name": w.container, "image": repository + w.image + ":" + version, "resources": resources}}
	for _, o := range w.others {
		containers = append(containers, map[string]any{"name": o.name, "image": repository + o.image, "resources": map[string]any{"requests": map[string]string{"cpu": o.cpu}}})
	}
	spec := map[string]any{"containers": containers, "automountServiceAccountToken": false}
	if w.critical != "" {
		spec["priorityClassName"] = w.critical
	}
	if w.hostNetwork {
		spec["hostNetwork"] = true
	}
	switch tolerations, own := values["tolerations"]; {
	case own:
		spec["tolerations"] = tolerations
	case w.tolerateAll:
		spec["tolerations"] = []map[string]string{{"operator": "Exists"}}
	case w.kind == "Deployment":
		spec["tolerations"] = []map[string]string{
			{"key": "CriticalAddonsOnly", "operator": "Exists"}, {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
		}
	}
	if w.tolerateAll {
		spec["affinity"] = awayFromFargate()
	}
	for _, k := range []string{"affinity", "nodeSelector", "topologySpreadConstraints"} {
		if v, ok := values[k]; ok {
			spec[k] = v
		}
	}
	return spec
}
