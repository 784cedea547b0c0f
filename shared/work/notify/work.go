// Package notify is the notify function's work: it tells people of runs, each target of each moment at most once. It wires events,
// policies, decide/notify and the senders together. Nothing waits for it.
package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/webhook"
)

// Policies reads who is to be told.
type Policies interface {
	Policy(ctx context.Context, cluster fleet.ClusterID) (fleet.Policy, error)
	FleetPolicy(ctx context.Context) (fleet.FleetPolicy, error)
}

// Ledger keeps what was sent, and how fast a target is told.
type Ledger interface {
	ClaimNotice(ctx context.Context, n ledger.Notice) (claimed ledger.Notice, ok bool, err error)
	SettleNotice(ctx context.Context, n ledger.Notice, state ledger.NoticeState, reason string) error
	Draw(ctx context.Context, budget string, r ledger.Rate, n int) (granted int, again time.Duration, err error)
}

// Secrets reads a parameter that holds one. One that is not there is fault.NotFound.
type Secrets interface {
	Secret(ctx context.Context, parameter string) (string, error)
}

// Hooks posts to webhooks. See webhook.Client.Post for what its errors mean.
type Hooks interface {
	Post(ctx context.Context, r webhook.Request) error
}

// Topics publishes to SNS, and tries once. Its errors are like those of Hooks.
type Topics interface {
	Publish(ctx context.Context, topicARN string, b notify.Body) error
}

// Work has what the function needs.
type Work struct {
	Policies Policies
	Ledger   Ledger
	Secrets  Secrets
	Hooks    Hooks
	Topics   Topics
	Links    notify.Links
	Region   string // the function's own
	NewID    func() string
	Now      func() time.Time
	Metrics  *obs.Metrics
}

// news is what one delivery is about.
type news struct {
	report  notify.Report
	cluster fleet.ClusterID // of no name: the fleet
	only    string          // the only target that is meant; "" for all
}

// Handle is a handler.BatchWork.
func (w *Work) Handle(ctx context.Context, list []handler.Delivery) []handler.Outcome {
	all := make([]*news, len(list))
	for i, d := range list {
		n, why := w.newsOf(d.Event)
		if why == "" && notify.Stale(w.Now(), n.report) {
			why = "the run began too long ago"
		}
		if why != "" {
			obs.Log(ctx).Info("nobody is told", "event", d.Event, "why", why)
			continue
		}
		all[i] = &n
	}
	targets, errs := w.targets(ctx, all)
	results := make([]results, len(list))
	queues := map[string]*queue{}
	for i, n := range all {
		if n == nil {
			continue
		}
		if errs[i] != nil {
			results[i].add("the policy", errs[i], 0)
			continue
		}
		for _, t := range targets[i] {
			if n.only != "" && n.only != t.Name || !notify.Wants(t, n.report) {
				continue
			}
			id := identity(t)
			if queues[id] == nil {
				queues[id] = &queue{Work: w, id: id, target: t, items: map[string]*item{}}
			}
			queues[id].add(n.report, &results[i])
		}
	}
	// Each target on its own: one that is slow or dead holds up no other.
	var wg sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for _, q := range queues {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			q.serve(ctx)
		})
	}
	wg.Wait()
	out := make([]handler.Outcome, len(list))
	for i := range results {
		out[i] = results[i].outcome(list[i].Received, w.Now().Sub(list[i].Event.Time))
	}
	return out
}

// atOnce is how many targets are told at the same time. Few fleets have more.
const atOnce = 32

// identity is what makes a target the same in two policies: everything that is said of it.
func identity(t fleet.NotificationTarget) string {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings only
	}
	return string(b)
}

// newsOf reads what an event tells. The second result says why it is nothing to tell.
func (w *Work) newsOf(e events.Event) (n news, why string) {
	subject := func(s events.Subject) {
		n.report.Cluster, n.report.Region, n.report.Node, n.report.InstanceID, n.report.NodeGroup =
			s.Cluster, cmp.Or(s.Region, w.Region), s.Node, s.InstanceID, s.NodeGroup
	}
	switch p := e.Payload.(type) {
	case *events.RunStarted:
		n.report = notify.Report{Moment: fleet.MomentStarted, RunID: p.RunID, Function: p.Function, Cause: string(p.Cause), Reason: p.Reason,
			EventTime: p.EventTime, StartedAt: p.StartedAt, Deadline: p.Deadline}
		subject(p.Subject)
	case *events.RunFinished:
		n.report = notify.Report{Moment: fleet.MomentFinished, RunID: p.RunID, Function: p.Function, Cause: string(p.Cause), Outcome: p.Outcome, Reason: p.Reason,
			EventTime: p.EventTime, StartedAt: p.StartedAt, FinishedAt: p.FinishedAt, Counts: p.Counts, Left: p.Blocked}
		for _, f := range p.Failures {
			n.report.Failures = append(n.report.Failures, join(": ", f.Resource, f.Code, f.Text, f.Fix))
		}
		subject(p.Subject)
	case *events.NotificationTestRequested:
		n.report = notify.Samples()["a drain that was cut short"][0]
		n.report.Moment, n.report.RunID, n.report.Reason = fleet.MomentTest, p.RequestID, "this is a test, nothing has happened"
		n.report.Cluster, n.report.Region, n.only = cmp.Or(p.Cluster, n.report.Cluster), cmp.Or(p.Region, w.Region), p.Target
		if p.Cluster == "" {
			return n, ""
		}
	default:
		return n, "this function does not act on " + string(e.Kind)
	}
	n.cluster = fleet.ClusterID{Region: n.report.Region, Name: n.report.Cluster}
	return n, ""
}

func join(separator string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, separator)
}

// targets reads who is to be told of each, every policy once.
func (w *Work) targets(ctx context.Context, all []*news) (targets [][]fleet.NotificationTarget, errs []error) {
	type answer struct {
		targets []fleet.NotificationTarget
		err     error
	}
	clusters := map[fleet.ClusterID]*answer{}
	for _, n := range all {
		if n != nil && n.cluster.Name != "" {
			clusters[n.cluster] = &answer{}
		}
	}
	var everybody answer
	var wg sync.WaitGroup
	wg.Go(func() {
		var p fleet.FleetPolicy
		p, everybody.err = w.Policies.FleetPolicy(ctx)
		everybody.targets = p.Notifications
	})
	room := make(chan struct{}, atOnce)
	for id, a := range clusters {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			var p fleet.Policy
			p, a.err = w.Policies.Policy(ctx, id)
			a.targets = p.Notifications
		})
	}
	wg.Wait()
	targets, errs = make([][]fleet.NotificationTarget, len(all)), make([]error, len(all))
	for i, n := range all {
		if n == nil {
			continue
		}
		own := &answer{}
		if n.cluster.Name != "" {
			own = clusters[n.cluster]
		}
		if errs[i] = cmp.Or(everybody.err, own.err); errs[i] == nil {
			targets[i] = fleet.Notified(own.targets, everybody.targets)
		}
	}
	return targets, errs
}

// results are what came of one delivery, from all of its targets.
type results struct {
	mu      sync.Mutex
	errs    []error
	reasons []string
	again   time.Duration
}

// add notes that a target was not told: it failed, or is to be told later.
func (r *results) add(target string, err error, again time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again = max(r.again, again)
	if err != nil {
		r.errs, r.reasons = append(r.errs, err), append(r.reasons, target+": "+err.Error())
	}
}

const (
	// persistence is for how long a target that refuses is tried again and again: as long as a bad moment of Slack's lasts.
	persistence = 10 * time.Minute
	// quick is how many tries follow one another at once, pause how long it is to the next ones.
	quick = 3
	pause = 30 * time.Second
)

// outcome is for SQS. What is to come later comes first, since it is sent anew with its number of deliveries; then what may work
// another time; what can never work goes to the dead letters. Targets that were told are not told again.
func (r *results) outcome(received int, age time.Duration) handler.Outcome {
	if r.again > 0 {
		return handler.Again(r.again)
	}
	if len(r.errs) == 0 {
		return handler.Done()
	}
	out := &fault.Error{Class: fault.Invalid, Op: "notify", Err: &reasonsError{r.reasons}}
	for _, err := range r.errs {
		if class := fault.Of(err); class != fault.Invalid {
			out.Class, out.RetryAfter = class, max(out.RetryAfter, fault.RetryAfter(err))
		}
	}
	if out.Class != fault.Invalid && received >= quick && age < persistence {
		return handler.Again(max(pause, out.RetryAfter))
	}
	return handler.Failed(out)
}

// reasonsError is why targets were not told.
type reasonsError struct{ reasons []string }

func (e *reasonsError) Error() string { return strings.Join(e.reasons, "; ") }
