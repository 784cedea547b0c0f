package kubelet

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// devicePlugins are the programs that tell a kubelet of accelerators, by a part of their images' names, with the beginning
// of the resources' names that are theirs to offer.
var devicePlugins = map[string]string{"k8s-device-plugin": "nvidia.com/", "neuron-device-plugin": "aws.amazon.com/neuron"}

// offerDevices has the machine offer what a device plugin that has become ready on it finds there, for good: a plugin that
// stops later is not looked at. It tells whether that is news. k.mu is held.
func (e *entry) offerDevices(pod *corev1.Pod) bool {
	found := corev1.ResourceList{}
	for _, c := range pod.Spec.Containers {
		for image, resources := range devicePlugins {
			for name, quantity := range e.machine.devices {
				if _, has := e.machine.capacity[name]; !has && strings.Contains(c.Image, image) && strings.HasPrefix(string(name), resources) {
					found[name] = quantity
				}
			}
		}
	}
	if len(found) == 0 {
		return false
	}
	m := *e.machine // others read the one that was
	m.capacity, m.allocatable = maps.Clone(m.capacity), maps.Clone(m.allocatable)
	maps.Copy(m.capacity, found)
	maps.Copy(m.allocatable, found)
	e.machine, e.reportedAt = &m, time.Time{}
	return true
}

// keepDevices has a machine that is told again offer what it offers already: its plugin need not be there any more. k.mu is held.
func (e *entry) keepDevices(next *Machine) {
	offered := corev1.ResourceList{}
	for name, quantity := range next.devices {
		if _, has := e.machine.capacity[name]; has {
			offered[name] = quantity
		}
	}
	if len(offered) == 0 {
		return
	}
	// Both may be one map, when nothing is said of what is allocatable.
	next.capacity, next.allocatable = maps.Clone(next.capacity), maps.Clone(next.allocatable)
	maps.Copy(next.capacity, offered)
	maps.Copy(next.allocatable, offered)
}

// hasDevices tells whether the machine has devices that it does not offer yet.
func (m *Machine) hasDevices() bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(m.devices)), func(name corev1.ResourceName) bool {
		_, offered := m.capacity[name]
		return !offered
	})
}
