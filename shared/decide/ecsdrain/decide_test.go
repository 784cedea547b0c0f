package ecsdrain

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	machine = "i-0b662ef9931388ba0"
	cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/shop"
)

var start = time.Date(2026, 3, 3, 2, 4, 12, 0, time.UTC)

// spot is a spot warning's observation: an ACTIVE container instance with a task of a service and a standalone one, in a group
// that is tagged.
func spot() Observation {
	return Observation{
		Signal:    interruption.Signal{Cause: "SpotInterruption", InstanceID: machine, EventTime: start, Action: "terminate", Deadline: start.Add(2 * time.Minute), Involuntary: true},
		Instance:  &fleet.Instance{ID: machine, State: "running", Tags: map[string]string{fleet.TagECSCluster: "shop"}},
		Container: &fleet.ContainerInstance{ARN: "ci", Cluster: cluster, InstanceID: machine, Status: fleet.ContainerActive, Connected: true},
		Tasks: []fleet.Task{
			{ARN: "t/web", Group: "service:web", LastStatus: "RUNNING", DesiredStatus: "RUNNING", StopTimeout: 30 * time.Second},
			{ARN: "t/job", Group: "family:job", LastStatus: "RUNNING", DesiredStatus: "RUNNING", StopTimeout: 90 * time.Second},
		},
		Group: fleet.ScalingGroup{Name: "g", LifecycleState: "InService"},
	}
}

func hooked(o *Observation) {
	o.Signal.Hook = &interruption.Hook{Group: "g", Name: "drain"}
	o.Signal.Deadline = start.Add(15 * time.Minute)
}

func voluntary(o *Observation) {
	o.Signal.Cause, o.Signal.Involuntary, o.Signal.Deadline = rebalance, false, time.Time{}
}

func protect(o *Observation) { o.Tasks[0].Protected, o.Tasks[0].Until = true, start.Add(10*time.Hour) }

func draining(o *Observation) { o.Container.Status = fleet.ContainerDraining }

func empty(o *Observation) { o.Tasks = nil }

func unread(parts ...Part) func(*Observation) {
	return func(o *Observation) {
		o.Incomplete = map[Part]string{}
		for _, p := range parts {
			o.Incomplete[p] = "broken"
		}
	}
}

// shown is a plan in a line: its actions, and how it goes on.
func shown(p plan.Plan) string {
	var out []string
	for _, s := range p.Steps {
		for _, a := range s.Actions {
			text := a.Kind()
			if stop, ok := a.(plan.StopTask); ok {
				text += " " + stop.Task
			}
			out = append(out, text)
		}
	}
	if p.Outcome != "" {
		return strings.TrimSpace(strings.Join(out, ", ") + " = " + p.Outcome)
	}
	return strings.TrimSpace(strings.Join(out, ", ") + " in " + p.LookAgain.String())
}

func TestDecide(t *testing.T) {
	wants := fleet.DefaultPolicy().Interruption
	wants.Rebalance = fleet.RebalanceDrain
	for name, tc := range map[string]struct {
		change []func(*Observation)
		after  time.Duration
		want   string
	}{
		"first look":                        {nil, 0, "DrainContainerInstance, ReplaceInstance in 1s"},
		"drained by its own agent":          {[]func(*Observation){draining}, 0, "ReplaceInstance in 1s"},
		"an untagged group":                 {[]func(*Observation){func(o *Observation) { o.Instance.Tags = nil }}, 0, "DrainContainerInstance in 1s"},
		"managed draining":                  {[]func(*Observation){func(o *Observation) { o.Provider = fleet.CapacityProvider{Name: "p", Draining: true} }}, 0, "DrainContainerInstance in 1s"},
		"managed protection":                {[]func(*Observation){func(o *Observation) { o.Provider = fleet.CapacityProvider{Name: "p", Protection: true} }}, 0, "DrainContainerInstance in 1s"},
		"a provider that could not be read": {[]func(*Observation){unread(PartProvider)}, 0, "DrainContainerInstance in 1s"},
		"before the last moment":            {[]func(*Observation){draining}, 24 * time.Second, "ReplaceInstance in 1s"},
		"the slow task's last moment":       {[]func(*Observation){draining}, 25 * time.Second, "ReplaceInstance, StopTask t/job in 1s"},
		"everybody's last moment":           {[]func(*Observation){draining}, 60 * time.Second, "ReplaceInstance, StopTask t/web, StopTask t/job in 1s"},
		"stopping ones are left alone":      {[]func(*Observation){draining, func(o *Observation) { o.Tasks[0].DesiredStatus, o.Tasks[1].LastStatus = "STOPPED", "STOPPED" }}, 100 * time.Second, "ReplaceInstance in 1s"},
		"empty and not draining":            {[]func(*Observation){empty}, 0, "DrainContainerInstance, ReplaceInstance in 1s"},
		"empty":                             {[]func(*Observation){empty, draining}, 0, "ReplaceInstance = Drained"},
		"empty, the group unread":           {[]func(*Observation){empty, draining, unread(PartGroup)}, 0, "ReplaceInstance in 1s"},
		"the time is over":                  {[]func(*Observation){draining}, 2 * time.Minute, "ReplaceInstance, StopTask t/web, StopTask t/job = PartiallyDrained"},
		"tasks unread":                      {[]func(*Observation){unread(PartTasks), empty}, 0, "DrainContainerInstance, ReplaceInstance in 1s"},
		"tasks unread to the end":           {[]func(*Observation){unread(PartTasks), empty, draining}, 2 * time.Minute, "ReplaceInstance = PartiallyDrained"},
		"nothing read":                      {[]func(*Observation){unread(PartContainer, PartTasks), func(o *Observation) { o.Container = nil }}, 0, "in 1s"},
		"another machine":                   {[]func(*Observation){func(o *Observation) { o.Container.InstanceID = "i-0aaaaaaaaaaaaaaaa" }}, 0, "= NothingToDo"},
		"deregistered":                      {[]func(*Observation){func(o *Observation) { o.Container = nil }}, 0, "= NothingToDo"},
		"deregistered later":                {[]func(*Observation){func(o *Observation) { o.Container, o.Began = nil, true }}, 0, "= Drained"},
		"unknown to EC2 later":              {[]func(*Observation){func(o *Observation) { o.Instance, o.Began = nil, true }}, 0, "= Drained"},
		"dead before":                       {[]func(*Observation){func(o *Observation) { o.Instance.State = "terminated" }}, 0, "= NothingToDo"},
		"dead meanwhile":                    {[]func(*Observation){func(o *Observation) { o.Instance.State, o.Began = "terminated", true }}, 0, "= PartiallyDrained"},
		"hibernation":                       {[]func(*Observation){func(o *Observation) { o.Signal.Deadline = start }}, 0, "DrainContainerInstance, ReplaceInstance, StopTask t/web, StopTask t/job = PartiallyDrained"},
		"a hook":                            {[]func(*Observation){hooked}, 0, "DrainContainerInstance, Heartbeat in 1s"},
		"a hook at its end":                 {[]func(*Observation){hooked, draining, empty}, time.Minute, "CompleteLifecycleAction = Drained"},
		"a launch hook":                     {[]func(*Observation){hooked, func(o *Observation) { o.Signal.Launching = true }}, 0, "= NothingToDo"},
		"a removal":                         {[]func(*Observation){voluntary, func(o *Observation) { o.Signal.Removal = &interruption.Removal{Until: start.Add(time.Hour)} }}, 0, "= NothingToDo"},
		"protected, by a warning":           {[]func(*Observation){protect}, 0, "DrainContainerInstance, ReplaceInstance in 1s"},
		"protected, with a hook":            {[]func(*Observation){hooked, protect}, 0, "Heartbeat in 1s"},
		"protected, shortly before":         {[]func(*Observation){hooked, protect}, 13*time.Minute - 4*time.Second, "Heartbeat in 1s"},
		"protected no longer":               {[]func(*Observation){hooked, protect}, 13 * time.Minute, "DrainContainerInstance, Heartbeat in 1s"},
		"protection has ended":              {[]func(*Observation){hooked, protect, func(o *Observation) { o.Tasks[0].Until = start }}, 0, "DrainContainerInstance, Heartbeat in 1s"},
		"a slow protected task":             {[]func(*Observation){hooked, protect, func(o *Observation) { o.Tasks[0].StopTimeout = 10 * time.Minute }}, 4 * time.Minute, "DrainContainerInstance, Heartbeat in 1s"},
		"by choice":                         {[]func(*Observation){voluntary}, 0, "DrainContainerInstance in 1s"},
		"by choice, at the end":             {[]func(*Observation){voluntary, draining}, time.Hour, "= PartiallyDrained"},
		"by choice, protected":              {[]func(*Observation){voluntary, protect}, 0, "in 1s"},
		"by choice, protected to the end":   {[]func(*Observation){voluntary, protect}, time.Hour, "= NodeKept"},
		"by choice, protection unread":      {[]func(*Observation){voluntary, unread(PartProtection)}, 0, "in 1s"},
		"protected and draining already":    {[]func(*Observation){voluntary, protect, draining}, 0, "in 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			o := spot()
			for _, c := range tc.change {
				c(&o)
			}
			p, err := Decide(start.Add(tc.after), o, wants)
			if err != nil || shown(p) != tc.want || p.Reason == "" {
				t.Errorf("%q, %q, %v; want %q", shown(p), p.Reason, err, tc.want)
			}
		})
	}
	o := spot()
	voluntary(&o)
	if p, _ := Decide(start, o, fleet.DefaultPolicy().Interruption); shown(p) != "= NothingToDo" {
		t.Errorf("by default a rebalance recommendation leads to %s", shown(p))
	}
	if _, err := Decide(start, Observation{}, wants); err == nil {
		t.Error("an observation of nothing is decided on")
	}
}
