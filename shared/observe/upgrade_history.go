package observe

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// forever is how old what never changes may be.
const forever = math.MaxInt64 * time.Nanosecond

// inProgress is EKS's status of an update that is not over.
const inProgress = "InProgress"

// Types of updates that change the version of Kubernetes.
const (
	versionUpdate   = "VersionUpdate"
	versionRollback = "VersionRollback"
)

// history is what a cluster's own updates tell.
type history struct {
	busy  []upgradepath.Busy
	known remembered
}

// remembered is what is kept of a cluster's updates: those that are over never change, so that each is read once.
type remembered struct {
	Over map[string]change `json:"over,omitempty"`
	// Version is the one that the cluster had when it was last looked at, and Since when it was first seen with it: an update to
	// the same version after that is AWS's, of the platform.
	Version fleet.Minor `json:"version,omitempty"`
	Since   time.Time   `json:"since,omitzero"`
}

// change is an update that is over: for those that do not concern versions, nothing but that.
type change struct {
	To       fleet.Minor `json:"to,omitempty"`
	At       time.Time   `json:"at,omitzero"`
	Rollback bool        `json:"rollback,omitempty"`
}

// history reads the control plane's updates: one call, and one for each that is new or not over. EKS shows updates of its own
// in no other way: the cluster stays ACTIVE meanwhile.
func (l *upgradeLook) history() (history, error) {
	ids, err := l.aws.Changes(l.ctx, l.id.Name, "cluster", "")
	if err != nil {
		return history{}, err
	}
	known, _ := recall[remembered](l.ctx, l.histories, l.id.Name, forever)
	h := history{known: remembered{Over: map[string]change{}, Version: known.Version, Since: known.Since}}
	var unknown []string
	for _, id := range ids {
		if c, ok := known.Over[id]; ok {
			h.known.Over[id] = c
		} else {
			unknown = append(unknown, id)
		}
	}
	found, err := l.describe("cluster", "", unknown)
	if err != nil {
		return h, err
	}
	for _, u := range found {
		if u.Status == inProgress {
			h.busy = append(h.busy, upgradepath.Busy{ID: u.ID, Type: u.Type, Subject: "control-plane", Begun: u.Created})
			continue
		}
		h.known.Over[u.ID] = over(u)
	}
	if len(h.known.Over) != len(known.Over) {
		keep(l.ctx, l.histories, l.id.Name, h.known)
	}
	return h, nil
}

// over is what matters of an update when it is over.
func over(u fleet.Update) change {
	if u.Status != "Successful" || u.Type != versionUpdate && u.Type != versionRollback {
		return change{}
	}
	to, err := fleet.ParseMinor(u.Params["Version"])
	if err != nil {
		return change{} // it names none: of the platform alone
	}
	return change{To: to, At: u.Created, Rollback: u.Type == versionRollback}
}

// describe reads updates, some at once. One that has gone since is left out.
func (l *upgradeLook) describe(kind, name string, ids []string) (out []fleet.Update, err error) {
	var mu sync.Mutex
	parallel(updatesAtOnce, ids, func(id string) {
		u, e := l.aws.Change(l.ctx, l.id.Name, kind, name, id)
		mu.Lock()
		defer mu.Unlock()
		if e == nil {
			out = append(out, u)
		} else if !fault.Is(e, fault.NotFound) {
			err = e
		}
	})
	slices.SortFunc(out, func(a, b fleet.Update) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out, err
}

// updatesAtOnce is how many updates are described in parallel: EKS throttles reads early.
const updatesAtOnce = 4

// upgraded is when the cluster came to its version by an upgrade, and from which: the beginning of the update, since EKS does
// not say when it ended. Zero if it was made with the version, came to it by a rollback, or nobody knows.
func (h history) upgraded(version fleet.Minor) (at time.Time, from fleet.Minor) {
	var list []change
	for _, c := range h.known.Over {
		if c.To != 0 {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b change) int { return a.At.Compare(b.At) })
	var current fleet.Minor
	for _, c := range list {
		switch {
		case c.Rollback:
			current, at, from = c.To, time.Time{}, 0
		case c.To == current: // of the platform
		case current == 0 && c.To == h.known.Version && c.At.After(h.known.Since): // the same
			current = c.To
		default:
			current, at, from = c.To, c.At, c.To-1
		}
	}
	if current != version {
		return time.Time{}, 0
	}
	return at, from
}

// seen remembers with which version a cluster was seen first, while nothing works on it.
func (l *upgradeLook) seen(h history) {
	if h.known.Version == l.o.Version || len(h.busy) > 0 {
		return
	}
	h.known.Version, h.known.Since = l.o.Version, l.now()
	keep(l.ctx, l.histories, l.id.Name, h.known)
}

// childUpdates reads the updates in progress of a node group or an add-on that says that it has one.
func (l *upgradeLook) childUpdates(kind, name string) {
	ids, err := l.aws.Changes(l.ctx, l.id.Name, kind, name)
	part := kind + "/" + name
	known, _ := recall[map[string]bool](l.ctx, l.histories, l.id.Name+"/"+part, forever)
	still := map[string]bool{}
	var unknown []string
	for _, id := range ids {
		if known[id] {
			still[id] = true
		} else {
			unknown = append(unknown, id)
		}
	}
	var found []fleet.Update
	if err == nil {
		found, err = l.describe(kind, name, unknown)
	}
	if err != nil {
		l.missing(PartUpgradeUpdates+"/"+part, err)
		return
	}
	for _, u := range found {
		if u.Status != inProgress {
			still[u.ID] = true
			continue
		}
		l.mu.Lock()
		l.o.Busy = append(l.o.Busy, upgradepath.Busy{ID: u.ID, Type: u.Type, Subject: part, Begun: u.Created})
		l.mu.Unlock()
	}
	if len(still) != len(known) {
		keep(l.ctx, l.histories, l.id.Name+"/"+part, still)
	}
}
