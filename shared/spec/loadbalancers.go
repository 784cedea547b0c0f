package spec

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// loadBalancerFields are those of a policy's interruption.loadBalancers.
const loadBalancerFields = `interruption
  loadBalancers
    deregister
    wait
    voluntaryWait
    pause
    connectionWait
`

// The longest waits for load balancers: what an involuntary event can spare, what a removal's patience has room for, and the
// longest deregistration delay that a target group can have.
const (
	maxWait           = time.Minute
	maxVoluntaryWait  = 10 * time.Minute
	maxConnectionWait = time.Hour
)

// loadBalancers reads how a machine that goes is taken out of load balancers.
func (v value) loadBalancers(p fleet.LoadBalancerPolicy) fleet.LoadBalancerPolicy {
	p.Deregister = v.at("deregister").boolean(p.Deregister)
	bounded := func(name string, otherwise, most time.Duration, why string) time.Duration {
		at := v.at(name)
		d := at.duration(otherwise)
		if d > most {
			at.wrong("%s is longer than %s: %s at most", d, why, most)
		}
		return d
	}
	p.Wait = bounded("wait", p.Wait, maxWait, "half of a spot instance's notice")
	p.VoluntaryWait = bounded("voluntaryWait", p.VoluntaryWait, maxVoluntaryWait, "drains by choice have time for")
	p.ConnectionWait = bounded("connectionWait", p.ConnectionWait, maxConnectionWait, "a target group's longest deregistration delay")
	pause := v.at("pause")
	if p.Pause = pause.duration(p.Pause); p.Pause > p.Wait && pause.there() {
		pause.wrong("%s is longer than wait, which bounds it: %s at most", p.Pause, p.Wait)
	}
	return p
}
