package ecs

import (
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type service struct {
	name, arn   string
	active      bool
	def         *definition
	desired     int
	least, most int // per cent of desired
	deployment  string
	created     time.Time
}

type deploymentConfiguration struct {
	MaximumPercent        *int `json:"maximumPercent,omitempty"`
	MinimumHealthyPercent *int `json:"minimumHealthyPercent,omitempty"`
}

type serviceJSON struct {
	ServiceArn              string                  `json:"serviceArn"`
	ServiceName             string                  `json:"serviceName"`
	ClusterArn              string                  `json:"clusterArn"`
	Status                  string                  `json:"status"`
	TaskDefinition          string                  `json:"taskDefinition"`
	DesiredCount            int                     `json:"desiredCount"`
	RunningCount            int                     `json:"runningCount"`
	PendingCount            int                     `json:"pendingCount"`
	LaunchType              string                  `json:"launchType"`
	SchedulingStrategy      string                  `json:"schedulingStrategy"`
	DeploymentConfiguration deploymentConfiguration `json:"deploymentConfiguration"`
	CreatedAt               *wire.Time              `json:"createdAt"`
}

func (v *service) json(c *cluster) serviceJSON {
	out := serviceJSON{ServiceArn: v.arn, ServiceName: v.name, ClusterArn: c.arn, Status: active, TaskDefinition: v.def.arn, DesiredCount: v.desired, LaunchType: "EC2",
		SchedulingStrategy: "REPLICA", DeploymentConfiguration: deploymentConfiguration{&v.most, &v.least}, CreatedAt: wire.At(v.created)}
	if !v.active {
		out.Status = inactive
	}
	for _, t := range c.tasksOf(v) {
		switch t.last {
		case running:
			out.RunningCount++
		case pending:
			out.PendingCount++
		}
	}
	return out
}

// tasksOf are a service's that have not been told to stop.
func (c *cluster) tasksOf(v *service) (list []*task) {
	for _, t := range c.tasks {
		if t.group == "service:"+v.name && t.desired == running {
			list = append(list, t)
		}
	}
	return list
}

// reconcile is the service scheduler: it places what is missing, stops what is too much, and moves tasks off container
// instances that are DRAINING, protected or not, within each service's deployment configuration. The lock is held.
func (s *Service) reconcile(c *cluster) {
	for _, v := range c.services {
		var staying, leaving []*task
		healthy := 0
		for _, t := range c.tasksOf(v) {
			if t.last == running {
				healthy++
			}
			switch {
			case t.on.status != draining:
				staying = append(staying, t)
			case t.last == pending: // never waits
				s.stop(t, "ServiceSchedulerInitiated", "Container instance is in DRAINING status.")
			default:
				leaving = append(leaving, t)
			}
		}
		most, least := v.desired*v.most/100, (v.desired*v.least+99)/100
		for len(staying) < v.desired && len(staying)+len(leaving) < most {
			t := s.place(c, v.def, "service:"+v.name, v.deployment)
			if t == nil {
				break
			}
			staying = append(staying, t)
		}
		// Once their replacements run, the drained tasks are more than are wanted.
		for len(leaving) > 0 && healthy-1 >= least {
			s.stop(leaving[0], "ServiceSchedulerInitiated", "Container instance is in DRAINING status.")
			leaving, healthy = leaving[1:], healthy-1
		}
		for n := len(staying) - 1; n >= 0 && len(staying) > v.desired; n-- {
			if t := staying[n]; time.Now().After(t.protected) || !v.active {
				s.stop(t, "ServiceSchedulerInitiated", "Scaling activity initiated by deployment "+v.deployment)
				staying = slices.Delete(staying, n, n+1)
			}
		}
	}
}

// services that a request names.
func (c *cluster) service(name string) *service {
	for _, v := range c.services {
		if v.name == last(name) && v.active {
			return v
		}
	}
	return nil
}

func (s *Service) serviceOps() []wire.Op {
	type in struct {
		request
		ServiceName, Service, TaskDefinition, LaunchType, SchedulingStrategy string
		Services                                                             []string
		DesiredCount                                                         *int
		DeploymentConfiguration                                              *deploymentConfiguration
		Force                                                                bool
		LoadBalancers, CapacityProviderStrategy                              []any
		PlacementStrategy, PlacementConstraints                              []any
		NetworkConfiguration                                                 map[string]any
	}
	type one struct {
		Service serviceJSON `json:"service"`
	}
	type some struct {
		Services []serviceJSON `json:"services"`
		Failures []failure     `json:"failures"`
	}
	of := func(name func(*in) string) func(*in) []wire.Need {
		return func(r *in) []wire.Need { return s.on(r.Cluster, "service", name(r)) }
	}
	change := func(c *cluster, v *service, r *in) error {
		if r.TaskDefinition != "" {
			d, err := s.definition(r.TaskDefinition)
			if err != nil {
				return err
			}
			if v.def != nil && v.def != d {
				return notImplemented("deployments of another task definition in UpdateService")
			}
			v.def = d
		}
		if r.DesiredCount != nil {
			v.desired = *r.DesiredCount
		}
		if d := r.DeploymentConfiguration; d != nil && d.MaximumPercent != nil {
			v.most = *d.MaximumPercent
		}
		if d := r.DeploymentConfiguration; d != nil && d.MinimumHealthyPercent != nil {
			v.least = *d.MinimumHealthyPercent
		}
		s.reconcile(c)
		return nil
	}
	existing := func(do func(*cluster, *service, *in) error) func(*in) (*one, error) {
		return func(r *in) (*one, error) {
			c, err := s.find(r.Cluster)
			if err != nil {
				return nil, err
			}
			v := c.service(r.Service)
			if v == nil {
				return nil, wire.Errf("ServiceNotFoundException", "Service not found.")
			}
			if err := do(c, v, r); err != nil {
				return nil, err
			}
			return &one{v.json(c)}, nil
		}
	}
	return []wire.Op{
		op(s, "CreateService", of(func(r *in) string { return r.ServiceName }), func(r *in) (*one, error) {
			c, err := s.find(r.Cluster)
			switch {
			case err != nil:
				return nil, err
			case r.LaunchType != "" && r.LaunchType != "EC2" || r.SchedulingStrategy != "" && r.SchedulingStrategy != "REPLICA" ||
				len(r.LoadBalancers)+len(r.CapacityProviderStrategy)+len(r.PlacementStrategy)+len(r.PlacementConstraints)+len(r.NetworkConfiguration) > 0:
				return nil, notImplemented("load balancers, strategies, constraints, daemons and launch types other than EC2 in CreateService")
			case r.ServiceName == "" || r.TaskDefinition == "":
				return nil, invalid("A service has a name and a task definition.")
			case c.service(r.ServiceName) != nil:
				return nil, invalid("Creation of service was not idempotent.")
			}
			v := &service{name: r.ServiceName, arn: s.w.ARN("ecs", "service/"+c.name+"/"+r.ServiceName), active: true, least: 100, most: 200, created: time.Now(), deployment: "ecs-svc/" + s.w.Hex(16)}
			if v.def, err = s.definition(r.TaskDefinition); err != nil {
				return nil, err
			}
			c.services = append(c.services, v)
			if err := change(c, v, r); err != nil {
				return nil, err
			}
			return &one{v.json(c)}, nil
		}),
		op(s, "UpdateService", of(func(r *in) string { return r.Service }), existing(change)),
		op(s, "DeleteService", of(func(r *in) string { return r.Service }), existing(func(c *cluster, v *service, r *in) error {
			if v.desired > 0 && !r.Force {
				return invalid("The service cannot be stopped while it is scaled above 0.")
			}
			v.desired, v.active = 0, false
			s.reconcile(c)
			return nil
		})),
		op(s, "DescribeServices", func(r *in) []wire.Need { return s.on(r.Cluster, "service", r.Services...) }, func(r *in) (*some, error) {
			c, err := s.find(r.Cluster)
			if err != nil {
				return nil, err
			}
			out := &some{Services: []serviceJSON{}, Failures: []failure{}}
			for _, name := range r.Services {
				if v := c.service(name); v != nil {
					out.Services = append(out.Services, v.json(c))
				} else {
					out.Failures = append(out.Failures, failure{Arn: s.w.ARN("ecs", "service/"+c.name+"/"+last(name)), Reason: "MISSING"})
				}
			}
			return out, nil
		}),
	}
}
