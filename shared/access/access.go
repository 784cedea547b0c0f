// Package access opens the API server of a cluster by its name: endpoint and certificate from EKS, a token from STS, one
// client for each cluster that lives as long as the Lambda's execution environment.
package access

import (
	"context"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
)

// Describe reads a cluster from EKS. An unknown one is fault.NotFound.
type Describe func(ctx context.Context, name string) (fleet.Cluster, error)

// Token makes a bearer token for a cluster.
type Token func(ctx context.Context, cluster string) (string, error)

// fresh is how long a described cluster is trusted. Endpoint and certificate live as long as the cluster does; a cluster
// deleted and made again under its name is seen after this.
const fresh = 5 * time.Minute

// Directory opens clusters and remembers them.
type Directory struct {
	Describe Describe
	Token    Token
	Now      func() time.Time

	mu    sync.Mutex
	known map[string]entry
}

type entry struct {
	client *kube.Client
	until  time.Time
}

// Client opens a cluster's API server. It makes no call to it yet.
func (d *Directory) Client(ctx context.Context, cluster string) (*kube.Client, error) {
	d.mu.Lock()
	e, ok := d.known[cluster]
	d.mu.Unlock()
	if ok && d.Now().Before(e.until) {
		return e.client, nil
	}
	c, err := d.Describe(ctx, cluster)
	if err != nil {
		return nil, err
	}
	client, err := kube.New(c, func(ctx context.Context) (string, error) { return d.Token(ctx, cluster) })
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[string]entry{}
	}
	d.known[cluster] = entry{client, d.Now().Add(fresh)}
	return client, nil
}
