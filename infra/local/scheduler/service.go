// Package scheduler is the embedded cloud's Amazon EventBridge Scheduler: one-time and recurring schedules in time zones,
// which send to queues, functions and event buses with the permissions of the schedule's role.
package scheduler

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
	_ "time/tzdata" // schedules name time zones, and not every machine knows them

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

const servicePrincipal = "scheduler.amazonaws.com"

// Queues are SQS. *sqs.Service is one.
type Queues interface {
	SendAuthorized(arn, body, group string, attrs map[string]string) error
}

// Functions are Lambda.
type Functions interface {
	InvokeAsync(nameOrARN string, payload []byte) (requestID string, err error)
}

// Buses are EventBridge. *eventbridge.Service is one.
type Buses interface {
	Put(bus, source, detailType string, detail json.RawMessage) error
}

// Roles decide what a schedule's role may do and whether it trusts Scheduler.
type Roles interface {
	AuthorizeRole(roleARN string, need wire.Need) error
	CheckTrustFrom(roleARN, servicePrincipal, sourceARN string) error
}

// Faults are the liberties that Scheduler takes. A nil function never does.
type Faults struct {
	Duplicate func() bool // a target is invoked twice
}

// Service holds the schedules of one account and Region.
type Service struct {
	w         *world.World
	queues    Queues
	functions Functions
	buses     Buses
	roles     Roles
	faults    Faults

	mu     sync.Mutex // guards the rest
	groups map[string]*group
}

// group is a schedule group.
type group struct {
	name, arn string
	created   time.Time
	tags      map[string]string
	schedules map[string]*schedule
}

// New makes a service with the default group.
func New(w *world.World, queues Queues, functions Functions, buses Buses, roles Roles, faults Faults) *Service {
	s := &Service{w: w, queues: queues, functions: functions, buses: buses, roles: roles, faults: faults, groups: map[string]*group{}}
	s.groups["default"] = s.newGroup("default")
	return s
}

func (s *Service) newGroup(name string) *group {
	return &group{name: name, arn: s.groupARN(name), created: time.Now(), tags: map[string]string{}, schedules: map[string]*schedule{}}
}

func (s *Service) groupARN(name string) string { return s.w.ARN("scheduler", "schedule-group/"+name) }

func (s *Service) arn(group, name string) string {
	if group == "" {
		group = "default"
	}
	return s.w.ARN("scheduler", "schedule/"+group+"/"+name)
}

// API registers the operations.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "scheduler", Protocol: wire.RESTJSON,
		Ops: []wire.Op{
			wire.Handle("CreateSchedule", s.needSet("CreateSchedule"), s.createSchedule).REST("POST", "/schedules/{Name}"),
			wire.Handle("GetSchedule", s.needGet("GetSchedule"), s.getSchedule).REST("GET", "/schedules/{Name}"),
			wire.Handle("UpdateSchedule", s.needSet("UpdateSchedule"), s.updateSchedule).REST("PUT", "/schedules/{Name}"),
			wire.Handle("DeleteSchedule", s.needGet("DeleteSchedule"), s.deleteSchedule).REST("DELETE", "/schedules/{Name}"),
			wire.Handle("ListSchedules", wire.On[listInput]("scheduler:ListSchedules", "*"), s.listSchedules).REST("GET", "/schedules"),
			wire.Handle("CreateScheduleGroup", s.needCreateGroup, s.createGroup).REST("POST", "/schedule-groups/{Name}"),
			wire.Handle("GetScheduleGroup", s.needGroup("GetScheduleGroup"), s.getGroup).REST("GET", "/schedule-groups/{Name}"),
			wire.Handle("DeleteScheduleGroup", s.needGroup("DeleteScheduleGroup"), s.deleteGroup).REST("DELETE", "/schedule-groups/{Name}"),
			wire.Handle("ListScheduleGroups", wire.On[listGroupsInput]("scheduler:ListScheduleGroups", "*"), s.listGroups).REST("GET", "/schedule-groups"),
			wire.Handle("TagResource", s.needTags("TagResource"), s.tagResource).REST("POST", "/tags/{ResourceArn}"),
			wire.Handle("UntagResource", s.needTags("UntagResource"), s.untagResource).REST("DELETE", "/tags/{ResourceArn}"),
			wire.Handle("ListTagsForResource", s.needTags("ListTagsForResource"), s.listTags).REST("GET", "/tags/{ResourceArn}"),
		},
	}
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errf("ValidationException", format, args...)
}

func conflict(format string, args ...any) *wire.Error {
	return wire.Errf("ConflictException", format, args...).WithStatus(http.StatusConflict)
}

func notFound(format string, args ...any) *wire.Error {
	return wire.Errf("ResourceNotFoundException", format, args...).WithStatus(http.StatusNotFound)
}

func notImplemented(format string, args ...any) *wire.Error {
	return wire.Errf("NotImplemented", "the embedded cloud does not implement "+format, args...).WithStatus(http.StatusNotImplemented)
}

type empty struct{}
