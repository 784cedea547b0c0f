package scaling

import (
	"fmt"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// TestGrants: what the template allows the function is what it takes to grow and shrink groups, to make and retire those of a
// pool, to send groups to sleep, and to launch machines without a group.
func TestGrants(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.RoleARN = r.Role("../../../infra/template", "ScalingFunctionRole")
		grow := func(what string, n int) {
			t.Helper()
			r.kube.add(n, 900)
			r.ring()
			r.RunFor(3 * time.Minute)
			if n := r.kube.waiting(); n > 0 {
				t.Errorf("%s: %d pods wait\n%s", what, n, told(r))
			}
			r.kube.remove()
			r.RunFor(30 * time.Minute)
		}
		grow("a group", 4)
		pool := fleet.DefaultPool()
		pool.Name, pool.Like, pool.Types, pool.RetireAfter = "more", "base", []string{"m6i.large"}, 5*time.Minute
		r.policy(func(p *fleet.ScalingPolicy) {
			p.Pools, p.Groups = []fleet.PoolPolicy{pool}, []fleet.GroupPolicy{{Name: "base", Ignore: true}}
		})
		grow("a pool of groups", 4)
		r.RunFor(20 * time.Minute)
		for _, g := range r.all() {
			if g.Pool != "" {
				t.Errorf("group %s is still there: %d nodes", g.Name, g.Desired)
			}
		}
		pool.Mode, pool.Like = fleet.PoolFleet, "own"
		r.policy(func(p *fleet.ScalingPolicy) {
			p.Pools, p.Groups = []fleet.PoolPolicy{pool}, []fleet.GroupPolicy{{Name: "base", Ignore: true}, {Name: "own", Ignore: true}}
		})
		grow("a pool without groups", 4)
		r.policy(func(p *fleet.ScalingPolicy) {
			p.Pools, p.Groups = nil, []fleet.GroupPolicy{{Name: "base", Ignore: true}}
		})
		grow("a group of ours", 4)
		bounds(t, r)
		for _, denied := range r.Denied(r.RoleARN) {
			t.Error(denied)
		}
		if t.Failed() {
			t.Log(fmt.Sprint(r.all()), "\n", told(r))
		}
	})
}

// bounds sets least and greatest sizes, as windows do.
func bounds(t *testing.T, r *rig) {
	reach := r.work(&cloudtest.Session{Rig: r.Rig}).Open(region)
	least, most := 1, 12
	for _, g := range r.all() {
		a := plan.ResizeGroup{Group: g.Name, AutoScalingGroup: g.AutoScalingGroup, From: g.Desired, To: 1, Min: &least, Max: &most, EKS: g.Kind == scaling.Managed}
		if err := (apply.Scaler{Cluster: demo.Name, Sizes: reach.Sizes}).Do(t.Context(), a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	time.Sleep(time.Minute) // EKS takes its time
	for _, g := range r.all() {
		if g.Min != 1 || g.Max != 12 || g.Desired != 1 {
			t.Errorf("group %s: %d to %d, %d wanted", g.Name, g.Min, g.Max, g.Desired)
		}
	}
}
