package interruption

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// sweep has planned drains looked at that are due, and looks for machines that fail without a word: AWS sends no event when a status
// check fails, and none that is sure to arrive when EC2 schedules something. What it finds gets messages of its own. What it could
// not read, the next sweep does.
func (w *Work) sweep(ctx context.Context, d handler.Delivery) handler.Outcome {
	plans, err := w.Ledger.PlannedDrains(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	clusters, err := w.Ledger.Clusters(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	var out handler.Outcome
	known := map[string]map[string]ledger.PlannedDrain{w.Region: {}} // by Region and machine
	for _, id := range clusters {
		known[id.Region] = map[string]ledger.PlannedDrain{}
	}
	for _, p := range plans {
		if known[p.Region] == nil {
			known[p.Region] = map[string]ledger.PlannedDrain{}
		}
		known[p.Region][p.InstanceID] = p
		out.Sends = append(out.Sends, due(p, w.Now())...)
	}
	var mu sync.Mutex
	var told []events.Event
	blind := 0
	var wg sync.WaitGroup
	for region, plans := range known {
		wg.Go(func() {
			p := &patrol{hearing: w.hearing(region, d.Event.ID), plans: plans}
			err := p.look(ctx)
			mu.Lock()
			defer mu.Unlock()
			out.Sends, told = append(out.Sends, p.sends...), append(told, p.told...)
			switch {
			case w.elsewhere(region, err): // a cluster that was asked for where this role may not act
			case err != nil:
				blind++
				obs.Log(ctx).Warn("could not look at the machines of a Region: the next sweep does", "region", region, "error", err)
			}
		})
	}
	wg.Wait()
	w.Metrics.Count("SweepBlindRegions", blind)
	if err := w.Bus.Publish(ctx, told...); err != nil {
		return handler.Failed(err)
	}
	slices.SortFunc(out.Sends, func(a, b handler.Send) int { return strings.Compare(a.ID, b.ID) })
	obs.Log(ctx).Info("sweep", "regions", len(known), "unreadable", blind, "planned", len(plans), "messages", len(out.Sends))
	return out
}

// patrol is a look at the machines of one Region.
type patrol struct {
	*hearing
	plans map[string]ledger.PlannedDrain
	sends []handler.Send
}

// look asks EC2 what is the matter in the Region. Whatever it names that is of no cluster is left alone, and all of it is read with one
// call.
func (p *patrol) look(ctx context.Context) error {
	machines := p.Open(p.region).Machines
	var failing []fleet.Impairment
	var scheduled []fleet.ScheduledEvent
	var failingErr, scheduledErr error
	var wg sync.WaitGroup
	wg.Go(func() { failing, failingErr = machines.Impaired(ctx) })
	wg.Go(func() { scheduled, scheduledErr = machines.Scheduled(ctx) })
	wg.Wait()
	ids := map[string]bool{}
	for _, f := range failing {
		ids[f.InstanceID] = true
	}
	for _, s := range scheduled {
		ids[s.InstanceID] = true
	}
	ours := map[string]fleet.Instance{}
	if len(ids) > 0 {
		list, err := machines.Machines(ctx, slices.Sorted(maps.Keys(ids)))
		if err != nil {
			return err
		}
		for _, i := range ownedOf(list) {
			ours[i.ID] = i
		}
	}
	if scheduledErr == nil {
		scheduledErr = p.scheduled(ctx, ours, scheduled)
	}
	if failingErr == nil {
		failingErr = p.failing(ctx, ours, failing)
	}
	return cmp.Or(failingErr, scheduledErr)
}

// scheduled takes what EC2 has scheduled into what is planned, and what it does not show any more out of it.
func (p *patrol) scheduled(ctx context.Context, ours map[string]fleet.Instance, list []fleet.ScheduledEvent) error {
	notices := map[string]map[string]interruption.Notice{} // by machine and event
	for _, e := range list {
		known := p.plans[e.InstanceID]
		if ours[e.InstanceID].ID == "" || e.Over && len(known.Plan) == 0 { // it is shown for a week after its end
			continue
		}
		if notices[e.InstanceID] == nil {
			notices[e.InstanceID] = map[string]interruption.Notice{}
		}
		notices[e.InstanceID][cmp.Or(e.ID, e.Code)] = interruption.Notice{Cause: string(events.CauseScheduledEvent), Code: e.Code, Start: e.NotBefore, Over: e.Over, SaidAt: p.Now()}
	}
	for id, known := range p.plans {
		plan, err := decodePlan(plannedDoc{known})
		if err != nil {
			return err
		}
		for name, n := range plan.Notices {
			if _, shown := notices[id][name]; n.Cause != string(events.CauseScheduledEvent) || n.Over || shown {
				continue
			}
			n.Over, n.SaidAt = true, p.Now()
			if notices[id] == nil {
				notices[id] = map[string]interruption.Notice{}
			}
			notices[id][name] = n
		}
	}
	for _, id := range slices.Sorted(maps.Keys(notices)) {
		plan, err := decodePlan(plannedDoc{p.plans[id]})
		if err != nil {
			return err
		}
		news := false
		for name, n := range notices[id] {
			_, is := plan.Hear(name, n)
			news = news || is
		}
		if !news { // nearly always: a scheduled event stands there for weeks
			continue
		}
		inst, ok := ours[id]
		if !ok { // only what is over
			inst = fleet.Instance{ID: id, Tags: map[string]string{fleet.TagEKSCluster: p.plans[id].Cluster}}
		}
		send, err := p.hear(ctx, inst, notices[id])
		if err != nil {
			return err
		}
		p.sends = append(p.sends, send...)
	}
	return nil
}

// failing has machines drained that fail their status checks, cluster by cluster.
func (p *patrol) failing(ctx context.Context, ours map[string]fleet.Instance, list []fleet.Impairment) error {
	byCluster := map[string][]fleet.Impairment{}
	for _, f := range list {
		if i, ok := ours[f.InstanceID]; ok {
			byCluster[i.Cluster()] = append(byCluster[i.Cluster()], f)
		}
	}
	p.Metrics.Count("MachinesImpaired", len(list))
	var first error
	for _, cluster := range slices.Sorted(maps.Keys(byCluster)) {
		if err := p.sortOut(ctx, cluster, byCluster[cluster]); err != nil {
			first = cmp.Or(first, err) // the other clusters are not held up
		}
	}
	return first
}

func (p *patrol) sortOut(ctx context.Context, cluster string, failing []fleet.Impairment) error {
	o, err := p.owner(ctx, cluster)
	if err != nil {
		return err
	}
	policy := o.policy.Interruption.StatusChecks
	now := p.Now()
	if t := interruption.SortOut(now, len(failing), failing, fleet.StatusCheckPolicy{Action: policy.Action, After: policy.After, MaxUnhealthy: 1}); len(t.Drain) == 0 && t.Report == "" {
		return nil // none has failed for long enough: the cluster need not be asked
	}
	nodes, err := p.Open(p.region).Clusters.Nodes(ctx, cluster)
	if err != nil {
		return err
	}
	all, err := nodes.Nodes(ctx)
	if err != nil {
		return err
	}
	machines := len(slices.DeleteFunc(all, func(n fleet.Node) bool { return n.InstanceID() == "" }))
	t := interruption.SortOut(now, machines, failing, policy)
	if t.Report != "" {
		return p.report(ctx, fleet.ClusterID{Region: p.region, Name: cluster}, t.Report)
	}
	for _, i := range t.Drain {
		id := fmt.Sprintf("status/%s/%s/%d", p.region, i.InstanceID, i.Since.Unix())
		known, err := p.Ledger.Drain(ctx, i.InstanceID)
		if err != nil {
			return err
		}
		if known.RunID != "" && decodeSignal(known.Signal, interruption.Signal{}).EventID == id {
			continue // it is being drained, or was, since it fails
		}
		p.sends = append(p.sends, handler.Send{ID: id, Event: &events.MachineSignal{
			InstanceID: i.InstanceID, Region: p.region, Cause: events.CauseStatusCheck, Signal: i.Check + "-check-failed",
			SaidAt: now, Deadline: now.Add(policy.Deadline), Fate: events.FateEnded,
		}})
	}
	return nil
}

// report tells once what is left alone.
func (p *patrol) report(ctx context.Context, id fleet.ClusterID, text string) error {
	p.Metrics.Count("ImpairedLeftAlone", 1)
	obs.Log(ctx).Warn("impaired machines are left alone", "cluster", id.String(), "why", text)
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:10])
	if told, err := p.Ledger.Told(ctx, id, "status"); err != nil || told == hash {
		return err
	}
	now := p.Now().Truncate(time.Minute)
	done := events.RunFinished{
		RunID: "status-" + hash, Function: "interruption", Subject: events.Subject{Cluster: id.Name, Region: id.Region},
		Outcome: events.OutcomeNothingToDo, Reason: text, StartedAt: now, FinishedAt: now,
	}
	e, err := events.New(&done, p.NewID(), p.Now(), p.Account, p.Work.Region)
	if err != nil {
		return err
	}
	if err := p.Ledger.SaveRun(ctx, done); err != nil {
		return err
	}
	if err := p.Bus.Publish(ctx, e); err != nil {
		return err
	}
	return p.Ledger.Tell(ctx, id, "status", hash)
}
