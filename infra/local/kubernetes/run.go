package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/pkg/controller/podgc"

	"github.com/ekspedite/ekspedite/infra/local/kubernetes/addons"
	"github.com/ekspedite/ekspedite/infra/local/kubernetes/control"
	"github.com/ekspedite/ekspedite/infra/local/kubernetes/kubelet"
	"github.com/ekspedite/ekspedite/infra/local/kubernetes/plane"
)

// ready is the one line on standard output.
type ready struct {
	Endpoint        string `json:"endpoint"`
	CAData          string `json:"caData"`
	Control         string `json:"control"`
	AdminKubeconfig string `json:"adminKubeconfig"`
	Version         string `json:"version"`
	ReadyMillis     int64  `json:"readyMillis"`
}

// run brings everything up, prints the ready line and stays until ctx ends or a component fails.
func run(ctx context.Context, s settings, stdout io.Writer) error {
	start := time.Now()
	listener, err := net.Listen("tcp4", s.listen)
	if err != nil {
		return err
	}
	p, err := plane.Start(ctx, plane.Config{
		Dir: s.data, Version: s.version, Listener: listener, ServiceCIDR: s.serviceCIDR,
		TokenWebhook: s.tokenWebhook, NodeGrace: s.nodeGrace,
	})
	if err != nil {
		return ended(ctx, err)
	}
	defer p.Stop(patience)

	client, err := kubernetes.NewForConfig(p.Kubelets)
	if err != nil {
		return err
	}
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	kubelets, err := startKubelets(working, client, p.GitVersion)
	if err != nil {
		return err
	}
	failed, err := serveControl(s.socket(), kubelets, p.Witness)
	if err != nil {
		return err
	}
	defer os.Remove(s.socket())

	if s.systemAddons {
		if err := addons.Apply(ctx, client, s.serviceCIDR, s.version.String()); err != nil {
			return ended(ctx, err)
		}
	}
	if err := awaitNamespaces(ctx, client); err != nil {
		return ended(ctx, err)
	}
	if err := json.NewEncoder(stdout).Encode(ready{
		Endpoint:        p.Endpoint,
		CAData:          base64.StdEncoding.EncodeToString(p.CA),
		Control:         s.socket(),
		AdminKubeconfig: p.AdminKubeconfig,
		Version:         p.GitVersion,
		ReadyMillis:     time.Since(start).Milliseconds(),
	}); err != nil {
		return fmt.Errorf("report readiness: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.Failed():
		return err
	case err := <-failed:
		return err
	}
}

// ended is nil when the failure is only that this process was told to end while it was starting.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// The pod garbage collector's periods. Kubernetes looks every 20 s and lets a missing node return for another 40 s;
// pods of a machine that the cloud says is gone would stay for a minute, and nothing here ever returns.
const (
	gcPeriod     = 500 * time.Millisecond
	gcQuarantine = 250 * time.Millisecond
	// gcThreshold of finished pods is Kubernetes' default.
	gcThreshold = 12500
)

// startKubelets runs the kubelet stand-in and the pod garbage collector. They share their informers.
func startKubelets(ctx context.Context, client kubernetes.Interface, version string) (*kubelet.Kubelets, error) {
	slim := informers.WithTransform(func(obj any) (any, error) {
		// Who wrote which field is half of a pod's size, and nobody here asks.
		if o, ok := obj.(metav1.Object); ok {
			o.SetManagedFields(nil)
		}
		return obj, nil
	})
	bound := informers.NewSharedInformerFactoryWithOptions(client, 0, slim, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	}))
	all := informers.NewSharedInformerFactoryWithOptions(client, 0, slim)
	pods, nodes := bound.Core().V1().Pods(), all.Core().V1().Nodes()
	kubelets, err := kubelet.New(client, pods, nodes, version)
	if err != nil {
		return nil, err
	}
	collector := podgc.NewPodGCInternal(ctx, client, pods, nodes, gcThreshold, gcPeriod, gcQuarantine)
	bound.Start(ctx.Done())
	all.Start(ctx.Done())
	go collector.Run(ctx)
	go func() { _ = kubelets.Run(ctx) }() // Its only error is that ctx ended.
	return kubelets, nil
}

// serveControl serves the control API on the socket until the process ends.
func serveControl(path string, machines control.Machines, witness *plane.Witness) (<-chan error, error) {
	// A process that was killed leaves its socket behind; the lock on the directory says that nobody listens there.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	failed := make(chan error, 1)
	server := &http.Server{Handler: control.Handler(machines, witness.Collect), ReadHeaderTimeout: 10 * time.Second}
	go func() { failed <- fmt.Errorf("control API: %w", server.Serve(listener)) }()
	return failed, nil
}

// awaitNamespaces waits for what clients of a new cluster take for granted. The default service account comes from the
// controller manager, so it also shows that the controllers work.
func awaitNamespaces(ctx context.Context, client kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for _, namespace := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, "kube-node-lease"} {
		for {
			_, err := client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
			if err == nil {
				break
			}
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("namespace %s: %w", namespace, err)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return fmt.Errorf("namespace %s has no default service account after a minute: the controllers do not work", namespace)
			}
		}
	}
	return nil
}
