package schedulertest

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// latePrefix begins the names of claims that wait for their pod; all others are bound. A fleet.Volume does not say.
const latePrefix = "late-"

func split(id string) (namespace, name string) {
	namespace, name, _ = strings.Cut(id, "/")
	return namespace, name
}

// addStorage adds the claims of pods to a request, with their volumes or classes, each once.
func (r *Request) addStorage(pods []fleet.Pod, seen map[string]bool) {
	for _, p := range pods {
		if p.Demand == nil {
			continue
		}
		for _, v := range p.Demand.Volumes {
			if !seen[v.ID] {
				seen[v.ID] = true
				r.addClaim(v)
			}
		}
	}
}

func (r *Request) addClaim(v fleet.Volume) {
	namespace, name := split(v.ID)
	class := "class-of-" + namespace + "-" + name
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, StorageClassName: &class},
	}
	if v.Alone {
		claim.Spec.AccessModes[0] = corev1.ReadWriteOncePod
	}
	r.Claims = append(r.Claims, claim)
	if strings.HasPrefix(name, latePrefix) {
		late := storagev1.VolumeBindingWaitForFirstConsumer
		r.StorageClasses = append(r.StorageClasses, &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: v.Driver, VolumeBindingMode: &late, AllowedTopologies: topologies(v.Where),
		})
		return
	}
	claim.Annotations = map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
	claim.Spec.VolumeName = "pv-" + namespace + "-" + name
	claim.Status.Phase = corev1.ClaimBound
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes, StorageClassName: class,
			ClaimRef: &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: namespace, Name: name},
		},
	}
	if v.Driver != "" {
		volume.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: v.Driver, VolumeHandle: volume.Name}
	} else {
		volume.Spec.NFS = &corev1.NFSVolumeSource{Server: "files", Path: "/"}
	}
	if v.Where != nil {
		volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: nodeSelector(v.Where)}
	}
	r.Volumes = append(r.Volumes, volume)
}

// topologies are a storage class's: the terms may have no operator but In.
func topologies(where []fleet.NodeTerm) (out []corev1.TopologySelectorTerm) {
	for _, t := range where {
		var term corev1.TopologySelectorTerm
		for _, l := range t.Labels {
			term.MatchLabelExpressions = append(term.MatchLabelExpressions, corev1.TopologySelectorLabelRequirement{Key: l.Key, Values: l.Values})
		}
		out = append(out, term)
	}
	return out
}

// addLimits adds what the CSI drivers of a node say of how many volumes it can have.
func (r *Request) addLimits(node string, limits map[string]int) {
	n := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node}}
	for driver, limit := range limits {
		count := int32(limit)
		n.Spec.Drivers = append(n.Spec.Drivers, storagev1.CSINodeDriver{
			Name: driver, NodeID: node, Allocatable: &storagev1.VolumeNodeResources{Count: &count},
		})
	}
	r.CSINodes = append(r.CSINodes, n)
}

// Storage are the claims of pods with their volumes and classes, as a request without anything else.
func Storage(pods []fleet.Pod) (r Request) {
	r.addStorage(pods, map[string]bool{})
	return r
}
