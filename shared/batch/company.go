package batch

import (
	"context"
	"sync/atomic"
)

type companyKey struct{}

// Company is how many are at work at once and may ask for something.
type Company struct{ n atomic.Int64 }

// With tells those who gather how many are at work under ctx, so that who is alone need not wait, and the last need not
// either. Without it everybody is alone.
func With(ctx context.Context, n int) (context.Context, *Company) {
	c := new(Company)
	c.n.Store(int64(n))
	return context.WithValue(ctx, companyKey{}, c), c
}

// Leave says that one of the company will ask for nothing more.
func (c *Company) Leave() { c.n.Add(-1) }

// present is the size of ctx's company.
func present(ctx context.Context) int {
	if c, ok := ctx.Value(companyKey{}).(*Company); ok {
		return int(c.n.Load())
	}
	return 1
}
