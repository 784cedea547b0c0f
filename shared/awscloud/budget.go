package awscloud

import (
	"context"
	"strings"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// Budget keeps the calls of one execution environment within a rate for each service and Region, reads and writes apart,
// so that a fleet that is made at once leaves room for whoever else uses the account. It is shared by all configurations
// that are made of the one that it was put into.
//
// An account's environments divide what AWS allows: with n of them at most, each may use an nth of the share below.
type Budget struct {
	environments int

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

// NewBudget is for a function of which so many environments run at most.
func NewBudget(environments int) *Budget {
	return &Budget{environments: max(environments, 1), buckets: map[string]*rate.Limiter{}}
}

// share is how many calls a second, and how many at once, all environments together may make.
type share struct {
	rate  float64
	burst int
}

// Shares of what AWS allows an account in a Region. EC2 documents 20 reads a second after 100 at once and 5 writes after 50
// for most of its API (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html): half of it is taken. EKS
// and IAM publish no figures: theirs are a choice.
var (
	reading = map[string]share{"ec2": {10, 50}, "": {10, 50}}
	writing = map[string]share{"ec2": {2.5, 50}, "": {5, 50}}
)

// minBurst lets one environment make a cluster's network in one go.
const minBurst = 10

// Within puts the budget into a configuration.
func (b *Budget) Within(cfg Config) Config {
	cfg = cfg.Copy()
	cfg.APIOptions = append(cfg.APIOptions, func(s *middleware.Stack) error {
		if _, calls := s.Finalize.Get("Retry"); !calls { // what is only signed is no call
			return nil
		}
		// After the retry middleware: each attempt counts.
		return s.Finalize.Insert(middleware.FinalizeMiddlewareFunc("ekspediteBudget", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if err := b.bucket(awsmiddleware.GetRegion(ctx), awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)).Wait(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			return next.HandleFinalize(ctx, in)
		}), "Retry", middleware.After)
	})
	return cfg
}

func (b *Budget) bucket(region, service, operation string) *rate.Limiter {
	shares, kind := writing, "write"
	for _, prefix := range []string{"Describe", "List", "Get"} {
		if strings.HasPrefix(operation, prefix) {
			shares, kind = reading, "read"
		}
	}
	service = strings.ToLower(service)
	s, ok := shares[service]
	if !ok {
		s = shares[""]
	}
	key := region + " " + service + " " + kind
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.buckets[key]
	if !ok {
		l = rate.NewLimiter(rate.Limit(s.rate/float64(b.environments)), max(minBurst, s.burst/b.environments))
		b.buckets[key] = l
	}
	return l
}
