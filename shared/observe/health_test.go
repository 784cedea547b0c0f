package observe

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

type healthAWS struct{ asked int }

func (a *healthAWS) Insights(context.Context, string) ([]readiness.Insight, error) {
	a.asked++
	return []readiness.Insight{
		{Name: "routes", Category: "MISCONFIGURATION", Status: "ERROR"}, {Name: "fine", Category: "MISCONFIGURATION", Status: "PASSING"},
		{Name: "removed APIs", Category: "UPGRADE_READINESS", Status: "ERROR"},
	}, nil
}

func (a *healthAWS) Alarms(context.Context, []string) ([]readiness.Alarm, error) {
	return []readiness.Alarm{{Name: "errors", State: "ALARM"}, {Name: "latency", State: "OK"}}, nil
}

type wellness struct{ fail bool }

func (w wellness) Wellness(context.Context) (fleet.Wellness, error) {
	if w.fail {
		return fleet.Wellness{}, errors.New("no route to host")
	}
	return fleet.Wellness{Nodes: 3, Pods: 9}, nil
}

func TestHealth(t *testing.T) {
	aws, api := &healthAWS{}, &wellness{}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	h := NewHealth(aws, func(context.Context, string) (WellnessReader, error) { return api, nil }, func() time.Time { return now })
	got := h.Of(t.Context(), "demo", []string{"errors", "latency"})
	if got.Nodes != 3 || got.Pods != 9 || !slices.Equal(got.Insights, []string{"routes"}) || !slices.Equal(got.Alarms, []string{"errors"}) || len(got.Unread) > 0 {
		t.Errorf("%+v", got)
	}
	api.fail, now = true, now.Add(time.Minute)
	got = h.Of(t.Context(), "demo", nil)
	if got.Unread["nodes and pods"] != "no route to host" || aws.asked != 1 || len(got.Alarms) > 0 {
		t.Errorf("asked %d times, %+v", aws.asked, got)
	}
	now = now.Add(insightsFor)
	if h.Of(t.Context(), "demo", nil); aws.asked != 2 {
		t.Errorf("asked %d times", aws.asked)
	}
}
