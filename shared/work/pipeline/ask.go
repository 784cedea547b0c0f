package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/rollout"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// begin finds out what the action is about, and remembers it before anybody is asked.
func (w *Work) begin(ctx context.Context, t token, p Parameters) (ledger.PipelineAction, error) {
	a := ledger.PipelineAction{ID: t.Request, Action: p.Action, Ring: p.Ring, To: p.To, DryRun: p.DryRun, Soak: time.Duration(p.For), StartedAt: t.Since}
	err := w.findApproval(ctx, p)
	switch {
	case err != nil:
	case p.Action == apply || p.Action == plan:
		err = w.beginApply(ctx, &a, p)
	case p.Action == soak:
		err = w.beginSoak(ctx, &a, p)
	default:
		err = w.beginUpgrade(ctx, &a, p)
	}
	if err != nil {
		return a, err
	}
	saved, err := w.Ledger.SavePipelineAction(ctx, a)
	if fault.Is(err, fault.Conflict) { // the same job, delivered twice
		return w.Ledger.PipelineAction(ctx, t.Request)
	}
	return saved, err
}

// maxSpec is the longest spec that an event can carry: EventBridge takes 256 KiB in all, and JSON escapes.
const maxSpec = 200 << 10

func (w *Work) beginApply(ctx context.Context, a *ledger.PipelineAction, p Parameters) error {
	bucket, key, version, ok, err := place(p.Spec)
	if err != nil {
		return err
	}
	a.Spec = p.Spec
	if ok {
		text, err := w.Files.Read(ctx, bucket, key, version)
		switch {
		case fault.Is(err, fault.NotFound) && version != "":
			return &failure{revisionUnavailable, fmt.Sprintf("spec %s: this version is not there any more: %v", p.Spec, err)}
		case fault.Is(err, fault.NotFound):
			return configuration("spec %s: %v", p.Spec, err)
		case fault.Is(err, fault.Denied):
			return &failure{permissionError, fmt.Sprintf("spec %s: %v; the function may read the bucket that is the output SpecsBucket of the stack ekspedite-data", p.Spec, err)}
		case err != nil:
			return err
		}
		a.Spec = string(text)
	}
	if len(a.Spec) > maxSpec {
		return configuration("spec %s has %d bytes, and one request can carry %d: split it into several actions", p.Spec, len(a.Spec), maxSpec)
	}
	specs, said := spec.Parse([]byte(a.Spec))
	if err := said.Err(); err != nil {
		return configuration("%v", err)
	}
	a.Runs = map[string]string{}
	for _, s := range specs {
		id := fleet.ClusterID{Region: s.Cluster.Region, Name: s.Cluster.Name}
		a.Clusters, a.Runs[id.String()] = append(a.Clusters, id.String()), ledger.RunID(a.ID, id)
	}
	return nil
}

// upgradeRun is the run of an UpgradeRequested.
func upgradeRun(request string, id fleet.ClusterID) string {
	return ledger.RunID("upgrade "+request, id)
}

// beginUpgrade finds the clusters of a check or an upgrade. An upgrade that is under way to the same version is followed, so
// that a stage that is tried again does not ask for a second one.
func (w *Work) beginUpgrade(ctx context.Context, a *ledger.PipelineAction, p Parameters) error {
	if p.Ring != "" && p.Action == upgrade {
		if _, err := w.ring(ctx, p.Ring); err != nil {
			return err
		}
		list, err := w.Ledger.Rollouts(ctx)
		if err != nil {
			return err
		}
		a.Rollout = a.ID
		for _, r := range list {
			if r.Running() && r.Ring == p.Ring && r.To == p.To {
				a.Rollout, a.Asked = r.ID, true
			}
		}
		return nil
	}
	ids, err := w.members(ctx, p)
	if err != nil {
		return err
	}
	a.Runs = map[string]string{}
	for _, id := range ids {
		run := upgradeRun(a.ID, id)
		if p.Action == upgrade {
			now, err := w.Ledger.Upgrade(ctx, id)
			if err != nil {
				return err
			}
			if now.Running() && now.To == p.To && now.Patch == p.Patch {
				run = now.RunID
				if a.Since.IsZero() || now.StartedAt.Before(a.Since) {
					a.Since = now.StartedAt
				}
			}
		}
		a.Clusters, a.Runs[id.String()] = append(a.Clusters, id.String()), run
	}
	return nil
}

// ring finds a ring of the fleet policy.
func (w *Work) ring(ctx context.Context, name string) (fleet.Ring, error) {
	policy, err := w.Ledger.FleetPolicy(ctx)
	if err != nil {
		return fleet.Ring{}, err
	}
	var names []string
	for _, r := range policy.Rings {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return fleet.Ring{}, configuration("ring %q is not in the fleet policy: its rings are %s", name, strings.Join(names, ", "))
}

// members are the clusters that the parameters name, or those of the ring.
func (w *Work) members(ctx context.Context, p Parameters) ([]fleet.ClusterID, error) {
	all, err := w.Ledger.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	if p.Ring == "" {
		var ids []fleet.ClusterID
		for _, name := range p.Clusters {
			id := fleet.ClusterID{Region: w.Region, Name: name}
			if strings.Contains(name, "/") {
				id = fleet.ParseClusterID(name)
			}
			if !slices.Contains(all, id) {
				return nil, configuration("cluster %s is none of ekspedite's: ekspedite cluster list shows them", id)
			}
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return ids, nil
	}
	if _, err := w.ring(ctx, p.Ring); err != nil {
		return nil, err
	}
	policy, err := w.Ledger.FleetPolicy(ctx)
	if err != nil {
		return nil, err
	}
	var clusters []rollout.Cluster
	for _, id := range all {
		own, err := w.Ledger.Policy(ctx, id)
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, rollout.Cluster{ID: id, Ring: own.Upgrade.Ring})
	}
	var ids []fleet.ClusterID
	for _, c := range rollout.Rings(clusters, policy)[p.Ring] {
		ids = append(ids, c.ID)
	}
	if len(ids) == 0 {
		return nil, configuration("no cluster is in ring %s: a cluster's policy says in which it is", p.Ring)
	}
	return ids, nil
}

// ask puts the request on the bus. Asked twice, it is one request: its id is the first job's.
func (w *Work) ask(ctx context.Context, a ledger.PipelineAction, p Parameters) (ledger.PipelineAction, error) {
	list, err := w.requests(a, p)
	if err == nil && len(list) > 0 {
		err = w.Bus.Publish(ctx, list...)
	}
	if err != nil {
		return a, err
	}
	a.Asked, a.Spec = true, "" // the cluster function has it from here on
	saved, err := w.Ledger.SavePipelineAction(ctx, a)
	if fault.Is(err, fault.Conflict) { // the same job, delivered twice
		return w.Ledger.PipelineAction(ctx, a.ID)
	}
	return saved, err
}

func (w *Work) requests(a ledger.PipelineAction, p Parameters) ([]events.Event, error) {
	const why = "a stage of a pipeline asks for it"
	var payloads []events.OwnPayload
	switch {
	case a.Action == apply || a.Action == plan:
		payloads = append(payloads, &events.ClusterApplyRequested{RequestID: a.ID, Spec: a.Spec, DryRun: p.DryRun, Prune: p.Prune})
	case a.Action == soak:
	case a.Action == upgrade && a.Ring != "":
		payloads = append(payloads, &events.RolloutRequested{RequestID: a.ID, Ring: a.Ring, To: a.To.String(), Now: p.Now, Reason: why})
	default:
		for _, c := range a.Clusters {
			id := fleet.ParseClusterID(c)
			if a.Runs[c] != upgradeRun(a.ID, id) {
				continue // it is under way
			}
			payloads = append(payloads, &events.UpgradeRequested{
				RequestID: a.ID, Cluster: id.Name, Region: id.Region, To: a.To.String(), Patch: p.Patch, Now: p.Now, DryRun: a.Action == check, Reason: why,
			})
		}
	}
	var list []events.Event
	for _, payload := range payloads {
		e, err := events.New(payload, w.NewID(), w.Now(), w.Account, w.Region)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}
