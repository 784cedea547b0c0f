package autoscaling

import (
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type desiredIn struct {
	AutoScalingGroupName string
	DesiredCapacity      int
	HonorCooldown        bool
}

type terminateIn struct {
	InstanceID                     string `query:"InstanceId"`
	ShouldDecrementDesiredCapacity *bool
}

type instancesIn struct {
	AutoScalingGroupName           string
	InstanceIDs                    []string `query:"InstanceIds"`
	ShouldDecrementDesiredCapacity *bool
}

func (s *Service) capacityOps() []wire.Op {
	on := func(name string, do func(*instancesIn) (*activitiesOut, error)) wire.Op {
		return handle(s, name, needOn(s, name, func(in *instancesIn) string { return in.AutoScalingGroupName }), do)
	}
	return []wire.Op{
		handle(s, "SetDesiredCapacity", needOn(s, "SetDesiredCapacity", func(in *desiredIn) string { return in.AutoScalingGroupName }), s.setDesired),
		handle(s, "TerminateInstanceInAutoScalingGroup", func(in *terminateIn) []wire.Need {
			return []wire.Need{s.need("TerminateInstanceInAutoScalingGroup", s.groupName(in.InstanceID))}
		}, s.terminateMember),
		handle(s, "AttachInstances", needOn(s, "AttachInstances", func(in *instancesIn) string { return in.AutoScalingGroupName }), s.attach),
		on("DetachInstances", s.detach),
		on("EnterStandby", s.enterStandby),
		on("ExitStandby", s.exitStandby),
	}
}

// groupName finds the name of an instance's group, for IAM; "*" if it has none.
func (s *Service) groupName(instanceID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, _ := s.groupOf(instanceID); g != nil {
		return g.name
	}
	return "*"
}

func (s *Service) setDesired(in *desiredIn) (*none, error) {
	g, err := s.find(in.AutoScalingGroupName)
	switch {
	case err != nil:
		return nil, err
	case in.DesiredCapacity > g.max:
		return nil, validation("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", in.DesiredCapacity, g.max)
	case in.DesiredCapacity < g.min:
		return nil, validation("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", in.DesiredCapacity, g.min)
	}
	if a := g.cooling(time.Now()); in.HonorCooldown && a != nil {
		return nil, wire.Errf("ScalingActivityInProgress", "Scaling activity %s is in progress and blocks this action", a.id)
	}
	g.resize(in.DesiredCapacity, fmt.Sprintf("a user request explicitly set group desired capacity changing the desired capacity from %d to %d.", g.desired, in.DesiredCapacity))
	return &none{}, nil
}

// cooling is the activity that keeps the group in its cooldown: one that goes on, or the last to succeed, if that was not
// longer ago than the cooldown. nil: the group is not in one.
func (g *group) cooling(now time.Time) *activity {
	for _, a := range slices.Backward(g.activities) {
		if a.status == "InProgress" || a.status == "Successful" && now.Sub(a.end) < time.Duration(g.cooldown)*time.Second {
			return a
		}
	}
	return nil
}

func (s *Service) terminateMember(in *terminateIn) (*activityOut, error) {
	g, m := s.groupOf(in.InstanceID)
	switch {
	case m == nil || g.deleting:
		return nil, validation("Instance Id not found - No managed instance found for instance ID: %s", in.InstanceID)
	case in.ShouldDecrementDesiredCapacity == nil:
		return nil, validation("ShouldDecrementDesiredCapacity is required")
	case m.leaving():
		return &activityOut{new(m.activity.xml())}, nil
	}
	cause := sentence(time.Now()) + "instance " + m.id + " was taken out of service in response to a user request"
	if *in.ShouldDecrementDesiredCapacity && m.active() {
		if g.desired <= g.min {
			return nil, validation("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.min)
		}
		cause += fmt.Sprintf(", shrinking the capacity from %d to %d", g.desired, g.desired-1)
		g.resize(g.desired-1, "")
	}
	a := s.takeOut(g, m, cause+".")
	s.advance(g, m)
	return &activityOut{new(a.xml())}, nil
}

// attach takes running instances into a group and raises its desired capacity.
func (s *Service) attach(in *instancesIn) (*none, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if len(in.InstanceIDs) == 0 {
		return nil, validation("At least one instance ID is required")
	}
	if want := g.desired + len(in.InstanceIDs); want > g.max {
		return nil, validation("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To attach %d more instance, please update the AutoScalingGroup sizes appropriately.", g.name, g.min, g.max, g.desired, len(in.InstanceIDs))
	}
	zones, _ := s.zones(g)
	var joining []*member
	for _, id := range in.InstanceIDs {
		i, ok := s.ec2.Instance(id)
		if !ok {
			return nil, validation("Invalid Instance ID(s): [%s] specified", id)
		}
		if other, _ := s.groupOf(id); other != nil {
			return nil, validation("Instance %s is already part of Auto Scaling group %s", id, other.name)
		}
		if i.State != "running" {
			return nil, validation("Instance %s is not in correct state. Instance(s) must be in 'running' state", id)
		}
		if !slices.Contains(zones, i.AZ) {
			return nil, validation("The availability zone %s of instance %s is not among those of the Auto Scaling group", i.AZ, id)
		}
		joining = append(joining, newMember(i))
	}
	cause := sentence(time.Now()) + fmt.Sprintf("an instance was attached in response to a user request, increasing the capacity from %d to %d.", g.desired, g.desired+len(joining))
	g.resize(g.desired+len(joining), "")
	for _, m := range joining {
		m.state, m.inServiceAt = inService, time.Now()
		m.activity = s.begin(g, "Attaching an existing EC2 instance: "+m.id, cause).on(m)
		m.activity.finish("Successful", "")
		g.members = append(g.members, m)
		s.ec2.SetTags(m.id, map[string]string{"aws:autoscaling:groupName": g.name})
	}
	return &none{}, nil
}

// several finds the members that a request names, in a state that it works on.
func (s *Service) several(in *instancesIn, states ...string) (*group, []*member, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, nil, err
	}
	var out []*member
	for _, id := range in.InstanceIDs {
		m := g.member(id)
		if m == nil {
			return nil, nil, validation("The instance %s is not part of Auto Scaling group %s.", id, g.name)
		}
		if !slices.Contains(states, m.state) {
			return nil, nil, validation("The instance %s is not in %s.", id, states[0])
		}
		out = append(out, m)
	}
	return g, out, nil
}

// decrement lowers the desired capacity by n for a request that takes instances out of the count, if it asks for that.
func (g *group) decrement(in *instancesIn, n int, verb string) error {
	if in.ShouldDecrementDesiredCapacity == nil {
		return validation("ShouldDecrementDesiredCapacity is required")
	}
	if !*in.ShouldDecrementDesiredCapacity {
		return nil
	}
	if g.desired-n < g.min {
		return validation("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To %s %d more instance, please update the AutoScalingGroup sizes appropriately.", g.name, g.min, g.max, g.desired, verb, n)
	}
	g.resize(g.desired-n, "")
	return nil
}

func (s *Service) detach(in *instancesIn) (*activitiesOut, error) {
	g, members, err := s.several(in, inService, standby)
	if err != nil {
		return nil, err
	}
	active := 0
	for _, m := range members {
		if m.active() {
			active++
		}
	}
	if err := g.decrement(in, active, "detach"); err != nil {
		return nil, err
	}
	out := &activitiesOut{}
	for _, m := range members {
		a := s.begin(g, "Detaching EC2 instance: "+m.id, sentence(time.Now())+"instance "+m.id+" was detached in response to a user request.").on(m)
		a.finish("Successful", "")
		s.announce(g, a, "EC2 Instance Detach Successful", "AutoScalingGroup", "EC2")
		out.Activities = append(out.Activities, a.xml())
		s.leave(g, m)
		g.drop(m)
		s.ec2.SetTags(m.id, nil, "aws:autoscaling:groupName")
	}
	g.poke()
	return out, nil
}

func (s *Service) enterStandby(in *instancesIn) (*activitiesOut, error) {
	g, members, err := s.several(in, inService)
	if err != nil {
		return nil, err
	}
	if err := g.decrement(in, len(members), "place into standby"); err != nil {
		return nil, err
	}
	out := &activitiesOut{}
	for _, m := range members {
		m.state = standby
		s.leave(g, m)
		a := s.begin(g, "Moving EC2 instance to Standby: "+m.id, sentence(time.Now())+"instance "+m.id+" was moved to standby in response to a user request.").on(m)
		a.finish("Successful", "")
		out.Activities = append(out.Activities, a.xml())
	}
	g.poke()
	return out, nil
}

// exitStandby brings instances back, through the launch hooks, and raises the desired capacity by them.
func (s *Service) exitStandby(in *instancesIn) (*activitiesOut, error) {
	g, members, err := s.several(in, standby)
	if err != nil {
		return nil, err
	}
	if want := g.desired + len(members); want > g.max {
		return nil, validation("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To move %d instance out of standby, please update the AutoScalingGroup sizes appropriately.", g.name, g.min, g.max, g.desired, len(members))
	}
	g.resize(g.desired+len(members), "")
	out := &activitiesOut{}
	for _, m := range members {
		m.state = pending
		m.activity = s.begin(g, "Moving EC2 instance out of Standby: "+m.id, sentence(time.Now())+"instance "+m.id+" was moved out of standby in response to a user request.").on(m)
		out.Activities = append(out.Activities, m.activity.xml())
	}
	return out, nil
}
