package logs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type getIn struct {
	target
	LogStreamName string `json:"logStreamName"`
	StartTime     *int64 `json:"startTime"`
	EndTime       *int64 `json:"endTime"`
	NextToken     string `json:"nextToken"`
	Limit         int    `json:"limit"`
	StartFromHead bool   `json:"startFromHead"`
}

type eventOut struct {
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
	LogStreamName string `json:"logStreamName,omitempty"`
	EventID       string `json:"eventId,omitempty"`
}

type getOut struct {
	Events            []eventOut `json:"events"`
	NextForwardToken  string     `json:"nextForwardToken"`
	NextBackwardToken string     `json:"nextBackwardToken"`
}

func (e Event) out() eventOut {
	return eventOut{Timestamp: e.Time.UnixMilli(), Message: e.Message, IngestionTime: e.Ingested.UnixMilli()}
}

func within(e Event, from, to *int64) bool {
	t := e.Time.UnixMilli()
	return (from == nil || t >= *from) && (to == nil || t < *to)
}

const maxPage = 10_000

func limitOf(n int) int {
	if n <= 0 || n > maxPage {
		return maxPage
	}
	return n
}

// getEvents pages through a stream by tokens that are absolute positions, so that a reader who follows a stream with the
// forward token gets what was added. At either end the token stays the same, which is how a reader knows.
func (s *Service) getEvents(_ context.Context, _ *wire.Call, in *getIn) (*getOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(in.group(), in.LogStreamName)
	if err != nil {
		return nil, err
	}
	limit := limitOf(in.Limit)
	start, end := 0, len(st.events)
	switch kind, position, ok := strings.Cut(in.NextToken, "/"); {
	case in.NextToken == "" && in.StartFromHead:
		end = min(end, limit)
	case in.NextToken == "":
		start = max(0, end-limit)
	default:
		at, err := strconv.Atoi(position)
		if at -= st.dropped; !ok || err != nil || at > len(st.events) {
			return nil, wire.Errf("InvalidParameterException", "The specified nextToken is invalid.")
		}
		at = max(at, 0)
		if kind == "f" {
			start, end = at, min(at+limit, end)
		} else {
			start, end = max(0, at-limit), at
		}
	}
	out := &getOut{Events: []eventOut{}, NextForwardToken: fmt.Sprintf("f/%d", end+st.dropped), NextBackwardToken: fmt.Sprintf("b/%d", start+st.dropped)}
	for _, e := range st.events[start:end] {
		if within(e, in.StartTime, in.EndTime) {
			out.Events = append(out.Events, e.out())
		}
	}
	return out, nil
}

type filterIn struct {
	target
	LogStreamNames      []string `json:"logStreamNames"`
	LogStreamNamePrefix string   `json:"logStreamNamePrefix"`
	StartTime           *int64   `json:"startTime"`
	EndTime             *int64   `json:"endTime"`
	FilterPattern       string   `json:"filterPattern"`
	NextToken           string   `json:"nextToken"`
	Limit               int      `json:"limit"`
}

type filterOut struct {
	Events             []eventOut `json:"events"`
	SearchedLogStreams []none     `json:"searchedLogStreams"`
	NextToken          string     `json:"nextToken,omitempty"`
}

func (s *Service) filterEvents(_ context.Context, _ *wire.Call, in *filterIn) (*filterOut, error) {
	match, err := pattern(in.FilterPattern)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[in.group()]
	if g == nil {
		return nil, errNoGroup
	}
	after := int64(0)
	if in.NextToken != "" {
		if after, err = strconv.ParseInt(in.NextToken, 10, 64); err != nil {
			return nil, wire.Errf("InvalidParameterException", "The specified nextToken is invalid.")
		}
	}
	type hit struct {
		Event
		stream string
	}
	var hits []hit
	for name, st := range g.streams {
		if len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, name) || !strings.HasPrefix(name, in.LogStreamNamePrefix) {
			continue
		}
		for _, e := range st.events {
			if e.sequence > after && within(e, in.StartTime, in.EndTime) && match(e.Message) {
				hits = append(hits, hit{e, name})
			}
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return int(a.sequence - b.sequence) })
	out := &filterOut{Events: []eventOut{}, SearchedLogStreams: []none{}}
	for i, h := range hits {
		if i == limitOf(in.Limit) {
			out.NextToken = strconv.FormatInt(hits[i-1].sequence, 10)
			break
		}
		e := h.out()
		e.LogStreamName, e.EventID = h.stream, fmt.Sprintf("%056d", h.sequence)
		out.Events = append(out.Events, e)
	}
	return out, nil
}

// pattern understands CloudWatch's patterns for unstructured text: words that must all occur, ?words of which one must,
// -words that must not, and "quoted phrases".
func pattern(text string) (func(string) bool, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "%") {
		return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement JSON, column and regular-expression filter patterns: %s", text).WithStatus(501)
	}
	var all, some, never []string
	for text != "" {
		to := &all
		switch text[0] {
		case '?':
			to, text = &some, text[1:]
		case '-':
			to, text = &never, text[1:]
		}
		var word string
		if quoted, ok := strings.CutPrefix(text, `"`); ok {
			if word, text, ok = strings.Cut(quoted, `"`); !ok {
				return nil, wire.Errf("InvalidParameterException", "Invalid filter pattern: a quote is not closed")
			}
		} else {
			word, text, _ = strings.Cut(text, " ")
		}
		if word != "" {
			*to = append(*to, word)
		}
		text = strings.TrimSpace(text)
	}
	return func(m string) bool {
		in := func(word string) bool { return strings.Contains(m, word) }
		for _, w := range all {
			if !in(w) {
				return false
			}
		}
		return !slices.ContainsFunc(never, in) && (len(some) == 0 || slices.ContainsFunc(some, in))
	}, nil
}
