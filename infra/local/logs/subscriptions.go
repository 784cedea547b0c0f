package logs

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Functions are what subscription filters send log events to. AWS knows other destinations, too.
type Functions interface {
	// MayInvokeFor tells whether a function's resource policy lets a service call it on behalf of a resource.
	MayInvokeFor(servicePrincipal, sourceARN, functionARN string) error
	InvokeFor(servicePrincipal, sourceARN, functionARN string, payload []byte) error
}

const (
	// maxFilters is CloudWatch Logs' own limit for one group.
	maxFilters = 2
	// gathered is how long lines are gathered before they are sent: on AWS it takes some seconds, mostly.
	gathered  = time.Second
	principal = "logs.amazonaws.com"
)

// filter is a subscription of a group.
type filter struct {
	name, pattern, destination string
	created                    time.Time
	pending                    map[string][]subscribed // by stream
}

// subscribed is an event as a subscriber gets it.
type subscribed struct {
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// SendTo says who the functions of subscription filters are. Without, there can be no subscription.
func (s *Service) SendTo(f Functions) { s.functions = f }

type subscriptionOut struct {
	LogGroupName   string `json:"logGroupName"`
	FilterName     string `json:"filterName"`
	FilterPattern  string `json:"filterPattern"`
	DestinationARN string `json:"destinationArn"`
	Distribution   string `json:"distribution"`
	CreationTime   int64  `json:"creationTime,omitempty"`
}

type subscriptionIn struct {
	subscriptionOut
	RoleARN          string `json:"roleArn"`
	FilterNamePrefix string `json:"filterNamePrefix"`
	Limit            int    `json:"limit"`
	NextToken        string `json:"nextToken"`
}

type subscriptionsOut struct {
	SubscriptionFilters []subscriptionOut `json:"subscriptionFilters"`
	NextToken           string            `json:"nextToken,omitempty"`
}

func (s *Service) subscriptionOps() []wire.Op {
	need := func(action string) func(*wire.Call, *subscriptionIn) []wire.Need {
		return func(_ *wire.Call, in *subscriptionIn) []wire.Need {
			return []wire.Need{{Action: "logs:" + action, Resource: s.StreamARN(in.LogGroupName, "")}}
		}
	}
	return []wire.Op{
		wire.Handle("PutSubscriptionFilter", need("PutSubscriptionFilter"), s.putFilter),
		wire.Handle("DeleteSubscriptionFilter", need("DeleteSubscriptionFilter"), s.deleteFilter),
		wire.Handle("DescribeSubscriptionFilters", need("DescribeSubscriptionFilters"), s.describeFilters),
	}
}

func (s *Service) putFilter(_ context.Context, _ *wire.Call, in *subscriptionIn) (*none, error) {
	switch {
	case in.FilterName == "":
		return nil, missing("filterName")
	case in.DestinationARN == "":
		return nil, missing("destinationArn")
	case !strings.Contains(in.DestinationARN, ":function:"):
		return nil, wire.Errf("NotImplemented", "PutSubscriptionFilter: the embedded cloud sends log events to Lambda functions only, not to %s", in.DestinationARN).WithStatus(http.StatusNotImplemented)
	case in.RoleARN != "":
		return nil, wire.Errf("InvalidParameterException", "destinationArn for vendor lambda cannot be used with roleArn")
	}
	if _, err := matcher(in.FilterPattern); err != nil {
		return nil, err
	}
	if s.functions == nil {
		return nil, wire.Errf("NotImplemented", "PutSubscriptionFilter: this CloudWatch Logs has no Lambda beside it").WithStatus(http.StatusNotImplemented)
	}
	if err := s.functions.MayInvokeFor(principal, s.GroupARN(in.LogGroupName)+":*", in.DestinationARN); err != nil {
		return nil, wire.Errf("InvalidParameterException", "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your function.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[in.LogGroupName]
	if g == nil {
		return nil, errNoGroup
	}
	if g.filters[in.FilterName] == nil && len(g.filters) >= maxFilters {
		return nil, wire.Errf("LimitExceededException", "Resource limit exceeded.")
	}
	if g.filters == nil {
		g.filters = map[string]*filter{}
	}
	g.filters[in.FilterName] = &filter{name: in.FilterName, pattern: in.FilterPattern, destination: in.DestinationARN, created: time.Now(), pending: map[string][]subscribed{}}
	return &none{}, nil
}

func (s *Service) deleteFilter(_ context.Context, _ *wire.Call, in *subscriptionIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[in.LogGroupName]
	if g == nil {
		return nil, errNoGroup
	}
	if g.filters[in.FilterName] == nil {
		return nil, wire.Errf("ResourceNotFoundException", "The specified subscription filter does not exist.")
	}
	delete(g.filters, in.FilterName)
	return &none{}, nil
}

func (s *Service) describeFilters(_ context.Context, _ *wire.Call, in *subscriptionIn) (*subscriptionsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[in.LogGroupName]
	if g == nil {
		return nil, errNoGroup
	}
	out := &subscriptionsOut{SubscriptionFilters: []subscriptionOut{}}
	for _, name := range slices.Sorted(maps.Keys(g.filters)) {
		if f := g.filters[name]; strings.HasPrefix(name, in.FilterNamePrefix) {
			out.SubscriptionFilters = append(out.SubscriptionFilters, subscriptionOut{LogGroupName: g.name, FilterName: name, FilterPattern: f.pattern,
				DestinationARN: f.destination, Distribution: "ByLogStream", CreationTime: f.created.UnixMilli()})
		}
	}
	var err error
	out.SubscriptionFilters, out.NextToken, err = page(out.SubscriptionFilters, in.Limit, in.NextToken)
	return out, err
}

// matcher is a filter pattern: one phrase in quotes, one word, or nothing, which matches all.
func matcher(pattern string) (func(line string) bool, error) {
	phrase := strings.TrimSpace(pattern)
	if inner, ok := strings.CutPrefix(phrase, `"`); ok && len(inner) > 0 && strings.Index(inner, `"`) == len(inner)-1 {
		phrase = strings.TrimSuffix(inner, `"`)
	} else if strings.ContainsAny(phrase, ` ?-"{[%`) {
		return nil, wire.Errf("NotImplemented", "the embedded cloud knows filter patterns of one word or one phrase in quotes, not %q", pattern).WithStatus(http.StatusNotImplemented)
	}
	return func(line string) bool { return strings.Contains(line, phrase) }, nil
}

// subscribe keeps new lines for those who have asked for them. It needs the lock.
func (s *Service) subscribe(g *group, stream string, at time.Time, messages []string) {
	for _, f := range g.filters {
		matches, err := matcher(f.pattern)
		if err != nil {
			continue // PutSubscriptionFilter has refused it
		}
		begun := len(f.pending) > 0
		for _, m := range messages {
			if matches(m) {
				s.sequence++
				f.pending[stream] = append(f.pending[stream], subscribed{fmt.Sprintf("%056d", s.sequence), at.UnixMilli(), m})
			}
		}
		if !begun && len(f.pending) > 0 {
			s.w.Go(func(ctx context.Context) {
				select {
				case <-ctx.Done():
				case <-time.After(gathered):
					s.flush(g.name, f)
				}
			})
		}
	}
}

// flush sends what was gathered: one message a stream, in gzip and base64.
func (s *Service) flush(group string, f *filter) {
	s.mu.Lock()
	pending := f.pending
	f.pending = map[string][]subscribed{}
	s.mu.Unlock()
	for _, stream := range slices.Sorted(maps.Keys(pending)) {
		body, err := json.Marshal(map[string]any{"messageType": "DATA_MESSAGE", "owner": s.w.Account, "logGroup": group, "logStream": stream,
			"subscriptionFilters": []string{f.name}, "logEvents": pending[stream]})
		var packed bytes.Buffer
		if err == nil {
			z := gzip.NewWriter(&packed)
			_, err = z.Write(body)
			err = cmp.Or(err, z.Close())
		}
		if err == nil {
			payload := `{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString(packed.Bytes()) + `"}}`
			err = s.functions.InvokeFor(principal, s.GroupARN(group)+":*", f.destination, []byte(payload))
		}
		if err != nil { // on AWS it is tried again for a day
			s.w.Log.Warn("embedded cloud: log events are lost", "group", group, "filter", f.name, "reason", err)
		}
	}
}
