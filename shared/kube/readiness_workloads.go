package kube

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

// workloads reads all controllers of pods that Kubernetes itself has.
func (r *ready) workloads() error {
	for _, read := range []func() error{r.deployments, r.statefulSets, r.daemonSets, r.replicaSets, r.jobs, r.cronJobs} {
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

func (r *ready) deployments() error {
	return items(r.ctx, r.Client, "list Deployments", "/apis/apps/v1/deployments", "", new(appsv1.DeploymentList), func(l *appsv1.DeploymentList) {
		for i := range l.Items {
			d := &l.Items[i]
			r.foreign("Deployment", &d.ObjectMeta)
			w := workload("Deployment", &d.ObjectMeta, &d.Spec.Template, d.Spec.Selector)
			w.Replicas, w.Ready, w.MinReadySeconds = replicas(d.Spec.Replicas), int(d.Status.ReadyReplicas), int(d.Spec.MinReadySeconds)
			r.o.Workloads = append(r.o.Workloads, w)
		}
	})
}

func (r *ready) statefulSets() error {
	return items(r.ctx, r.Client, "list StatefulSets", "/apis/apps/v1/statefulsets", "", new(appsv1.StatefulSetList), func(l *appsv1.StatefulSetList) {
		for i := range l.Items {
			s := &l.Items[i]
			w := workload("StatefulSet", &s.ObjectMeta, &s.Spec.Template, s.Spec.Selector)
			w.Replicas, w.Ready, w.MinReadySeconds = replicas(s.Spec.Replicas), int(s.Status.ReadyReplicas), int(s.Spec.MinReadySeconds)
			r.o.Workloads = append(r.o.Workloads, w)
		}
	})
}

func (r *ready) daemonSets() error {
	return items(r.ctx, r.Client, "list DaemonSets", "/apis/apps/v1/daemonsets", "", new(appsv1.DaemonSetList), func(l *appsv1.DaemonSetList) {
		for i := range l.Items {
			d := &l.Items[i]
			r.foreign("DaemonSet", &d.ObjectMeta)
			w := workload("DaemonSet", &d.ObjectMeta, &d.Spec.Template, d.Spec.Selector)
			w.Replicas, w.Ready, w.MinReadySeconds = int(d.Status.DesiredNumberScheduled), int(d.Status.NumberReady), int(d.Spec.MinReadySeconds)
			if w.ID() == "kube-system/aws-node" {
				w.Env = networkSettings(&d.Spec.Template.Spec)
			}
			r.o.Workloads = append(r.o.Workloads, w)
		}
	})
}

// networkSettings are the settings of the VPC CNI by which nodes take addresses.
func networkSettings(s *corev1.PodSpec) map[string]string {
	out := map[string]string{}
	for i := range s.Containers {
		if s.Containers[i].Name != "aws-node" {
			continue
		}
		for _, e := range s.Containers[i].Env {
			for _, prefix := range []string{"WARM_", "MINIMUM_", "ENABLE_", "AWS_VPC_"} {
				if strings.HasPrefix(e.Name, prefix) {
					out[e.Name] = e.Value
				}
			}
		}
	}
	return out
}

// replicaSets reads whose they are, which is in the metadata: a Deployment keeps ten old ones. Those that are nobody's are read
// whole.
func (r *ready) replicaSets() error {
	alone := map[string]bool{} // namespaces
	err := eachMeta(r.ctx, r.Client, query{op: "list ReplicaSets", path: "/apis/apps/v1/replicasets"}, func(m *metav1.PartialObjectMetadata) {
		if c := metav1.GetControllerOf(m); c != nil {
			r.owners[[3]string{"ReplicaSet", m.Namespace, m.Name}] = owner{c.Kind, c.Name}
		} else {
			alone[m.Namespace] = true
		}
	})
	if err != nil {
		return err
	}
	for namespace := range alone {
		err := items(r.ctx, r.Client, "list ReplicaSets", "/apis/apps/v1/namespaces/"+namespace+"/replicasets", "", new(appsv1.ReplicaSetList), func(l *appsv1.ReplicaSetList) {
			for i := range l.Items {
				s := &l.Items[i]
				if metav1.GetControllerOf(s) != nil {
					continue
				}
				w := workload("ReplicaSet", &s.ObjectMeta, &s.Spec.Template, s.Spec.Selector)
				w.Replicas, w.Ready, w.MinReadySeconds = replicas(s.Spec.Replicas), int(s.Status.ReadyReplicas), int(s.Spec.MinReadySeconds)
				r.o.Workloads = append(r.o.Workloads, w)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// jobs reads those that have not ended.
func (r *ready) jobs() error {
	return each(r.ctx, r.Client, query{op: "list Jobs", path: "/apis/batch/v1/jobs"}, func(j *batchv1.Job) {
		c := metav1.GetControllerOf(j)
		if c != nil {
			r.owners[[3]string{"Job", j.Namespace, j.Name}] = owner{c.Kind, c.Name}
		}
		for _, state := range j.Status.Conditions {
			if (state.Type == batchv1.JobComplete || state.Type == batchv1.JobFailed) && state.Status == corev1.ConditionTrue {
				return
			}
		}
		w := workload("Job", &j.ObjectMeta, &j.Spec.Template, j.Spec.Selector)
		w.Replicas, w.Active = replicas(j.Spec.Parallelism), int(j.Status.Active)
		if j.Status.Ready != nil {
			w.Ready = int(*j.Status.Ready)
		}
		if j.Spec.ActiveDeadlineSeconds != nil {
			w.Deadline = time.Duration(*j.Spec.ActiveDeadlineSeconds) * time.Second
		}
		if j.Status.StartTime != nil {
			w.Started = j.Status.StartTime.UTC()
		}
		r.o.Workloads = append(r.o.Workloads, w)
	})
}

func (r *ready) cronJobs() error {
	return each(r.ctx, r.Client, query{op: "list CronJobs", path: "/apis/batch/v1/cronjobs"}, func(j *batchv1.CronJob) {
		w := workload("CronJob", &j.ObjectMeta, &j.Spec.JobTemplate.Spec.Template, nil)
		w.Active = len(j.Status.Active)
		r.o.Workloads = append(r.o.Workloads, w)
	})
}

// replicas is how many are wanted: one, where nobody says.
func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// workload is what all controllers have.
func workload(kind string, m *metav1.ObjectMeta, t *corev1.PodTemplateSpec, s *metav1.LabelSelector) readiness.Workload {
	w := readiness.Workload{
		Kind: kind, Namespace: m.Namespace, Name: m.Name, Labels: t.Labels, Annotations: annotationsRead(t.Annotations), Spread: spreadOut(t), Grace: corev1.DefaultTerminationGracePeriodSeconds * time.Second,
		ReadinessProbe: len(t.Spec.Containers) > 0,
	}
	if s != nil {
		w.Selector = selector(s, nil, nil, nil)
	}
	if t.Spec.TerminationGracePeriodSeconds != nil {
		w.Grace = time.Duration(*t.Spec.TerminationGracePeriodSeconds) * time.Second
	}
	for i := range t.Spec.Containers {
		c := &t.Spec.Containers[i]
		w.Images = append(w.Images, c.Image)
		w.ReadinessProbe = w.ReadinessProbe && c.ReadinessProbe != nil
	}
	v := volumesOf(&t.Spec)
	w.HostPaths, w.GitRepo = v.hostPaths, v.gitRepo
	return w
}

// spreadOut tells whether pods of a template keep away from one another.
func spreadOut(t *corev1.PodTemplateSpec) bool {
	if len(t.Spec.TopologySpreadConstraints) > 0 {
		return true
	}
	if t.Spec.Affinity == nil || t.Spec.Affinity.PodAntiAffinity == nil {
		return false
	}
	itself := func(term corev1.PodAffinityTerm) bool {
		s, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		return err == nil && s.Matches(labels.Set(t.Labels))
	}
	for _, term := range t.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		if itself(term) {
			return true
		}
	}
	for _, term := range t.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if itself(term.PodAffinityTerm) {
			return true
		}
	}
	return false
}

func (r *ready) budgets() error {
	return items(r.ctx, r.Client, "list PodDisruptionBudgets", "/apis/policy/v1/poddisruptionbudgets", "", new(policyv1.PodDisruptionBudgetList), func(l *policyv1.PodDisruptionBudgetList) {
		for i := range l.Items {
			b := &l.Items[i]
			out := readiness.Budget{
				Namespace: b.Namespace, Name: b.Name, Allowed: int(b.Status.DisruptionsAllowed), Healthy: int(b.Status.CurrentHealthy), Desired: int(b.Status.DesiredHealthy),
				Expected: int(b.Status.ExpectedPods), Current: b.Status.ObservedGeneration >= b.Generation,
			}
			if b.Spec.Selector != nil {
				out.Selector = selector(b.Spec.Selector, nil, nil, nil)
			}
			if b.Spec.MinAvailable != nil {
				out.MinAvailable = b.Spec.MinAvailable.String()
			}
			if b.Spec.MaxUnavailable != nil {
				out.MaxUnavailable = b.Spec.MaxUnavailable.String()
			}
			if b.Spec.UnhealthyPodEvictionPolicy != nil {
				out.Unhealthy = string(*b.Spec.UnhealthyPodEvictionPolicy)
			}
			r.o.Budgets = append(r.o.Budgets, out)
		}
	})
}
