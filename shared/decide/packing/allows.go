package packing

import "github.com/ekspedite/ekspedite/shared/fleet"

// Allows tells whether a node is one that a demand speaks of, resources apart: by node selector, required node affinity and
// taints. A DaemonSet puts a pod on each node that it allows.
func Allows(d *fleet.Demand, tolerations []fleet.Toleration, name string, labels map[string]string, taints []fleet.Taint) bool {
	for k, v := range d.NodeSelector {
		if have, there := labels[k]; !there || have != v {
			return false
		}
	}
	_, kept := keepsOff(taints, tolerations)
	return !kept && meetsAny(d.NodeTerms, labels, name)
}
