package upgrade

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const apiGroupConfig = "eks:UpdateNodegroupConfig"

// Token makes a call that is made twice one: EKS knows it by its token. Another try of a step is another call.
func Token(run, step, api string, try int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", run, step, api, try))
	return hex.EncodeToString(sum[:16])
}

// call is the call that begins a step. Its ID is the step's.
func (d *decider) call(s upgradepath.Step, try int) plan.Call {
	c := plan.Call{Of: plan.Of{Cluster: d.in.EKS.Cluster.Name, ID: s.ID}, Effect: plan.Change}
	switch s.Kind {
	case upgradepath.StepAddon:
		c.API, c.Input = "eks:UpdateAddon", d.addon(s)
		c.Does = fmt.Sprintf("update add-on %s from %s to %s", s.Subject, s.From, s.To)
	case upgradepath.StepNodeGroup:
		c.API, c.Input, c.Does = d.nodes(s)
	case upgradepath.StepAuthority:
		c.API, c.Input, c.Does = d.authority(s)
	default:
		c.API, c.Input = "eks:UpdateClusterVersion", fleet.Props{"name": c.Cluster, "version": s.Minor.String()}
		c.Does = fmt.Sprintf("bring the control plane from %s to %s", s.From, s.To)
	}
	c.Input["clientRequestToken"] = Token(d.in.Request.RunID, s.ID, c.API, try)
	return c
}

// addon names its role and configuration again: EKS takes what is left out as taken away.
func (d *decider) addon(s upgradepath.Step) fleet.Props {
	in := fleet.Props{
		"clusterName": d.in.EKS.Cluster.Name, "addonName": s.Subject, "addonVersion": s.To, "resolveConflicts": string(d.p.Addons.Conflicts),
	}
	for _, a := range d.in.EKS.Addons {
		if a.Name != s.Subject {
			continue
		}
		if a.Role != "" {
			in["serviceAccountRoleArn"] = a.Role
		}
		if a.Configuration != "" {
			in["configurationValues"] = a.Configuration
		}
	}
	return in
}

// nodes is EKS's own update of a managed node group. The version is always sent, since the API's documentation says two things of
// what is taken without it; but never with an image of one's own, where EKS refuses it.
func (d *decider) nodes(s upgradepath.Step) (api string, in fleet.Props, does string) {
	g := d.group(s.Subject)
	in = fleet.Props{"clusterName": d.in.EKS.Cluster.Name, "nodegroupName": s.Subject}
	// A group whose owner has made it MINIMAL stays so under a policy of Rolling, which is the default: there may be no room for more.
	if s.Strategy == fleet.NodesMinimal && g.UpdateStrategy != minimal {
		in["updateConfig"] = fleet.Props{"updateStrategy": minimal}
		return apiGroupConfig, in, fmt.Sprintf("let node group %s be updated with strategy %s", s.Subject, minimal)
	}
	if d.p.Nodes.Force {
		in["force"] = true
	}
	if g.Custom() {
		template := fleet.Props{"version": s.Template}
		if strings.HasPrefix(g.Template, "lt-") {
			template["id"] = g.Template
		} else {
			template["name"] = g.Template
		}
		in["launchTemplate"] = template
		return "eks:UpdateNodegroupVersion", in, fmt.Sprintf("bring node group %s to version %s of launch template %s", s.Subject, s.Template, g.Template)
	}
	in["version"] = s.Minor.String()
	if s.To != s.Minor.String() {
		in["releaseVersion"] = s.To
	}
	return "eks:UpdateNodegroupVersion", in, fmt.Sprintf("bring node group %s from %s to %s", s.Subject, s.From, s.To)
}

// minimal is EKS's updateStrategy by which old nodes go first.
const minimal = "MINIMAL"
