package interruption

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// PlaceReader finds machines in ECS.
type PlaceReader interface {
	// ECSClusters lists the Region's ECS clusters by ARN.
	ECSClusters(ctx context.Context) ([]string, error)
	// FindMachine finds the container instance that a machine is in a cluster; fault.NotFound if it is none there.
	FindMachine(ctx context.Context, cluster, instanceID string) (arn string, err error)
}

// Place is where a machine is in ECS: both are ARNs, and empty if it is nowhere.
type Place struct{ Cluster, ContainerInstance string }

const (
	// remembered is how long a place is believed. Machines do not change clusters; clusters come and go.
	remembered = 10 * time.Minute
	// doubted is how long it is believed that a machine, or all of an Auto Scaling group, is in no ECS cluster. Shorter: a machine
	// registers a minute after its start. Long enough that a reclaim of a large foreign group is one search.
	doubted = 2 * time.Minute
	// listed is how long the list of clusters is believed.
	listed = 5 * time.Minute
	// searchWidth is how many clusters are asked at once. ECS allows a burst of 100 such reads and 20 a second.
	searchWidth = 10
	// placesMost bounds the memory: some 200 bytes each.
	placesMost = 10_000
)

// Places knows which machine is in which ECS cluster. EC2 does not say it, and ECS has to be asked cluster by cluster, so that
// what was found is remembered while the execution environment lives, also of a machine's Auto Scaling group: its machines are
// all in one cluster. The zero value with its two fields is ready.
type Places struct {
	ECS PlaceReader
	Now func() time.Time

	listing  sync.Mutex // held while the clusters are listed: others wait for the same answer
	clusters []string
	fresh    time.Time // until when clusters is believed

	mu    sync.Mutex
	known map[string]belief
}

type belief struct {
	place Place // the zero Place: none; of a group without the container instance
	until time.Time
}

// Find finds a machine. Only a wide search asks every cluster; otherwise it is found if it was found before, or if its tags or
// its group's other machines say where it is.
func (p *Places) Find(ctx context.Context, inst fleet.Instance, wide bool) (Place, error) {
	group := "group " + inst.Tags[fleet.TagAutoScalingGroup]
	if group == "group " {
		group = inst.ID
	}
	if b, ok := p.recall(inst.ID); ok && (b.place.ContainerInstance != "" || b.place == Place{}) {
		return b.place, nil
	}
	b, ok := p.recall(group)
	if ok && b.place == (Place{}) {
		return Place{}, nil
	}
	named := inst.Tags[fleet.TagECSCluster]
	if !ok && named == "" && !wide {
		return Place{}, nil
	}
	clusters, err := p.list(ctx)
	if err != nil {
		return Place{}, err
	}
	var likely, others []string
	for _, c := range clusters {
		if c == b.place.Cluster || named != "" && strings.HasSuffix(c, "/"+named) {
			likely = append(likely, c)
		} else {
			others = append(others, c)
		}
	}
	found, err := p.search(ctx, likely, inst.ID)
	if err == nil && found == (Place{}) && wide {
		found, err = p.search(ctx, others, inst.ID)
	}
	switch {
	case err != nil:
		return Place{}, err
	case found != Place{}:
		p.believe(remembered, group, Place{Cluster: found.Cluster})
		p.believe(remembered, inst.ID, found)
	case wide:
		p.believe(doubted, inst.ID, Place{})
		p.believe(doubted, group, Place{})
	}
	return found, nil
}

func (p *Places) recall(key string) (belief, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.known[key]
	return b, ok && p.Now().Before(b.until)
}

func (p *Places) believe(d time.Duration, key string, place Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= placesMost { // it is only a memory
		p.known = map[string]belief{}
	}
	if old, ok := p.known[key]; ok && place == (Place{}) && p.Now().Before(old.until) {
		return // another search has found more
	}
	p.known[key] = belief{place, p.Now().Add(d)}
}

// list lists the clusters. Whoever may not list them has none that are ekspedite's business: that must not make every machine
// of the account a failure.
func (p *Places) list(ctx context.Context) ([]string, error) {
	p.listing.Lock()
	defer p.listing.Unlock()
	if p.Now().Before(p.fresh) {
		return p.clusters, nil
	}
	clusters, err := p.ECS.ECSClusters(ctx)
	if fault.Is(err, fault.Denied) {
		obs.Log(ctx).Warn("ECS may not be looked at: its machines are left alone", "error", err)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	p.clusters, p.fresh = clusters, p.Now().Add(listed)
	return clusters, nil
}

// search asks clusters for a machine. A cluster that cannot be asked matters only if no other has the machine.
func (p *Places) search(ctx context.Context, clusters []string, instanceID string) (found Place, failed error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, searchWidth)
	for _, c := range clusters {
		slots <- struct{}{}
		mu.Lock()
		done := found != Place{}
		mu.Unlock()
		if done {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			arn, err := p.ECS.FindMachine(ctx, c, instanceID)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				found = Place{c, arn}
			case fault.Is(err, fault.Denied):
				obs.Log(ctx).Warn("an ECS cluster may not be looked at: its machines are left alone", "cluster", c, "error", err)
			case !fault.Is(err, fault.NotFound):
				failed = err
			}
		})
	}
	wg.Wait()
	if found != (Place{}) {
		return found, nil
	}
	return Place{}, failed
}
