package bench

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/batch"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// simulation is AWS and an API server that do nothing but take their time: every machine whose id begins as instanceID's do is
// a cluster's, with a node and no pods.
type simulation struct {
	calls atomic.Int64
	store ledger.Memory
}

func (s *simulation) call() {
	s.calls.Add(1)
	time.Sleep(apiLatency)
}

func ours(id string) bool { return strings.HasPrefix(id, "i-0a") }

// open gives an execution environment its Region, with the same sharing of calls as the function's own.
func (s *simulation) open() func(string) interruption.Reach {
	machines := &batch.Batcher[fleet.Instance]{Most: 1000, Wait: 5 * time.Millisecond, Read: s.describe,
		Missing: func(id string) error { return fault.New(fault.NotFound, "no instance %s", id) }}
	groups := &batch.Batcher[fleet.ScalingGroup]{Most: 50, Wait: 5 * time.Millisecond, Missing: func(string) error { return nil },
		Read: func(context.Context, []string) (map[string]batch.Answer[fleet.ScalingGroup], error) {
			s.call()
			return nil, nil
		}}
	r := interruption.Reach{Instances: instances{machines}, Groups: idleGroups{groups}, Clusters: oneCluster{&apiServer{s}}, Machines: manyInstances{s},
		Known: &access.Machines{Now: time.Now, List: func(context.Context) ([]string, error) {
			s.call()
			out := make([]string, 5000)
			for i := range out {
				out[i] = instanceID(i)
			}
			return out, nil
		}}}
	return func(string) interruption.Reach { return r }
}

func (s *simulation) describe(_ context.Context, ids []string) (map[string]batch.Answer[fleet.Instance], error) {
	s.call()
	out := map[string]batch.Answer[fleet.Instance]{}
	for _, id := range ids {
		if ours(id) {
			out[id] = batch.Answer[fleet.Instance]{Value: fleet.Instance{ID: id, State: "running", Spot: true, PrivateDNSName: id, Tags: map[string]string{fleet.TagEKSCluster: "demo"}}}
		}
	}
	return out, nil
}

type instances struct{ *batch.Batcher[fleet.Instance] }

func (i instances) Instance(ctx context.Context, id string) (fleet.Instance, error) {
	return i.Get(ctx, id)
}

// manyInstances are EC2 as Health events and sweeps ask it.
type manyInstances struct{ s *simulation }

func (m manyInstances) Machines(ctx context.Context, ids []string) (out []fleet.Instance, err error) {
	found, err := m.s.describe(ctx, ids)
	for _, a := range found {
		out = append(out, a.Value)
	}
	return out, err
}
func (manyInstances) InReservation(context.Context, string) ([]fleet.Instance, error) {
	return nil, nil
}
func (manyInstances) Impaired(context.Context) ([]fleet.Impairment, error)      { return nil, nil }
func (manyInstances) Scheduled(context.Context) ([]fleet.ScheduledEvent, error) { return nil, nil }

// idleGroups are Auto Scaling where no machine is in a group.
type idleGroups struct {
	*batch.Batcher[fleet.ScalingGroup]
}

func (g idleGroups) ScalingGroup(ctx context.Context, id string) (fleet.ScalingGroup, error) {
	return g.Get(ctx, id)
}
func (idleGroups) GroupState(context.Context, string) (fleet.GroupState, error) {
	return fleet.GroupState{}, nil
}
func (idleGroups) GroupSize(context.Context, string) (int, int, error)             { return 0, 0, nil }
func (idleGroups) ReplaceInstance(context.Context, string, string) error           { return nil }
func (idleGroups) Heartbeat(context.Context, string, string, string, string) error { return nil }
func (idleGroups) EndInstance(context.Context, string, string, bool) error         { return nil }
func (idleGroups) CompleteLifecycleAction(context.Context, string, string, string, string) error {
	return nil
}

type oneCluster struct{ server *apiServer }

func (c oneCluster) Nodes(context.Context, string) (interruption.Nodes, error) { return c.server, nil }

type apiServer struct{ s *simulation }

func (a *apiServer) Node(_ context.Context, name string) (fleet.Node, error) {
	a.s.call()
	return fleet.Node{Name: name, UID: name, ProviderID: "aws:///us-east-1a/" + name, ResourceVersion: "1", Ready: true}, nil
}

func (a *apiServer) Nodes(context.Context) ([]fleet.Node, error) {
	return nil, fmt.Errorf("every node is found by its name here")
}

func (a *apiServer) PodsOn(context.Context, string) ([]fleet.Pod, error) {
	a.s.call()
	return nil, nil
}

func (a *apiServer) Cordon(_ context.Context, _ plan.CordonNode) error {
	a.s.call()
	return nil
}

func (a *apiServer) Attachments(context.Context) ([]fleet.Attachment, error)    { return nil, nil }
func (a *apiServer) ClaimedVolume(context.Context, fleet.Claim) (string, error) { return "", nil }
func (a *apiServer) OutOfService(context.Context, plan.OutOfService) error      { return nil }
func (a *apiServer) Record(context.Context, plan.RecordEvent) error {
	a.s.call()
	return nil
}
func (a *apiServer) Evict(context.Context, plan.EvictPod) error        { return nil }
func (a *apiServer) Delete(context.Context, plan.DeletePod) error      { return nil }
func (a *apiServer) Uncordon(context.Context, plan.UncordonNode) error { return nil }

// Policy implements interruption.Policies.
func (s *simulation) Policy(context.Context, fleet.ClusterID) (fleet.Policy, error) {
	s.call()
	return fleet.DefaultPolicy(), nil
}

// Get implements ledger.Store, as do the next two.
func (s *simulation) Get(ctx context.Context, k ledger.Key) (ledger.Document, error) {
	s.call()
	return s.store.Get(ctx, k)
}

// Put writes.
func (s *simulation) Put(ctx context.Context, d ledger.Document) error {
	s.call()
	return s.store.Put(ctx, d)
}

// Query lists.
func (s *simulation) Query(ctx context.Context, p, prefix string) ([]ledger.Document, error) {
	s.call()
	return s.store.Query(ctx, p, prefix)
}
