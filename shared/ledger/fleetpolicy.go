package ledger

import (
	"context"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// keptPolicy is the fleet's policy with the time at which it was asked for.
type keptPolicy struct {
	fleet.FleetPolicy
	RequestedAt time.Time `json:"requestedAt,omitzero"`
}

// KeepFleetPolicy lets a policy take the place of the one before, unless that one was asked for later: messages are delivered in
// any order, and again when somebody redrives them.
func (l *Ledger) KeepFleetPolicy(ctx context.Context, p fleet.FleetPolicy, requestedAt time.Time) (kept bool, err error) {
	key := Key{fleetPartition, "policy"}
	for range conflictTries {
		var old keptPolicy
		version, err := l.read(ctx, key, &old, "fleet policy")
		if err != nil {
			return false, err
		}
		if old.RequestedAt.After(requestedAt) {
			return false, nil
		}
		if err = l.write(ctx, key, version, keptPolicy{p, requestedAt}, time.Time{}); !fault.Is(err, fault.Conflict) {
			return err == nil, err
		}
	}
	return false, fault.New(fault.Conflict, "the fleet's policy is being changed by many at once")
}
