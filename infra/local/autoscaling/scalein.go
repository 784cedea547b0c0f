package autoscaling

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

func formatVersion(n int64) string { return strconv.FormatInt(n, 10) }

// scaleIn terminates n members that are not protected. The lock is held.
func (s *Service) scaleIn(g *group, n int) {
	active := g.count((*member).active)
	cause := g.cause("an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from %d to %d.", active, active-n)
	for range n {
		m := s.victim(g)
		if m == nil { // all are protected
			return
		}
		s.takeOut(g, m, cause+fmt.Sprintf("  %sinstance %s was selected for termination.", sentence(time.Now()), m.id))
		s.advance(g, m)
	}
}

// victim picks the member to terminate on scale in: one that is about to go anyway; then in the zone with the most
// instances, and there by the group's policies.
func (s *Service) victim(g *group) *member {
	var candidates []*member
	for _, m := range g.members {
		if m.active() && !m.protected {
			candidates = append(candidates, m)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	names, _ := s.zones(g)
	counts := g.perZone()
	for az := range counts {
		if !slices.Contains(names, az) {
			counts[az] += len(g.members) // a zone that the group left
		}
	}
	spotFirst := false // a mixed group keeps its share of on-demand instances
	if g.mixed != nil {
		has, should := g.onDemand()
		spotFirst = has <= should
	}
	return slices.MinFunc(candidates, func(a, b *member) int {
		if c := cmp.Compare(going(a), going(b)); c != 0 {
			return c
		}
		if c := cmp.Compare(counts[b.az], counts[a.az]); c != 0 {
			return c
		}
		if g.mixed != nil && a.spot != b.spot {
			if a.spot == spotFirst {
				return -1
			}
			return 1
		}
		for _, p := range g.policies {
			if c := compare(p, a, b); c != 0 {
				return c
			}
		}
		return cmp.Compare(slices.Index(g.members, a), slices.Index(g.members, b))
	})
}

func going(m *member) int {
	if m.interrupted || m.risk || m.unhealthy {
		return 0
	}
	return 1
}

// compare says which of two members a termination policy takes first.
func compare(policy string, a, b *member) int {
	switch policy {
	case "OldestInstance":
		return a.joined.Compare(b.joined)
	case "NewestInstance":
		return b.joined.Compare(a.joined)
	case "ClosestToNextInstanceHour":
		now := time.Now()
		return cmp.Compare(now.Sub(b.joined)%time.Hour, now.Sub(a.joined)%time.Hour)
	case "OldestLaunchTemplate", "Default": // Default begins with it
		return cmp.Compare(number(a.template.Version), number(b.template.Version))
	}
	return 0 // OldestLaunchConfiguration: there are none
}

func number(version string) int {
	n, err := strconv.Atoi(version)
	if err != nil {
		return 0 // an attached instance without a template is the oldest of all
	}
	return n
}

// balance launches one instance in a zone that has at least two fewer than another, or when instances are in a zone that
// the group left; when it is in service, scale in takes the counterpart. The lock is held.
func (s *Service) balance(g *group) {
	if !g.runs("AZRebalance") || !g.runs("Launch") || !g.runs("Terminate") || g.count((*member).active) != g.count(func(m *member) bool { return m.state == inService }) {
		return
	}
	names, _ := s.zones(g)
	if len(names) == 0 {
		return
	}
	counts := g.perZone()
	low := slices.MinFunc(names, func(a, b string) int { return counts[a] - counts[b] })
	needed := slices.ContainsFunc(g.members, func(m *member) bool {
		return m.active() && !m.protected && (counts[m.az] >= counts[low]+2 || !slices.Contains(names, m.az))
	})
	if !needed || time.Now().Before(g.zoneRetry[low]) {
		return
	}
	m := s.launchOne(g, []string{low}, sentence(time.Now())+"an instance was launched in order to rebalance the Auto Scaling group's instances across Availability Zones.", map[market]bool{})
	if m == nil {
		g.zoneRetry[low] = time.Now().Add(lastRetry * s.w.Profile.ScalingTick)
		return
	}
	g.balancing = m.id
}
