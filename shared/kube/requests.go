package kube

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// requests are what the scheduler sets a pod against a node with: all containers and sidecars together, or the init container
// that needs most beside the sidecars before it, whichever is more of each resource; what the pod as a whole asks for takes
// their place; and the overhead on top. While a container is being resized, the most of what is wanted, granted and given
// counts, for the node holds that.
func requests(p *corev1.Pod) fleet.Resources {
	total := aggregate(p, func(c *corev1.Container, _ *corev1.ContainerStatus) corev1.ResourceList { return c.Resources.Requests })
	if resizing(p) {
		granted := aggregate(p, func(c *corev1.Container, s *corev1.ContainerStatus) corev1.ResourceList {
			if s != nil && s.AllocatedResources != nil {
				return s.AllocatedResources
			}
			return c.Resources.Requests
		})
		given := aggregate(p, func(c *corev1.Container, s *corev1.ContainerStatus) corev1.ResourceList {
			switch {
			case s != nil && s.Resources != nil && s.Resources.Requests != nil:
				return s.Resources.Requests
			case s != nil && s.AllocatedResources != nil:
				return s.AllocatedResources
			}
			return c.Resources.Requests
		})
		if infeasible(p) { // it will not get what it wants
			total = granted
		}
		total = most(most(total, granted), given)
	}
	if p.Spec.Resources != nil {
		of := amounts(p.Spec.Resources.Requests)
		for name := range p.Spec.Resources.Requests {
			switch {
			case name == corev1.ResourceCPU:
				total.CPU = of.CPU
			case name == corev1.ResourceMemory:
				total.Memory = of.Memory
			case strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
				total = with(total, string(name), of.Other[string(name)])
			}
		}
	}
	return sum(total, amounts(p.Spec.Overhead))
}

// aggregate adds up what of says of each container.
func aggregate(p *corev1.Pod, of func(*corev1.Container, *corev1.ContainerStatus) corev1.ResourceList) fleet.Resources {
	var total, sidecars, starting fleet.Resources
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		total = sum(total, amounts(of(c, statusOf(p.Status.ContainerStatuses, c.Name))))
	}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		r := amounts(of(c, statusOf(p.Status.InitContainerStatuses, c.Name)))
		if sidecar(c) { // it stays
			total, sidecars = sum(total, r), sum(sidecars, r)
			starting = most(starting, sidecars)
		} else {
			starting = most(starting, sum(sidecars, r))
		}
	}
	return most(total, starting)
}

func statusOf(list []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// sidecar tells whether an init container goes on beside the others.
func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// resizing tells whether a container has been granted anything, which may differ from what it wants.
func resizing(p *corev1.Pod) bool {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].AllocatedResources != nil || list[i].Resources != nil {
				return true
			}
		}
	}
	return false
}

func infeasible(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodResizePending {
			return c.Reason == corev1.PodReasonInfeasible
		}
	}
	return false
}

// amounts translates a list. How many pods a node takes is counted elsewhere.
func amounts(list corev1.ResourceList) (r fleet.Resources) {
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.CPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.Memory = q.Value()
		case corev1.ResourceEphemeralStorage:
			r.Storage = q.Value()
		case corev1.ResourcePods:
		default:
			if v := q.Value(); v != 0 {
				r = with(r, string(name), v)
			}
		}
	}
	return r
}

// with is r with an amount of a named resource. It shares no map with r.
func with(r fleet.Resources, name string, amount int64) fleet.Resources {
	other := maps.Clone(r.Other)
	if other == nil {
		other = map[string]int64{}
	}
	other[name] = amount
	r.Other = other
	return r
}

func sum(a, b fleet.Resources) fleet.Resources {
	for name, v := range b.Other {
		a = with(a, name, a.Other[name]+v)
	}
	a.CPU, a.Memory, a.Storage = a.CPU+b.CPU, a.Memory+b.Memory, a.Storage+b.Storage
	return a
}

func most(a, b fleet.Resources) fleet.Resources {
	for name, v := range b.Other {
		if v > a.Other[name] {
			a = with(a, name, v)
		}
	}
	a.CPU, a.Memory, a.Storage = max(a.CPU, b.CPU), max(a.Memory, b.Memory), max(a.Storage, b.Storage)
	return a
}
