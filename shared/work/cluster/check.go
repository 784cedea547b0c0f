package cluster

import (
	"context"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// check looks, before the first write of a run, whether the whole plan can work. What is wrong ends the run before anything
// was touched; what may go wrong is told. A sweep mends what was made already, and is checked only where the run before it
// was refused: what nobody has mended since is not begun behind their back.
func (v *visit) check(ctx context.Context, o cluster.Observation, p plan.Plan) (plan.Plan, error) {
	mends := v.run.RequestID == "" && !v.before.Refused
	if p.Empty() || mends || v.run.Writes > 0 || v.run.Checked || v.reach.Preflight == nil {
		return p, nil
	}
	whole, err := cluster.Forecast(v.Now(), o, v.spec, v.opt)
	if err != nil {
		return p, nil //nolint:nilerr // Decide has said it already
	}
	findings := v.reach.Preflight(ctx, v.spec, whole)
	if ctx.Err() != nil { // half of it is unread for want of time
		return p, ctx.Err()
	}
	v.run.Checked = true
	var wrong []string
	failed := plan.Plan{Subject: p.Subject, Outcome: cluster.OutcomeFailed, Notes: p.Notes}
	for _, f := range findings {
		switch f.Severity {
		case preflight.Error:
			wrong = append(wrong, f.Text)
			failed.Failures = append(failed.Failures, plan.Failure{Resource: f.Resource, Code: f.Code, Whose: whose(f.Code), Text: f.Text, Fix: f.Fix})
		case preflight.Warning:
			v.progress(ctx, f.Resource, "Preflight", f.String())
		case preflight.Info:
		}
	}
	obs.Log(ctx).Info("preflight", "cluster", v.spec.Name, "findings", len(findings), "errors", len(wrong))
	if len(wrong) == 0 {
		return p, nil
	}
	v.run.Refused = true
	failed.Reason = "nothing was written: " + strings.Join(wrong, "; ")
	return failed, nil
}

// whose says who can do something about an error of preflight.
func whose(code string) plan.Whose {
	switch {
	case strings.HasPrefix(code, "Quota"):
		return plan.Quota
	case code == "PermissionMissing":
		return plan.Ours
	case strings.Contains(code, "Addresses"):
		return plan.Capacity
	}
	return plan.Users
}
