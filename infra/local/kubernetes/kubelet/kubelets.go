// Package kubelet stands in for the kubelets of all machines of a cluster. It registers Nodes, renews their leases and
// runs the pods bound to them, without containers: a pod's annotations say how it behaves. One shared informer and a
// few queue workers serve hundreds of nodes and thousands of pods; nothing here has a goroutine of its own per pod.
package kubelet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// ErrUnknown says that no machine has the given name.
var ErrUnknown = errors.New("no such machine")

const (
	podWorkers  = 32
	nodeWorkers = 8
	byNode      = "node"
)

// Kubelets are the kubelets of all machines of one cluster. All methods may be called concurrently.
type Kubelets struct {
	client  kubernetes.Interface
	version string

	pods  coreinformers.PodInformer
	nodes coreinformers.NodeInformer

	podQueue  workqueue.TypedRateLimitingInterface[string]
	nodeQueue workqueue.TypedRateLimitingInterface[string]

	mu       sync.Mutex
	machines map[string]*entry
	records  map[string]*record // by namespace/name of the pod
	ranges   ranges
}

// entry is a machine together with its kubelet's state. What is not marked otherwise is guarded by Kubelets.mu.
type entry struct {
	// busy is held while the Node of this machine is being written, so that a deletion does not overtake a
	// registration that is under way. It is taken before Kubelets.mu.
	busy sync.Mutex

	machine    *Machine
	state      State
	err        error
	registerAt time.Time
	frozenAt   time.Time
	reportedAt time.Time // when the Node's status was last written
	network    bool      // the CNI is there; see network.go
	networkBy  time.Time // when it is taken to be
	addresses  addresses // without a range until the Node is registered
}

// New returns kubelets without machines. The pod informer should leave out pods that are bound to no node; version is
// the kubelet's for machines that do not say theirs. Call it before the informers are started.
func New(client kubernetes.Interface, pods coreinformers.PodInformer, nodes coreinformers.NodeInformer, version string) (*Kubelets, error) {
	k := &Kubelets{
		client: client, version: version, pods: pods, nodes: nodes,
		machines:  map[string]*entry{},
		records:   map[string]*record{},
		ranges:    ranges{taken: map[netip.Prefix]string{}},
		podQueue:  newQueue("pods"),
		nodeQueue: newQueue("nodes"),
	}
	if err := pods.Informer().AddIndexers(cache.Indexers{byNode: func(obj any) ([]string, error) {
		return []string{obj.(*corev1.Pod).Spec.NodeName}, nil
	}}); err != nil {
		return nil, err
	}
	enqueue := func(queue workqueue.TypedRateLimitingInterface[string]) cache.ResourceEventHandlerFuncs {
		add := func(obj any) {
			if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
				queue.Add(key)
			}
		}
		return cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, obj any) { add(obj) }, DeleteFunc: add}
	}
	if _, err := pods.Informer().AddEventHandler(enqueue(k.podQueue)); err != nil {
		return nil, err
	}
	// Of a Node only this is of interest: somebody took its kubelet for dead. Every other change would just renew the
	// lease early.
	_, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(_, obj any) {
		if node := obj.(*corev1.Node); !reportsHealthy(node) && k.connected(node.Name) {
			k.nodeQueue.Add(node.Name)
		}
	}})
	return k, err
}

func newQueue(name string) workqueue.TypedRateLimitingInterface[string] {
	// A short ceiling: the server is on the same machine, and a node that is a minute late fails somebody's test.
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](20*time.Millisecond, 2*time.Second),
		workqueue.TypedRateLimitingQueueConfig[string]{Name: "ekspedite-" + name})
}

// Run plays the kubelets until ctx ends. The informers must have been started.
func (k *Kubelets) Run(ctx context.Context) error {
	defer k.podQueue.ShutDown()
	defer k.nodeQueue.ShutDown()
	if !cache.WaitForCacheSync(ctx.Done(), k.pods.Informer().HasSynced, k.nodes.Informer().HasSynced) {
		return ctx.Err()
	}
	k.adoptRanges()
	var workers sync.WaitGroup
	for range podWorkers {
		workers.Go(func() { work(ctx, k.podQueue, k.syncPod) })
	}
	for range nodeWorkers {
		workers.Go(func() { work(ctx, k.nodeQueue, k.syncNode) })
	}
	<-ctx.Done()
	k.podQueue.ShutDown()
	k.nodeQueue.ShutDown()
	workers.Wait()
	return nil
}

// work takes keys until the queue shuts down. sync returns when to look at the key again, zero for never.
func work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[string], sync func(context.Context, string) (time.Duration, error)) {
	for {
		key, down := queue.Get()
		if down {
			return
		}
		again, err := sync(ctx, key)
		switch {
		case err != nil && ctx.Err() == nil:
			klog.FromContext(ctx).Error(err, "kubelet stand-in: will try again", "key", key)
			queue.AddRateLimited(key)
		case err == nil:
			queue.Forget(key)
			if again > 0 {
				queue.AddAfter(key, again)
			}
		}
		queue.Done(key)
	}
}

// Put starts the kubelet of a machine, or updates what is known of it. A machine with another provider ID under the
// same name replaces the former one. It does not wait for the registration.
func (k *Kubelets) Put(m Machine) error {
	if err := m.complete(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	e := k.machines[m.Name]
	if e == nil || e.machine.ProviderID != m.ProviderID {
		fresh := &entry{machine: &m, state: Registering, registerAt: now.Add(m.registerDelay())}
		if e != nil {
			fresh.addresses = e.addresses
			k.forgetRecords(m.Name)
		}
		k.machines[m.Name] = fresh
		k.nodeQueue.AddAfter(m.Name, m.registerDelay())
		return nil
	}
	e.keepDevices(&m)
	e.machine = &m
	if e.state == Running {
		e.state = Registering // Once more through the registration, which updates the Node's status.
	}
	k.nodeQueue.Add(m.Name)
	return nil
}

// Delete is for a machine that is gone: its kubelet stops at once, and the Node is deleted, as the cloud controller
// manager does when the instance does not exist any more. Its pods are left to the pod garbage collector.
func (k *Kubelets) Delete(ctx context.Context, name string) error {
	k.mu.Lock()
	e := k.machines[name]
	delete(k.machines, name)
	k.forgetRecords(name)
	k.mu.Unlock()
	if e != nil {
		e.busy.Lock()
		defer e.busy.Unlock()
		k.mu.Lock()
		if e.addresses.prefix.IsValid() && k.machines[name] == nil {
			k.ranges.release(e.addresses.prefix)
		}
		k.mu.Unlock()
	}
	node, err := k.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		err = k.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &node.UID}})
	}
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete node %s: %w", name, err)
	}
	return nil
}

// Stop silences the kubelet: no heartbeats, and the containers freeze where they are.
func (k *Kubelets) Stop(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.machines[name]
	if e == nil {
		return fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	if e.state != Stopped {
		e.state, e.frozenAt = Stopped, time.Now()
	}
	return nil
}

// Start lets a stopped kubelet go on: its containers continue where they were frozen.
func (k *Kubelets) Start(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.machines[name]
	if e == nil {
		return fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	if e.state != Stopped {
		return nil
	}
	frozen := time.Since(e.frozenAt)
	for _, r := range k.records {
		if r.machine == name {
			r.shift(frozen)
		}
	}
	e.registerAt = e.registerAt.Add(frozen)
	e.state = Registering
	k.nodeQueue.Add(name)
	return nil
}

// List returns all machines by name.
func (k *Kubelets) List() []Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]Status, 0, len(k.machines))
	for name, e := range k.machines {
		s := Status{Name: name, ProviderID: e.machine.ProviderID, State: e.state}
		if e.err != nil {
			s.Error = e.err.Error()
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// connected tells whether a machine's network is there.
func (k *Kubelets) connected(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.machines[name]
	return e != nil && e.network
}

// forgetRecords drops what is known of the pods on a machine; k.mu is held.
func (k *Kubelets) forgetRecords(machine string) {
	for key, r := range k.records {
		if r.machine == machine {
			delete(k.records, key)
		}
	}
}
