package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// reclaimsKept is how long a reclaim is remembered: longer than any planner believes in it.
const reclaimsKept = 6 * time.Hour

// reclaimFresh is how old the remembered reclaim of an offering may be for another one to say nothing new. In a reclaim of a whole zone
// a thousand drains would write the same item.
const reclaimFresh = 10 * time.Second

func reclaimKey(region string, r fleet.Reclaim) Key {
	return Key{"reclaims#" + region, r.Zone + "/" + r.Type}
}

// SaveReclaim remembers that EC2 takes spot machines of a type in a zone back: for all clusters of the Region.
func (l *Ledger) SaveReclaim(ctx context.Context, region string, r fleet.Reclaim) error {
	doc, err := l.Store.Get(ctx, reclaimKey(region, r))
	if err != nil {
		return err
	}
	var known fleet.Reclaim
	if doc.Version > 0 && json.Unmarshal(doc.Data, &known) == nil && r.At.Sub(known.At) < reclaimFresh {
		return nil
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = l.Store.Put(ctx, Document{Key: reclaimKey(region, r), Version: doc.Version, Expires: l.Now().Add(reclaimsKept), Data: data})
	return fault.Ignore(err, fault.Conflict) // another drain has just said so
}

// Reclaims are the offerings that EC2 has taken back in a Region of late. A damaged one is left out: it is a hint.
func (l *Ledger) Reclaims(ctx context.Context, region string) ([]fleet.Reclaim, error) {
	docs, err := l.Store.Query(ctx, "reclaims#"+region, "")
	if err != nil {
		return nil, err
	}
	var out []fleet.Reclaim
	for _, d := range docs {
		var r fleet.Reclaim
		if json.Unmarshal(d.Data, &r) == nil && l.Now().Sub(r.At) < reclaimsKept { // the table deletes late
			out = append(out, r)
		}
	}
	return out, nil
}
