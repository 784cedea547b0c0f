package obs

import (
	"context"
	"sync/atomic"
)

type callsKey struct{}

// CountCalls returns a context that counts the Kubernetes API requests made with it, retries included.
func CountCalls(ctx context.Context) (context.Context, *atomic.Int64) {
	n := new(atomic.Int64)
	return context.WithValue(ctx, callsKey{}, n), n
}

// Called counts one request.
func Called(ctx context.Context) {
	if n, ok := ctx.Value(callsKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
}
