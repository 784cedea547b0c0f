// Package ecs is the embedded cloud's Amazon ECS, as far as EC2 machines go: clusters, container instances that register when
// their machine starts, task definitions, tasks, and services whose scheduler places tasks and replaces them. No container
// runs: a task is its states and the times between them. Fargate is not there.
package ecs

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// EC2 is where container instances are machines.
type EC2 interface {
	Instance(id string) (ec2.Instance, bool)
	TypeInfo(name string) (ec2.InstanceType, bool)
	OnStateChange(f func(ec2.Instance))
	OnSpotSignal(f func(instanceID string, signal ec2.SpotSignal))
}

// Events takes events of AWS services: the default bus.
type Events interface {
	Emit(source, detailType string, resources []string, detail any)
}

// Service is ECS of one account in one Region.
type Service struct {
	w        *world.World
	machines EC2
	events   Events
	outbox   *form.Outbox

	mu          sync.Mutex
	clusters    map[string]*cluster // by name
	definitions map[string][]*definition
	providers   map[string]*provider
}

// cluster is one, with all that is in it.
type cluster struct {
	name, arn string
	instances []*containerInstance
	tasks     []*task
	services  []*service
}

// New makes an account without clusters.
func New(w *world.World, machines EC2, events Events) *Service {
	s := &Service{w: w, machines: machines, events: events, outbox: form.NewOutbox(w),
		clusters: map[string]*cluster{}, definitions: map[string][]*definition{}, providers: map[string]*provider{}}
	machines.OnStateChange(s.onStateChange)
	machines.OnSpotSignal(s.onSpotSignal)
	return s
}

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "ecs", Protocol: wire.JSON11, TargetPrefix: "AmazonEC2ContainerServiceV20141113",
		Ops: slices.Concat(s.clusterOps(), s.instanceOps(), s.definitionOps(), s.taskOps(), s.protectionOps(), s.serviceOps(), s.providerOps()),
	}
}

// request has the members of requests that name things. Each operation adds its own.
type request struct {
	Cluster    string // name or ARN; "" is "default"
	NextToken  string
	MaxResults int
}

// op makes an operation that runs with the lock held.
func op[In, Out any](s *Service, name string, needs func(*In) []wire.Need, do func(*In) (*Out, error)) wire.Op {
	return wire.Handle(name, func(_ *wire.Call, in *In) []wire.Need {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := needs(in)
		for i := range list {
			list[i].Action = "ecs:" + name
		}
		return list
	}, func(_ context.Context, _ *wire.Call, in *In) (*Out, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return do(in)
	})
}

// on says that an operation needs a permission on resources of a cluster, which policies see as ecs:cluster.
func (s *Service) on(clusterName, kind string, ids ...string) []wire.Need {
	name := clusterID(clusterName)
	context := map[string][]string{"ecs:cluster": {s.w.ARN("ecs", "cluster/"+name)}}
	if len(ids) == 0 {
		ids = []string{"*"}
	}
	var needs []wire.Need
	for _, id := range ids {
		needs = append(needs, wire.Need{Resource: s.w.ARN("ecs", kind+"/"+name+"/"+last(id)), Context: context})
	}
	return needs
}

func everywhere[In any](*In) []wire.Need { return []wire.Need{{Resource: "*"}} }

// clusterID is the name in a name or an ARN.
func clusterID(nameOrARN string) string {
	if nameOrARN == "" {
		return "default"
	}
	return last(nameOrARN)
}

// last is the last part of an ARN, or a name or id itself.
func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func (s *Service) find(nameOrARN string) (*cluster, error) {
	c, ok := s.clusters[clusterID(nameOrARN)]
	if !ok {
		return nil, wire.Errf("ClusterNotFoundException", "Cluster not found.")
	}
	return c, nil
}

func invalid(format string, args ...any) error {
	return wire.Errf("InvalidParameterException", format, args...)
}

func notImplemented(what string) error {
	return wire.Errf("NotImplemented", "the embedded cloud does not implement %s", what).WithStatus(http.StatusNotImplemented)
}

// failure is how ECS says of one of several things that it is not there.
type failure struct {
	Arn    string `json:"arn"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// page cuts a list; the token is the position at which the next page starts.
func page(all []string, in request) (list []string, next string, err error) {
	limit := 100
	if in.MaxResults > 0 {
		limit = min(in.MaxResults, 100)
	}
	start := 0
	if in.NextToken != "" {
		if start, err = strconv.Atoi(in.NextToken); err != nil || start < 0 || start > len(all) {
			return nil, "", invalid("Invalid token %s", in.NextToken)
		}
	}
	end := min(start+limit, len(all))
	if end < len(all) {
		next = strconv.Itoa(end)
	}
	return append([]string{}, all[start:end]...), next, nil
}

type keyValue struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

func (s *Service) clusterOps() []wire.Op {
	type named struct{ ClusterName string }
	type many struct{ Clusters []string }
	type one struct {
		Cluster clusterJSON `json:"cluster"`
	}
	type list struct {
		ClusterArns []string `json:"clusterArns"`
		NextToken   string   `json:"nextToken,omitempty"`
	}
	type described struct {
		Clusters []clusterJSON `json:"clusters"`
		Failures []failure     `json:"failures"`
	}
	of := func(name string) []wire.Need {
		return []wire.Need{{Resource: s.w.ARN("ecs", "cluster/"+clusterID(name))}}
	}
	return []wire.Op{
		op(s, "CreateCluster", everywhere[named], func(in *named) (*one, error) {
			name := clusterID(in.ClusterName)
			c := s.clusters[name]
			if c == nil { // one that is there is the answer, too
				c = &cluster{name: name, arn: s.w.ARN("ecs", "cluster/"+name)}
				s.clusters[name] = c
			}
			return &one{c.json()}, nil
		}),
		op(s, "DeleteCluster", func(in *request) []wire.Need { return of(in.Cluster) }, func(in *request) (*one, error) {
			c, err := s.find(in.Cluster)
			switch {
			case err != nil:
				return nil, err
			case slices.ContainsFunc(c.instances, func(i *containerInstance) bool { return i.status != inactive }):
				return nil, wire.Errf("ClusterContainsContainerInstancesException", "The Cluster cannot be deleted while Container Instances are active or draining.")
			case slices.ContainsFunc(c.services, func(v *service) bool { return v.active }):
				return nil, wire.Errf("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
			}
			delete(s.clusters, c.name)
			out := c.json()
			out.Status = inactive
			return &one{out}, nil
		}),
		op(s, "ListClusters", everywhere[request], func(in *request) (*list, error) {
			var all []string
			for _, c := range s.clusters {
				all = append(all, c.arn)
			}
			slices.Sort(all)
			arns, next, err := page(all, *in)
			return &list{arns, next}, err
		}),
		op(s, "DescribeClusters", func(in *many) (needs []wire.Need) {
			for _, name := range in.Clusters {
				needs = append(needs, of(name)...)
			}
			return needs
		}, func(in *many) (*described, error) {
			out := &described{Clusters: []clusterJSON{}, Failures: []failure{}}
			for _, name := range in.Clusters {
				if c, err := s.find(name); err == nil {
					out.Clusters = append(out.Clusters, c.json())
				} else {
					out.Failures = append(out.Failures, failure{Arn: s.w.ARN("ecs", "cluster/"+clusterID(name)), Reason: "MISSING"})
				}
			}
			return out, nil
		}),
	}
}

type clusterJSON struct {
	ClusterArn                        string `json:"clusterArn"`
	ClusterName                       string `json:"clusterName"`
	Status                            string `json:"status"`
	RegisteredContainerInstancesCount int    `json:"registeredContainerInstancesCount"`
	RunningTasksCount                 int    `json:"runningTasksCount"`
	PendingTasksCount                 int    `json:"pendingTasksCount"`
	ActiveServicesCount               int    `json:"activeServicesCount"`
}

func (c *cluster) json() clusterJSON {
	out := clusterJSON{ClusterArn: c.arn, ClusterName: c.name, Status: active}
	for _, i := range c.instances {
		if i.status != inactive {
			out.RegisteredContainerInstancesCount++
		}
	}
	for _, t := range c.tasks {
		switch t.last {
		case running:
			out.RunningTasksCount++
		case pending:
			out.PendingTasksCount++
		}
	}
	for _, v := range c.services {
		if v.active {
			out.ActiveServicesCount++
		}
	}
	return out
}

// instant is a time in ECS's events.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func at(t time.Time) *wire.Time {
	if t.IsZero() {
		return nil
	}
	return wire.At(t)
}
