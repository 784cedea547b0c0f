package interruption_test

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/events"
	local "github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// twoRegions are two clusters, one of them in another Region than the function, each with a group of EKS's and one of ours. Groups are
// of one zone: over several Auto Scaling evens them out by ending machines itself.
const twoRegions = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: near, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
vpc: {nat: {gateway: Disable}, clusterEndpoints: {publicAccess: true, privateAccess: true}}
accessConfig: {authenticationMode: API}
managedNodeGroups: [{name: base, instanceType: m5.large, minSize: 1, desiredCapacity: 3, maxSize: 3, availabilityZones: [us-east-1a]}]
nodeGroups: [{name: own, instanceType: m5.large, minSize: 1, desiredCapacity: 3, maxSize: 3, availabilityZones: [us-east-1a]}]
---
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: far, region: eu-west-1, version: "1.36"}
availabilityZones: [eu-west-1a, eu-west-1b]
vpc: {nat: {gateway: Disable}, clusterEndpoints: {publicAccess: true, privateAccess: true}}
accessConfig: {authenticationMode: API}
managedNodeGroups: [{name: base, instanceType: m5.large, minSize: 1, desiredCapacity: 3, maxSize: 3, availabilityZones: [eu-west-1a]}]
nodeGroups: [{name: own, instanceType: m5.large, minSize: 1, desiredCapacity: 3, maxSize: 3, availabilityZones: [eu-west-1a]}]
`

var (
	near = fleet.ClusterID{Region: region, Name: "near"}
	far  = fleet.ClusterID{Region: away, Name: "far"}
)

// fleetRig is the function with the embedded cloud around it: AWS is spoken to by the real SDK with the role's permissions, and
// Kubernetes is a small stand-in.
type fleetRig struct {
	*cloudtest.Rig
	planes *cloudtest.Planes
	role   string
	mu     sync.Mutex
	nodes  map[string]fleet.Node // that were cordoned, or given back
	empty  map[string]bool       // nodes whose pod was evicted
	tokens map[fleet.ClusterID]string
	// held are machines whose pods no budget lets go, forced when they were deleted past it.
	held   map[string]bool
	forced map[string]time.Time
}

// inRegions runs a test with both clusters there. The template's Regions are given.
func inRegions(t *testing.T, regions string, test func(t *testing.T, r *fleetRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		planes := &cloudtest.Planes{}
		r := &fleetRig{Rig: cloudtest.New(t, local.Fast, planes), planes: planes, nodes: map[string]fleet.Node{}, empty: map[string]bool{}, tokens: map[fleet.ClusterID]string{}, forced: map[string]time.Time{}}
		r.Build(twoRegions)
		r.Function, r.Timeout, r.Visibility, r.Receives = "interruption", timeout, visibility, maxReceives
		r.Parameters = map[string]string{"Regions": regions}
		r.role = r.Role("../../../infra/template", "InterruptionFunctionRole")
		r.Work = func(s *cloudtest.Session) handler.Work { return r.work(s).Handle }
		test(t, r)
	})
}

// work is the function in a new execution environment.
func (r *fleetRig) work(s *cloudtest.Session) *interruption.Work {
	l := &ledger.Ledger{Store: s, Now: time.Now}
	return &interruption.Work{
		Open: func(region string) interruption.Reach {
			cfg := awscloud.InRegion(r.As(r.role, s), region)
			compute := awscloud.NewCompute(cfg)
			return interruption.Reach{Instances: compute, Groups: compute, Machines: compute, Targets: awscloud.NewTargets(cfg, time.Now), Clusters: entrance{r, s, cfg}}
		},
		Policies: l, Ledger: l, Bus: s, Account: cloudtest.Account, Region: cloudtest.Region, NewID: r.ID, Now: time.Now,
	}
}

// entrance finds clusters as access.Directory does.
type entrance struct {
	r   *fleetRig
	s   *cloudtest.Session
	cfg awscloud.Config
}

func (e entrance) Nodes(ctx context.Context, name string) (interruption.Nodes, error) {
	c, err := awscloud.NewClusters(e.cfg).Cluster(ctx, name)
	if err != nil {
		return nil, err
	}
	token, err := awscloud.NewTokens(e.cfg, time.Now).Token(ctx, name)
	if err != nil {
		return nil, err
	}
	e.r.mu.Lock()
	defer e.r.mu.Unlock()
	e.r.tokens[fleet.ClusterID{Region: e.cfg.Region, Name: c.Name}] = token
	return standIn{e.r, e.s, e.r.planes.Of(name)}, nil
}

// standIn is a cluster's API server: each node has a pod, which goes at once.
type standIn struct {
	r     *fleetRig
	s     *cloudtest.Session
	plane *cloudtest.Plane
}

func (k standIn) Nodes(ctx context.Context) ([]fleet.Node, error) {
	return cloudtest.Read(ctx, k.s, "kube.Nodes", func() ([]fleet.Node, error) { return k.r.nodesOf(k.plane), nil })
}

func (k standIn) Node(ctx context.Context, name string) (n fleet.Node, err error) {
	list, err := k.Nodes(ctx)
	if i := slices.IndexFunc(list, func(n fleet.Node) bool { return n.Name == name }); i >= 0 {
		return list[i], err
	}
	if err == nil {
		err = fault.New(fault.NotFound, "no node %s", name)
	}
	return n, err
}

func (k standIn) PodsOn(ctx context.Context, node string) ([]fleet.Pod, error) {
	return cloudtest.Read(ctx, k.s, "kube.PodsOn", func() (out []fleet.Pod, err error) {
		k.r.mu.Lock()
		defer k.r.mu.Unlock()
		if !k.r.empty[node] {
			out = append(out, fleet.Pod{Namespace: "default", Name: "web-" + node, UID: "uid-web-" + node, Node: node, Phase: "Running", Grace: 30 * time.Second,
				Owner: fleet.Owner{Kind: "ReplicaSet", Name: "web"}})
		}
		return out, nil
	})
}

func (k standIn) Cordon(ctx context.Context, c plan.CordonNode) error {
	return k.change(ctx, c.Node, func(n *fleet.Node) {
		n.Unschedulable, n.Taints, n.Labels, n.Annotations = true, c.Taints, merged(n.Labels, c.Labels), merged(n.Annotations, c.Annotations)
	})
}

// Uncordon is for runs that fail: here every node goes, but those that are held.
func (k standIn) Uncordon(ctx context.Context, u plan.UncordonNode) error {
	if !k.isHeld(u.Node) {
		k.r.T.Error("a node was given back")
	}
	return k.change(ctx, u.Node, func(n *fleet.Node) { n.Unschedulable, n.Taints = u.Unschedulable, u.Taints })
}

// machine is the one under a node.
func (k standIn) machine(node string) string {
	list := k.r.nodesOf(k.plane)
	if i := slices.IndexFunc(list, func(n fleet.Node) bool { return n.Name == node }); i >= 0 {
		return list[i].InstanceID()
	}
	return ""
}

func (k standIn) isHeld(node string) bool {
	machine := k.machine(node)
	k.r.mu.Lock()
	defer k.r.mu.Unlock()
	return k.r.held[machine]
}

func (k standIn) Attachments(context.Context) ([]fleet.Attachment, error) { return nil, nil }

func (k standIn) ClaimedVolume(context.Context, fleet.Claim) (string, error) { return "", nil }

func (k standIn) Record(context.Context, plan.RecordEvent) error { return nil }

// OutOfService is for machines that have stopped.
func (k standIn) OutOfService(context.Context, plan.OutOfService) error {
	k.r.T.Error("a node was declared out of service")
	return nil
}

func (k standIn) change(ctx context.Context, name string, edit func(*fleet.Node)) error {
	return k.s.Call(ctx, "kube.Patch", func() error {
		list := k.r.nodesOf(k.plane)
		i := slices.IndexFunc(list, func(n fleet.Node) bool { return n.Name == name })
		if i < 0 {
			return fault.New(fault.NotFound, "no node %s", name)
		}
		k.r.mu.Lock()
		defer k.r.mu.Unlock()
		edit(&list[i])
		k.r.nodes[list[i].UID] = list[i]
		return nil
	})
}

func (k standIn) Evict(ctx context.Context, e plan.EvictPod) error {
	if k.isHeld(strings.TrimPrefix(e.Name, "web-")) {
		return k.s.Call(ctx, "kube.Evict", func() error { return fault.New(fault.Blocked, "violates the budget") })
	}
	return k.end(ctx, e.Name)
}

func (k standIn) Delete(ctx context.Context, d plan.DeletePod) error {
	machine := k.machine(strings.TrimPrefix(d.Name, "web-"))
	k.r.mu.Lock()
	k.r.forced[machine] = time.Now()
	k.r.mu.Unlock()
	return k.end(ctx, d.Name)
}

func (k standIn) end(ctx context.Context, pod string) error {
	return k.s.Call(ctx, "kube.Evict", func() error {
		k.r.mu.Lock()
		defer k.r.mu.Unlock()
		k.r.empty[strings.TrimPrefix(pod, "web-")] = true
		return nil
	})
}

// nodesOf are a cluster's, as they are now.
func (r *fleetRig) nodesOf(p *cloudtest.Plane) []fleet.Node {
	list, err := p.Nodes(context.Background())
	if err != nil {
		r.T.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, n := range list {
		if changed, ok := r.nodes[n.UID]; ok {
			list[i] = changed
		}
	}
	return list
}

// shape is how many machines each group of a cluster is to have, by its name.
func (r *fleetRig) shape(id fleet.ClusterID) map[string]int {
	r.T.Helper()
	list, err := awscloud.NewNodeGroups(awscloud.InRegion(r.Config(r.Cloud), id.Region), time.Now).Groups(context.Background(), id.Name)
	if err != nil {
		r.T.Fatal(err)
	}
	out := map[string]int{}
	for _, g := range list {
		out[g.Name] = g.Desired
	}
	return out
}

// giveUp asks for a node of a group, waits for the end, and gives the result and the machine.
func (r *fleetRig) giveUp(id fleet.ClusterID, group string, replace bool) (events.RunFinished, string) {
	r.T.Helper()
	members := map[string]bool{}
	list, err := awscloud.NewNodeGroups(awscloud.InRegion(r.Config(r.Cloud), id.Region), time.Now).Groups(context.Background(), id.Name)
	if err != nil {
		r.T.Fatal(err)
	}
	for _, g := range list {
		for _, m := range g.Members {
			members[m.InstanceID] = g.Name == group && m.State == "InService"
		}
	}
	for _, n := range r.nodesOf(r.planes.Of(id.Name)) {
		machine := n.ProviderID[strings.LastIndexByte(n.ProviderID, '/')+1:]
		if !members[machine] {
			continue
		}
		before := len(r.Finished())
		ask := &events.NodeRemovalRequested{Cluster: id.Name, Region: id.Region, Node: n.Name, NodeUID: n.UID, InstanceID: machine, Group: group, Reason: events.RemovalManual, Replace: replace}
		r.Send(ask)
		r.RunUntil(func() bool { return r.Queue.Len() == 0 }, time.Now().Add(time.Hour))
		if done := r.Finished(); len(done) == before+1 {
			return done[before], machine
		}
		return events.RunFinished{}, machine
	}
	r.T.Fatalf("no node of group %s of %s", group, id)
	return events.RunFinished{}, ""
}

// TestNodesOfTwoRegions: what the template allows the function is what it takes to give up and to replace nodes of both kinds
// of groups, in its own Region and in another; and what happens in one is not felt in the other.
func TestNodesOfTwoRegions(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		for _, id := range []fleet.ClusterID{near, far} {
			other := near
			if id == near {
				other = far
			}
			there := r.shape(other)
			for _, group := range []string{"base", "own"} {
				for _, replaced := range []bool{false, true} {
					before := r.shape(id)[group]
					done, machine := r.giveUp(id, group, replaced)
					if done.Outcome != events.OutcomeNodeRemoved || done.Subject.Region != id.Region || done.Subject.Cluster != id.Name || done.Counts["podsEvicted"] != 1 {
						t.Errorf("a node of %s of %s, to be replaced: %t: %+v\ndead letters %v", group, id, replaced, done, r.Queue.Dead())
					}
					if _, ended := done.Timings["eventToMachineEnded"]; !ended {
						t.Errorf("machine %s of %s was ended by somebody else", machine, id)
					}
					want := before
					if !replaced {
						want--
					}
					if got := r.shape(id)[group]; got != want {
						t.Errorf("group %s of %s: %d machines are wanted, want %d", group, id, got, want)
					}
					i, err := awscloud.NewCompute(awscloud.InRegion(r.Config(r.Cloud), id.Region)).Instance(t.Context(), machine)
					if err != nil || !i.Gone() {
						t.Errorf("machine %s of %s: %s, %v", machine, id, i.State, err)
					}
				}
			}
			if after := r.shape(other); after["base"] != there["base"] || after["own"] != there["own"] {
				t.Errorf("%s had %v, and has %v", other, there, after)
			}
			token, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(r.tokens[id], "k8s-aws-v1."))
			if err != nil || !strings.Contains(string(token), "%2F"+id.Region+"%2Fsts%2F") {
				t.Errorf("the token for %s is not signed for its Region: %s, %v", id, token, err)
			}
		}
		for _, d := range r.Denied(r.role) {
			t.Error(d)
		}
	})
}

// TestARegionThatIsNotAllowed: without the parameter the other Region is denied, and the request soon ends as a dead letter that
// says so; the own Region works.
func TestARegionThatIsNotAllowed(t *testing.T) {
	inRegions(t, "", func(t *testing.T, r *fleetRig) {
		before, began := r.shape(far), time.Now()
		if done, _ := r.giveUp(far, "base", false); done.Outcome != "" {
			t.Errorf("in a Region that is denied: %+v", done)
		}
		dead := r.Queue.Dead()
		if took := time.Since(began); len(dead) != 1 || !strings.Contains(dead[0].Reason, "UnauthorizedOperation") || took > time.Minute {
			t.Errorf("after %s: dead letters %v", took, dead)
		}
		if after := r.shape(far); after["base"] != before["base"] {
			t.Errorf("%s had %v, and has %v", far, before, after)
		}
		if done, _ := r.giveUp(near, "base", false); done.Outcome != events.OutcomeNodeRemoved {
			t.Errorf("at home: %+v", done)
		}
	})
}
