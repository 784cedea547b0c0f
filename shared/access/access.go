// Package access opens the API server of a cluster by its name: endpoint and certificate from EKS, a token from STS, one
// client for each cluster that lives as long as the Lambda's execution environment.
package access

import (
	"context"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/batch"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
	"github.com/ekspedite/ekspedite/shared/pace"
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
	// Patience is how long a request to an API server may take; zero is package kube's own, for those who have the time.
	Patience pace.Patience

	describing batch.Flight[fleet.Cluster]
	mu         sync.Mutex
	known      map[string]entry
	paces      map[string]*pace.Server // they outlive the clients
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
	c, err := d.describing.Do(ctx, cluster, func(ctx context.Context) (fleet.Cluster, error) { return d.Describe(ctx, cluster) })
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now, ok := d.known[cluster]; ok && now != e { // of those who asked together one was faster
		return now.client, nil
	}
	client, err := kube.NewPaced(c, func(ctx context.Context) (string, error) { return d.Token(ctx, cluster) }, d.pace(cluster))
	if err != nil {
		return nil, err
	}
	if d.known == nil {
		d.known = map[string]entry{}
	}
	d.known[cluster] = entry{client, d.Now().Add(fresh)}
	return client, nil
}

// pace is what is known of a cluster's server.
func (d *Directory) pace(cluster string) *pace.Server { // needs the lock
	p, ok := d.paces[cluster]
	if !ok {
		if d.paces == nil {
			d.paces = map[string]*pace.Server{}
		}
		patience := d.Patience
		if patience == (pace.Patience{}) {
			patience = kube.Patience
		}
		p = pace.New(patience)
		d.paces[cluster] = p
	}
	return p
}
