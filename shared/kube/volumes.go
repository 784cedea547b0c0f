package kube

import (
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// ebsDriver takes the place of the disks that old volumes name without a driver.
const ebsDriver = "ebs.csi.aws.com"

// selectedNode is where a claim is being made for the pod that the scheduler has put there.
const selectedNode = "volume.kubernetes.io/selected-node"

// noProvisioner is the class of volumes that somebody else makes: local disks.
const noProvisioner = "kubernetes.io/no-provisioner"

// storage is what there is of volumes.
type storage struct {
	claims  map[string]*corev1.PersistentVolumeClaim // by namespace/name
	volumes map[string]*corev1.PersistentVolume
	classes map[string]*storagev1.StorageClass
}

// neighbours reads what demands depend on beside the pods, each kind at the first demand for it and once.
type neighbours struct {
	spaces func() ([]corev1.Namespace, error)
	disks  func() (storage, error)
}

// lazily makes neighbours of two reads.
func lazily(spaces func() ([]corev1.Namespace, error), disks func() (storage, error)) neighbours {
	return neighbours{sync.OnceValues(spaces), sync.OnceValues(disks)}
}

func (n neighbours) namespaces(s *metav1.LabelSelector) ([]string, error) {
	all, err := n.spaces()
	if err != nil {
		return nil, err
	}
	selects, err := metav1.LabelSelectorAsSelector(s)
	if err != nil { // as the API server would have said
		return nil, nil //nolint:nilerr // it selects none
	}
	var names []string
	for i := range all {
		if selects.Matches(labels.Set(all[i].Labels)) {
			names = append(names, all[i].Name)
		}
	}
	return names, nil
}

func (n neighbours) volume(namespace, claim string, template *corev1.PersistentVolumeClaimSpec) (fleet.Volume, string, error) {
	s, err := n.disks()
	if err != nil {
		return fleet.Volume{}, "", err
	}
	v, why := s.volume(namespace, claim, template)
	return v, why, nil
}

// volume is a claim as the scheduler's volume plugins see it. A claim that is made together with its pod may not be there yet:
// then its template counts.
func (s storage) volume(namespace, name string, template *corev1.PersistentVolumeClaimSpec) (fleet.Volume, string) {
	out := fleet.Volume{ID: namespace + "/" + name}
	claim := s.claims[out.ID]
	switch {
	case claim == nil && template == nil:
		return out, "claim " + name + ", which does not exist"
	case claim == nil:
		claim = &corev1.PersistentVolumeClaim{Spec: *template}
	case claim.DeletionTimestamp != nil:
		return out, "claim " + name + ", which is being deleted"
	case claim.Status.Phase == corev1.ClaimLost:
		return out, "claim " + name + ", which has lost its volume"
	}
	out.Alone = slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteOncePod)
	if claim.Spec.VolumeName != "" {
		return s.bound(out, name, claim.Spec.VolumeName)
	}
	return s.unbound(out, name, claim)
}

func (s storage) bound(out fleet.Volume, claim, name string) (fleet.Volume, string) {
	v := s.volumes[name]
	if v == nil {
		return out, fmt.Sprintf("claim %s, whose volume %s does not exist", claim, name)
	}
	if v.Spec.CSI != nil {
		out.Driver = v.Spec.CSI.Driver
	} else if v.Spec.AWSElasticBlockStore != nil {
		out.Driver = ebsDriver
	}
	if a := v.Spec.NodeAffinity; a != nil && a.Required != nil {
		out.Where = nodeTerms(a.Required.NodeSelectorTerms)
	}
	return out, ""
}

func (s storage) unbound(out fleet.Volume, name string, claim *corev1.PersistentVolumeClaim) (fleet.Volume, string) {
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName == "" {
		return out, "claim " + name + ", which is not bound and has no storage class"
	}
	class := s.classes[*claim.Spec.StorageClassName]
	switch {
	case class == nil:
		return out, fmt.Sprintf("claim %s of storage class %s, which does not exist", name, *claim.Spec.StorageClassName)
	case class.VolumeBindingMode == nil || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer:
		return out, "claim " + name + ", which is not bound yet and does not wait for a pod"
	case class.Provisioner == noProvisioner:
		return out, fmt.Sprintf("claim %s of storage class %s, whose volumes nobody makes", name, class.Name)
	}
	if out.Driver = class.Provisioner; out.Driver == "kubernetes.io/aws-ebs" {
		out.Driver = ebsDriver
	}
	if node := claim.Annotations[selectedNode]; node != "" {
		out.Where = []fleet.NodeTerm{{Fields: []fleet.Requirement{{Key: metav1.ObjectNameField, Operator: string(corev1.NodeSelectorOpIn), Values: []string{node}}}}}
		return out, ""
	}
	for _, t := range class.AllowedTopologies {
		var term fleet.NodeTerm
		for _, e := range t.MatchLabelExpressions {
			term.Labels = append(term.Labels, fleet.Requirement{Key: zoneLabel(e.Key), Operator: string(corev1.NodeSelectorOpIn), Values: e.Values})
		}
		out.Where = append(out.Where, term)
	}
	return out, ""
}
