package kube

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

// pods reads pods that have not finished, and namespaces.
func (r *ready) pods() error {
	err := eachMeta(r.ctx, r.Client, query{op: "list namespaces", path: "/api/v1/namespaces"}, func(n *metav1.PartialObjectMetadata) {
		r.o.Namespaces = append(r.o.Namespaces, readiness.Namespace{Name: n.Name, Labels: n.Labels})
	})
	if err != nil {
		return err
	}
	shared := map[string]string{} // one copy of what thousands of pods say
	return items(r.ctx, r.Client, "list pods", "/api/v1/pods", unfinished, new(corev1.PodList), func(l *corev1.PodList) {
		for i := range l.Items {
			r.o.Pods = append(r.o.Pods, readyPod(&l.Items[i], shared))
		}
	})
}

func readyPod(p *corev1.Pod, shared map[string]string) readiness.Pod {
	f := pod(p)
	out := readiness.Pod{
		Namespace: f.Namespace, Name: f.Name, Node: f.Node, Labels: f.Labels, Annotations: annotationsRead(p.Annotations), OwnerKind: f.Owner.Kind, OwnerName: f.Owner.Name,
		Phase: f.Phase, Ready: f.Ready, Deleting: f.Deleting, Mirror: f.Mirror, Created: p.CreationTimestamp.Time, Grace: f.Grace,
	}
	for i := range p.Spec.Containers {
		name := p.Spec.Containers[i].Image
		if _, ok := shared[name]; !ok {
			shared[name] = strings.Clone(name)
		}
		out.Images = append(out.Images, shared[name])
	}
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, s := range list {
			if s.State.Waiting != nil && s.State.Waiting.Reason != "" {
				out.Waiting = append(out.Waiting, s.State.Waiting.Reason)
			}
		}
	}
	v := volumesOf(&p.Spec)
	out.HostPaths, out.EmptyDir, out.GitRepo, out.Claims = v.hostPaths, v.emptyDir, v.gitRepo, v.claims
	out.SELinux, out.SELinuxPolicy = seLinux(&p.Spec)
	return out
}

// annotationsRead are those that checks know.
func annotationsRead(all map[string]string) map[string]string {
	var out map[string]string
	for k, v := range all {
		for _, known := range readiness.AnnotationsRead {
			if k == known || strings.HasSuffix(known, "/") && strings.HasPrefix(k, known) {
				if out == nil {
					out = map[string]string{}
				}
				out[k] = v
			}
		}
	}
	return out
}

// podVolumes is what a pod mounts.
type podVolumes struct {
	hostPaths, claims []string
	emptyDir, gitRepo bool
}

func volumesOf(s *corev1.PodSpec) (out podVolumes) {
	for i := range s.Volumes {
		switch v := &s.Volumes[i].VolumeSource; {
		case v.HostPath != nil:
			out.hostPaths = append(out.hostPaths, v.HostPath.Path)
		case v.EmptyDir != nil:
			out.emptyDir = out.emptyDir || v.EmptyDir.Medium == corev1.StorageMediumDefault
		case v.GitRepo != nil:
			out.gitRepo = true
		case v.PersistentVolumeClaim != nil:
			out.claims = append(out.claims, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return out
}

// seLinux is the level of the pod's SELinux label, or of the first container that has one of its own, and how the pod wants
// volumes to be labelled.
func seLinux(s *corev1.PodSpec) (level, policy string) {
	if c := s.SecurityContext; c != nil {
		if c.SELinuxOptions != nil {
			level = c.SELinuxOptions.Level
		}
		if c.SELinuxChangePolicy != nil {
			policy = string(*c.SELinuxChangePolicy)
		}
	}
	for i := range s.Containers {
		if c := s.Containers[i].SecurityContext; level == "" && c != nil && c.SELinuxOptions != nil {
			level = c.SELinuxOptions.Level
		}
	}
	return level, policy
}

// finishPods names the Deployment behind a ReplicaSet, and the CronJob behind a Job.
func (r *ready) finishPods() {
	for i := range r.o.Pods {
		p := &r.o.Pods[i]
		if o, ok := r.owners[[3]string{p.OwnerKind, p.Namespace, p.OwnerName}]; ok {
			p.OwnerKind, p.OwnerName = o.kind, o.name
			continue
		}
		// The workloads could not be read: a Deployment names its ReplicaSets by itself and the hash that their pods have.
		if hash := p.Labels["pod-template-hash"]; p.OwnerKind == "ReplicaSet" && hash != "" && r.o.Unread[readiness.PartWorkloads] != "" {
			if name, ok := strings.CutSuffix(p.OwnerName, "-"+hash); ok {
				p.OwnerKind, p.OwnerName = "Deployment", name
			}
		}
	}
}
