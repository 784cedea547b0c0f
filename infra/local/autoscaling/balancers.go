package autoscaling

import "time"

// Balancers are the target groups of Elastic Load Balancing, by ARN: Auto Scaling registers what is in service in a group that
// they are attached to, and deregisters what goes.
type Balancers interface {
	Join(groupARN, instanceID string)
	Leave(groupARN, instanceID string)
	// Drains is until when connections to a deregistered instance are drained; zero if there are none.
	Drains(groupARN, instanceID string) time.Time
}

// Balance has groups register their instances there. It is called before there are groups.
func (s *Service) Balance(b Balancers) { s.balancers = b }

// join registers a member that has come into service. The lock is held, as by the others here.
func (s *Service) join(g *group, m *member) {
	if s.balancers == nil || !g.runs("AddToLoadBalancer") {
		return
	}
	for _, arn := range g.identifiers(targetGroup) {
		s.balancers.Join(arn, m.id)
	}
}

// leave deregisters one that goes, or is detached.
func (s *Service) leave(g *group, m *member) {
	if s.balancers == nil {
		return
	}
	for _, arn := range g.identifiers(targetGroup) {
		s.balancers.Leave(arn, m.id)
	}
}

// drains is until when connections to a member are waited for: before its terminate hooks, and before its end.
func (s *Service) drains(g *group, m *member) (until time.Time) {
	if s.balancers == nil {
		return until
	}
	for _, arn := range g.identifiers(targetGroup) {
		until = latest(until, s.balancers.Drains(arn, m.id))
	}
	return until
}

// rebalanceSources registers and deregisters all members after a change of the group's sources.
func (s *Service) rebalanceSources(g *group, before []string) {
	if s.balancers == nil {
		return
	}
	now := map[string]bool{}
	for _, arn := range g.identifiers(targetGroup) {
		now[arn] = true
	}
	for _, m := range g.members {
		if m.state == inService {
			s.join(g, m)
		}
		for _, arn := range before {
			if !now[arn] {
				s.balancers.Leave(arn, m.id)
			}
		}
	}
}
