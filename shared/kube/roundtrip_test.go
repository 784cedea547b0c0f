package kube

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/ekspedite/ekspedite/internal/schedulertest"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestDemandsRoundTrip: what the tests of the planner tell the real scheduler is read back as what the planner was told. Both
// translations were written apart, so that neither can forget a field alone.
func TestDemandsRoundTrip(t *testing.T) {
	pods := 0
	for seed := range uint64(150) {
		p := schedulertest.Generate(seed)
		around := stored(schedulertest.Storage(p.Pods))
		for _, pod := range p.Pods {
			pods++
			object := schedulertest.Pod(pod)
			got, err := demandOf(object, around)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := text(t, plain(got)), text(t, plain(*pod.Demand)); a != b {
				t.Fatalf("seed %d, %s:\nread %s\nis   %s", seed, pod.ID(), a, b)
			}
		}
	}
	if pods < 1000 {
		t.Errorf("only %d pods", pods)
	}
}

func stored(r schedulertest.Request) neighbours {
	s := storage{map[string]*corev1.PersistentVolumeClaim{}, map[string]*corev1.PersistentVolume{}, map[string]*storagev1.StorageClass{}}
	for _, c := range r.Claims {
		s.claims[c.Namespace+"/"+c.Name] = c
	}
	for _, v := range r.Volumes {
		s.volumes[v.Name] = v
	}
	for _, c := range r.StorageClasses {
		s.classes[c.Name] = c
	}
	return lazily(func() ([]corev1.Namespace, error) { return nil, nil }, func() (storage, error) { return s, nil })
}

// plain writes what can be said in two ways in one.
func plain(d fleet.Demand) fleet.Demand {
	ports := d.HostPorts
	d.HostPorts = nil
	for _, h := range ports {
		if h.Protocol == "TCP" {
			h.Protocol = ""
		}
		if h.IP == "0.0.0.0" {
			h.IP = ""
		}
		d.HostPorts = append(d.HostPorts, h)
	}
	return d
}

func text(t *testing.T, v any) string {
	t.Helper()
	s, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(s)
}
