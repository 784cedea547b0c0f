package upgrade

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Soaks says what is worse with a cluster than when its last upgrade began, while its ring soaks; "" if nothing is, or if nobody
// knows how it was.
func (w *Work) Soaks(ctx context.Context, id fleet.ClusterID, policy fleet.HealthPolicy) (string, error) {
	u, err := w.Ledger.Upgrade(ctx, id)
	if err != nil || len(u.Memory) == 0 {
		return "", err
	}
	var m upgrade.Memory
	if err := json.Unmarshal(u.Memory, &m); err != nil {
		return "", fault.New(fault.Invalid, "the ledger's memory of the upgrade of %s is damaged: %v", id, err)
	}
	h := w.Open(id.Region).Health(ctx, id.Name, policy.Alarms)
	return strings.Join(upgrade.Worse(w.Now(), h, m, policy), "; "), nil
}
