package autoscaling

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// maxActivities is how many activities a group remembers. AWS keeps six weeks; a group that cannot get capacity makes
// one every few seconds here.
const maxActivities = 1000

// activity is one line of a group's scaling history.
type activity struct {
	id, group, groupARN    string
	description, cause     string
	status, message        string
	progress               int
	start, end             time.Time
	zone, subnet, instance string
}

// begin notes a new activity. The lock is held.
func (s *Service) begin(g *group, description, cause string) *activity {
	a := &activity{id: s.w.UUID(), group: g.name, groupARN: g.arn, description: description, cause: cause, status: "InProgress", start: time.Now()}
	g.activities = append(g.activities, a)
	if len(g.activities) > maxActivities {
		g.activities = slices.Delete(g.activities, 0, 1)
	}
	return a
}

func (a *activity) finish(status, message string) {
	a.status, a.message, a.progress, a.end = status, message, 100, time.Now()
}

// on notes which instance the activity is about.
func (a *activity) on(m *member) *activity {
	a.instance, a.zone, a.subnet = m.id, m.az, m.subnet
	return a
}

// completed is the event for an activity that ended: "EC2 Instance Launch Successful" and its like.
type completed struct {
	StatusCode           string
	Description          string
	AutoScalingGroupName string
	ActivityID           string `json:"ActivityId"`
	Details              map[string]string
	RequestID            string `json:"RequestId"`
	StatusMessage        string
	EndTime              string
	EC2InstanceID        string `json:"EC2InstanceId"`
	StartTime            string
	Cause                string
	Origin, Destination  string
}

const isoMillis = "2006-01-02T15:04:05.000Z"

// announce emits the event for an activity that has ended.
func (s *Service) announce(g *group, a *activity, detailType, origin, destination string) {
	code := "InProgress" // what the events say of a success: the activity is closed after them
	if a.status == "Failed" || a.status == "Cancelled" {
		code = "Failed"
	}
	detail := completed{
		StatusCode: code, Description: a.description, AutoScalingGroupName: g.name, ActivityID: a.id,
		Details: map[string]string{"Availability Zone": a.zone, "Subnet ID": a.subnet}, RequestID: a.id, StatusMessage: a.message,
		EndTime: a.end.UTC().Format(isoMillis), EC2InstanceID: a.instance, StartTime: a.start.UTC().Format(isoMillis), Cause: a.cause,
		Origin: origin, Destination: destination,
	}
	resources := []string{g.arn}
	if a.instance != "" {
		resources = append(resources, s.w.ARN("ec2", "instance/"+a.instance))
	}
	s.outbox.Post(func() { s.events.Emit("aws.autoscaling", detailType, resources, detail) })
}

type activityXML struct {
	ActivityID           string `xml:"ActivityId"`
	AutoScalingGroupName string
	Description          string
	Cause                string
	StartTime            *wire.Time
	EndTime              *wire.Time
	StatusCode           string
	StatusMessage        string `xml:",omitempty"`
	Progress             int
	Details              string
	AutoScalingGroupARN  string
}

func (a *activity) xml() activityXML {
	x := activityXML{
		ActivityID: a.id, AutoScalingGroupName: a.group, Description: a.description, Cause: a.cause, StartTime: wire.At(a.start),
		StatusCode: a.status, StatusMessage: a.message, Progress: a.progress, AutoScalingGroupARN: a.groupARN,
	}
	if !a.end.IsZero() {
		x.EndTime = wire.At(a.end)
	}
	details, err := json.Marshal(map[string]string{"Subnet ID": a.subnet, "Availability Zone": a.zone})
	if err != nil {
		panic(err) // a map of strings has a JSON form
	}
	x.Details = string(details)
	return x
}

type describeActivitiesIn struct {
	AutoScalingGroupName string
	ActivityIDs          []string `query:"ActivityIds"`
	IncludeDeletedGroups bool
	MaxRecords           *int
	NextToken            string
	Filters              []filter
}

type activitiesOut struct {
	Activities []activityXML `xml:"Activities>member"`
	NextToken  string        `xml:"NextToken,omitempty"`
}

type activityOut struct {
	Activity *activityXML
}

func (s *Service) activityOps() []wire.Op {
	return []wire.Op{handle(s, "DescribeScalingActivities", nil, s.describeActivities)}
}

// describeActivities lists the newest first.
func (s *Service) describeActivities(in *describeActivitiesIn) (*activitiesOut, error) {
	if in.IncludeDeletedGroups {
		return nil, notImplemented("IncludeDeletedGroups of DescribeScalingActivities")
	}
	var items []*activity
	for _, g := range s.groups {
		if in.AutoScalingGroupName == "" || g.name == in.AutoScalingGroupName {
			items = append(items, g.activities...)
		}
	}
	if len(in.ActivityIDs) > 0 {
		items = slices.DeleteFunc(slices.Clone(items), func(a *activity) bool { return !slices.Contains(in.ActivityIDs, a.id) })
	}
	for _, f := range in.Filters {
		keep, err := f.activities()
		if err != nil {
			return nil, err
		}
		items = slices.DeleteFunc(slices.Clone(items), func(a *activity) bool { return !keep(a) })
	}
	key := func(a *activity) string { // newest first
		return fmt.Sprintf("%020d%s", int64(1<<62)-a.start.UnixNano()/1000, a.id)
	}
	slices.SortFunc(items, func(a, b *activity) int { return strings.Compare(key(a), key(b)) })
	page, next, err := paged(items, key, in.MaxRecords, in.NextToken)
	out := &activitiesOut{NextToken: next}
	for _, a := range page {
		out.Activities = append(out.Activities, a.xml())
	}
	return out, err
}

// activities reads a filter of DescribeScalingActivities: one bound of the start time, or statuses.
func (f filter) activities() (keep func(*activity) bool, err error) {
	if f.Name == "Status" {
		return func(a *activity) bool { return slices.Contains(f.Values, a.status) }, nil
	}
	if len(f.Values) != 1 || f.Name != "StartTimeLowerBound" && f.Name != "StartTimeUpperBound" {
		return nil, validation("Filter %s with %d values is not valid. Valid filters are: StartTimeLowerBound, StartTimeUpperBound (one value each) and Status", f.Name, len(f.Values))
	}
	bound, err := time.Parse(time.RFC3339, f.Values[0])
	if err != nil {
		return nil, validation("%s must be a time in ISO 8601 format, not %q", f.Name, f.Values[0])
	}
	if f.Name == "StartTimeLowerBound" {
		return func(a *activity) bool { return !a.start.Before(bound) }, nil
	}
	return func(a *activity) bool { return !a.start.After(bound) }, nil
}

// paged cuts a page out of items that are in the order of their keys.
func paged[T any](items []T, key func(T) string, limit *int, token string) ([]T, string, error) {
	size := 50
	if limit != nil {
		if size = *limit; size < 1 || size > 100 {
			return nil, "", validation("1 validation error detected: Value '%d' at 'maxRecords' failed to satisfy constraint: Member must be between 1 and 100", size)
		}
	}
	page, next, ok := form.Page(items, key, size, token)
	if !ok {
		return nil, "", wire.Errf("InvalidNextToken", "The token '%s' is invalid", token)
	}
	return page, next, nil
}
