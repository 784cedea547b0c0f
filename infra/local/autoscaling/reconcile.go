package autoscaling

import (
	"context"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
)

// work is the group's worker: it looks at the group a ScalingTick after anything changed, and when a wait or a pause
// ends. It alone launches and terminates, so that the group never does so twice.
func (s *Service) work(ctx context.Context, g *group) {
	due := time.Now().Add(s.w.Profile.ScalingTick) // of the next step; zero: not before something happens
	timer := time.NewTimer(s.w.Profile.ScalingTick)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.gone:
			return
		case <-g.wake:
			if soon := time.Now().Add(s.w.Profile.ScalingTick); due.IsZero() || soon.Before(due) {
				due = soon
				timer.Reset(time.Until(due))
			}
		case <-timer.C:
			if due = s.step(g); !due.IsZero() {
				due = latest(due, time.Now().Add(s.w.Profile.ScalingTick))
				timer.Reset(time.Until(due))
			}
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// step brings the group one step nearer to what it should be and returns when to look again even if nothing happens;
// the zero time means never.
func (s *Service) step(g *group) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range append([]*member(nil), g.members...) {
		s.advance(g, m)
	}
	if g.deleting {
		if len(g.members) == 0 {
			s.remove(g)
		}
		return time.Time{}
	}
	s.resizeTo(g)
	return s.next(g)
}

func (s *Service) remove(g *group) {
	delete(s.groups, g.name)
	close(g.gone)
}

// next is the time of the next thing that happens by itself.
func (s *Service) next(g *group) time.Time {
	var next time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, m := range g.members {
		if g.maxLifetime > 0 && m.state == inService {
			earlier(m.oldAt(g))
		}
		if m.state == terminating {
			earlier(s.drains(g, m))
		}
		if m.state != pendingWait && m.state != terminatingWait {
			continue
		}
		for _, w := range m.waits {
			if w.result == "" {
				earlier(w.deadline)
			}
		}
	}
	now := time.Now()
	if now.Before(g.retryAt) {
		earlier(g.retryAt)
	}
	for _, t := range g.zoneRetry {
		if now.Before(t) {
			earlier(t)
		}
	}
	return next
}

// runs tells whether a process of the group is not suspended.
func (g *group) runs(process string) bool {
	_, suspended := g.suspended[process]
	return !suspended
}

// advance moves one member through its life cycle as far as it can go now. The lock is held.
func (s *Service) advance(g *group, m *member) {
	machine, ok := s.ec2.Instance(m.id)
	state := machine.State
	if !ok {
		state = "terminated"
	}
	switch m.state {
	case pending, pendingWait:
		s.advanceLaunch(g, m, machine, state)
	case inService:
		s.checkHealth(g, m, state)
	}
	switch m.state { // a member that has just begun to terminate goes on at once
	case terminating, terminatingWait, terminatingProceed:
		s.advanceTermination(g, m, state)
	}
}

func (s *Service) advanceLaunch(g *group, m *member, machine ec2.Instance, state string) {
	if state != "pending" && state != "running" {
		m.activity.finish("Cancelled", "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "+machine.StateReason)
		s.announce(g, m.activity, "EC2 Instance Launch Unsuccessful", "EC2", "AutoScalingGroup")
		m.unhealthy = true
		s.takeOut(g, m, sentence(time.Now())+"an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.")
		g.replacing++
		return
	}
	if m.state == pending {
		if state == "pending" || s.startWaits(g, m, onLaunch, pendingWait, "EC2", "AutoScalingGroup") {
			return
		}
	} else {
		switch m.settle(time.Now()) {
		case "":
			return
		case abandon:
			m.activity.finish("Cancelled", m.abandoned())
			s.announce(g, m.activity, "EC2 Instance Launch Unsuccessful", "EC2", "AutoScalingGroup")
			s.takeOut(g, m, sentence(time.Now())+"an instance was taken out of service in response to a launch failure.")
			return
		}
	}
	m.state, m.waits, m.inServiceAt = inService, nil, time.Now()
	s.join(g, m)
	m.activity.finish("Successful", "")
	s.announce(g, m.activity, "EC2 Instance Launch Successful", "EC2", "AutoScalingGroup")
	g.failures = 0
}

// checkHealth takes out an instance that EC2 says is gone, or that somebody set unhealthy.
func (s *Service) checkHealth(g *group, m *member, state string) {
	if state != "running" && state != "pending" && g.runs("HealthCheck") {
		m.unhealthy = true
	}
	if g.maxLifetime > 0 && !m.unhealthy && !time.Now().Before(m.oldAt(g)) && g.runs("Terminate") {
		s.takeOut(g, m, sentence(time.Now())+"an instance was taken out of service in response to instance having reached its maximum lifetime.")
		return
	}
	if !m.unhealthy || !g.runs("ReplaceUnhealthy") || !g.runs("Terminate") {
		return
	}
	why := "an instance was taken out of service in response to a user health-check."
	if state != "running" {
		why = "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."
	}
	s.takeOut(g, m, sentence(time.Now())+why)
	g.replacing++
}

// oldAt is when a member of a group with a maximum lifetime reaches it.
func (m *member) oldAt(g *group) time.Time {
	return m.joined.Add(time.Duration(g.maxLifetime) * time.Second)
}

// takeOut begins the end of a member. The lock is held.
func (s *Service) takeOut(g *group, m *member, cause string) *activity {
	if a := m.activity; a != nil && a.status == "InProgress" {
		a.finish("Cancelled", "The instance was terminated before it was in service.")
	}
	m.state, m.waits = terminating, nil
	s.leave(g, m)
	m.activity = s.begin(g, "Terminating EC2 instance: "+m.id, cause).on(m)
	g.poke()
	return m.activity
}

func (s *Service) advanceTermination(g *group, m *member, state string) {
	if m.state == terminating && state != "terminated" && time.Now().Before(s.drains(g, m)) {
		m.activity.progress = 40 // it waits for connections before it runs hooks
		return
	}
	if m.state == terminating && !s.startWaits(g, m, onTerminate, terminatingWait, "AutoScalingGroup", "EC2") {
		m.state = terminatingProceed
	}
	if m.state == terminatingWait {
		if m.settle(time.Now()) == "" {
			m.activity.progress = 60
			return
		}
		m.state, m.waits = terminatingProceed, nil
	}
	if state == "terminated" {
		m.activity.finish("Successful", "")
		s.announce(g, m.activity, "EC2 Instance Terminate Successful", "AutoScalingGroup", "EC2")
		g.drop(m)
		return
	}
	s.ec2.Terminate(m.id) // again and again: it does nothing to one that is shutting down
}

// resizeTo compares the group's capacity with the desired one and launches or terminates. The lock is held.
func (s *Service) resizeTo(g *group) {
	now := time.Now()
	active := g.count((*member).active)
	risky := 0
	if g.rebalance {
		risky = g.count(func(m *member) bool { return m.active() && m.risk })
	}
	if m := g.member(g.balancing); m == nil || m.state != pending && m.state != pendingWait {
		g.balancing = "" // in service, so that its counterpart may go; or gone
	}
	extra := risky
	if g.balancing != "" {
		extra++
	}
	// Replacements come first, for which the group may grow beyond its maximum by a tenth of the desired capacity.
	want := max(g.desired, min(g.desired+extra, g.max+max(1, g.desired/10)))
	switch {
	case active < want && g.runs("Launch") && !now.Before(g.retryAt):
		s.launch(g, active, want)
	case active > g.desired+extra && g.runs("Terminate"):
		s.scaleIn(g, active-g.desired-extra)
	case active >= want:
		g.replacing = 0
		if active == g.desired {
			g.requests = nil
		}
	}
	if g.rebalance && g.runs("Terminate") {
		s.replaceRisky(g)
	}
	if active == g.desired && risky == 0 && g.balancing == "" {
		s.balance(g)
	}
}

// replaceRisky terminates the members with a rebalance recommendation for whom a replacement is in service. Members with
// an interruption notice are left their two minutes.
func (s *Service) replaceRisky(g *group) {
	ready := g.count(func(m *member) bool { return m.state == inService && !m.unhealthy }) - g.desired
	for _, m := range append([]*member(nil), g.members...) {
		if ready > 0 && m.state == inService && m.risk && !m.interrupted {
			s.takeOut(g, m, sentence(time.Now())+"an instance was taken out of service in response to an EC2 instance rebalance recommendation.")
			s.advance(g, m)
			ready--
		}
	}
}

// cause takes the user requests that a change of capacity follows from, and says what it does.
func (g *group) cause(format string, args ...any) string {
	text := ""
	for _, r := range g.requests {
		text += r + "  "
	}
	return text + sentence(time.Now()) + fmt.Sprintf(format, args...)
}
