package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

// volumes reads volumes, storage classes and the drivers that there are.
func (r *ready) volumes() error {
	err := items(r.ctx, r.Client, "list PersistentVolumes", "/api/v1/persistentvolumes", "", new(corev1.PersistentVolumeList), func(l *corev1.PersistentVolumeList) {
		for i := range l.Items {
			v := &l.Items[i]
			out := readiness.Volume{Name: v.Name, Driver: volumeDriver(&v.Spec.PersistentVolumeSource), Zones: volumeZones(v)}
			if c := v.Spec.ClaimRef; c != nil {
				out.Claim = c.Namespace + "/" + c.Name
			}
			r.o.Volumes = append(r.o.Volumes, out)
		}
	})
	if err != nil {
		return err
	}
	err = eachMeta(r.ctx, r.Client, query{op: "list CSIDrivers", path: "/apis/storage.k8s.io/v1/csidrivers"}, func(m *metav1.PartialObjectMetadata) {
		r.o.Drivers = append(r.o.Drivers, m.Name)
	})
	if err != nil {
		return err
	}
	r.o.StorageClasses = map[string]string{}
	return items(r.ctx, r.Client, "list StorageClasses", "/apis/storage.k8s.io/v1/storageclasses", "", new(storagev1.StorageClassList), func(l *storagev1.StorageClassList) {
		for i := range l.Items {
			r.o.StorageClasses[l.Items[i].Name] = l.Items[i].Provisioner
		}
	})
}

func volumeDriver(s *corev1.PersistentVolumeSource) string {
	switch {
	case s.CSI != nil:
		return s.CSI.Driver
	case s.AWSElasticBlockStore != nil:
		return "kubernetes.io/aws-ebs"
	case s.Local != nil:
		return "kubernetes.io/local"
	case s.HostPath != nil:
		return "kubernetes.io/host-path"
	case s.NFS != nil:
		return "kubernetes.io/nfs"
	case s.FC != nil:
		return "kubernetes.io/fc"
	case s.ISCSI != nil:
		return "kubernetes.io/iscsi"
	}
	return "" // of other clouds
}

// zoneKeys are the labels that say where a volume is.
var zoneKeys = []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone, "topology.ebs.csi.aws.com/zone", "topology.kubernetes.io/zone"}

// volumeZones are the zones that the volume's node affinity names, and the label of those that were made before there was one.
func volumeZones(v *corev1.PersistentVolume) (zones []string) {
	add := func(zone string) {
		if zone != "" && !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	if a := v.Spec.NodeAffinity; a != nil && a.Required != nil {
		for _, term := range a.Required.NodeSelectorTerms {
			for _, e := range term.MatchExpressions {
				if slices.Contains(zoneKeys, e.Key) && e.Operator == corev1.NodeSelectorOpIn {
					for _, zone := range e.Values {
						add(zone)
					}
				}
			}
		}
	}
	if len(zones) == 0 {
		add(v.Labels[corev1.LabelTopologyZone])
		add(v.Labels[corev1.LabelFailureDomainBetaZone])
	}
	slices.Sort(zones)
	return zones
}

// karpenter reads Karpenter's and Auto Mode's pools, if there are any.
func (r *ready) karpenter() error {
	type pool struct {
		Metadata struct{ Name string }
		Spec     struct {
			Template struct {
				Metadata struct{ Labels map[string]string }
				Spec     struct {
					ExpireAfter  string
					NodeClassRef struct{ Group, Name string }
				}
			}
			Disruption struct {
				Budgets []readiness.NodePoolBudget
			}
		}
	}
	err := each(r.ctx, r.Client, query{op: "list NodePools", path: "/apis/karpenter.sh/v1/nodepools"}, func(p *pool) {
		t := &p.Spec.Template
		r.o.NodePools = append(r.o.NodePools, readiness.NodePool{
			Name: p.Metadata.Name, NodeClass: t.Spec.NodeClassRef.Name, Auto: t.Spec.NodeClassRef.Group == "eks.amazonaws.com", ExpireAfter: t.Spec.ExpireAfter,
			Budgets: p.Spec.Disruption.Budgets, Labels: t.Metadata.Labels,
		})
	})
	if optional(err) != nil {
		return err
	}
	type class struct {
		Metadata struct{ Name string }
		Spec     struct {
			AMIFamily        string
			AMISelectorTerms []struct {
				Alias, ID, Name, SSMParameter string
				Tags                          map[string]string
			}
		}
	}
	return optional(each(r.ctx, r.Client, query{op: "list EC2NodeClasses", path: "/apis/karpenter.k8s.aws/v1/ec2nodeclasses"}, func(c *class) {
		out := readiness.NodeClass{Name: c.Metadata.Name, Family: c.Spec.AMIFamily}
		for _, t := range c.Spec.AMISelectorTerms {
			if t.Alias != "" {
				out.Aliases = append(out.Aliases, t.Alias)
			} else {
				out.Pinned = true
			}
		}
		r.o.NodeClasses = append(r.o.NodeClasses, out)
	}))
}
