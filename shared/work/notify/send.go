package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/webhook"
)

// rate is how fast one target is told, by all environments together. Slack takes one message a second of a webhook, and bears short
// bursts; nobody reads faster: https://docs.slack.dev/apis/web-api/rate-limits
var rate = ledger.Rate{PerSecond: 1, Burst: 10}

const (
	// patience is how long what was too much for a target waits at least: others come meanwhile, and it is one message then.
	patience = 10 * time.Second
	// claimsAtOnce is how many claims of one target are written at once.
	claimsAtOnce = 32
	// unsettled is how long after its claim a notification may still become a refused one: as long as an invocation lives, twice.
	// One that is not settled then is lost, or has arrived: nobody knows.
	unsettled = time.Minute
	// enough is what has to be left of the invocation's time for a message to be begun with.
	enough = fleet.NotifyTimeout + time.Second
)

// item is one report for one target.
type item struct {
	report notify.Report
	to     []*results // of all deliveries that are about it: one that came twice in a batch is one
	notice ledger.Notice
}

// queue is what one target is to be told, out of one batch.
type queue struct {
	*Work
	id     string
	target fleet.NotificationTarget
	items  map[string]*item
	down   error // why it is not tried any more in this batch
}

func (q *queue) serve(ctx context.Context) {
	reports := make([]notify.Report, 0, len(q.items))
	for _, it := range q.items {
		reports = append(reports, it.report)
	}
	messages := notify.Gather(reports)
	granted, again, err := q.draw(ctx, len(messages))
	for i, m := range messages {
		var items []*item
		for _, r := range m {
			items = append(items, q.items[key(r)])
		}
		switch {
		case err != nil:
			q.fail(items, err)
		case i >= granted:
			q.later(items, max(again, patience))
		default:
			q.tell(ctx, items)
		}
	}
}

func key(r notify.Report) string { return string(r.Moment) + "#" + r.RunID }

// add notes that a delivery is about a report.
func (q *queue) add(r notify.Report, to *results) {
	it := q.items[key(r)]
	if it == nil {
		it = &item{report: r}
		q.items[key(r)] = it
	}
	it.to = append(it.to, to)
}

// draw takes messages out of the target's budget.
func (q *queue) draw(ctx context.Context, n int) (granted int, again time.Duration, err error) {
	sum := sha256.Sum256([]byte(q.id))
	return q.Ledger.Draw(ctx, "notify#"+hex.EncodeToString(sum[:8]), rate, n)
}

func (q *queue) fail(items []*item, err error) {
	for _, it := range items {
		for _, to := range it.to {
			to.add(q.target.Name, err, 0)
		}
	}
}

func (q *queue) later(items []*item, after time.Duration) {
	for _, it := range items {
		for _, to := range it.to {
			to.add(q.target.Name, nil, after)
		}
	}
}

// tell sends one message: claimed first, so that nobody sends it twice; settled afterwards, so that what was certainly not taken can
// be tried again. An invocation that dies between the two has lost it.
func (q *queue) tell(ctx context.Context, items []*item) {
	if q.down != nil { // it has just been slow or dead: that costs its time once a batch
		q.fail(items, q.down)
		return
	}
	if end, ok := ctx.Deadline(); ok && end.Sub(q.Now()) < enough {
		q.fail(items, handler.ErrOutOfTime)
		return
	}
	address, headers, err := q.address(ctx)
	if err != nil {
		if items[0].report.Moment == fleet.MomentTest { // somebody waits to see why
			q.settle(ctx, q.claim(ctx, items), ledger.NoticeRefused, err.Error())
		}
		q.fail(items, err)
		return
	}
	claimed := q.claim(ctx, items)
	if len(claimed) == 0 {
		return
	}
	reports := make([]notify.Report, len(claimed))
	for i, it := range claimed {
		reports[i] = it.report
	}
	body, err := notify.Compose(q.target, reports, q.Links)
	if err != nil {
		err = &fault.Error{Class: fault.Invalid, Op: "template", Err: err}
	} else {
		err = q.send(ctx, address, headers, body)
	}
	state, reason := ledger.NoticeSent, ""
	switch {
	case err == nil:
		q.Metrics.Count("NotificationsSent", 1)
		q.Metrics.Count("NotificationsMerged", len(claimed)-1)
	case fault.Unsure(err): // it may have arrived, and is not sent again
		q.down, state, reason = fault.New(fault.Transient, "not tried: %v", err), ledger.NoticeUnknown, err.Error()
		q.Metrics.Count("NotificationsUnknown", 1)
	default:
		state, reason = ledger.NoticeRefused, err.Error()
		if q.Metrics.Count("NotificationsRefused", 1); !fault.Is(err, fault.Invalid) {
			q.down = err
		}
	}
	obs.Log(ctx).Info("notified", "target", q.target.Name, "type", q.target.Type, "reports", len(claimed), "state", state, "reason", reason)
	q.settle(ctx, claimed, state, reason)
	if state == ledger.NoticeRefused {
		q.fail(claimed, err)
	}
}

// address reads the secrets of the target. What is wrong with them is said by the parameter's name.
func (q *queue) address(ctx context.Context) (address string, headers map[string]string, err error) {
	address, headers = q.target.URL, map[string]string{}
	if q.target.Parameter != "" {
		if address, err = q.secret(ctx, q.target.Parameter); err != nil {
			return "", nil, err
		}
	}
	for _, h := range q.target.Headers {
		if headers[h.Name] = h.Value; h.Parameter != "" {
			if headers[h.Name], err = q.secret(ctx, h.Parameter); err != nil {
				return "", nil, err
			}
		}
	}
	return address, headers, nil
}

func (q *queue) secret(ctx context.Context, parameter string) (string, error) {
	s, err := q.Secrets.Secret(ctx, parameter)
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.Invalid, "there is no SSM parameter %s in %s: create it, as a SecureString", parameter, q.Region)
	}
	return s, err
}

// claim takes those of the items that nobody has sent, or is sending.
func (q *queue) claim(ctx context.Context, items []*item) (claimed []*item) {
	ours := make([]bool, len(items))
	each(len(items), func(i int) {
		it := items[i]
		n := ledger.Notice{RunID: it.report.RunID, Moment: string(it.report.Moment), Target: q.target.Name, By: q.NewID()}
		var err error
		if it.notice, ours[i], err = q.Ledger.ClaimNotice(ctx, n); err != nil {
			q.fail(items[i:i+1], err)
		}
	})
	for i, it := range items {
		switch left := it.notice.At.Add(unsettled).Sub(q.Now()); {
		case ours[i]:
			claimed = append(claimed, it)
		case it.notice.State == ledger.NoticeSending && left > 0: // somebody is at it, whom the target may yet refuse
			q.later(items[i:i+1], max(left, time.Second))
		}
	}
	return claimed
}

// settle notes what came of a message. What cannot be noted counts as sent.
func (q *queue) settle(ctx context.Context, items []*item, state ledger.NoticeState, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settling)
	defer cancel()
	each(len(items), func(i int) {
		if err := q.Ledger.SettleNotice(ctx, items[i].notice, state, reason); err != nil {
			obs.Log(ctx).Warn("could not note what came of a notification: it will not be sent again", "run", items[i].report.RunID, "target", q.target.Name, "error", err)
		}
	})
}

// settling is taken out of the time that the handler keeps for itself, if need be.
const settling = 2 * time.Second

// each calls f with every number below n, some at once.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	room := make(chan struct{}, claimsAtOnce)
	for i := range n {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			f(i)
		})
	}
	wg.Wait()
}

func (q *queue) send(ctx context.Context, address string, headers map[string]string, b notify.Body) error {
	if q.target.Type == fleet.NotifySNS {
		return q.Topics.Publish(ctx, q.target.TopicARN, b)
	}
	return q.Hooks.Post(ctx, webhook.Request{URL: address, Headers: headers, ContentType: b.ContentType, Body: b.Data})
}
