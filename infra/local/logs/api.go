package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type none struct{}

type groupIn struct {
	LogGroupName    string            `json:"logGroupName"`
	LogStreamName   string            `json:"logStreamName"`
	RetentionInDays int               `json:"retentionInDays"`
	Tags            map[string]string `json:"tags"`
	LogGroupClass   string            `json:"logGroupClass"`
	KMSKeyID        string            `json:"kmsKeyId"`
	Protected       bool              `json:"deletionProtectionEnabled"`
}

// API returns CloudWatch Logs' operations.
func (s *Service) API() *wire.Service {
	on := func(action string) func(*wire.Call, *groupIn) []wire.Need {
		return func(_ *wire.Call, in *groupIn) []wire.Need {
			return []wire.Need{{Action: "logs:" + action, Resource: s.StreamARN(in.LogGroupName, in.LogStreamName)}}
		}
	}
	return &wire.Service{Name: "logs", Protocol: wire.JSON11, TargetPrefix: "Logs_20140328", Ops: append(s.subscriptionOps(), []wire.Op{
		wire.Handle("CreateLogGroup", func(_ *wire.Call, in *groupIn) []wire.Need {
			n := wire.Need{Action: "logs:CreateLogGroup", Resource: s.StreamARN(in.LogGroupName, ""), Context: requestTags(in.Tags)}
			if len(in.Tags) == 0 {
				return []wire.Need{n}
			}
			return []wire.Need{n, {Action: "logs:TagResource", Resource: n.Resource, Context: n.Context}}
		}, func(_ context.Context, _ *wire.Call, in *groupIn) (*none, error) {
			return &none{}, s.newGroup(in)
		}),
		wire.Handle("DeleteLogGroup", on("DeleteLogGroup"), func(_ context.Context, _ *wire.Call, in *groupIn) (*none, error) {
			return &none{}, s.deleteGroup(in.LogGroupName)
		}),
		wire.Handle("DeleteRetentionPolicy", on("DeleteRetentionPolicy"), func(_ context.Context, _ *wire.Call, in *groupIn) (*none, error) {
			return &none{}, s.keepForever(in.LogGroupName)
		}),
		wire.Handle("ListTagsForResource", needTagged("ListTagsForResource"), s.listTags),
		wire.Handle("TagResource", needTagged("TagResource"), s.tagResource),
		wire.Handle("UntagResource", needTagged("UntagResource"), s.untagResource),
		wire.Handle("CreateLogStream", on("CreateLogStream"), func(_ context.Context, _ *wire.Call, in *groupIn) (*none, error) {
			if in.LogStreamName == "" {
				return nil, missing("logStreamName")
			}
			return &none{}, s.CreateStream(in.LogGroupName, in.LogStreamName)
		}),
		wire.Handle("PutRetentionPolicy", on("PutRetentionPolicy"), func(_ context.Context, _ *wire.Call, in *groupIn) (*none, error) {
			return &none{}, s.setRetention(in.LogGroupName, in.RetentionInDays)
		}),
		wire.Handle("DescribeLogGroups", func(*wire.Call, *describeGroupsIn) []wire.Need {
			return []wire.Need{{Action: "logs:DescribeLogGroups", Resource: s.StreamARN("", "")}}
		}, s.describeGroups),
		wire.Handle("DescribeLogStreams", func(_ *wire.Call, in *describeStreamsIn) []wire.Need {
			return []wire.Need{{Action: "logs:DescribeLogStreams", Resource: s.StreamARN(in.group(), "")}}
		}, s.describeStreams),
		wire.Handle("PutLogEvents", func(_ *wire.Call, in *putIn) []wire.Need {
			return []wire.Need{{Action: "logs:PutLogEvents", Resource: s.StreamARN(in.LogGroupName, in.LogStreamName)}}
		}, s.putEvents),
		wire.Handle("GetLogEvents", func(_ *wire.Call, in *getIn) []wire.Need {
			return []wire.Need{{Action: "logs:GetLogEvents", Resource: s.StreamARN(in.group(), in.LogStreamName)}}
		}, s.getEvents),
		wire.Handle("FilterLogEvents", func(_ *wire.Call, in *filterIn) []wire.Need {
			return []wire.Need{{Action: "logs:FilterLogEvents", Resource: s.StreamARN(in.group(), "")}}
		}, s.filterEvents),
	}...)}
}

func missing(name string) error {
	return wire.Errf("InvalidParameterException", "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must not be null", name)
}

// retentions are the numbers of days that CloudWatch Logs takes.
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func (s *Service) setRetention(name string, days int) error {
	if !slices.Contains(retentions, days) {
		return wire.Errf("InvalidParameterException", "1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: %v", days, retentions)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		return errNoGroup
	}
	g.retention = days
	return nil
}

// target is the group of a call by name, or by identifier, which may be the name or the ARN.
type target struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
}

func (t target) group() string {
	id := cmp.Or(t.LogGroupName, t.LogGroupIdentifier)
	if _, name, ok := strings.Cut(id, ":log-group:"); ok {
		return strings.TrimSuffix(name, ":*")
	}
	return id
}

type describeGroupsIn struct {
	LogGroupNamePrefix  string `json:"logGroupNamePrefix"`
	LogGroupNamePattern string `json:"logGroupNamePattern"`
	Limit               int    `json:"limit"`
	NextToken           string `json:"nextToken"`
}

type groupOut struct {
	ARN             string `json:"arn"`
	LogGroupARN     string `json:"logGroupArn"`
	LogGroupName    string `json:"logGroupName"`
	LogGroupClass   string `json:"logGroupClass"`
	CreationTime    int64  `json:"creationTime"`
	RetentionInDays int    `json:"retentionInDays,omitempty"`
	StoredBytes     int64  `json:"storedBytes"`
	MetricFilters   int    `json:"metricFilterCount"`
}

type describeGroupsOut struct {
	LogGroups []groupOut `json:"logGroups"`
	NextToken string     `json:"nextToken,omitempty"`
}

func (s *Service) describeGroups(_ context.Context, _ *wire.Call, in *describeGroupsIn) (*describeGroupsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.LogGroupNamePrefix != "" && in.LogGroupNamePattern != "" {
		return nil, wire.Errf("InvalidParameterException", "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	out := &describeGroupsOut{LogGroups: []groupOut{}}
	for _, g := range s.sortedGroups(in.LogGroupNamePrefix) {
		if !strings.Contains(strings.ToLower(g.name), strings.ToLower(in.LogGroupNamePattern)) {
			continue
		}
		out.LogGroups = append(out.LogGroups, groupOut{ARN: s.GroupARN(g.name) + ":*", LogGroupARN: s.GroupARN(g.name), LogGroupName: g.name,
			LogGroupClass: g.class, CreationTime: g.created.UnixMilli(), RetentionInDays: g.retention})
	}
	var err error
	out.LogGroups, out.NextToken, err = page(out.LogGroups, in.Limit, in.NextToken)
	return out, err
}

// page cuts a list; the token is the index at which the next page starts.
func page[T any](all []T, limit int, token string) ([]T, string, error) {
	start := 0
	if token != "" {
		var err error
		if start, err = strconv.Atoi(token); err != nil || start < 0 || start > len(all) {
			return nil, "", wire.Errf("InvalidParameterException", "The specified nextToken is invalid.")
		}
	}
	if limit <= 0 || limit > 50 {
		limit = 50
	}
	end := min(start+limit, len(all))
	if end == len(all) {
		return all[start:end], "", nil
	}
	return all[start:end], strconv.Itoa(end), nil
}

type describeStreamsIn struct {
	target
	LogStreamNamePrefix string `json:"logStreamNamePrefix"`
	OrderBy             string `json:"orderBy"`
	Descending          bool   `json:"descending"`
	Limit               int    `json:"limit"`
	NextToken           string `json:"nextToken"`
}

type streamOut struct {
	ARN                 string `json:"arn"`
	LogStreamName       string `json:"logStreamName"`
	CreationTime        int64  `json:"creationTime"`
	FirstEventTimestamp int64  `json:"firstEventTimestamp,omitempty"`
	LastEventTimestamp  int64  `json:"lastEventTimestamp,omitempty"`
	LastIngestionTime   int64  `json:"lastIngestionTime,omitempty"`
	UploadSequenceToken string `json:"uploadSequenceToken"`
	StoredBytes         int64  `json:"storedBytes"`
}

type describeStreamsOut struct {
	LogStreams []streamOut `json:"logStreams"`
	NextToken  string      `json:"nextToken,omitempty"`
}

func (s *Service) describeStreams(_ context.Context, _ *wire.Call, in *describeStreamsIn) (*describeStreamsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[in.group()]
	if g == nil {
		return nil, errNoGroup
	}
	out := &describeStreamsOut{LogStreams: []streamOut{}}
	for _, name := range g.order {
		if !strings.HasPrefix(name, in.LogStreamNamePrefix) {
			continue
		}
		st := g.streams[name]
		o := streamOut{ARN: s.StreamARN(g.name, name), LogStreamName: name, CreationTime: st.created.UnixMilli(), UploadSequenceToken: "unused"}
		if n := len(st.events); n > 0 {
			o.FirstEventTimestamp, o.LastEventTimestamp = st.events[0].Time.UnixMilli(), st.events[n-1].Time.UnixMilli()
			o.LastIngestionTime = st.events[n-1].Ingested.UnixMilli()
		}
		out.LogStreams = append(out.LogStreams, o)
	}
	slices.SortStableFunc(out.LogStreams, func(a, b streamOut) int {
		c := cmp.Compare(a.LogStreamName, b.LogStreamName)
		if in.OrderBy == "LastEventTime" {
			c = cmp.Compare(a.LastEventTimestamp, b.LastEventTimestamp)
		}
		if in.Descending {
			return -c
		}
		return c
	})
	var err error
	out.LogStreams, out.NextToken, err = page(out.LogStreams, in.Limit, in.NextToken)
	return out, err
}

type putIn struct {
	LogGroupName  string `json:"logGroupName"`
	LogStreamName string `json:"logStreamName"`
	LogEvents     []struct {
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	} `json:"logEvents"`
}

type putOut struct {
	NextSequenceToken string `json:"nextSequenceToken"`
}

func (s *Service) putEvents(_ context.Context, _ *wire.Call, in *putIn) (*putOut, error) {
	if len(in.LogEvents) == 0 || len(in.LogEvents) > 10_000 {
		return nil, wire.Errf("InvalidParameterException", "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length between 1 and 10000")
	}
	for i, e := range in.LogEvents {
		if i > 0 && e.Timestamp < in.LogEvents[i-1].Timestamp {
			return nil, wire.Errf("InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	for _, e := range in.LogEvents {
		if err := s.Append(in.LogGroupName, in.LogStreamName, time.UnixMilli(e.Timestamp), e.Message); err != nil {
			return nil, err
		}
	}
	return &putOut{NextSequenceToken: fmt.Sprint(len(in.LogEvents))}, nil
}
