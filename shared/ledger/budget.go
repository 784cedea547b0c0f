package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// Rate is how many calls a second, and how many at once after a quiet time, all execution environments together may make.
type Rate struct {
	PerSecond float64
	Burst     int
}

// bucket is what is left of a budget.
type bucket struct {
	Left float64   `json:"left"`
	At   time.Time `json:"at"`
}

// drawTries is how often a draw is repeated that another environment was faster with.
const drawTries = 8

// Draw takes up to n calls out of a budget that all environments share. It grants none when the budget is used up, and says
// after how long to ask again.
func (l *Ledger) Draw(ctx context.Context, budget string, r Rate, n int) (granted int, again time.Duration, err error) {
	key := Key{"budget", budget}
	for range drawTries {
		doc, err := l.Store.Get(ctx, key)
		if err != nil {
			return 0, 0, err
		}
		now, b := l.Now(), bucket{Left: float64(r.Burst)}
		if doc.Version > 0 {
			if err := json.Unmarshal(doc.Data, &b); err != nil {
				b = bucket{} // a damaged one is an empty one
			}
			b.Left = min(float64(r.Burst), b.Left+max(0, now.Sub(b.At).Seconds())*r.PerSecond)
		}
		if b.Left < 1 {
			return 0, time.Duration((1 - b.Left) / r.PerSecond * float64(time.Second)), nil
		}
		granted = min(n, int(b.Left))
		b.Left, b.At = b.Left-float64(granted), now
		if doc.Data, err = json.Marshal(b); err != nil {
			return 0, 0, err
		}
		doc.Key, doc.Expires = key, now.Add(24*time.Hour)
		err = l.Store.Put(ctx, doc)
		if err == nil {
			return granted, 0, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return 0, 0, err
		}
	}
	return 0, time.Second, nil // many ask at once, which is what the budget is for
}
