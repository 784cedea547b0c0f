package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrStopped says that the control plane was stopped, or has died; Err tells which.
var ErrStopped = errors.New("the Kubernetes control plane is not running")

// Options of one control plane.
type Options struct {
	// Binary is the program, as Binary returns it.
	Binary string
	// Dir holds the cluster's data and outlives restarts. Unix sockets are in it: keep the path below 90 bytes.
	Dir string
	// Version is the Kubernetes minor version, "1.36".
	Version string
	// Listen is where the API server listens, 127.0.0.1:0 when empty.
	Listen string
	// ServiceCIDR is the range of the Services' addresses, 172.20.0.0/16 when empty.
	ServiceCIDR string
	// TokenWebhook is the URL that receives TokenReviews; without it only certificates and service accounts get in.
	TokenWebhook string
	// SystemAddons makes the control plane create aws-node, kube-proxy and coredns, as EKS does.
	SystemAddons bool
	// NodeMonitorGracePeriod is how long a silent node still counts as ready, 50 s when zero.
	NodeMonitorGracePeriod time.Duration
	// CertificateFile has certificates, PEM, that the API server believes when it calls a webhook, beside those in the folders
	// of this machine; none when empty. On AWS it would be Amazon's own.
	CertificateFile string
}

// ControlPlane is a running control plane. Its methods may be called concurrently; those that talk to it run one after
// the other, and wait while an upgrade restarts it.
type ControlPlane struct {
	turn chan struct{} // holds a value while nobody is at it; a mutex that gives up when a context ends
	done chan struct{}

	// Only who has the turn writes these.
	options Options
	nodes   map[string]*knownNode

	mu    sync.Mutex
	child *child
	err   error
	over  bool
}

// knownNode is what must be told to the control plane again when it restarts: machines do not end with it.
type knownNode struct {
	node    Node
	stopped bool
}

// Start runs a control plane and returns when it is ready, after about two seconds. ctx bounds only the start.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	if options.Binary == "" || options.Dir == "" || options.Version == "" {
		return nil, errors.New("control plane: Binary, Dir and Version are required")
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, err
	}
	options.Dir = dir
	if options.Listen == "" {
		options.Listen = "127.0.0.1:0"
	}
	c := &ControlPlane{
		turn: make(chan struct{}, 1), done: make(chan struct{}),
		options: options, nodes: map[string]*knownNode{},
	}
	if err := c.launch(ctx); err != nil {
		return nil, err
	}
	c.turn <- struct{}{}
	return c, nil
}

// Endpoint is the API server's address, https://127.0.0.1:port. It stays the same over upgrades.
func (c *ControlPlane) Endpoint() string { return c.current().ready.Endpoint }

// CAData is the PEM of the certificate to verify the endpoint with, in base64, as EKS's DescribeCluster returns it.
func (c *ControlPlane) CAData() string { return c.current().ready.CAData }

// AdminKubeconfig is the path of a kubeconfig that may do everything.
func (c *ControlPlane) AdminKubeconfig() string { return c.current().ready.AdminKubeconfig }

// GitVersion is what the API server reports, v1.36.0-eks-….
func (c *ControlPlane) GitVersion() string { return c.current().ready.Version }

// Done is closed when the control plane has ended for good, by Stop or by itself. An upgrade does not close it.
func (c *ControlPlane) Done() <-chan struct{} { return c.done }

// Err is nil while the control plane runs and after Stop. When it died, it is the reason, with the end of its log.
func (c *ControlPlane) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// PutNode tells that a machine exists: it will register as a Node and run pods. It does not wait for the registration.
// A node with another provider ID under the same name replaces the former one.
func (c *ControlPlane) PutNode(ctx context.Context, node Node) error {
	return c.do(ctx, func(ctx context.Context, ch *child) error {
		if err := ch.call(ctx, "PUT", nodePath(node.Name), node, nil); err != nil {
			return fmt.Errorf("put node %s: %w", node.Name, err)
		}
		known := c.nodes[node.Name]
		stopped := known != nil && known.node.ProviderID == node.ProviderID && known.stopped
		c.nodes[node.Name] = &knownNode{node: node, stopped: stopped}
		return nil
	})
}

// DeleteNode tells that a machine is gone. The Node is deleted by then; its pods follow within two seconds. To delete a
// node that does not exist is no error.
func (c *ControlPlane) DeleteNode(ctx context.Context, name string) error {
	return c.do(ctx, func(ctx context.Context, ch *child) error {
		if err := ch.call(ctx, "DELETE", nodePath(name), nil, nil); err != nil {
			return fmt.Errorf("delete node %s: %w", name, err)
		}
		delete(c.nodes, name)
		return nil
	})
}

// StopNode silences the kubelet of a machine and freezes its containers, as when an instance hangs.
func (c *ControlPlane) StopNode(ctx context.Context, name string) error {
	return c.setStopped(ctx, name, true)
}

// StartNode lets a stopped machine go on.
func (c *ControlPlane) StartNode(ctx context.Context, name string) error {
	return c.setStopped(ctx, name, false)
}

func (c *ControlPlane) setStopped(ctx context.Context, name string, stopped bool) error {
	verb := "start"
	if stopped {
		verb = "stop"
	}
	return c.do(ctx, func(ctx context.Context, ch *child) error {
		if err := ch.call(ctx, "POST", nodePath(name)+"/"+verb, nil, nil); err != nil {
			return fmt.Errorf("%s node %s: %w", verb, name, err)
		}
		if known := c.nodes[name]; known != nil {
			known.stopped = stopped
		}
		return nil
	})
}

// Nodes lists the machines that the control plane knows of, by name.
func (c *ControlPlane) Nodes(ctx context.Context) ([]NodeStatus, error) {
	var answer struct{ Nodes []NodeStatus }
	err := c.do(ctx, func(ctx context.Context, ch *child) error { return ch.call(ctx, "GET", "/nodes", nil, &answer) })
	return answer.Nodes, err
}

// DeprecatedCall is one client's use of one API that a later Kubernetes minor, Removed, serves no more.
type DeprecatedCall struct {
	Group, Version, Resource, Removed, UserAgent string
	Count                                        int
	LastRequest                                  time.Time
}

// Deprecated returns the calls of deprecated APIs since it was called last. An upgrade forgets those that nobody asked for.
func (c *ControlPlane) Deprecated(ctx context.Context) ([]DeprecatedCall, error) {
	var answer struct{ Calls []DeprecatedCall }
	err := c.do(ctx, func(ctx context.Context, ch *child) error { return ch.call(ctx, "POST", "/deprecated", nil, &answer) })
	return answer.Calls, err
}

// Upgrade restarts the control plane at another version, a newer or an older one, over the same data and port, and tells it about the machines
// again. When it does not come up at that version, the former one is started again and the error says why.
func (c *ControlPlane) Upgrade(ctx context.Context, version string) error {
	return c.do(ctx, func(ctx context.Context, ch *child) error {
		former := c.options
		c.options.Version, c.options.Listen = version, strings.TrimPrefix(ch.ready.Endpoint, "https://")
		if err := c.halt(ctx, ch); err != nil {
			c.options = former
			return fmt.Errorf("upgrade to %s: %w", version, err)
		}
		err := c.launch(ctx)
		if err != nil {
			err = fmt.Errorf("upgrade to %s: %w", version, err)
			c.options.Version = former.Version
			// The caller's context may be why it failed, and a cluster must not be lost by that.
			back, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
			defer cancel()
			if again := c.launch(back); again != nil {
				err = errors.Join(err, fmt.Errorf("start %s again: %w", former.Version, again))
				c.finish(err)
				return err
			}
			ctx = back
		}
		return errors.Join(err, c.replay(ctx))
	})
}

// Stop ends the control plane and keeps its data. When ctx ends first, the process is killed. It may be called again.
func (c *ControlPlane) Stop(ctx context.Context) error {
	err := c.do(ctx, func(ctx context.Context, ch *child) error {
		err := c.halt(ctx, ch)
		c.finish(nil)
		return err
	})
	if errors.Is(err, ErrStopped) {
		return nil
	}
	return err
}

// replay tells a restarted control plane about the machines; who calls it has the turn.
func (c *ControlPlane) replay(ctx context.Context) error {
	ch := c.current()
	var errs []error
	for name, known := range c.nodes {
		node := known.node
		node.RegisterDelayMillis = 0 // It has booted long ago.
		err := ch.call(ctx, "PUT", nodePath(name), node, nil)
		if err == nil && known.stopped {
			err = ch.call(ctx, "POST", nodePath(name)+"/stop", nil, nil)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("put node %s again: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// do runs f when it is this caller's turn.
func (c *ControlPlane) do(ctx context.Context, f func(context.Context, *child) error) error {
	select {
	case <-c.turn:
	case <-c.done:
		return errors.Join(ErrStopped, c.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if over {
		return errors.Join(ErrStopped, c.Err())
	}
	return f(ctx, c.current())
}

func (c *ControlPlane) current() *child {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.child
}

// launch starts a process and makes it the current one.
func (c *ControlPlane) launch(ctx context.Context) error {
	if err := os.MkdirAll(c.options.Dir, 0o700); err != nil {
		return err
	}
	ch, err := launch(ctx, c.options)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.child = ch
	c.mu.Unlock()
	go func() {
		<-ch.exited
		if !ch.expected.Load() {
			c.finish(ch.failure("died"))
		}
	}()
	return nil
}

// halt ends the process, which is expected from here on.
func (c *ControlPlane) halt(ctx context.Context, ch *child) error {
	ch.expected.Store(true)
	return ch.stop(ctx)
}

func (c *ControlPlane) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over, c.err = true, err
	close(c.done)
}
