package calendar

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// upgrade foresees the next upgrade of a cluster, and takes it as done, for what comes after it.
func (y *year) upgrade(s *state) {
	if s.done || s.Facts.Version == 0 {
		return
	}
	d, ok := maintenance.Ahead(y.now, s.Facts, s.Policy)
	if !ok || d.From.After(y.until) || s.Policy.Mode == fleet.UpgradeOff {
		y.support(s, time.Time{})
		if ok && d.From.Before(y.until) {
			y.add(Entry{At: later(d.From, y.now), Cluster: s.Cluster.String(), Kind: KindWarning, To: d.To, Title: fmt.Sprintf("an upgrade to %s is due, and nothing does it", d.To),
				Detail: d.Why + "; the policy's mode is Off: ekspedite upgrade start --cluster " + s.Cluster.Name + " --to " + d.To.String()})
		}
		s.done = true
		return
	}
	earliest := later(later(d.From, s.from), y.now)
	e := Entry{Cluster: s.Cluster.String(), Kind: KindUpgrade, To: d.To, Title: fmt.Sprintf("upgrade from %s to %s", s.Facts.Version, d.To), Detail: d.Why}
	hops := int(d.To - s.Facts.Version)
	takes := time.Duration(hops)*(hopTakes+s.Policy.Bake) + nodesTake
	start, v, waits := y.begins(s, d.To, earliest, takes)
	s.done = true
	switch {
	case start.IsZero():
		y.support(s, time.Time{})
		y.add(Entry{At: earliest, Cluster: e.Cluster, Kind: KindWarning, To: d.To, Title: fmt.Sprintf("the upgrade to %s never fits", d.To), Detail: d.Why + "; " + v.Why})
		return
	case start.After(y.until):
		y.support(s, time.Time{})
		y.add(Entry{At: earliest, Cluster: e.Cluster, Kind: KindWarning, To: d.To, Title: fmt.Sprintf("the upgrade to %s has to wait until %s", d.To, start.UTC().Format(time.DateOnly)), Detail: d.Why + waits + "; " + v.Why})
		return
	}
	if !d.By.IsZero() && start.After(d.By) {
		y.add(Entry{At: earliest, Cluster: e.Cluster, Kind: KindWarning, To: d.To, Title: fmt.Sprintf("the deadline is %s, and no window fits before it", d.By.UTC().Format(time.DateOnly)),
			Detail: fmt.Sprintf("%s; the first that fits opens at %s%s. Make one earlier, or ask with --now", d.Why, start.UTC().Format("2006-01-02 15:04 UTC"), waits)})
	}
	e.At, e.Until = start, start.Add(takes)
	if s.Policy.Mode == fleet.UpgradePlan {
		e.Detail += "; mode Plan: nothing is done"
	}
	e.Detail += waits
	y.add(e)
	y.support(s, start)
	if s.Policy.Mode == fleet.UpgradePlan {
		return // it stays where it is
	}
	y.begin(d.To, s.Policy.Ring, busy{e.At, e.Until})
	s.done, s.from = false, e.Until
	s.Facts.Version, s.Facts.UpgradedAt = d.To, e.Until
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (y *year) begin(to fleet.Minor, ring string, b busy) {
	if y.begun[to] == nil {
		y.begun[to] = map[string][]busy{}
	}
	y.begun[to][ring] = append(y.begun[to][ring], b)
}

// begins is the first time at which a window is open, the rings before the cluster's own have the version and have soaked, and its
// ring has room; zero if there is none. The verdict says why it is not earlier. A cluster of a ring that there is not waits for none.
func (y *year) begins(s *state, to fleet.Minor, earliest time.Time, takes time.Duration) (at time.Time, v maintenance.Verdict, waits string) {
	at = earliest
	if s.ring < len(y.all.Rings) {
		for _, r := range y.all.Rings[:s.ring] {
			for _, b := range y.begun[to][r.Name] {
				if soaked := b.until.Add(r.Soak); soaked.After(at) {
					at, waits = soaked, "; after ring "+r.Name
				}
			}
		}
	}
	for {
		if v = s.calendar.Start(at, firstStep, false); !v.OK {
			if at = v.Next; at.IsZero() {
				return at, v, waits
			}
		}
		if s.ring == len(y.all.Rings) {
			return at, v, waits
		}
		own := y.all.Rings[s.ring]
		free := y.room(to, own, at, at.Add(takes))
		if !free.After(at) {
			return at, v, waits
		}
		at, waits = free, fmt.Sprintf("; ring %s takes %d at a time", own.Name, max(own.AtOnce, 1))
	}
}

// room is when a ring may have one more upgrade: at from, or when one of those that are then under way has ended.
func (y *year) room(to fleet.Minor, r fleet.Ring, from, until time.Time) time.Time {
	n, first := 0, time.Time{}
	for _, b := range y.begun[to][r.Name] {
		if b.from.Before(until) && b.until.After(from) {
			if n++; first.IsZero() || b.until.Before(first) {
				first = b.until
			}
		}
	}
	if n < max(r.AtOnce, 1) {
		return from
	}
	return first
}

// support notes the ends of support of the version that a cluster has, unless it has left it by then.
func (y *year) support(s *state, leaves time.Time) {
	f, id := s.Facts, s.Cluster.String()
	for _, v := range f.Versions {
		if v.Minor != f.Version {
			continue
		}
		gone := func(at time.Time) bool { return !leaves.IsZero() && leaves.Before(at) }
		standard := f.SupportType == maintenance.StandardSupportOnly
		if at := v.StandardEnds; !at.IsZero() && !gone(at) && !standard {
			_, extra := v.SupportCost(at, at.Add(730*time.Hour))
			y.add(Entry{At: at, Cluster: id, Kind: KindSupport, Title: fmt.Sprintf("standard support of %s ends", v.Minor), Detail: fmt.Sprintf("extended support costs $%.0f a month more", extra)})
		}
		at := f.Ends(v.Minor)
		if at.IsZero() || gone(at) {
			continue
		}
		y.add(Entry{At: at, Cluster: id, Kind: KindSupport, Title: fmt.Sprintf("support of %s ends: EKS upgrades the control plane by itself", v.Minor), To: v.Minor + 1,
			Detail: "without further notice, at any time from then on, and without the nodes"})
		if !at.Before(y.now) && at.Before(y.until) {
			y.forced(s, at)
		}
	}
}

// forced warns of what does not keep EKS from acting.
func (y *year) forced(s *state, at time.Time) {
	closed := s.calendar.Closed(at, at.Add(time.Minute))
	if len(closed) == 0 {
		return
	}
	y.add(Entry{At: at, Cluster: s.Cluster.String(), Kind: KindWarning, Title: "EKS's own upgrade falls into " + closed[0].Why,
		Detail: "which binds ekspedite, and not EKS: upgrade before " + at.UTC().Format(time.DateOnly)})
}
