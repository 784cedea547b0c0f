package eks

import (
	"context"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/controlplane"
)

// Kubernetes launches real control planes.
type Kubernetes struct {
	// Binary returns the path of the control plane's program, building it when it must: see controlplane.Binary.
	Binary func(context.Context) (string, error)
	// NodeMonitorGracePeriod is how long a silent node counts as ready; Kubernetes' default when zero.
	NodeMonitorGracePeriod time.Duration
	// CertificateFile has what the API server believes beside what this machine does, PEM; none when empty.
	CertificateFile string
}

// Launch starts a control plane process.
func (k Kubernetes) Launch(ctx context.Context, spec Spec) (ControlPlane, error) {
	binary, err := k.Binary(ctx)
	if err != nil {
		return nil, err
	}
	p, err := controlplane.Start(ctx, controlplane.Options{
		Binary: binary, Dir: spec.Dir, Version: spec.Version, ServiceCIDR: spec.ServiceCIDR, TokenWebhook: spec.TokenWebhook,
		SystemAddons: !spec.NoAddons, NodeMonitorGracePeriod: k.NodeMonitorGracePeriod,
		CertificateFile: k.CertificateFile,
	})
	if err != nil {
		return nil, err
	}
	admin, err := newAdmin(p.AdminKubeconfig())
	if err != nil {
		return nil, fmt.Errorf("%w (stop: %v)", err, p.Stop(context.WithoutCancel(ctx)))
	}
	return &process{ControlPlane: p, admin: admin}, nil
}

// process is a control plane with a client for what EKS does through the Kubernetes API.
type process struct {
	*controlplane.ControlPlane
	*admin
}

func (p *process) PutNode(ctx context.Context, n Node) error {
	var taints []controlplane.Taint
	for _, t := range n.Taints {
		taints = append(taints, controlplane.Taint(t))
	}
	return p.ControlPlane.PutNode(ctx, controlplane.Node{
		Name: n.Name, ProviderID: n.ProviderID, Labels: n.Labels, Taints: taints, Capacity: n.Capacity, Allocatable: n.Allocatable,
		InternalIP: n.InternalIP, KubeletVersion: n.KubeletVersion, Devices: n.Devices,
		OSImage: n.OSImage, KernelVersion: n.KernelVersion, ContainerRuntimeVersion: n.ContainerRuntimeVersion,
	})
}

// Deprecated implements Witness.
func (p *process) Deprecated(ctx context.Context) ([]DeprecatedCall, error) {
	calls, err := p.ControlPlane.Deprecated(ctx)
	out := make([]DeprecatedCall, len(calls))
	for i, c := range calls {
		out[i] = DeprecatedCall(c)
	}
	return out, err
}

// Stop ends the process; it has a limit of its own and is killed after.
func (p *process) Stop() error { return p.ControlPlane.Stop(context.Background()) }
