package kube

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

// addonObjects are the controllers that EKS's add-ons consist of, as kind and name in kube-system.
var addonObjects = map[string]string{
	"DaemonSet aws-node": "vpc-cni", "DaemonSet kube-proxy": "kube-proxy", "Deployment coredns": "coredns", "Deployment metrics-server": "metrics-server",
	"DaemonSet eks-pod-identity-agent": "eks-pod-identity-agent", "DaemonSet eks-node-monitoring-agent": "eks-node-monitoring-agent",
	"Deployment ebs-csi-controller": "aws-ebs-csi-driver", "DaemonSet ebs-csi-node": "aws-ebs-csi-driver",
	"Deployment efs-csi-controller": "aws-efs-csi-driver", "DaemonSet efs-csi-node": "aws-efs-csi-driver",
	"DaemonSet s3-csi-node": "aws-mountpoint-s3-csi-driver", "Deployment snapshot-controller": "snapshot-controller",
}

const (
	// addonManager is the field manager by which EKS applies its add-ons.
	addonManager = "eks"
	// foreignMost is how many fields of one manager are named.
	foreignMost = 5
)

// foreign notes the fields of an add-on's object that somebody else has taken from EKS.
func (r *ready) foreign(kind string, m *metav1.ObjectMeta) {
	addon := addonObjects[kind+" "+m.Name]
	if addon == "" || m.Namespace != metav1.NamespaceSystem {
		return
	}
	list := foreignFields(m.ManagedFields)
	if len(list) == 0 {
		return
	}
	i := slices.IndexFunc(r.o.Addons, func(a readiness.AddonFacts) bool { return a.Name == addon })
	if i < 0 {
		i, r.o.Addons = len(r.o.Addons), append(r.o.Addons, readiness.AddonFacts{Name: addon})
	}
	for _, f := range list {
		r.o.Addons[i].Foreign = append(r.o.Addons[i].Foreign, kind+" "+id(m)+": "+f)
	}
}

// foreignFields are fields of the spec with their managers: "spec.replicas (kubectl-edit)". What EKS owns as well is no matter of
// dispute, and what the control plane writes is nobody's wish. An object that EKS has not applied has none.
func foreignFields(list []metav1.ManagedFieldsEntry) (out []string) {
	own := map[string]bool{}
	for _, f := range list {
		if f.Manager == addonManager && f.Subresource == "" {
			for _, leaf := range specFields(f.FieldsV1) {
				own[leaf] = true
			}
		}
	}
	if len(own) == 0 {
		return nil
	}
	for _, f := range list {
		if f.Subresource != "" || slices.Contains([]string{addonManager, "kube-controller-manager", "kube-scheduler", "kubelet"}, f.Manager) {
			continue
		}
		n := 0
		for _, leaf := range specFields(f.FieldsV1) {
			if own[leaf] || strings.HasSuffix(leaf, "kubectl.kubernetes.io/restartedAt") {
				continue
			}
			if n++; n > foreignMost {
				out = append(out, "more ("+f.Manager+")")
				break
			}
			out = append(out, leaf+" ("+f.Manager+")")
		}
	}
	slices.Sort(out)
	return out
}

// specFields are the leaves below spec in a set of fields, sorted.
func specFields(set *metav1.FieldsV1) (out []string) {
	if set == nil {
		return nil
	}
	var tree map[string]any
	if json.Unmarshal(set.GetRawBytes(), &tree) != nil {
		return nil
	}
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		leaf := true
		for key, below := range node {
			name, field := strings.CutPrefix(key, "f:")
			children, ok := below.(map[string]any)
			switch {
			case key == ".":
				continue
			case !ok:
				continue
			case field:
				walk(path+"."+name, children)
			default: // an item of a list, by its key: k:{"name":"coredns"}
				walk(path+"["+strings.TrimPrefix(key, "k:")+"]", children)
			}
			leaf = false
		}
		if leaf {
			out = append(out, path)
		}
	}
	if spec, ok := tree["f:spec"].(map[string]any); ok {
		walk("spec", spec)
	}
	slices.Sort(out)
	return out
}
