package readiness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
)

func sockets(l *look) (out outcome) {
	out.one, out.many = "something mounts a socket that nodes no longer have", "%d workloads mount sockets that nodes no longer have"
	out.remedy = fixed("Use containerd's socket (/run/containerd/containerd.sock), or none: builds do without in BuildKit or Kaniko")
	socket := func(paths []string) string {
		for _, p := range paths {
			if strings.HasSuffix(p, "docker.sock") || strings.HasSuffix(p, "dockershim.sock") {
				return p
			}
		}
		return ""
	}
	severity := Warn // since 1.24 the path has been empty: many agents mount it just in case
	if l.goes(24) {
		severity = Block
	}
	for _, w := range l.o.Workloads {
		if s := socket(w.HostPaths); s != "" {
			out.at(severity, w.Kind+" "+w.ID(), s)
		}
	}
	for _, p := range l.o.Pods {
		if s := socket(p.HostPaths); s != "" && p.OwnerKind == "" {
			out.at(severity, "Pod "+p.ID(), s)
		}
	}
	return out
}

func localData(l *look) (out outcome) {
	out.one, out.many = "data on a node's disk goes with the node", "data on nodes' disks goes with the nodes: %d places"
	out.remedy = fixed("See that it is stored elsewhere, too")
	owners := map[string]int{}
	for _, p := range l.o.Pods {
		if p.EmptyDir && p.OwnerKind == "StatefulSet" {
			owners["StatefulSet "+p.Namespace+"/"+p.OwnerName]++
		}
	}
	for _, o := range sortedKeys(owners) {
		out.at(Info, o, "emptyDir")
	}
	for _, v := range l.o.Volumes {
		if (v.Driver == "kubernetes.io/local" || v.Driver == "kubernetes.io/host-path") && v.Claim != "" {
			out.add("PersistentVolume "+v.Name, v.Claim)
		}
	}
	return out
}

func undisturbed(l *look) (out outcome) {
	out.one, out.many = "a pod does not want to be evicted", "%d pods do not want to be evicted"
	out.remedy = fixed("Find a time with its owner: EKS and a drain do not heed the annotation, Karpenter and Auto Mode do")
	for _, p := range l.o.Pods {
		for _, key := range []string{"karpenter.sh/do-not-disrupt", "karpenter.sh/do-not-evict"} {
			if p.Annotations[key] == "true" && p.evictable() {
				out.add(p.ID(), key)
			}
		}
		if p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false" && p.evictable() {
			out.add(p.ID(), "safe-to-evict: false")
		}
	}
	return out
}

// asks tells whether a webhook is asked for an operation on a resource; group "" is the core one.
func (w Webhook) asks(group, resource, operation string) bool {
	scope := "Namespaced"
	if resource == "nodes" {
		scope = "Cluster"
	}
	has := func(list []string, want string) bool {
		return slices.Contains(list, "*") || slices.Contains(list, want)
	}
	return slices.ContainsFunc(w.Rules, func(r WebhookRule) bool {
		return (r.Scope == "" || r.Scope == "*" || r.Scope == scope) && has(r.Groups, group) && has(r.Operations, operation) &&
			(has(r.Resources, resource) || slices.Contains(r.Resources, "*/*") && !strings.HasSuffix(resource, "*"))
	})
}

// in tells whether a webhook is asked for what is in a namespace.
func (w Webhook) in(labels map[string]string) bool {
	return w.NamespaceSelector == nil || selects(w.NamespaceSelector, labels)
}

// webhooks looks for those without whose answer no pod can be made or evicted and no node changed, and which may be away just
// then. It blocks where nobody answers now, and where the only pod that answers has to pass its own webhook to come again, or
// holds up kube-system's.
func webhooks(l *look) (out outcome) {
	out.one, out.many = "a webhook can stop the move of the nodes", "%d webhooks can stop the move of the nodes"
	out.remedy = func(object string) string {
		configuration, _, _ := strings.Cut(object, "/")
		for _, w := range l.o.Webhooks {
			if w.Configuration != configuration {
				continue
			}
			for _, s := range l.o.Services {
				if s.ID() == w.Service {
					return fmt.Sprintf("Run two replicas or more with a PodDisruptionBudget behind service %s, and exempt kube-system and %s by the namespaceSelector: kubectl edit %s %s", s.ID(), s.Namespace, strings.ToLower(w.Kind), configuration)
				}
			}
			return fmt.Sprintf("kubectl delete %s %s   # if nobody needs it any more; or repair what answers it", strings.ToLower(w.Kind), configuration)
		}
		return ""
	}
	for _, w := range l.o.Webhooks {
		pods := w.asks("", "pods", "CREATE") || w.asks("", "pods/eviction", "CREATE") || w.asks("", "pods", "DELETE")
		nodes := w.asks("", "nodes", "UPDATE") || w.asks("", "nodes", "CREATE")
		if !w.Fail || !pods && !nodes {
			continue
		}
		object := w.Configuration + "/" + w.Name
		system := nodes || l.meets(w, l.pods["kube-system"])
		if w.Service == "" {
			if system {
				out.at(Warn, object, "has a URL outside the cluster, fails closed, and is asked for kube-system's pods or for nodes")
			}
			continue
		}
		answering, fargate := l.behind(w.Service)
		ready, own := len(answering), pods && l.meets(w, answering)
		switch {
		case ready == 0 && (nodes || slices.ContainsFunc(sortedKeys(l.pods), func(ns string) bool { return l.meets(w, l.pods[ns]) })):
			out.add(object, "nobody answers at service "+w.Service+", and it fails closed")
		case ready == 1 && !fargate && !w.Conditions && own:
			out.add(object, "the one pod behind "+w.Service+" cannot come again without itself")
		case ready == 1 && !fargate && !w.Conditions && system:
			out.add(object, "while the one pod behind "+w.Service+" moves, no pod of kube-system can be made and no node can join")
		case system:
			out.at(Info, object, fmt.Sprintf("fails closed for kube-system; %d pods answer", ready))
		}
	}
	return out
}

// meets tells whether a webhook would be asked for one of the pods, made anew.
func (l *look) meets(w Webhook, pods []*Pod) bool {
	return slices.ContainsFunc(pods, func(p *Pod) bool {
		return !p.Mirror && p.Phase != "Succeeded" && p.Phase != "Failed" && w.in(l.spaceLabels(p.Namespace)) && (w.ObjectSelector == nil || selects(w.ObjectSelector, p.Labels))
	})
}

// spaceLabels are a namespace's labels; every namespace has its name as one.
func (l *look) spaceLabels(name string) map[string]string {
	if labels, ok := l.spaces[name]; ok {
		return labels
	}
	return map[string]string{"kubernetes.io/metadata.name": name}
}

// behind are the ready pods of a service, and whether all are on Fargate.
func (l *look) behind(service string) (ready []*Pod, fargate bool) {
	i := slices.IndexFunc(l.o.Services, func(s Service) bool { return s.ID() == service })
	if i < 0 || len(l.o.Services[i].Selector) == 0 {
		return nil, false
	}
	s := l.o.Services[i]
	fargate = true
pods:
	for _, p := range l.pods[s.Namespace] {
		for k, v := range s.Selector {
			if p.Labels[k] != v {
				continue pods
			}
		}
		if p.Ready && !p.Deleting {
			ready = append(ready, p)
			fargate = fargate && l.nodes[p.Node].Kind == upgradepath.NodeFargate
		}
	}
	return ready, fargate && len(ready) > 0
}

func zonal(l *look) (out outcome) {
	out.one, out.many = "a pod's volume is in one zone: its next node has to be there, too", "%d pods' volumes are in one zone: their next nodes have to be there, too"
	out.remedy = fixed("Node groups of one zone each, or a surge in every zone; EKS's rolling update adds nodes in all zones of a group")
	claims := map[string][]string{}
	for _, v := range l.o.Volumes {
		if len(v.Zones) == 1 {
			claims[v.Claim] = v.Zones
		}
	}
	nodes := map[string]int{}
	for _, n := range l.o.Nodes {
		nodes[n.Zone]++
	}
	for _, p := range l.o.Pods {
		for _, c := range p.Claims {
			if zones := claims[p.Namespace+"/"+c]; len(zones) == 1 && nodes[zones[0]] <= 1 {
				out.add(p.ID(), fmt.Sprintf("%s is in %s, which has %d nodes", c, zones[0], nodes[zones[0]]))
			}
		}
	}
	return out
}

// longJob is how long a job runs to be told of: ours.
const longJob = time.Hour

func jobs(l *look) (out outcome) {
	out.one, out.many = "a job is running for long, and would have to begin anew", "%d jobs are running for long, and would have to begin anew"
	out.remedy = func(object string) string {
		ns, name := split(strings.TrimPrefix(object, "Job "))
		return fmt.Sprintf("kubectl wait --for=condition=complete -n %s job/%s --timeout=2h", ns, name)
	}
	for _, w := range l.o.Workloads {
		if w.Kind == "Job" && w.Active > 0 && !w.Started.IsZero() && l.now.Sub(w.Started) > longJob {
			note := "since " + w.Started.UTC().Format("2006-01-02 15:04")
			if w.Deadline > 0 {
				note += ", at most until " + w.Started.Add(w.Deadline).UTC().Format("2006-01-02 15:04")
			}
			out.add(w.Kind+" "+w.ID(), note)
		}
	}
	return out
}

// legacy are registries that are frozen or gone. k8s.gcr.io has had nothing new since April 2023
// (https://kubernetes.io/blog/2023/02/06/k8s-gcr-io-freeze-announcement/).
var legacy = []string{"k8s.gcr.io/", "gcr.io/google_containers/", "gcr.io/google-containers/"}

func pulls(l *look) (out outcome) {
	out.one, out.many = "an image may not be pulled again: what runs now would not run on another node", "%d images may not be pulled again: what runs now would not run on another node"
	out.remedy = func(object string) string {
		image, _, _ := strings.Cut(object, " ")
		for _, prefix := range legacy {
			if rest, ok := strings.CutPrefix(image, prefix); ok {
				return "Use registry.k8s.io/" + rest + " instead of " + image
			}
		}
		return "Push it again, or mend the pull secret: kubectl get events -A --field-selector reason=Failed"
	}
	done := map[string]bool{}
	for _, p := range l.o.Pods {
		for _, image := range p.Images {
			if slices.ContainsFunc(legacy, func(prefix string) bool { return strings.HasPrefix(image, prefix) }) && !done[image] {
				done[image] = true
				out.add(image, "as in "+p.ID())
			}
		}
		if slices.Contains(p.Waiting, "ImagePullBackOff") || slices.Contains(p.Waiting, "ErrImagePull") {
			object := p.OwnerKind + " " + p.Namespace + "/" + p.OwnerName
			if p.OwnerKind == "" {
				object = "Pod " + p.ID()
			}
			if !done[object] {
				done[object] = true
				s, note := Warn, capped(p.Images, 2)+" cannot be pulled now"
				if slices.ContainsFunc(l.pods[p.Namespace], func(q *Pod) bool {
					return q.Ready && q.OwnerKind == p.OwnerKind && q.OwnerName == p.OwnerName && slices.Equal(q.Images, p.Images)
				}) {
					s, note = Block, note+"; replicas that run would not come again"
				}
				out.at(s, object, note)
			}
		}
	}
	return out
}

func fargatePods(l *look) (out outcome) {
	out.one, out.many = "a Fargate pod keeps its kubelet until it is made anew", "%d Fargate pods keep their kubelets until they are made anew"
	out.remedy = func(id string) string {
		ns, _ := split(id)
		for _, p := range l.o.Pods {
			if p.ID() == id && p.OwnerName != "" {
				return fmt.Sprintf("kubectl rollout restart %s -n %s %s   # after the control plane; the run does it", strings.ToLower(p.OwnerKind), ns, p.OwnerName)
			}
		}
		return ""
	}
	for _, p := range l.o.Pods {
		if n := l.nodes[p.Node]; n.Kind == upgradepath.NodeFargate && n.Kubelet < l.to {
			out.add(p.ID(), n.Kubelet.String())
		}
	}
	return out
}
