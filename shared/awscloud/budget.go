package awscloud

import (
	"context"
	"strings"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Drawer gives out calls of a budget that all execution environments share: the ledger.
type Drawer interface {
	Draw(ctx context.Context, budget string, r ledger.Rate, n int) (granted int, again time.Duration, err error)
}

// Budget keeps the calls of all execution environments together within a rate for each service and Region, reads and
// writes apart, so that a fleet that is made at once leaves room for whoever else uses the account. Each environment draws
// some calls at a time, and waits when there are none.
type Budget struct {
	drawer Drawer
	// limited are services whose calls, reads and writes together, have a rate of their own.
	limited map[string]limit

	mu    sync.Mutex
	purse map[string]*purse
}

// purse is what an environment has drawn.
type purse struct {
	turn  chan struct{} // who holds it, counts
	left  int
	until time.Time // what is not spent then is forfeit: the budget has been filled up meanwhile
}

// limit is a rate that somebody may change, under a name of its own.
type limit struct {
	name string
	rate func(ctx context.Context) ledger.Rate
}

// Limit gives the calls of one service, such as "eks", a rate of their own, for what the name says. The rate is asked for when
// calls are drawn; the zero rate is the service's usual one. It is set before the budget is used.
func (b *Budget) Limit(service, name string, rate func(ctx context.Context) ledger.Rate) *Budget {
	if b.limited == nil {
		b.limited = map[string]limit{}
	}
	b.limited[service] = limit{name, rate}
	return b
}

// NewBudget is a budget that is drawn from a ledger.
func NewBudget(d Drawer) *Budget { return &Budget{drawer: d, purse: map[string]*purse{}} }

// Rates are what all environments together may take of what AWS allows an account in a Region. EC2 documents 20 reads a
// second after 100 at once and 5 writes after 50 for most of its API
// (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html): half of it is taken. The others publish no
// figures: theirs are a choice.
var (
	reading = map[string]ledger.Rate{"ec2": {PerSecond: 10, Burst: 50}, "": {PerSecond: 10, Burst: 50}}
	writing = map[string]ledger.Rate{"ec2": {PerSecond: 2.5, Burst: 25}, "": {PerSecond: 5, Burst: 25}}
)

const (
	// chunk is how many calls are drawn at a time: about a look's worth.
	chunk = 12
	// sparing is how many are drawn at a time of a limited rate: a look that only follows an update makes one or two.
	sparing = 4
	// spend is how long drawn calls may be kept.
	spend = 5 * time.Second
)

// Within puts the budget into a configuration.
func (b *Budget) Within(cfg Config) Config {
	cfg = cfg.Copy()
	cfg.APIOptions = append(cfg.APIOptions, func(s *middleware.Stack) error {
		if _, calls := s.Finalize.Get("Retry"); !calls { // what is only signed is no call
			return nil
		}
		// After the retry middleware: each attempt counts.
		return s.Finalize.Insert(middleware.FinalizeMiddlewareFunc("ekspediteBudget", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if err := b.take(ctx, awsmiddleware.GetRegion(ctx), awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			return next.HandleFinalize(ctx, in)
		}), "Retry", middleware.After)
	})
	return cfg
}

// take takes one call, and waits until there is one. A budget that cannot be read stops nobody: AWS throttles by itself.
func (b *Budget) take(ctx context.Context, region, service, operation string) error {
	name, rate := budgetOf(region, service, operation)
	atOnce := chunk
	if l, ok := b.limited[strings.ToLower(service)]; ok {
		if r := l.rate(ctx); r.PerSecond > 0 {
			name, rate, atOnce = region+"/"+strings.ToLower(service)+"/"+l.name, r, sparing
		}
	}
	p := b.open(name)
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for p.left == 0 || !time.Now().Before(p.until) {
		granted, again, err := b.drawer.Draw(ctx, name, rate, atOnce)
		if err != nil {
			return ctx.Err()
		}
		p.left, p.until = granted, time.Now().Add(spend)
		if granted > 0 {
			break
		}
		t := time.NewTimer(again)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
	p.left--
	return nil
}

func (b *Budget) open(name string) *purse {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.purse[name]
	if !ok {
		p = &purse{turn: make(chan struct{}, 1)}
		b.purse[name] = p
	}
	return p
}

// budgetOf names the budget of a call, and what it allows.
func budgetOf(region, service, operation string) (string, ledger.Rate) {
	rates, kind := writing, "write"
	for _, prefix := range []string{"Describe", "List", "Get", "Simulate"} {
		if strings.HasPrefix(operation, prefix) {
			rates, kind = reading, "read"
		}
	}
	service = strings.ToLower(service)
	rate, ok := rates[service]
	if !ok {
		rate = rates[""]
	}
	return region + "/" + service + "/" + kind, rate
}
