// Package calendar says what maintenance would do when: for each cluster of a fleet the upgrades that its policy wants and when
// they would begin, patches, blackouts and freezes, the ends of support, and what is about to expire. It foresees; what happens is
// decided when its time has come.
package calendar

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Input is what is known of one cluster.
type Input struct {
	Cluster fleet.ClusterID
	Policy  fleet.UpgradePolicy
	// Facts are its version and the dates; a Version of 0 is not known.
	Facts   maintenance.Facts
	Freezes []fleet.Freeze // those that are for the cluster
	// Running is what a run that is under way does; "" if there is none.
	Running string
	// Expires are things of the cluster's that end at a time, beside waivers, which are in the policy.
	Expires []Expiry
}

// Expiry is something that ends.
type Expiry struct {
	At   time.Time
	What string // "the certificate authority of the cluster expires"
}

// Kind is what an entry is about.
type Kind string

// The kinds.
const (
	KindUpgrade  Kind = "Upgrade"
	KindPatch    Kind = "Patch"
	KindWindow   Kind = "Window" // the next one of the cluster
	KindBlackout Kind = "Blackout"
	KindFreeze   Kind = "Freeze"
	KindSupport  Kind = "Support" // an end of support
	KindExpiry   Kind = "Expiry"
	KindRunning  Kind = "Running"
	KindWarning  Kind = "Warning" // somebody has to do something
)

// Entry is one thing that would happen.
type Entry struct {
	At      time.Time `json:"at"`
	Until   time.Time `json:"until,omitzero"`
	Cluster string    `json:"cluster,omitempty"` // "region/name"; "" is the whole fleet
	Kind    Kind      `json:"kind"`
	// Title is short: "upgrade to 1.36"; Detail is why, and what to do.
	Title  string      `json:"title"`
	Detail string      `json:"detail,omitempty"`
	To     fleet.Minor `json:"to,omitempty"`
}

// Estimates. A run looks at what is there; these are for the order of clusters and for people.
const (
	// firstStep is a control plane's hop with the room that a run leaves for it: 10 minutes (eksctl#7976), and half as much again.
	firstStep = 15 * time.Minute
	hopTakes  = 10 * time.Minute // and the policy's bake
	nodesTake = time.Hour
	// patchEvery is how often EKS publishes AMI releases: about once a week (github.com/awslabs/amazon-eks-ami/releases).
	patchEvery = 7 * 24 * time.Hour
	patchTakes = 15 * time.Minute
	maxRounds  = 6 // of upgrades, one after another, of a cluster
)

// Year is what would happen from now until a moment, in order. all is what holds for the fleet.
func Year(now, until time.Time, all fleet.FleetPolicy, clusters []Input) []Entry {
	y := year{now: now, until: until, all: all, begun: map[fleet.Minor]map[string][]busy{}}
	y.blackouts("", all.Blackouts)
	states := make([]*state, len(clusters))
	for i, in := range clusters {
		states[i] = &state{Input: in, ring: y.ring(in.Policy.Ring), from: now, calendar: maintenance.Calendar{
			Windows: in.Policy.Windows, Blackouts: slices.Concat(in.Policy.Blackouts, all.Blackouts), Freezes: in.Freezes,
		}}
		y.known(states[i])
	}
	slices.SortStableFunc(states, func(a, b *state) int { return cmp.Compare(a.ring, b.ring) })
	for range maxRounds {
		for _, s := range states {
			y.upgrade(s)
		}
	}
	slices.SortStableFunc(y.entries, func(a, b Entry) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Title, b.Title))
	})
	return y.entries
}

// year is a calendar in the making.
type year struct {
	now, until time.Time
	all        fleet.FleetPolicy
	entries    []Entry
	begun      map[fleet.Minor]map[string][]busy // upgrades to a minor, by ring
}

type busy struct{ from, until time.Time }

// state is a cluster whose upgrades are gone through one after another.
type state struct {
	Input
	calendar maintenance.Calendar
	ring     int
	from     time.Time // when the next upgrade may begin at the earliest
	done     bool
}

// ring is the place of a ring in the fleet's order; one that there is not comes last.
func (y *year) ring(name string) int {
	if i := slices.IndexFunc(y.all.Rings, func(r fleet.Ring) bool { return r.Name == name }); i >= 0 {
		return i
	}
	return len(y.all.Rings)
}

// add notes what begins in the time of the calendar, or goes on into it.
func (y *year) add(e Entry) {
	end := e.At
	if e.Until.After(end) {
		end = e.Until
	}
	if !end.Before(y.now) && e.At.Before(y.until) {
		y.entries = append(y.entries, e)
	}
}

// known notes what is sure: windows, closed times, ends of support, what expires.
func (y *year) known(s *state) {
	id := s.Cluster.String()
	y.blackouts(id, s.Policy.Blackouts)
	for _, f := range s.Freezes {
		e := Entry{At: f.From, Until: f.Until, Cluster: id, Kind: KindFreeze, Title: "freeze " + f.Name, Detail: f.Reason}
		if f.Until.IsZero() {
			e.Until, e.Detail = y.until, f.Reason+"; it holds until it is lifted: ekspedite upgrade unfreeze --name "+f.Name
		}
		y.add(e)
	}
	if s.Running != "" {
		y.add(Entry{At: y.now, Cluster: id, Kind: KindRunning, Title: "a run is under way", Detail: s.Running})
	}
	for _, w := range s.Policy.Checks.Waivers {
		y.add(Entry{At: w.Until, Cluster: id, Kind: KindExpiry, Title: "the waiver of " + w.Check + " ends", Detail: w.Reason + "; from then on the check holds again"})
	}
	for _, x := range s.Expires {
		y.add(Entry{At: x.At, Cluster: id, Kind: KindExpiry, Title: x.What})
	}
	openings := s.calendar.Openings(y.now, y.until)
	if len(openings) > 0 {
		o := openings[0]
		y.add(Entry{At: o.From, Until: o.Until, Cluster: id, Kind: KindWindow, Title: "window " + o.Window, Detail: fmt.Sprintf("the next of %d until %s", len(openings), y.until.UTC().Format(time.DateOnly))})
	}
	y.patches(s, openings)
	if s.Facts.Version == 0 {
		y.add(Entry{At: y.now, Cluster: id, Kind: KindWarning, Title: "its version is not known", Detail: "no upgrade can be foreseen: name it in the file, metadata.version"})
	}
	if s.Policy.Mode == fleet.UpgradeAct && len(s.Policy.Windows) == 0 {
		y.add(Entry{At: y.now, Cluster: id, Kind: KindWarning, Title: "no maintenance windows", Detail: "nothing is started by itself: give the policy windows"})
	}
}

// blackouts notes each time that one holds.
func (y *year) blackouts(cluster string, list []fleet.Blackout) {
	for _, b := range list {
		for _, c := range (maintenance.Calendar{Blackouts: []fleet.Blackout{b}}).Closed(y.now, y.until) {
			y.add(Entry{At: c.From, Until: c.Until, Cluster: cluster, Kind: KindBlackout, Title: "blackout " + b.Label()})
		}
	}
}

// patches notes the first opening of each week in which patches fit.
func (y *year) patches(s *state, openings []maintenance.Opening) {
	if s.Policy.Mode == fleet.UpgradeOff || !s.Policy.Patches.Images && !s.Policy.Patches.Addons {
		return
	}
	what := map[[2]bool]string{{true, true}: "node images and add-ons", {true, false}: "node images", {false, true}: "add-ons"}[[2]bool{s.Policy.Patches.Images, s.Policy.Patches.Addons}]
	last := time.Time{}
	for _, o := range openings {
		if o.Until.Sub(o.From) < patchTakes || o.From.Before(last.Add(patchEvery)) {
			continue
		}
		last = o.From
		e := Entry{At: o.From, Until: o.Until, Cluster: s.Cluster.String(), Kind: KindPatch, Title: "patch " + what}
		if s.Policy.Mode == fleet.UpgradePlan {
			e.Detail = "mode Plan: nothing is done"
		}
		y.add(e)
	}
}
