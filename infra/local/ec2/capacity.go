package ec2

import (
	"fmt"
	"math"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// The codes of launches that find no machine.
const (
	noCapacity = "InsufficientInstanceCapacity"
	notOffered = "Unsupported"
)

// pool is one market for one instance type in one zone. An empty field stands for any.
type pool struct{ instanceType, az, market string }

func (p pool) holds(instanceType, az, market string) bool {
	return (p.instanceType == "" || p.instanceType == instanceType) && (p.az == "" || p.az == az) && (p.market == "" || p.market == market)
}

// LimitCapacity says how many instances of a type may run in a zone on a market ("spot" or "on-demand") at once. An empty
// argument means any: the limit is then on all of them together. A negative limit ends an earlier one with the same
// arguments. Instances that run stay.
func (s *Service) LimitCapacity(instanceType, az, market string, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit < 0 {
		delete(s.limits, pool{instanceType, az, market})
	} else {
		s.limits[pool{instanceType, az, market}] = limit
	}
}

// SetCapacity is LimitCapacity with nothing or everything.
func (s *Service) SetCapacity(instanceType, az, market string, available bool) {
	limit := 0
	if available {
		limit = -1
	}
	s.LimitCapacity(instanceType, az, market, limit)
}

// room is how many more instances of a type the limits let be launched in a zone. The lock is held.
func (s *Service) room(instanceType, az, market string) int {
	room := math.MaxInt
	for p, limit := range s.limits {
		if !p.holds(instanceType, az, market) {
			continue
		}
		if limit > 0 {
			for _, i := range all[*instance](s) {
				if (i.state == "pending" || i.state == "running") && p.holds(i.typ.Name, i.az, marketName(i.spotRequest != "")) {
					limit--
				}
			}
		}
		room = min(room, max(limit, 0))
	}
	return room
}

// offer is room as a launch finds it, which may be out of luck besides. The lock is held.
func (s *Service) offer(instanceType, az, market string) int {
	if s.opts.Insufficient != nil && s.opts.Insufficient(instanceType, az, market) {
		return 0
	}
	return s.room(instanceType, az, market)
}

// insufficient is EC2's answer when a pool is empty. It is a server error: SDKs retry it.
func (s *Service) insufficient(typ InstanceType, az, market string) *wire.Error {
	if market == "spot" {
		return wire.Errf(noCapacity, "There is no Spot capacity available that matches your request.").WithStatus(500)
	}
	var others []string
	for _, z := range s.zones() {
		if z.name != az && s.offered(typ, z.name) && s.offer(typ.Name, z.name, market) > 0 {
			others = append(others, z.name)
		}
	}
	hint := ""
	if len(others) > 0 {
		hint = fmt.Sprintf(" You can currently get %s capacity by not specifying an Availability Zone in your request or choosing %s.", typ.Name, strings.Join(others, ", "))
	}
	return wire.Errf(noCapacity, "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity.%s", typ.Name, az, hint).WithStatus(500)
}
