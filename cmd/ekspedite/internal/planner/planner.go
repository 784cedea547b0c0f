// Package planner makes plans from the command line: it reads AWS with the caller's own credentials, decides as the cluster
// function does, and writes nothing.
package planner

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/decide/cost"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// Region is what is read of one Region.
type Region struct {
	Observe observe.Clusters
	// Surroundings are for the preflight checks; nil leaves these out.
	Surroundings observe.Surroundings
	// Prices are for the estimate of what it costs; nil leaves that out.
	Prices Prices
}

// Prices reads prices by the names of package cost. Those that there are come beside an error about others.
type Prices interface {
	Prices(ctx context.Context, names []string) (map[string]cost.Price, error)
}

// Planner makes plans.
type Planner struct {
	Open func(region string) Region
	// Options are those of the cluster function: its account and the functions' roles.
	Options cluster.Options
	// Home is the Region of the functions.
	Home string
	// InVPC says that the functions are attached to a network.
	InVPC bool
	// RolesKnown is false when the roles are stand-ins, whose permissions nobody can check.
	RolesKnown bool
	Now        func() time.Time
}

// Plan says what would be done to make a cluster what its spec says. Notes are added to the plan's.
func (p *Planner) Plan(ctx context.Context, s spec.Spec, notes []string) (clusterview.Plan, error) {
	c, opt, region := s.Cluster, p.Options, p.Open(s.Cluster.Region)
	opt.RunID = "plan" // tokens are derived from it, and none is ever sent
	opt.Scaling.ScalingPolicy = s.Policy.Scaling
	opt.Scaling.Bell = plan.Unknown("doorbell") // it is a secret, which a plan does not need
	if c.Region == p.Home {
		opt.Scaling.Function = plan.Unknown("doorbell")
	}
	o, err := region.Observe.Cluster(ctx, c, opt, observe.Hints{Full: true})
	if err != nil {
		return clusterview.Plan{}, unreadable(c, err)
	}
	unreachable := o.Unreachable
	forecast, err := cluster.Forecast(p.Now(), o, c, opt)
	if err != nil {
		return clusterview.Plan{}, &fault.Error{Class: fault.Invalid, Err: err}
	}
	if unreachable != "" && o.Working() {
		forecast = withoutObjects(forecast, unreachable)
	}
	if o.Control() != nil {
		everything, err := region.Observe.Everything(ctx, idOf(c), observe.ForPruning, observe.Hints{})
		if err != nil {
			return clusterview.Plan{}, unreadable(c, err)
		}
		forecast = cluster.ForecastPrune(forecast, o, everything, c, opt)
	}
	v := clusterview.NewPlan(c, status(o), forecast)
	v.Notes = append(slices.Clone(notes), v.Notes...)
	if v.Calls > 0 {
		t, err := cluster.Duration(p.Now(), o, c, opt)
		if err != nil {
			return clusterview.Plan{}, &fault.Error{Class: fault.Invalid, Err: err}
		}
		v.Time = &clusterview.Time{Expected: int(t.Expected.Seconds()), Sequential: int(t.Sequential.Seconds()), Path: path(t)}
	}
	p.check(ctx, &v, region, c, forecast)
	p.estimate(ctx, &v, region, o, c, forecast)
	return v, nil
}

// Removal says what would be deleted so that nothing is left of a cluster.
func (p *Planner) Removal(ctx context.Context, id fleet.ClusterID, force bool) (clusterview.Plan, error) {
	named, opt := fleet.ClusterSpec{Name: id.Name, Region: id.Region}, p.Options
	opt.RunID = "plan"
	o, err := p.Open(id.Region).Observe.Everything(ctx, id, observe.ForRemoval, observe.Hints{})
	if err != nil {
		return clusterview.Plan{}, unreadable(named, err)
	}
	forecast, err := cluster.ForecastRemoval(p.Now(), o, named, opt, force)
	if err != nil {
		return clusterview.Plan{}, &fault.Error{Class: fault.Invalid, Err: err}
	}
	return clusterview.NewPlan(named, status(o), forecast), nil
}

// Look says what of a cluster is as its spec says.
func (p *Planner) Look(ctx context.Context, c fleet.ClusterSpec) (*clusterview.Look, error) {
	opt := p.Options
	opt.RunID = "plan"
	o, err := p.Open(c.Region).Observe.Cluster(ctx, c, opt, observe.Hints{})
	if err != nil {
		return nil, unreadable(c, err)
	}
	look := &clusterview.Look{Status: status(o), Ready: []string{}, Waiting: []string{}, Different: []string{}, Failed: []plan.Failure{}, Notes: []string{}}
	if control := o.Control(); control != nil {
		look.Endpoint, look.Version = fleet.Text(control.Props, "endpoint"), fleet.Text(control.Props, "version")
	}
	unreachable := o.Unreachable
	o.Unreachable = ""
	ready, waiting := cluster.Progress(p.Now(), o, c, opt)
	decided, err := cluster.Decide(p.Now(), o, c, opt)
	if err != nil {
		return nil, err
	}
	if unreachable != "" && o.Working() {
		decided = withoutObjects(decided, unreachable)
	}
	look.Ready, look.Waiting = append(look.Ready, ready...), append(look.Waiting, waiting...)
	look.Failed, look.Notes = append(look.Failed, decided.Failures...), append(look.Notes, decided.Notes...)
	for _, step := range decided.Steps {
		for _, a := range step.Actions {
			if call, ok := a.(plan.Call); ok && !slices.Contains(look.Different, call.ID) {
				look.Different = append(look.Different, call.ID)
			}
		}
	}
	return look, nil
}

// withoutObjects takes what is inside of the cluster out of a plan: who asked could not see it. It is there or not, and the
// function, which has an access entry, will see.
func withoutObjects(p plan.Plan, why string) plan.Plan {
	dropped := 0
	var steps []plan.Step
	for _, s := range p.Steps {
		kept := slices.DeleteFunc(slices.Clone(s.Actions), func(a plan.Action) bool {
			return strings.HasPrefix(a.Kind(), "kubernetes:")
		})
		if dropped += len(s.Actions) - len(kept); len(kept) > 0 {
			steps = append(steps, plan.Step{Name: s.Name, Actions: kept})
		}
	}
	if dropped == 0 {
		return p
	}
	p.Steps = steps
	p.Notes = append(p.Notes, fmt.Sprintf("%d objects inside of the cluster were not compared (%s): ekspedite's function does that with an access entry of its own", dropped, why))
	if p.Outcome != cluster.OutcomeFailed {
		p.Reason = fmt.Sprintf("%d calls make it what its spec says", p.Len())
		if p.Empty() {
			p.Reason = "all resources that can be seen are as its spec says: nothing to do"
		}
	}
	return p
}

// check adds what preflight finds. Nothing is to be checked when nothing is to be done.
func (p *Planner) check(ctx context.Context, v *clusterview.Plan, region Region, c fleet.ClusterSpec, forecast plan.Plan) {
	if region.Surroundings == nil || v.Calls == 0 && v.OK {
		return
	}
	facts := preflight.Facts{Now: p.Now(), Account: p.Options.Account, InVPC: p.InVPC}
	if p.RolesKnown {
		facts.Role = p.Options.ClusterRole
	}
	facts = observe.Preflight(ctx, region.Surroundings, facts, preflight.Ask(facts, c, forecast))
	v.Findings = append(v.Findings, preflight.Preflight(facts, c, forecast)...)
	if preflight.Failed(v.Findings) {
		v.OK = false
	}
}

// estimate adds what the cluster will cost. A price that cannot be read is no reason to be without a plan.
func (p *Planner) estimate(ctx context.Context, v *clusterview.Plan, region Region, o cluster.Observation, c fleet.ClusterSpec, forecast plan.Plan) {
	if region.Prices == nil {
		return
	}
	in := cost.Input{Spec: c, Plan: forecast, Extended: extended(ctx, region, o, c)}
	var err error
	if in.Prices, err = region.Prices.Prices(ctx, cost.Ask(in)); err != nil {
		v.Notes = append(v.Notes, fmt.Sprintf("not all prices could be read: %v", err))
	}
	estimate := cost.Of(in)
	v.Cost = &estimate
}

// extended tells whether the cluster's version of Kubernetes is in extended support, which costs more than the cluster.
func extended(ctx context.Context, region Region, o cluster.Observation, c fleet.ClusterSpec) bool {
	version := c.Version
	if control := o.Control(); control != nil {
		version = cmp.Or(fleet.Text(control.Props, "version"), version)
	}
	if region.Surroundings == nil || version == "" {
		return false
	}
	offered, err := region.Surroundings.Fact(ctx, "versions", "")
	if err != nil {
		return false // preflight has named it
	}
	return slices.ContainsFunc(fleet.Items(offered, "clusterVersions"), func(v fleet.Props) bool {
		return fleet.Text(v, "clusterVersion") == version && strings.EqualFold(fleet.Text(v, "versionStatus"), "EXTENDED_SUPPORT")
	})
}

func path(t cluster.Timing) []string {
	out := []string{}
	for _, r := range t.Path {
		out = append(out, r.Resource)
	}
	return out
}

func status(o cluster.Observation) string {
	if c := o.Control(); c != nil {
		return cmp.Or(c.Status, "there")
	}
	return ""
}

func idOf(c fleet.ClusterSpec) fleet.ClusterID {
	return fleet.ClusterID{Region: c.Region, Name: c.Name}
}

func unreadable(c fleet.ClusterSpec, err error) error {
	err = fmt.Errorf("cluster %s in %s cannot be observed: %w", c.Name, c.Region, err)
	if fault.Is(err, fault.Denied) {
		err = fmt.Errorf("%w\na plan needs to read what is there: your credentials need the Describe, Get and List actions of ec2, eks, iam, autoscaling and logs", err)
	}
	return err
}
