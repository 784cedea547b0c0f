package oracle

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// storage is what the volume plugins read.
type storage struct {
	volumes, claims, classes, csiNodes, namespaces cache.Indexer
}

func newStorage(factory informers.SharedInformerFactory) storage {
	core, store := factory.Core().V1(), factory.Storage().V1()
	return storage{
		core.PersistentVolumes().Informer().GetIndexer(),
		core.PersistentVolumeClaims().Informer().GetIndexer(),
		store.StorageClasses().Informer().GetIndexer(),
		store.CSINodes().Informer().GetIndexer(),
		core.Namespaces().Informer().GetIndexer(),
	}
}

func (s storage) fill(request Request) error {
	for _, p := range request.Pods {
		n := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.Namespace, Labels: map[string]string{v1.LabelMetadataName: p.Namespace}}}
		if err := s.namespaces.Add(n); err != nil {
			return err
		}
	}
	for _, err := range []error{
		addAll(s.volumes, request.Volumes), addAll(s.claims, request.Claims),
		addAll(s.classes, request.StorageClasses), addAll(s.csiNodes, request.CSINodes),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func addAll[T any](store cache.Indexer, objects []T) error {
	for _, o := range objects {
		if err := store.Add(o); err != nil {
			return err
		}
	}
	return nil
}

const bindCompleted = "pv.kubernetes.io/bind-completed"

// provision does what the volume binder and an external provisioner do once a pod has its node: claims that waited for it
// get volumes that can be had in the node's zone only.
func (s storage) provision(pod *v1.Pod, node *v1.Node) error {
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		found, ok, err := s.claims.GetByKey(pod.Namespace + "/" + volume.PersistentVolumeClaim.ClaimName)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("pod %s/%s has a claim %s that is not in the request", pod.Namespace, pod.Name, volume.PersistentVolumeClaim.ClaimName)
		}
		claim := found.(*v1.PersistentVolumeClaim)
		if claim.Spec.VolumeName != "" {
			continue
		}
		if err := s.bind(claim, node); err != nil {
			return err
		}
	}
	return nil
}

func (s storage) bind(claim *v1.PersistentVolumeClaim, node *v1.Node) error {
	if claim.Spec.StorageClassName == nil {
		return fmt.Errorf("claim %s/%s has neither a volume nor a storage class", claim.Namespace, claim.Name)
	}
	class, ok, err := s.classes.GetByKey(*claim.Spec.StorageClassName)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("claim %s/%s: its storage class %s is not in the request", claim.Namespace, claim.Name, *claim.Spec.StorageClassName)
	}
	bound := claim.DeepCopy()
	bound.Spec.VolumeName = "provisioned-" + claim.Namespace + "-" + claim.Name
	bound.Status.Phase = v1.ClaimBound
	metav1.SetMetaDataAnnotation(&bound.ObjectMeta, bindCompleted, "yes")
	made := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: bound.Spec.VolumeName},
		Spec: v1.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes,
			ClaimRef:    &v1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeSource: v1.PersistentVolumeSource{
				CSI: &v1.CSIPersistentVolumeSource{Driver: class.(*storagev1.StorageClass).Provisioner, VolumeHandle: bound.Spec.VolumeName},
			},
		},
	}
	if zone := node.Labels[v1.LabelTopologyZone]; zone != "" {
		made.Spec.NodeAffinity = &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
			MatchExpressions: []v1.NodeSelectorRequirement{{Key: v1.LabelTopologyZone, Operator: v1.NodeSelectorOpIn, Values: []string{zone}}},
		}}}}
	}
	if err := s.volumes.Add(made); err != nil {
		return err
	}
	return s.claims.Update(bound)
}
