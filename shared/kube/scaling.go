package kube

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// unfinished are the pods that count.
const unfinished = "status.phase!=Succeeded,status.phase!=Failed"

// Pending tells whether any pod is without a node, in one call that returns one pod at most.
func (c *Client) Pending(ctx context.Context) (bool, error) {
	var l corev1.PodList
	opts := metav1.ListOptions{FieldSelector: "spec.nodeName=," + unfinished, Limit: 1}
	err := c.rest.Get().AbsPath("/api/v1/pods").VersionedParams(&opts, metav1.ParameterCodec).MaxRetries(0).Do(ctx).Into(&l)
	return len(l.Items) > 0, classify("list pods without a node", err)
}

// Capacity lists all nodes with what they have for pods and volumes.
func (c *Client) Capacity(ctx context.Context) (nodes []fleet.Node, err error) {
	limits := map[string]map[string]int{}
	var csiErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		csiErr = items(ctx, c, "list CSINodes", "/apis/storage.k8s.io/v1/csinodes", "", new(storagev1.CSINodeList), func(l *storagev1.CSINodeList) {
			for i := range l.Items {
				limits[l.Items[i].Name] = attachLimits(&l.Items[i])
			}
		})
	})
	err = items(ctx, c, "list nodes", "/api/v1/nodes", "", new(corev1.NodeList), func(l *corev1.NodeList) {
		for i := range l.Items {
			nodes = append(nodes, capacity(&l.Items[i]))
		}
	})
	wg.Wait()
	if err == nil {
		err = csiErr
	}
	for i := range nodes {
		nodes[i].AttachLimits = limits[nodes[i].Name]
	}
	return nodes, err
}

func capacity(n *corev1.Node) fleet.Node {
	f := node(*n)
	f.Created, f.Allocatable = n.CreationTimestamp.Time, amounts(n.Status.Allocatable)
	pods := n.Status.Allocatable[corev1.ResourcePods]
	f.MaxPods = int(pods.Value())
	return f
}

func attachLimits(n *storagev1.CSINode) map[string]int {
	out := map[string]int{}
	for _, d := range n.Spec.Drivers {
		if d.Allocatable != nil && d.Allocatable.Count != nil {
			out[d.Name] = int(*d.Allocatable.Count)
		}
	}
	return out
}

// Workload lists what runs and what is to run: a page of 500 pods at a time, of which only what decisions need is kept.
// Namespaces and volumes are read only if some pod depends on them. Without DaemonSets or budgets it is Incomplete; without
// pods it fails.
func (c *Client) Workload(ctx context.Context) (fleet.Workload, error) {
	w := fleet.Workload{Incomplete: map[string]string{}}
	around := c.neighbours(ctx)
	var budgets []budget
	var daemonErr, budgetErr, versionErr error
	var wg sync.WaitGroup
	wg.Go(func() { w.Daemons, daemonErr = c.daemons(ctx, around) })
	wg.Go(func() { w.Budgets, budgets, budgetErr = c.allowed(ctx) })
	wg.Go(func() { w.Version, versionErr = c.minor(ctx) })
	b := &builder{around: around, shapes: map[string]*shape{}, labels: map[string]map[string]string{}}
	err := items(ctx, c, "list pods", "/api/v1/pods", unfinished, new(corev1.PodList), func(l *corev1.PodList) {
		for i := range l.Items {
			b.add(&l.Items[i])
		}
	})
	if err == nil {
		err = b.finish()
	}
	wg.Wait()
	for part, partErr := range map[string]error{"daemons": daemonErr, "budgets": budgetErr, "version": versionErr} {
		if partErr != nil {
			w.Incomplete[part] = partErr.Error()
		}
	}
	w.Pods, w.Budgets = protect(b.pods, w.Budgets, budgets)
	return w, err
}

// items reads all pages of a resource into the same list, one after another.
func items[L interface {
	runtime.Object
	metav1.ListInterface
}](ctx context.Context, c *Client, op, path, fields string, into L, each func(L)) error {
	empty := into.DeepCopyObject()
	return list(ctx, c, op, path, metav1.ListOptions{FieldSelector: fields}, func() L {
		l, _ := empty.DeepCopyObject().(L)
		return l
	}, each)
}

// minor is the API server's version: "1.36".
func (c *Client) minor(ctx context.Context) (string, error) {
	text, err := body(c.rest.Get().AbsPath("/version").SetHeader("Accept", "application/json").MaxRetries(0).Do(ctx))
	if err != nil {
		return "", classify("get version", err)
	}
	var v struct{ Major, Minor string }
	if err := json.Unmarshal(text, &v); err != nil {
		return "", fault.New(fault.Transient, "get version: not JSON: %v", err)
	}
	return v.Major + "." + strings.TrimRight(v.Minor, "+"), nil
}

// neighbours are the cluster's, read when first asked for.
func (c *Client) neighbours(ctx context.Context) neighbours {
	return lazily(func() (out []corev1.Namespace, err error) {
		err = items(ctx, c, "list namespaces", "/api/v1/namespaces", "", new(corev1.NamespaceList), func(l *corev1.NamespaceList) { out = append(out, l.Items...) })
		return out, err
	}, func() (storage, error) {
		s := storage{map[string]*corev1.PersistentVolumeClaim{}, map[string]*corev1.PersistentVolume{}, map[string]*storagev1.StorageClass{}}
		var errs [3]error
		var wg sync.WaitGroup
		wg.Go(func() {
			errs[0] = items(ctx, c, "list claims", "/api/v1/persistentvolumeclaims", "", new(corev1.PersistentVolumeClaimList), func(l *corev1.PersistentVolumeClaimList) {
				for i := range l.Items {
					s.claims[l.Items[i].Namespace+"/"+l.Items[i].Name] = &l.Items[i]
				}
			})
		})
		wg.Go(func() {
			errs[1] = items(ctx, c, "list volumes", "/api/v1/persistentvolumes", "", new(corev1.PersistentVolumeList), func(l *corev1.PersistentVolumeList) {
				for i := range l.Items {
					s.volumes[l.Items[i].Name] = &l.Items[i]
				}
			})
		})
		wg.Go(func() {
			errs[2] = items(ctx, c, "list storage classes", "/apis/storage.k8s.io/v1/storageclasses", "", new(storagev1.StorageClassList), func(l *storagev1.StorageClassList) {
				for i := range l.Items {
					s.classes[l.Items[i].Name] = &l.Items[i]
				}
			})
		})
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return s, err
			}
		}
		return s, nil
	})
}

// everyNode are the tolerations that the DaemonSet controller gives to its pods, so that nodes in trouble keep them.
var everyNode = []fleet.Toleration{
	{Key: corev1.TaintNodeNotReady, Operator: "Exists", Effect: "NoExecute"}, {Key: corev1.TaintNodeUnreachable, Operator: "Exists", Effect: "NoExecute"},
	{Key: corev1.TaintNodeDiskPressure, Operator: "Exists", Effect: "NoSchedule"}, {Key: corev1.TaintNodeMemoryPressure, Operator: "Exists", Effect: "NoSchedule"},
	{Key: corev1.TaintNodePIDPressure, Operator: "Exists", Effect: "NoSchedule"}, {Key: corev1.TaintNodeUnschedulable, Operator: "Exists", Effect: "NoSchedule"},
}

func (c *Client) daemons(ctx context.Context, around surroundings) (out []fleet.Daemon, err error) {
	var wrong error
	err = items(ctx, c, "list DaemonSets", "/apis/apps/v1/daemonsets", "", new(appsv1.DaemonSetList), func(l *appsv1.DaemonSetList) {
		for i := range l.Items {
			d := &l.Items[i]
			if d.DeletionTimestamp != nil {
				continue
			}
			p := corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
			p.Namespace, p.Name = d.Namespace, d.Name
			f := fleet.Daemon{Namespace: d.Namespace, Name: d.Name, Labels: p.Labels, Tolerations: append(tolerations(p.Spec.Tolerations), everyNode...)}
			if p.Spec.HostNetwork {
				f.Tolerations = append(f.Tolerations, fleet.Toleration{Key: corev1.TaintNodeNetworkUnavailable, Operator: "Exists", Effect: "NoSchedule"})
			}
			if f.Demand, err = demandOf(&p, around); err != nil {
				wrong = err
			}
			out = append(out, f)
		}
	})
	if err == nil {
		err = wrong
	}
	return out, err
}

// allowed are the budgets with what they allow now. One whose status is behind its spec allows nothing.
func (c *Client) allowed(ctx context.Context) (out []fleet.Budget, selectors []budget, err error) {
	err = items(ctx, c, "list PodDisruptionBudgets", "/apis/policy/v1/poddisruptionbudgets", "", new(policyv1.PodDisruptionBudgetList), func(l *policyv1.PodDisruptionBudgetList) {
		for i := range l.Items {
			b := &l.Items[i]
			s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
			if err != nil {
				s = labels.Nothing()
			}
			f := fleet.Budget{ID: b.Namespace + "/" + b.Name, Allowed: int(b.Status.DisruptionsAllowed)}
			if b.Status.ObservedGeneration < b.Generation {
				f.Allowed = 0
			}
			out, selectors = append(out, f), append(selectors, budget{b.Namespace, b.Name, s})
		}
	})
	return out, selectors, err
}
