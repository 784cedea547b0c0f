package ledger

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// upgrades is the partition in which there is one small document for each cluster whose upgrade is under way, so that a sweep
// asks once for all of them and not each cluster whether it has one.
const upgrades = "upgrades"

// BeginUpgrade records a run, and that it is under way. The list comes first: a run that is not on it would be lost with its
// message, and a name on the list without a run costs one read a sweep.
func (l *Ledger) BeginUpgrade(ctx context.Context, cluster fleet.ClusterID, u Upgrade) (Upgrade, error) {
	if err := l.replace(ctx, Key{upgrades, cluster.String()}, listed{}, time.Time{}); err != nil {
		return u, err
	}
	saved, err := l.SaveUpgrade(ctx, cluster, u)
	if err != nil {
		return saved, err
	}
	// Whoever ended the run before may have taken the cluster off the list meanwhile.
	return saved, l.replace(ctx, Key{upgrades, cluster.String()}, listed{}, time.Time{})
}

// EndUpgrade takes a cluster off the list of those whose upgrade is under way.
func (l *Ledger) EndUpgrade(ctx context.Context, cluster fleet.ClusterID) error {
	key := Key{upgrades, cluster.String()}
	if err := l.replace(ctx, key, listed{Gone: true}, l.Now().Add(Retention)); err != nil {
		return err
	}
	u, err := l.Upgrade(ctx, cluster)
	if err != nil || !u.Running() {
		return err
	}
	return l.replace(ctx, key, listed{}, time.Time{}) // another run has begun meanwhile
}

// UpgradesUnderWay lists the clusters whose upgrade is under way, in the order of their names. One of them may have ended just now.
func (l *Ledger) UpgradesUnderWay(ctx context.Context) (ids []fleet.ClusterID, err error) {
	docs, err := l.Store.Query(ctx, upgrades, "")
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		is, err := listing(d)
		if err != nil {
			return nil, err
		}
		if !is.Gone {
			ids = append(ids, fleet.ParseClusterID(d.Key.Sort))
		}
	}
	return ids, nil
}

// Follow is a new run in the place of this one, which remembers what was before it.
func (u Upgrade) Follow(next Upgrade) Upgrade {
	next.version, next.CheckedAt, next.Fence = u.version, u.CheckedAt, u.Fence
	if u.RunID != "" {
		next.Past = append(slices.Clone(u.Past), u.RunID)
		next.Past = next.Past[max(0, len(next.Past)-maxSuperseded):]
	}
	return next
}

// Knows tells whether a run is this one or one before it.
func (u Upgrade) Knows(run string) bool { return u.RunID == run || slices.Contains(u.Past, run) }

// Tell adds a line to the run, as ClusterRun.Tell does.
func (u *Upgrade) Tell(line Line) { u.Lines = tell(u.Lines, line) }

// maxCommands bounds what one run can be told: more than a hundred are a loop somewhere.
const maxCommands = 100

// last are the commands that a run hears when it hears no others any more.
var last = []string{"Halt", "Abort"}

// Command records a command to the run that is under way. It waits for no lease: a halt has to be quick. The same command twice
// is once. Without a run that is under way the error's class is fault.NotFound.
func (l *Ledger) Command(ctx context.Context, cluster fleet.ClusterID, c UpgradeCommand) (Upgrade, error) {
	for range 2 * conflictTries { // a look writes two or three times
		u, err := l.Upgrade(ctx, cluster)
		if err != nil {
			return u, err
		}
		if slices.ContainsFunc(u.Commands, func(o UpgradeCommand) bool { return o.RequestID == c.RequestID }) {
			return u, nil
		}
		switch {
		case !u.Running():
			return u, fault.New(fault.NotFound, "no upgrade of cluster %s is under way", cluster)
		case len(u.Commands) >= maxCommands && !slices.Contains(last, c.Command) || len(u.Commands) >= 2*maxCommands:
			return u, fault.New(fault.Invalid, "the upgrade of cluster %s has been told %d things: abort it and begin anew", cluster, maxCommands)
		}
		u.Commands = append(slices.Clip(u.Commands), c)
		if u, err = l.SaveUpgrade(ctx, cluster, u); !fault.Is(err, fault.Conflict) {
			return u, err
		}
	}
	return Upgrade{}, fault.New(fault.Conflict, "the upgrade of cluster %s is being changed by many at once", cluster)
}

// Recheck lets the time at which somebody last looked whether maintenance is due be no later than that, so that the next sweep
// asks. A run that is under way is left alone.
func (l *Ledger) Recheck(ctx context.Context, cluster fleet.ClusterID, latest time.Time) error {
	for range conflictTries {
		u, err := l.Upgrade(ctx, cluster)
		if err != nil || u.Running() || !u.CheckedAt.After(latest) {
			return err
		}
		u.CheckedAt = latest
		if _, err = l.SaveUpgrade(ctx, cluster, u); !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil // somebody is at work on it, which is as good
}

// Merge goes on where a write met a conflict: if only commands have come since was was read or saved, it is next with these
// commands, to be saved again; else somebody else holds the lease, and the error's class is fault.Conflict.
func (l *Ledger) Merge(ctx context.Context, cluster fleet.ClusterID, was, next Upgrade) (Upgrade, error) {
	now, err := l.Upgrade(ctx, cluster)
	if err != nil {
		return next, err
	}
	same, err := sameLook(was, now)
	if err != nil {
		return next, err
	}
	if !same {
		return next, fault.New(fault.Conflict, "somebody else has looked at cluster %s", cluster)
	}
	next.version, next.Commands = now.version, now.Commands
	return next, nil
}

// sameLook tells whether two states of a run differ in commands alone.
func sameLook(a, b Upgrade) (bool, error) {
	a.Commands, b.Commands = nil, nil
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return string(x) == string(y), err
}
