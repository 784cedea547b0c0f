package interruption

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// The categories of Health events that are about machines: the others are news.
const (
	categoryScheduled = "scheduledChange"
	categoryIssue     = "issue"
)

// health takes what AWS Health says about machines into what is planned for them. What is due at once gets a message of its own, so
// that a slow cluster holds up no other. The affected account and Region are in the event; the envelope's are the delivery's, which is
// made in a backup Region as well.
func (w *Work) health(ctx context.Context, d handler.Delivery, p *events.HealthEvent) handler.Outcome {
	region, account := cmp.Or(p.EventRegion, d.Event.Region, w.Region), cmp.Or(p.AffectedAccount, d.Event.Account)
	entities := machinesOf(p)
	switch {
	case p.Service != events.HealthServiceEC2 || p.EventTypeCategory != categoryScheduled && p.EventTypeCategory != categoryIssue:
		return w.nothing(ctx, d, fmt.Sprintf("Health's %s about %s is for others", p.EventTypeCategory, p.Service))
	case w.Account != "" && account != "" && account != w.Account:
		return w.nothing(ctx, d, "about account "+account+": another fleet's")
	case len(entities) == 0:
		return w.nothing(ctx, d, p.EventTypeCode+" names no machine")
	}
	end := d.Event.Time.Add(insistence)
	page := ledger.HealthPage{EventARN: p.EventARN, CommunicationID: p.CommunicationID, Account: account, Page: int64(p.Page)}
	by, err := w.Ledger.HealthPageBy(ctx, page)
	switch {
	case err != nil:
		return w.insist(handler.Failed(err), end)
	case by != "" && by != d.Event.ID: // the same one again: what it led to may not have been sent
		return w.nothing(ctx, d, "heard already, by event "+by)
	}
	ids := make([]string, len(entities))
	for i, e := range entities {
		ids[i] = e.EntityValue
	}
	list, err := w.Open(region).Machines.Machines(ctx, ids)
	if w.elsewhere(region, err) {
		w.Metrics.Count("EventsElsewhere", 1)
		return w.nothing(ctx, d, "about Region "+region+", which is another fleet's")
	}
	if err != nil {
		return w.insist(handler.Failed(err), end)
	}
	var out handler.Outcome
	h := w.hearing(region, d.Event.ID)
	for _, i := range ownedOf(list) {
		at := slices.IndexFunc(entities, func(e events.HealthEntity) bool { return e.EntityValue == i.ID })
		send, err := h.hear(ctx, i, map[string]interruption.Notice{p.EventARN: noticeOf(d.Event, p, entities[at])})
		if err != nil {
			return w.insist(handler.Failed(err), end)
		}
		out.Sends = append(out.Sends, send...)
	}
	if err := w.Ledger.HeardHealthPage(ctx, page, d.Event.ID); err != nil {
		return w.insist(handler.Failed(err), end)
	}
	if err := w.Bus.Publish(ctx, h.told...); err != nil {
		return w.insist(handler.Failed(err), end)
	}
	obs.Log(ctx).Info("Health speaks of machines", "code", p.EventTypeCode, "status", p.StatusCode, "region", region, "machines", len(entities), "ours", len(ownedOf(list)), "due", len(out.Sends))
	return w.insist(out, end)
}

// machinesOf are the affected entities that are instances, each once.
func machinesOf(p *events.HealthEvent) (out []events.HealthEntity) {
	for _, e := range p.AffectedEntities {
		e.EntityValue = e.EntityValue[strings.LastIndexByte(e.EntityValue, '/')+1:] // an id, or an ARN that ends with it
		if strings.HasPrefix(e.EntityValue, "i-") && !slices.ContainsFunc(out, func(o events.HealthEntity) bool { return o.EntityValue == e.EntityValue }) {
			out = append(out, e)
		}
	}
	return out
}

// noticeOf is what a Health event says about one machine. Of an issue, the start is when it began and not when anything will happen.
func noticeOf(e events.Event, p *events.HealthEvent, entity events.HealthEntity) interruption.Notice {
	said := p.LastUpdatedTime.Time
	if said.IsZero() {
		said = e.Time
	}
	n := interruption.Notice{
		Cause: string(events.KindHealthEvent), Code: p.EventTypeCode, SaidAt: said,
		Over: p.StatusCode == events.HealthClosed || entity.Status == events.EntityResolved || entity.Status == events.EntityUnimpaired,
	}
	if p.EventTypeCategory == categoryScheduled {
		n.Start = p.StartTime.Time
	} else {
		n.Failing = entity.Status == events.EntityImpaired
	}
	return n
}

// hearing takes notices of several machines into the ledger. What policies say is read once for each cluster.
type hearing struct {
	*Work
	region, by string
	owners     map[string]owner
	told       []events.Event // what is to be published
}

func (w *Work) hearing(region, by string) *hearing {
	return &hearing{Work: w, region: region, by: by, owners: map[string]owner{}}
}

// owner is what a cluster's owner has decided.
type owner struct {
	policy fleet.Policy
	next   func(p interruption.Planned) interruption.Step
}

func (h *hearing) owner(ctx context.Context, cluster string) (owner, error) {
	if o, ok := h.owners[cluster]; ok {
		return o, nil
	}
	id := fleet.ClusterID{Region: h.region, Name: cluster}
	policy, err := h.Policies.Policy(ctx, id)
	if err != nil {
		return owner{}, err
	}
	windows, err := h.windows(ctx, id, policy.Upgrade)
	if err != nil {
		return owner{}, err
	}
	o := owner{policy, func(p interruption.Planned) interruption.Step { return p.Next(h.Now(), policy.Interruption, windows) }}
	h.owners[cluster] = o
	return o, nil
}

// hearTries is how often what is planned is read again that others change at the same moment.
const hearTries = 5

// hear takes notices into what is planned for a machine, and gives the message that has it looked at if that is due.
func (h *hearing) hear(ctx context.Context, i fleet.Instance, notices map[string]interruption.Notice) ([]handler.Send, error) {
	for range hearTries {
		doc, err := h.plannedDoc(ctx, i.ID)
		if err != nil {
			return nil, err
		}
		plan, err := decodePlan(doc)
		if err != nil {
			return nil, err
		}
		news := false
		for name, n := range notices {
			var is bool
			plan, is = plan.Hear(name, n)
			news = news || is
		}
		if news {
			o, err := h.owner(ctx, i.Cluster())
			if err != nil {
				return nil, err
			}
			doc.Cluster = i.Cluster()
			doc.set(plan, o.next(plan), h.Now())
			if _, err = h.Ledger.SavePlannedDrain(ctx, doc.PlannedDrain); fault.Is(err, fault.Conflict) {
				continue
			} else if err != nil {
				return nil, err
			}
			h.tell(doc.PlannedDrain)
		}
		return due(doc.PlannedDrain, h.Now()), nil
	}
	return nil, fault.New(fault.Conflict, "what is planned for %s is being changed by many at once", i.ID)
}

// tell reports what was planned, or that nothing is any more. A report that is lost with its message is no loss: the plan is not.
func (h *hearing) tell(doc ledger.PlannedDrain) {
	step := "DrainPlanned"
	if doc.NextAt.IsZero() {
		step = "DrainCancelled"
	}
	h.Metrics.Count(step, 1)
	e, err := events.New(&events.RunProgressed{
		RunID: "planned-" + doc.InstanceID, Function: "interruption", Step: step, Detail: doc.Why, At: h.Now(),
		Subject: events.Subject{Cluster: doc.Cluster, Region: doc.Region, InstanceID: doc.InstanceID},
	}, h.NewID(), h.Now(), h.Account, h.Region)
	if err == nil {
		h.told = append(h.told, e)
	}
}

// plannedDoc is a planned drain with its plan set.
type plannedDoc struct{ ledger.PlannedDrain }

// set puts a plan into the document, and what follows from it.
func (p *plannedDoc) set(plan interruption.Planned, next interruption.Step, now time.Time) {
	b, err := json.Marshal(plan)
	if err != nil {
		panic(err) // strings, times and bools: cannot fail
	}
	p.Plan, p.Why = b, next.Why
	switch next.Do {
	case interruption.Over:
		p.NextAt = time.Time{}
	case interruption.Wait:
		p.NextAt = next.At
	default:
		p.NextAt = now
	}
}

func decodePlan(doc plannedDoc) (p interruption.Planned, err error) {
	if len(doc.Plan) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(doc.Plan, &p); err != nil {
		return p, fault.New(fault.Invalid, "what is planned for %s is damaged: %v", doc.InstanceID, err)
	}
	return p, nil
}

// due is the message that has a plan looked at, if it is time. Its id follows from the time: however often it is sent, it is one.
func due(doc ledger.PlannedDrain, now time.Time) []handler.Send {
	if doc.NextAt.IsZero() || doc.NextAt.After(now) {
		return nil
	}
	return []handler.Send{{
		ID:    fmt.Sprintf("planned/%s/%s/%d", doc.Region, doc.InstanceID, doc.NextAt.UnixMilli()),
		Event: &events.PlannedDrainDue{InstanceID: doc.InstanceID, Region: doc.Region},
	}}
}
