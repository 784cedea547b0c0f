package autoscaling

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type memberXML struct {
	InstanceID           string `xml:"InstanceId"`
	InstanceType         string
	AutoScalingGroupName string `xml:",omitempty"` // DescribeAutoScalingInstances only
	AvailabilityZone     string
	LifecycleState       string
	HealthStatus         string
	LaunchTemplate       *templateSpec
	ImageID              string `xml:"ImageId,omitempty"`
	ProtectedFromScaleIn bool
}

func (m *member) health() string {
	if m.unhealthy {
		return "Unhealthy"
	}
	return "Healthy"
}

func (m *member) xml() memberXML {
	x := memberXML{
		InstanceID: m.id, InstanceType: m.typ, AvailabilityZone: m.az, LifecycleState: m.state, HealthStatus: m.health(), ImageID: m.image,
		ProtectedFromScaleIn: m.protected,
	}
	if m.template.LaunchTemplateID != "" {
		x.LaunchTemplate = &m.template
	}
	return x
}

type describeMembersIn struct {
	InstanceIDs []string `query:"InstanceIds"`
	MaxRecords  *int
	NextToken   string
}

type describeMembersOut struct {
	AutoScalingInstances []memberXML `xml:"AutoScalingInstances>member"`
	NextToken            string      `xml:",omitempty"`
}

type healthIn struct {
	InstanceID               string `query:"InstanceId"`
	HealthStatus             string
	ShouldRespectGracePeriod *bool
}

type protectionIn struct {
	AutoScalingGroupName string
	InstanceIDs          []string `query:"InstanceIds"`
	ProtectedFromScaleIn *bool
}

func (s *Service) memberOps() []wire.Op {
	return []wire.Op{
		handle(s, "DescribeAutoScalingInstances", nil, s.describeMembers),
		handle(s, "SetInstanceHealth", func(in *healthIn) []wire.Need {
			return []wire.Need{s.need("SetInstanceHealth", s.groupName(in.InstanceID))}
		}, s.setHealth),
		handle(s, "SetInstanceProtection", needOn(s, "SetInstanceProtection", func(in *protectionIn) string { return in.AutoScalingGroupName }), s.setProtection),
	}
}

func (s *Service) describeMembers(in *describeMembersIn) (*describeMembersOut, error) {
	var items []memberXML
	for _, g := range s.groups {
		for _, m := range g.members {
			if len(in.InstanceIDs) > 0 && !slices.Contains(in.InstanceIDs, m.id) {
				continue
			}
			x := m.xml()
			x.AutoScalingGroupName, x.HealthStatus = g.name, strings.ToUpper(x.HealthStatus) // so AWS writes it here
			items = append(items, x)
		}
	}
	slices.SortFunc(items, func(a, b memberXML) int { return strings.Compare(a.InstanceID, b.InstanceID) })
	page, next, err := paged(items, func(x memberXML) string { return x.InstanceID }, in.MaxRecords, in.NextToken)
	return &describeMembersOut{page, next}, err
}

func (s *Service) setHealth(in *healthIn) (*none, error) {
	if in.HealthStatus != "Healthy" && in.HealthStatus != "Unhealthy" {
		return nil, validation("Valid instance health states are: [Healthy, Unhealthy].")
	}
	g, m := s.groupOf(in.InstanceID)
	if m == nil {
		return nil, validation("Instance Id not found - No managed instance found for instance ID %s", in.InstanceID)
	}
	grace := time.Duration(g.grace) * time.Second
	respect := in.ShouldRespectGracePeriod == nil || *in.ShouldRespectGracePeriod
	if in.HealthStatus == "Unhealthy" && respect && (m.state != inService || time.Since(m.inServiceAt) < grace) {
		return &none{}, nil // within the grace period the call changes nothing
	}
	m.unhealthy = in.HealthStatus == "Unhealthy"
	g.poke()
	return &none{}, nil
}

func (s *Service) setProtection(in *protectionIn) (*none, error) {
	if in.ProtectedFromScaleIn == nil {
		return nil, validation("ProtectedFromScaleIn is required")
	}
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	var members []*member
	for _, id := range in.InstanceIDs {
		m := g.member(id)
		if m == nil {
			return nil, validation("The instance %s is not part of Auto Scaling group %s.", id, g.name)
		}
		if m.state != inService && m.state != standby {
			return nil, validation("The instance %s is not in InService or EnteringStandby or Standby.", id)
		}
		members = append(members, m)
	}
	for _, m := range members {
		m.protected = *in.ProtectedFromScaleIn
	}
	g.poke()
	return &none{}, nil
}

type processesIn struct {
	AutoScalingGroupName string
	ScalingProcesses     []string
}

// processes are those that can be suspended. Load balancers, alarms, refreshes and schedules do nothing here, suspended
// or not.
var processes = []string{"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"}

func (s *Service) processOps() []wire.Op {
	op := func(name string, do func(g *group, process string)) wire.Op {
		return handle(s, name, needOn(s, name, func(in *processesIn) string { return in.AutoScalingGroupName }), func(in *processesIn) (*none, error) {
			g, err := s.find(in.AutoScalingGroupName)
			if err != nil {
				return nil, err
			}
			chosen := in.ScalingProcesses
			if len(chosen) == 0 {
				chosen = processes
			}
			for _, p := range chosen {
				if !slices.Contains(processes, p) {
					return nil, validation("%s is not a valid process type.", p)
				}
			}
			for _, p := range chosen {
				do(g, p)
			}
			g.poke()
			return &none{}, nil
		})
	}
	return []wire.Op{
		op("SuspendProcesses", func(g *group, p string) {
			g.suspended[p] = "User suspended at " + time.Now().UTC().Format("2006-01-02T15:04:05Z")
		}),
		op("ResumeProcesses", func(g *group, p string) { delete(g.suspended, p) }),
	}
}
