// Package eks is Amazon EKS in the embedded cloud: clusters with a real Kubernetes control plane behind each, managed
// node groups over Auto Scaling groups, access entries, add-ons, and updates that are tracked by id.
//
// Time passes as in AWS: a call returns at once with a status such as CREATING and the work goes on in the background.
package eks

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Trust tells whether a role's trust policy lets a service assume it: the IAM service.
type Trust interface {
	CheckTrust(roleARN, servicePrincipal string) error
	RoleTrust
}

// Tokens verifies the presigned GetCallerIdentity URL inside an EKS bearer token: the STS service.
type Tokens interface {
	VerifyEKSToken(token, clusterName string, now time.Time) (wire.Principal, error)
}

// Options are the neighbours of the service and its knobs.
type Options struct {
	Launcher    Launcher
	EC2         EC2
	AutoScaling AutoScaling
	IAM         Trust
	STS         Tokens
	// Keys checks the keys of encryption configurations. Nil takes every ARN that looks like a key's.
	Keys Keys
	// Logs gets the log group of control planes whose logs are switched on. Nil is none.
	Logs Logs
	// OldestPlane is the oldest minor that Launcher can start, "1.34" when empty: what one Kubernetes binary emulates.
	OldestPlane string

	// Dir holds one folder per cluster. Keep it short: a unix socket lives inside, and its path may have 103 bytes.
	Dir string
	// TokenWebhook is the URL at which a cluster's API server can reach Review.
	TokenWebhook func(cluster string) string

	// PlatformUpdate is asked at every change of a cluster that a customer wants. If it is true, AWS has just begun to
	// patch the control plane by itself and the customer's change is refused with 409. Nil is never.
	PlatformUpdate func() bool
	// StrictSkew makes node groups follow the control plane minor by minor, as the SDK's documentation says. Off, kubelets
	// may be three minors older, as the user guide says and as EKS behaves.
	StrictSkew bool
	// InsightGate makes UpdateClusterVersion refuse an upgrade that an upgrade insight stands against, unless it is forced. EKS
	// announced that in March 2025, and withdrew it soon after.
	InsightGate bool
	// EvictionPatience is how long a PodDisruptionBudget may block the drain of a node; EKS's 15 minutes when zero.
	EvictionPatience time.Duration
	// Events gets what EKS tells EventBridge about add-ons. Nil is nobody.
	Events Events
}

// Events takes events of AWS services: the default bus.
type Events interface {
	Emit(source, detailType string, resources []string, detail any)
}

// Service is EKS of one account in one Region.
type Service struct {
	w   *world.World
	opt Options

	mu       sync.Mutex // guards the rest, and everything reachable from it
	changed  chan struct{}
	clusters map[string]*cluster
	machines map[string]*machine // by instance id
	failures []Failure
	closed   bool
}

// New makes the service and subscribes to EC2's instances. Close it before the world.
func New(w *world.World, opt Options) *Service {
	s := &Service{w: w, opt: opt, changed: make(chan struct{}), clusters: map[string]*cluster{}, machines: map[string]*machine{}}
	opt.EC2.OnStateChange(s.instanceChanged)
	return s
}

// Close ends every control plane and keeps their folders.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	var planes []ControlPlane
	for _, c := range s.clusters {
		c.cancel()
		if c.plane != nil {
			planes = append(planes, c.plane)
		}
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range planes {
		wg.Go(func() {
			if err := p.Stop(); err != nil {
				s.w.Log.Warn("eks: a control plane did not stop in order", "error", err)
			}
		})
	}
	wg.Wait()
}

// ClusterInfo is what the assembly shows of a cluster.
type ClusterInfo struct {
	Region                string
	Name, Version, Status string
	Endpoint              string
	CAData                string // base64 of PEM, as in a kubeconfig
	AdminKubeconfig       string // path; empty until the control plane is up
}

// Clusters lists all clusters by name.
func (s *Service) Clusters() []ClusterInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []ClusterInfo
	for _, name := range sortedKeys(s.clusters) {
		c := s.clusters[name]
		info := ClusterInfo{Region: s.w.Region, Name: name, Version: c.version, Status: c.status}
		if c.plane != nil {
			info.Endpoint, info.CAData, info.AdminKubeconfig = c.plane.Endpoint(), c.plane.CAData(), c.plane.AdminKubeconfig()
		}
		list = append(list, info)
	}
	return list
}

// touch wakes everybody who awaits a condition. The caller holds s.mu.
func (s *Service) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until cond, which is called with s.mu held, is true. It is false when ctx or the patience ends first.
func (s *Service) await(ctx context.Context, patience time.Duration, cond func() bool) bool {
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		s.mu.Lock()
		ok, changed := cond(), s.changed
		s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-t.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// clusterDir is where a cluster's control plane keeps its data. Names are up to 100 characters, which would make the
// socket's path too long, so the folder is named by a number of ours.
func (s *Service) clusterDir() string { return filepath.Join(s.opt.Dir, "c"+s.w.Hex(6)) }

func removeAll(dir string) error {
	if dir == "" {
		return nil
	}
	return os.RemoveAll(dir)
}

// API is the service as the gateway serves it.
func (s *Service) API() *wire.Service {
	ops := s.clusterOps()
	ops = append(ops, s.nodegroupOps()...)
	ops = append(ops, s.encryptionOps()...)
	ops = append(ops, s.identityOps()...)
	ops = append(ops, s.capabilityOps()...)
	ops = append(ops, s.updateOps()...)
	ops = append(ops, s.accessOps()...)
	ops = append(ops, s.addonOps()...)
	ops = append(ops, s.podIdentityOps()...)
	ops = append(ops, s.fargateOps()...)
	ops = append(ops, s.tagOps()...)
	ops = append(ops, s.versionOps()...)
	ops = append(ops, s.authorityOps()...)
	ops = append(ops, s.insightOps()...)
	return &wire.Service{Name: "eks", Protocol: wire.RESTJSON, Ops: ops}
}
