package observe_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/eks"
	localworld "github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

const region = cloudtest.Region

var demo = fleet.ClusterID{Region: region, Name: "demo"}

// rig is the embedded cloud with a cluster in it. Its Kubernetes is a list of nodes.
type rig struct {
	*cloudtest.Rig
	calls map[string]int // by operation
	mu    sync.Mutex
	list  []fleet.Node
	deaf  error // the API server's answer
}

// inBubble runs a test with a cluster that the cluster function has made from a file.
func inBubble(t *testing.T, file string, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{Rig: cloudtest.New(t, localworld.Fast, eks.Idle{}), calls: map[string]int{}}
		r.Build(file)
		test(t, r)
	})
}

// RoundTrip counts calls of EKS's API by path, which is all that tells its operations apart.
func (r *rig) RoundTrip(q *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.calls[q.Method+" "+strings.ReplaceAll(q.URL.Path, demo.Name, "NAME")]++
	r.mu.Unlock()
	return r.Cloud.RoundTrip(q)
}

func (r *rig) config() awscloud.Config { return r.Config(r) }

// Nodes implements observe.NodeReader.
func (r *rig) Nodes(context.Context) ([]fleet.Node, error) { return r.list, r.deaf }

func (r *rig) upgrades(c observe.Cache) *observe.Upgrades {
	return observe.NewUpgrades(awscloud.NewUpgrades(r.config()), func(context.Context, string) (observe.NodeReader, error) { return r, nil }, c, region, time.Now)
}
