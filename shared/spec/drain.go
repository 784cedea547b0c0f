package spec

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Bounds of what drains wait for. A node that is kept out of use for a day, or a replacement that is waited for so long, is a
// slip; and a minute is the least in which a machine becomes a node or a warning follows a recommendation.
const (
	leastPatience = time.Minute
	mostPatience  = 24 * time.Hour
)

// drains reads how far drains go: the defaults, and what the document says otherwise.
func (v value) drains(p fleet.DrainPolicy) fleet.DrainPolicy {
	p.Mode = fleet.DrainMode(v.at("mode").oneOf(string(p.Mode), string(fleet.DrainAct), string(fleet.DrainObserve)))
	p.RebalancePatience = v.at("rebalancePatience").between(p.RebalancePatience, leastPatience, mostPatience)
	p.ReplacePatience = v.at("replacePatience").between(p.ReplacePatience, leastPatience, mostPatience)
	p.LongGrace = fleet.LongGrace(v.at("longGrace").oneOf(string(p.LongGrace), string(fleet.GraceClamp), string(fleet.GraceFull)))
	p.BarePods = fleet.BarePods(v.at("barePods").oneOf(string(p.BarePods), string(fleet.BarePodsKeep), string(fleet.BarePodsEvict)))
	p.Jobs = fleet.JobPods(v.at("jobs").oneOf(string(p.Jobs), string(fleet.JobPodsWait), string(fleet.JobPodsEvict)))
	patience := v.at("jobPatience")
	p.JobPatience = patience.between(p.JobPatience, leastPatience, mostPatience)
	if patience.there() && p.Jobs == fleet.JobPodsEvict {
		patience.wrong("is for jobs: Wait")
	}
	p.OutOfService = v.at("outOfService").boolean(p.OutOfService)
	return p
}

// between is a duration of a range.
func (v value) between(otherwise, least, most time.Duration) time.Duration {
	d := v.duration(otherwise)
	if d < least || d > most {
		v.wrong("%s is not between %s and %s", d, least, most)
		return otherwise
	}
	return d
}
