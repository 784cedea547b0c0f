package kube

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// shape is what pods of one template have in common.
type shape struct {
	Demand      fleet.Demand
	Tolerations []fleet.Toleration
}

// builder makes fleet's pods of the API server's, page by page, and keeps one copy of what many have in common: a cluster of
// 30,000 pods has some hundred shapes.
type builder struct {
	around neighbours
	pods   []fleet.Pod
	shapes map[string]*shape
	labels map[string]map[string]string
	// waiting are pods whose demand depends on what is being read beside the pages, by their index in pods.
	waiting []waiting
	err     error
}

type waiting struct {
	index int
	pod   *corev1.Pod
}

func (b *builder) add(p *corev1.Pod) {
	f := pod(p)
	f.Created, f.Labels = p.CreationTimestamp.Time, b.sharedLabels(p.Labels)
	f.Annotations = short(p.Annotations)
	f.Gated, f.LocalStorage = len(p.Spec.SchedulingGates) > 0, hasLocalStorage(&p.Spec)
	if p.Spec.SchedulerName != corev1.DefaultSchedulerName {
		f.Scheduler = p.Spec.SchedulerName
	}
	b.pods = append(b.pods, f)
	i := len(b.pods) - 1
	volumes, spaces := hasClaims(&p.Spec), hasNamespaceSelector(&p.Spec)
	if volumes {
		go func() { _, _ = b.around.disks() }() // while further pages come; its error is asked for again
	}
	if spaces {
		go func() { _, _ = b.around.spaces() }()
	}
	if volumes || spaces {
		b.waiting = append(b.waiting, waiting{i, &corev1.Pod{ObjectMeta: p.ObjectMeta, Spec: p.Spec, Status: p.Status}})
		return
	}
	if err := b.shape(i, p); err != nil && b.err == nil {
		b.err = err
	}
}

// finish gives those a demand that had to wait.
func (b *builder) finish() error {
	for _, w := range b.waiting {
		if err := b.shape(w.index, w.pod); err != nil {
			return err
		}
	}
	b.waiting = nil
	return b.err
}

func (b *builder) shape(i int, p *corev1.Pod) error {
	d, err := demandOf(p, b.around)
	if err != nil {
		return err
	}
	s := &shape{d, b.pods[i].Tolerations}
	key, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if known := b.shapes[string(key)]; known != nil {
		s = known
	} else {
		b.shapes[string(key)] = s
	}
	b.pods[i].Demand, b.pods[i].Tolerations = &s.Demand, s.Tolerations
	return nil
}

func (b *builder) sharedLabels(m map[string]string) map[string]string {
	key, err := json.Marshal(m)
	if err != nil {
		return m
	}
	if known, ok := b.labels[string(key)]; ok {
		return known
	}
	b.labels[string(key)] = m
	return m
}

// longest is how long an annotation may be to be kept: switches and numbers are, copies of manifests and certificates are not.
const longest = 256

func short(annotations map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range annotations {
		if len(v) <= longest {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func hasClaims(s *corev1.PodSpec) bool {
	for i := range s.Volumes {
		if s.Volumes[i].PersistentVolumeClaim != nil || s.Volumes[i].Ephemeral != nil {
			return true
		}
	}
	return false
}

// hasLocalStorage tells whether the pod has data on its node that do not move with it. A memory-backed emptyDir counts, too.
func hasLocalStorage(s *corev1.PodSpec) bool {
	for i := range s.Volumes {
		if s.Volumes[i].EmptyDir != nil || s.Volumes[i].HostPath != nil {
			return true
		}
	}
	return false
}

func hasNamespaceSelector(s *corev1.PodSpec) bool {
	if s.Affinity == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	weighted := func(list []corev1.WeightedPodAffinityTerm) {
		for _, t := range list {
			terms = append(terms, t.PodAffinityTerm)
		}
	}
	if a := s.Affinity.PodAffinity; a != nil {
		terms = append(terms, a.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted(a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if a := s.Affinity.PodAntiAffinity; a != nil {
		terms = append(terms, a.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted(a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	for _, t := range terms {
		if n := t.NamespaceSelector; n != nil && len(n.MatchLabels)+len(n.MatchExpressions) > 0 {
			return true
		}
	}
	return false
}

// protect tells pods their budgets. The API server evicts no pod of several budgets, so that such a pod has one of its own,
// which allows nothing.
func protect(pods []fleet.Pod, list []fleet.Budget, selectors []budget) ([]fleet.Pod, []fleet.Budget) {
	in := map[string][]budget{}
	for _, b := range selectors {
		in[b.namespace] = append(in[b.namespace], b)
	}
	several := map[string]bool{}
	for i := range pods {
		var names []string
		for _, b := range in[pods[i].Namespace] {
			if b.selector.Matches(labels.Set(pods[i].Labels)) {
				names = append(names, b.namespace+"/"+b.name)
			}
		}
		pods[i].Budget = strings.Join(names, "+")
		if len(names) > 1 && !several[pods[i].Budget] {
			several[pods[i].Budget] = true
			list = append(list, fleet.Budget{ID: pods[i].Budget})
		}
	}
	return pods, list
}
