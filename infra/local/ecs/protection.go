package ecs

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// protectedTask is a task's protection from scale-in.
type protectedTask struct {
	TaskArn           string     `json:"taskArn"`
	ProtectionEnabled bool       `json:"protectionEnabled"`
	ExpirationDate    *wire.Time `json:"expirationDate,omitempty"`
}

func (s *Service) protectionOps() []wire.Op {
	type in struct {
		request
		Tasks             []string
		ProtectionEnabled bool
		ExpiresInMinutes  *int
	}
	type out struct {
		ProtectedTasks []protectedTask `json:"protectedTasks"`
		Failures       []failure       `json:"failures"`
	}
	needs := func(r *in) []wire.Need { return s.on(r.Cluster, "task", r.Tasks...) }
	each := func(r *in, change func(*task)) (*out, error) {
		c, err := s.find(r.Cluster)
		if err != nil {
			return nil, err
		}
		found, missing := s.tasksIn(c, r.Tasks)
		if len(r.Tasks) == 0 {
			for _, t := range c.tasks {
				if t.desired == running && strings.HasPrefix(t.group, "service:") {
					found = append(found, t)
				}
			}
		}
		o := &out{ProtectedTasks: []protectedTask{}, Failures: missing}
		for _, t := range found {
			if !strings.HasPrefix(t.group, "service:") || t.desired == stopped {
				o.Failures = append(o.Failures, failure{Arn: t.arn, Reason: "TASK_NOT_VALID", Detail: "Only running tasks of services can be protected."})
				continue
			}
			if change != nil {
				change(t)
			}
			p := protectedTask{TaskArn: t.arn, ProtectionEnabled: time.Now().Before(t.protected)}
			if p.ProtectionEnabled {
				p.ExpirationDate = wire.At(t.protected)
			}
			o.ProtectedTasks = append(o.ProtectedTasks, p)
		}
		return o, nil
	}
	return []wire.Op{
		op(s, "GetTaskProtection", needs, func(r *in) (*out, error) { return each(r, nil) }),
		op(s, "UpdateTaskProtection", needs, func(r *in) (*out, error) {
			minutes := 120
			if r.ExpiresInMinutes != nil {
				minutes = *r.ExpiresInMinutes
			}
			if minutes < 1 || minutes > 2880 {
				return nil, invalid("expiresInMinutes must be between 1 and 2880.")
			}
			return each(r, func(t *task) {
				if t.protected = (time.Time{}); r.ProtectionEnabled {
					t.protected = time.Now().Add(time.Duration(minutes) * time.Minute)
				}
				s.w.After(time.Until(t.protected), func() { // then it may be one too many
					s.mu.Lock()
					defer s.mu.Unlock()
					s.reconcile(t.on.cluster)
				})
			})
		}),
	}
}

// provider is a capacity provider: settings that others read. Nothing here scales or protects its group.
type provider struct {
	Name     string
	GroupArn string
	json     providerJSON
}

type groupProviderJSON struct {
	AutoScalingGroupArn          string         `json:"autoScalingGroupArn"`
	ManagedScaling               map[string]any `json:"managedScaling"`
	ManagedTerminationProtection string         `json:"managedTerminationProtection"`
	ManagedDraining              string         `json:"managedDraining"`
}

type providerJSON struct {
	CapacityProviderArn      string             `json:"capacityProviderArn"`
	Name                     string             `json:"name"`
	Status                   string             `json:"status"`
	AutoScalingGroupProvider *groupProviderJSON `json:"autoScalingGroupProvider"`
}

func (s *Service) providerOps() []wire.Op {
	type createIn struct {
		Name                     string
		AutoScalingGroupProvider *groupProviderJSON
	}
	type many struct {
		request
		CapacityProviders []string
	}
	type one struct {
		CapacityProvider providerJSON `json:"capacityProvider"`
	}
	type some struct {
		CapacityProviders []providerJSON `json:"capacityProviders"`
		Failures          []failure      `json:"failures"`
	}
	arn := func(name string) string { return s.w.ARN("ecs", "capacity-provider/"+last(name)) }
	return []wire.Op{
		op(s, "CreateCapacityProvider", everywhere[createIn], func(in *createIn) (*one, error) {
			g := in.AutoScalingGroupProvider
			switch {
			case in.Name == "" || g == nil || g.AutoScalingGroupArn == "":
				return nil, invalid("The specified capacity provider is not valid.")
			case s.providers[in.Name] != nil:
				return nil, invalid("The specified capacity provider already exists.")
			case g.ManagedScaling["status"] == "ENABLED":
				return nil, notImplemented("managed scaling: nothing here would change the group's size")
			}
			defaults := *g
			defaults.ManagedScaling = map[string]any{"status": "DISABLED"}
			for _, setting := range []*string{&defaults.ManagedTerminationProtection, &defaults.ManagedDraining} {
				if *setting == "" {
					*setting = "DISABLED"
				}
			}
			p := &provider{Name: in.Name, GroupArn: g.AutoScalingGroupArn, json: providerJSON{arn(in.Name), in.Name, active, &defaults}}
			s.providers[in.Name] = p
			return &one{p.json}, nil
		}),
		op(s, "DescribeCapacityProviders", func(in *many) (needs []wire.Need) {
			for _, name := range in.CapacityProviders {
				needs = append(needs, wire.Need{Resource: arn(name)})
			}
			if len(needs) == 0 {
				needs = append(needs, wire.Need{Resource: arn("*")})
			}
			return needs
		}, func(in *many) (*some, error) {
			out := &some{CapacityProviders: []providerJSON{}, Failures: []failure{}}
			for name, p := range s.providers {
				if len(in.CapacityProviders) == 0 || slices.ContainsFunc(in.CapacityProviders, func(n string) bool { return last(n) == name }) {
					out.CapacityProviders = append(out.CapacityProviders, p.json)
				}
			}
			slices.SortFunc(out.CapacityProviders, func(a, b providerJSON) int { return strings.Compare(a.Name, b.Name) })
			for _, name := range in.CapacityProviders {
				if s.providers[last(name)] == nil {
					out.Failures = append(out.Failures, failure{Arn: arn(name), Reason: "MISSING"})
				}
			}
			return out, nil
		}),
	}
}
