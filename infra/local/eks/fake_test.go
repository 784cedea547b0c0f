package eks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

const (
	account     = "111122223333"
	clusterRole = "arn:aws:iam::111122223333:role/cluster"
	nodeRole    = "arn:aws:iam::111122223333:role/nodes/node"
	adminRole   = "arn:aws:iam::111122223333:role/ops/admin"
)

// fakeEC2 has instances that pass through their states in the profile's time, and is Auto Scaling as well.
type fakeEC2 struct {
	w *world.World

	filling   sync.Mutex
	mu        sync.Mutex
	listeners []func(Instance)
	instances map[string]Instance
	groups    map[string]*fakeGroup
	templates map[string]int // versions by id
	broken    bool           // launches fail
	deaf      bool           // instances stay pending
	oneZone   bool           // groups launch in the first of their subnets only
	n         int

	free       map[string]int    // free addresses of a subnet; 250 if not set
	dual       bool              // subnets have IPv6 blocks
	full       bool              // no network interface can be made
	interfaces map[string]string // subnet and security groups by id
	remote     RemoteAccessGroup // that was asked for
	stuck      error             // security groups cannot be deleted
	enis       int
}

type fakeGroup struct {
	spec    GroupSpec
	desired int
	members []string
	failure string
	failing time.Time
	gone    bool
}

func newFakeEC2(w *world.World) *fakeEC2 {
	return &fakeEC2{w: w, instances: map[string]Instance{}, groups: map[string]*fakeGroup{}, templates: map[string]int{}, free: map[string]int{}, interfaces: map[string]string{}}
}

func (f *fakeEC2) OnStateChange(l func(Instance)) { f.listeners = append(f.listeners, l) }

func (f *fakeEC2) Instance(id string) (Instance, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.instances[id]
	return i, ok
}

func (f *fakeEC2) TypeInfo(name string) (InstanceType, bool) {
	t, ok := map[string]InstanceType{
		"m5.large": {Name: "m5.large", VCPU: 2, MemoryMiB: 8192, Arch: "x86_64", MaxPods: 29}, "t3.medium": {Name: "t3.medium", VCPU: 2, MemoryMiB: 4096, Arch: "x86_64", MaxPods: 17},
		"t4g.medium": {Name: "t4g.medium", VCPU: 2, MemoryMiB: 4096, Arch: "arm64", MaxPods: 17},
	}[name]
	return t, ok
}

func (f *fakeEC2) Subnet(id string) (Subnet, bool) {
	az, ok := map[string]string{"subnet-a": "us-east-1a", "subnet-a2": "us-east-1a", "subnet-b": "us-east-1b", "subnet-e": "us-east-1e", "subnet-x": "us-east-1b", "subnet-p": "us-east-1a"}[id]
	vpc := "vpc-1"
	if id == "subnet-x" {
		vpc = "vpc-2"
	}
	free, set := f.free[id]
	if !set {
		free = 250
	}
	return Subnet{ID: id, VPCID: vpc, AZ: az, AZID: f.Zones()[az], IPv6: f.dual, Public: id == "subnet-p", FreeAddresses: free}, ok
}

func (f *fakeEC2) FindLaunchTemplate(idOrName, version string) (LaunchTemplate, error) {
	if idOrName == "lt-image" { // the image of version 2 and on is AWS's for 1.34
		image := publicImage("1.34")
		if version == "1" {
			image = "ami-own"
		}
		return LaunchTemplate{Name: "image", Source: "lt-image", SourceVersion: version, ImageID: image, InstanceType: "m5.large"}, nil
	}
	if idOrName != "lt-own" && idOrName != "own" {
		return LaunchTemplate{}, errors.New("the specified launch template does not exist")
	}
	return LaunchTemplate{Name: "own", Source: "lt-own", SourceVersion: "3", InstanceType: "m5.large"}, nil
}

func publicImage(minor string) string {
	i, _ := catalogue{}.NewestImage("AL2023_x86_64_STANDARD", minor)
	return i.ID
}

func (f *fakeEC2) CreateLaunchTemplate(LaunchTemplate) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := fmt.Sprintf("lt-%d", len(f.templates))
	f.templates[id] = 1
	return id, nil
}

func (f *fakeEC2) NewLaunchTemplateVersion(id string, _ LaunchTemplate) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.templates[id]++
	return nil
}

func (f *fakeEC2) DeleteLaunchTemplate(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.templates, id)
	return nil
}

func (f *fakeEC2) CreateClusterSecurityGroup(string, string, string) (string, error) {
	return "sg-1", nil
}
func (f *fakeEC2) DeleteSecurityGroup(string) error { return f.stuck }

func (f *fakeEC2) enter(id, state string) {
	f.mu.Lock()
	i := f.instances[id]
	i.State = state
	f.instances[id] = i
	listeners := slices.Clone(f.listeners)
	f.mu.Unlock()
	for _, l := range listeners {
		l(i)
	}
}

// only has groups launch in the first of their subnets.
func (f *fakeEC2) only(oneZone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.oneZone = oneZone
}

// launch runs an instance. The caller does not hold the lock.
func (f *fakeEC2) launch(tags map[string]string, typ, subnet string) string {
	f.mu.Lock()
	f.n++
	id, sub := fmt.Sprintf("i-%04d", f.n), subnet
	s, _ := f.Subnet(sub)
	ip := fmt.Sprintf("10.0.0.%d", f.n)
	f.instances[id] = Instance{
		ID: id, Type: typ, AZ: s.AZ, SubnetID: sub, VPCID: s.VPCID, PrivateIP: ip,
		PrivateDNSName: "ip-" + strings.ReplaceAll(ip, ".", "-") + ".ec2.internal", ImageID: "ami-1", Tags: tags, LaunchTime: time.Now(),
	}
	f.mu.Unlock()
	f.enter(id, "pending")
	if !f.deaf {
		f.w.After(f.w.Profile.InstancePending, func() { f.enter(id, "running") })
	}
	return id
}

func (f *fakeEC2) terminate(id string) {
	f.enter(id, "shutting-down")
	f.w.After(f.w.Profile.InstanceShutdown, func() {
		f.enter(id, "terminated")
		f.mu.Lock()
		for _, g := range f.groups {
			g.members = slices.DeleteFunc(g.members, func(m string) bool { return m == id })
		}
		f.mu.Unlock()
		f.fill()
	})
}

// fill launches what the groups lack and ends what they have too much of.
func (f *fakeEC2) fill() {
	f.filling.Lock() // two at once would launch what one of them lacks twice
	defer f.filling.Unlock()
	f.mu.Lock()
	next, step := f.n, 1
	if f.oneZone {
		next, step = 0, 0
	}
	var launch []*fakeGroup
	var end []string
	for _, g := range f.groups {
		for n := len(g.members); n < g.desired && !g.gone; n++ {
			if f.broken {
				g.failure, g.failing = "Could not launch Spot Instances. InsufficientInstanceCapacity", time.Now()
				break
			}
			launch = append(launch, g)
		}
		if len(g.members) > g.desired {
			end = append(end, g.members[g.desired:]...)
			g.members = g.members[:g.desired]
		}
	}
	f.mu.Unlock()
	for _, g := range launch {
		id := f.launch(g.spec.Tags, append(g.spec.InstanceTypes, "m5.large")[0], g.spec.SubnetIDs[next%len(g.spec.SubnetIDs)])
		next += step
		f.mu.Lock()
		g.members = append(g.members, id)
		f.mu.Unlock()
	}
	for _, id := range end {
		f.terminate(id)
	}
}

// fakeTrust trusts the roles that the tests use.
type fakeTrust struct{}

func (fakeTrust) CheckTrust(role, service string) error {
	if role == clusterRole && service == "eks.amazonaws.com" || role == nodeRole && service == "ec2.amazonaws.com" || (role == capabilityRole || role == otherCapabilityRole) && service == capabilityPrincipal {
		return nil
	}
	return errors.New("not trusted")
}

// fakeTokens takes a token for the name of a principal.
type fakeTokens map[string]wire.Principal

func (f fakeTokens) VerifyEKSToken(token, _ string, _ time.Time) (wire.Principal, error) {
	p, ok := f[token]
	if !ok {
		return p, errors.New("token is not valid")
	}
	return p, nil
}

// rig is a service with fakes around it.
type rig struct {
	*Service
	t      *testing.T
	w      *world.World
	ec2    *fakeEC2
	tokens fakeTokens
	mu     sync.Mutex
	planes []*fakePlane
	fail   error // of launches
	events fakeEvents
	patch  bool // AWS patches the platform at the next change
}

func (r *rig) Launch(_ context.Context, spec Spec) (ControlPlane, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return nil, r.fail
	}
	p := &fakePlane{spec: spec, nodes: map[string]Node{}, done: make(chan struct{})}
	r.planes = append(r.planes, p)
	return p, nil
}

func (r *rig) plane() *fakePlane {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.planes[len(r.planes)-1]
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, tokens: fakeTokens{}}
	r.start(world.Real, r, nil)
	return r
}

func (r *rig) start(profile world.Profile, launcher Launcher, webhook func(string) string) {
	t, w := r.t, world.New(account, "us-east-1", profile, 1, slog.New(slog.DiscardHandler))
	r.w, r.ec2 = w, newFakeEC2(w)
	r.Service = New(w, Options{
		TokenWebhook: webhook,
		Launcher:     launcher, EC2: r.ec2, AutoScaling: r.ec2, IAM: fakeTrust{}, STS: r.tokens, Dir: t.TempDir(), Events: &r.events,
		PlatformUpdate: func() bool { p := r.patch; r.patch = false; return p },
	})
	t.Cleanup(func() { r.Close(); w.Close() })
}

// asAdmin is a call in a session of a role with a path.
func asAdmin() *wire.Call {
	return &wire.Call{Account: account, Region: "us-east-1", Caller: wire.Principal{
		Account: account, RoleARN: adminRole, ARN: "arn:aws:sts::111122223333:assumed-role/admin/me@example.com", UserID: "AROA1:me@example.com",
	}}
}

func clusterInput() *createClusterIn {
	return &createClusterIn{
		Name: "c", Version: "1.35", RoleARN: clusterRole, ResourcesVPCConfig: vpcConfigRequest{SubnetIDs: []string{"subnet-a", "subnet-b"}},
		AccessConfig: &accessConfigRequest{AuthenticationMode: modeAPI}, ClientRequestToken: "t1",
	}
}

func intp(n int) *int { return &n }

func nodegroupInput() *createNodegroupIn {
	return &createNodegroupIn{
		ClusterName: "c", NodegroupName: "ng", NodeRole: nodeRole, Subnets: []string{"subnet-a", "subnet-b"}, InstanceTypes: []string{"m5.large"},
		ScalingConfig: &scalingConfig{intp(1), intp(4), intp(2)}, CapacityType: "SPOT", Labels: map[string]string{"team": "a"},
		Taints: []taint{{"spot", "true", "NO_SCHEDULE"}},
	}
}

func (r *rig) mustCluster() {
	r.t.Helper()
	if _, err := r.createCluster(r.t.Context(), asAdmin(), clusterInput()); err != nil {
		r.t.Fatal(err)
	}
	r.until(func() bool { return r.clusters["c"].status == active })
}

func (r *rig) mustNodegroup() {
	r.t.Helper()
	if _, err := r.createNodegroup(r.t.Context(), asAdmin(), nodegroupInput()); err != nil {
		r.t.Fatal(err)
	}
	r.until(func() bool { return r.clusters["c"].nodegroups["ng"].status == active })
}

// until waits for a condition on the service's state; the bubble's clock makes a day short.
func (r *rig) until(cond func() bool) {
	r.t.Helper()
	if !r.await(r.t.Context(), 24*time.Hour, cond) {
		r.t.Fatal("it never came about")
	}
}

func (r *rig) updateEnds(u *updateOut, err error) updateShape {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	var got updateShape
	r.until(func() bool {
		for _, have := range r.clusters["c"].updates {
			if have.id == u.Update.ID && have.status != inProgress {
				got = have.view().Update
				return true
			}
		}
		return false
	})
	return got
}

func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, message) {
		t.Errorf("got %v, want %s with %q", err, code, message)
	}
}
