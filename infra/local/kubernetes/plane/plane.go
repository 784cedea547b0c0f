// Package plane runs a whole Kubernetes control plane inside one process: etcd, kube-apiserver, kube-scheduler,
// kube-controller-manager and the pod garbage collector, each as goroutines. One process starts in about half the time
// and memory of four, which is what lets a laptop hold several clusters.
package plane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/ekspedite/ekspedite/infra/local/kubernetes/pki"
)

// Config says how one control plane is to run.
type Config struct {
	// Dir is an existing directory, absolute, that holds everything that must survive a restart.
	Dir string
	// Version is the Kubernetes minor version to emulate.
	Version Version
	// Listener is where the API server listens; it must be bound to a loopback address.
	Listener net.Listener
	// ServiceCIDR is the range of the Services' cluster addresses.
	ServiceCIDR *net.IPNet
	// TokenWebhook receives a TokenReview for every bearer token that is not a service account's; may be empty.
	TokenWebhook string
	// NodeGrace is how long a node may be silent before it counts as NotReady.
	NodeGrace time.Duration
}

// Plane is a running control plane.
type Plane struct {
	// Endpoint is the API server's address, https://127.0.0.1:port.
	Endpoint string
	// CA is the PEM certificate to verify the endpoint with.
	CA []byte
	// AdminKubeconfig is the path of a kubeconfig with every right.
	AdminKubeconfig string
	// GitVersion is what /version reports.
	GitVersion string
	// Kubelets is the client configuration for the kubelet stand-in.
	Kubelets *rest.Config
	// Witness knows which deprecated APIs are called.
	Witness *Witness

	etcd   *embed.Etcd
	failed chan error
	// The clients of the API server stop before it does, and it stops before etcd. Otherwise each shutdown waits out
	// the time-outs of the one that needs it.
	stopWorkers, stopAPI context.CancelFunc
	apiDone              chan struct{}
}

// The identities in client certificates. All are members of system:masters: they are the machinery of the control
// plane itself, and per-controller roles would only slow its start down without protecting anything on a laptop.
const masters = "system:masters"

// Start brings the control plane up and returns when the API server is ready. The caller must Stop it, also after a
// failure is reported on Failed.
func Start(ctx context.Context, cfg Config) (_ *Plane, err error) {
	p := &Plane{
		Endpoint:   "https://" + cfg.Listener.Addr().String(),
		GitVersion: cfg.Version.GitVersion(),
		Witness:    &Witness{calls: map[callKey]*DeprecatedCall{}},
		failed:     make(chan error, 8),
		apiDone:    make(chan struct{}),
	}
	files, err := p.prepare(cfg)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", cfg.Dir, err)
	}
	files.etcdURL = "unix://" + filepath.Join(cfg.Dir, "etcd.sock")
	if p.etcd, err = startEtcd(ctx, filepath.Join(cfg.Dir, "etcd"), files.etcdURL); err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	go func() {
		if err, open := <-p.etcd.Err(); open && err != nil {
			p.fail("etcd", err)
		}
	}()

	// Stopping is ours to order, so the goroutines do not hang on the caller's context.
	apiContext, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	workers, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	p.stopAPI, p.stopWorkers = stopAPI, stopWorkers
	defer func() {
		if err != nil {
			p.Stop(time.Second)
		}
	}()
	server, err := newAPIServer(apiContext, cfg, files, p.Witness)
	if err != nil {
		close(p.apiDone)
		return nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	go func() {
		defer close(p.apiDone)
		if err := server.Run(apiContext); err != nil {
			p.fail("kube-apiserver", err)
		}
	}()
	if err := p.awaitReady(ctx); err != nil {
		return nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	if err := p.startWorkers(workers, cfg, files); err != nil {
		return nil, err
	}
	return p, nil
}

// Failed delivers the error of a component that ended by itself.
func (p *Plane) Failed() <-chan error { return p.failed }

// Stop ends all components, waiting for an orderly end only as long as patience lasts. Cutting it short is safe: every
// write that a client was told about is in etcd's write-ahead log file by then.
func (p *Plane) Stop(patience time.Duration) {
	deadline := time.After(patience)
	p.stopWorkers()
	p.stopAPI()
	select {
	case <-p.apiDone:
	case <-deadline:
		return
	}
	closed := make(chan struct{})
	go func() { p.etcd.Close(); close(closed) }()
	select {
	case <-closed:
	case <-deadline:
	}
}

func (p *Plane) fail(component string, err error) {
	select {
	case p.failed <- fmt.Errorf("%s: %w", component, err):
	default: // Somebody has failed before; the first reason is the useful one.
	}
}

// files are the paths and credentials that the components' flags refer to.
type files struct {
	etcdURL            string
	caFile             string
	serverCert         string
	serverKey          string
	serviceAccountKey  string
	schedulerConfig    string
	controllersConfig  string
	tokenWebhookConfig string
}

func (p *Plane) prepare(cfg Config) (files, error) {
	dir := filepath.Join(cfg.Dir, "pki")
	authority, err := pki.Open(dir)
	if err != nil {
		return files{}, err
	}
	p.CA = authority.PEM
	f := files{caFile: authority.Path()}
	if f.serviceAccountKey, err = pki.SigningKey(dir); err != nil {
		return files{}, err
	}
	serving, err := authority.Server(
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		[]net.IP{net.IPv4(127, 0, 0, 1), firstAddress(cfg.ServiceCIDR)})
	if err != nil {
		return files{}, err
	}
	if f.serverCert, f.serverKey, err = serving.Write(dir, "kube-apiserver"); err != nil {
		return files{}, err
	}
	for _, k := range []struct {
		user, file string
		path       *string
	}{
		{"kubernetes-admin", "admin.kubeconfig", &p.AdminKubeconfig},
		{"system:kube-scheduler", "kube-scheduler.kubeconfig", &f.schedulerConfig},
		{"system:kube-controller-manager", "kube-controller-manager.kubeconfig", &f.controllersConfig},
	} {
		pair, err := authority.Client(k.user, masters)
		if err != nil {
			return files{}, err
		}
		*k.path = filepath.Join(cfg.Dir, k.file)
		if err := writeKubeconfig(*k.path, p.Endpoint, p.CA, k.user, pair); err != nil {
			return files{}, err
		}
	}
	kubelets, err := authority.Client("ekspedite:kubelets", masters)
	if err != nil {
		return files{}, err
	}
	p.Kubelets = &rest.Config{
		Host:            p.Endpoint,
		TLSClientConfig: rest.TLSClientConfig{CAData: p.CA, CertData: kubelets.Cert, KeyData: kubelets.Key},
		// One stand-in plays hundreds of kubelets, each of which would have a budget of its own.
		QPS: -1,
		ContentConfig: rest.ContentConfig{
			ContentType:        "application/vnd.kubernetes.protobuf",
			AcceptContentTypes: "application/vnd.kubernetes.protobuf,application/json",
		},
		UserAgent: "ekspedite-kubelet",
	}
	if cfg.TokenWebhook != "" {
		f.tokenWebhookConfig = filepath.Join(cfg.Dir, "token-webhook.kubeconfig")
		return f, writeWebhookConfig(f.tokenWebhookConfig, cfg.TokenWebhook)
	}
	return f, nil
}

// awaitReady polls /readyz, and the health that kube-apiserver has by then includes its bootstrap RBAC roles and
// priority classes.
func (p *Plane) awaitReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(p.Kubelets)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, last = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(attempt)
		cancel()
		if last == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case err := <-p.failed:
			return err
		case <-p.apiDone:
			return errors.New("ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w (last answer: %w)", ctx.Err(), last)
		}
	}
}

// firstAddress of a Service range is the one that the kubernetes Service itself gets.
func firstAddress(network *net.IPNet) net.IP {
	ip := append(net.IP(nil), network.IP...)
	for i := len(ip) - 1; i >= 0; i-- {
		if ip[i]++; ip[i] != 0 {
			break
		}
	}
	return ip
}

func removeSocket(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
