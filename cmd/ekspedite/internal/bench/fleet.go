package bench

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
)

//go:embed burst.yaml
var burstSpec string

// crowd is one cluster with many machines that belong to no group: what drains them is measured, not who replaces them.
type crowd struct {
	name   string
	client *kube.Client
	view   *scene.View

	mu       sync.Mutex
	cordoned map[string]time.Time // by instance
	told     map[string]time.Time // by instance: the last of its pods was told to go
	deleting map[string]time.Time // by pod UID
	gone     map[string]time.Time
}

// gather makes a cluster.
func gather(ctx context.Context, o Options, s *scene.Scene, name string) (*crowd, error) {
	for _, quota := range []string{ec2.QuotaVPCs, ec2.QuotaInternetGateways, ec2.QuotaSpotStandard, ec2.QuotaOnDemandStandard} {
		o.Cloud.EC2.SetQuota(quota, 100_000)
	}
	client, err := s.Apply(ctx, strings.ReplaceAll(burstSpec, "NAME", name), name, 5*time.Minute)
	if err != nil {
		return nil, err
	}
	c := &crowd{name: name, client: client, view: scene.Watch(ctx, client, "default"),
		cordoned: map[string]time.Time{}, told: map[string]time.Time{}, deleting: map[string]time.Time{}, gone: map[string]time.Time{}}
	if err := c.view.Wait(ctx, "the first node of "+name, 2*time.Minute, func() bool { return c.view.ReadyNodes() > 0 }); err != nil {
		return nil, err
	}
	nodes := map[string]string{} // name to instance
	c.view.Observe(func(deleted bool, old, p fleet.Pod) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if p.Deleting && !old.Deleting {
			now := time.Now()
			c.deleting[p.UID] = now
			c.told[nodes[p.Node]] = now
		}
		if deleted {
			c.gone[p.UID] = time.Now()
		}
	}, func(_ bool, old, n fleet.Node) {
		c.mu.Lock()
		defer c.mu.Unlock()
		id := scene.InstanceID(n)
		nodes[n.Name] = id
		if n.Unschedulable && !old.Unschedulable {
			c.cordoned[id] = time.Now()
		}
	})
	return c, nil
}

// join launches machines into the cluster and waits until they are Ready nodes.
func (c *crowd) join(ctx context.Context, o Options, n int, class string, labels string) ([]string, error) {
	var subnet string
	for _, i := range o.Cloud.EC2.Instances() {
		if i.Tags["eks:cluster-name"] == c.name {
			subnet = i.SubnetID
		}
	}
	have := 0
	c.view.Look(func() { have = c.view.ReadyNodes() })
	var ids []string
	for left := n; left > 0; left -= 100 {
		machines, err := o.Cloud.EC2.Run(ec2.RunSpec{Type: class, SubnetID: subnet, Spot: true, Count: min(left, 100), UserData: labels,
			Tags: map[string]string{"eks:cluster-name": c.name, "kubernetes.io/cluster/" + c.name: "owned"}})
		if err != nil {
			return nil, err
		}
		for _, m := range machines {
			ids = append(ids, m.ID)
		}
	}
	patience := time.Minute + time.Duration(n)*300*time.Millisecond
	return ids, c.view.Wait(ctx, fmt.Sprintf("%d nodes in %s", n, c.name), patience, func() bool { return c.view.ReadyNodes() >= have+n })
}

// fill has so many pods of an app run, which take a second to go. labels are a node selector in JSON.
func (c *crowd) fill(ctx context.Context, app string, pods int, selector, exit string) error {
	text, err := json.Marshal(map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": app, "namespace": "default"},
		"spec": map[string]any{"replicas": pods, "selector": map[string]any{"matchLabels": map[string]string{"app": app}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]string{"app": app}, "annotations": map[string]string{"ekspedite.dev/exit-after": exit, "ekspedite.dev/start-after": "100ms"}},
				"spec": map[string]any{"nodeSelector": json.RawMessage(selector),
					"containers": []any{map[string]string{"name": "main", "image": "public.ecr.aws/nginx/nginx:1.29"}}},
			}},
	})
	if err != nil {
		return err
	}
	if err := c.client.Apply(ctx, text); err != nil || pods == 0 {
		return err
	}
	patience := time.Minute + time.Duration(pods)*50*time.Millisecond
	return c.view.Wait(ctx, fmt.Sprintf("%d pods in %s", pods, c.name), patience, func() bool { return c.view.ReadyPods(app) >= pods })
}
