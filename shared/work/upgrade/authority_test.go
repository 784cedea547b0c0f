package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestAuthorityRenewed: without a request, in nightly windows, a certificate authority that ends is replaced: a successor is made, the
// nodes are replaced, and it is activated when clients have had their time. The function's own role is all that it takes.
func TestAuthorityRenewed(t *testing.T) {
	const day = 24 * time.Hour
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.RoleARN = r.Role("../../../infra/template", "UpgradeFunctionRole")
		r.policy(func(p *fleet.UpgradePolicy) {
			nights(t, p, 3*time.Hour)
			p.Version, p.Patches = 34, fleet.PatchPolicy{Renew: 3 * 365 * day, Trust: 5 * day}
		})
		if err := r.Cloud.EKS.ExpireAuthority(demo.Name, time.Now().Add(3*365*day-time.Hour)); err != nil {
			t.Fatal(err)
		}
		before := map[string]bool{}
		for _, n := range r.cluster().Nodes {
			before[n.Name] = true
		}
		r.RunFor(10 * day)
		o := r.cluster()
		signer, successor, former := upgradepath.Signer(o.Authorities)
		if signer == nil || successor != nil || former == nil || signer.CreatedBy != "CUSTOMER" || signer.ActivatedAt.Sub(signer.CreatedAt) < 5*day {
			t.Errorf("%+v\n%s", o.Authorities, r.Told())
		}
		for _, n := range o.Nodes {
			if before[n.Name] {
				t.Errorf("node %s was not replaced", n.Name)
			}
		}
		list := r.Finished()
		for _, f := range list {
			t.Logf("%s: %s", f.Outcome, f.Reason)
		}
		if len(list) != 3 { // made; nodes; activated
			t.Errorf("%d runs\n%s", len(list), r.Told())
		}
		for _, what := range []string{"/succeed", "nodegroup/web/", "/activate"} {
			if !strings.Contains(r.Told(), what) {
				t.Errorf("nothing is told of %s\n%s", what, r.Told())
			}
		}
	})
}
