package events_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
)

func TestNewMakesWhatDecodeReads(t *testing.T) {
	at := time.Date(2026, 3, 3, 3, 4, 12, 5, time.FixedZone("", 3600))
	for _, payload := range []events.OwnPayload{
		&events.ClusterApplyRequested{RequestID: "r", Spec: "kind: ClusterConfig <&>"},
		&events.ClusterDeleteRequested{RequestID: "r", Cluster: "blue", Region: "us-east-1", Force: true, DryRun: true},
		&events.ClusterSweepRequested{},
		&events.ClusterContinuation{RunID: "run", Cluster: "blue", StartedAt: at.UTC(), Attempt: 2},
		&events.DrainContinuation{RunID: "run", InstanceID: "i-0b662ef9931388ba0", Cause: events.KindLifecycleAction, StartedAt: at.UTC(), Fate: events.FateExpires,
			Hook: &events.LifecycleHookRef{AutoScalingGroupName: "g", LifecycleHookName: "h"}},
		&events.NodeRemovalRequested{Cluster: "blue", Node: "n", NodeUID: "u", InstanceID: "i-0b662ef9931388ba0", Reason: events.RemovalManual, PatienceSeconds: 5},
		&events.ScalingRequested{Cluster: "blue", Region: "us-east-1", Source: events.ScalingSourceWebhook, SeenAt: at.UTC()},
		&events.ScalingSweepRequested{},
		&events.MachineSignal{InstanceID: "i-0b662ef9931388ba0", Cause: events.CauseStatusCheck, SaidAt: at.UTC(), Deadline: at.UTC(), Fate: events.FateEnded},
		&events.PlannedDrainDue{InstanceID: "i-0b662ef9931388ba0", Region: "us-east-1"},
		&events.InterruptionSweepRequested{},
		&events.PodTerminationContinuation{RunID: "run", Cluster: "blue", Namespace: "default", Pod: "web-1", PodUID: "u", EventID: "e",
			EventTime: at.UTC(), Deadline: at.UTC(), StartedAt: at.UTC(), Attempt: 2},
		&events.ScalingContinuation{RunID: "run", Cluster: "blue", StartedAt: at.UTC(), SeenAt: at.UTC(), Attempt: 2},
		&events.RunFinished{RunID: "run", Function: "f", Outcome: events.OutcomeDrained, StartedAt: at.UTC(), FinishedAt: at.UTC(),
			Timings: map[string]int64{"eventToCordon": 1}, Blocked: []string{"x"}},
		&events.RunStarted{RunID: "run", Function: "f", Cause: events.KindSpotInterruption, StartedAt: at.UTC(), Deadline: at.UTC()},
		&events.NotificationTestRequested{RequestID: "r", Cluster: "blue", Target: "slack"},
		&events.RunProgressed{RunID: "run", Function: "f", Step: "s", At: at.UTC()},
	} {
		event, err := events.New(payload, "id-1", at, "123456789012", "")
		if err != nil {
			t.Errorf("%T: %v", payload, err)
			continue
		}
		if !reflect.DeepEqual(event.Payload, payload) {
			t.Errorf("%T: payload %+v", payload, event.Payload)
		}
		if event.ID != "id-1" || !event.Time.Equal(at) || event.Source != events.SourceEkspedite || event.Account != "123456789012" || event.Region != "" {
			t.Errorf("%T: %v", payload, event)
		}
		contract, _ := events.ContractOf(event.Kind)
		body := encode(t, event)
		if err := loadSchema(t, contract.Schema).accepts(parse(t, body)); err != nil {
			t.Errorf("%T: %v", payload, err)
		}
		if again := decode(t, body); !reflect.DeepEqual(again, event) {
			t.Errorf("%T: decoded again it is %#v", payload, again)
		}
	}
	if event, err := events.New(events.ClusterSweepRequested{}, "id", at, "", ""); err != nil || event.Kind != events.KindClusterSweepRequested {
		t.Errorf("by value: %v, %v", event, err)
	}
}

func TestNewRefusesWhatDecodeWould(t *testing.T) {
	now := time.Date(2026, 3, 3, 2, 4, 12, 0, time.UTC)
	for name, build := range map[string]func() (events.Event, error){
		"no id": func() (events.Event, error) { return events.New(events.ClusterSweepRequested{}, "", now, "", "") },
		"no time": func() (events.Event, error) {
			return events.New(events.ClusterSweepRequested{}, "id", time.Time{}, "", "")
		},
		"no spec": func() (events.Event, error) {
			return events.New(events.ClusterApplyRequested{RequestID: "r"}, "id", now, "", "")
		},
		"no cluster": func() (events.Event, error) {
			return events.New(events.ClusterDeleteRequested{RequestID: "r"}, "id", now, "", "")
		},
		"nothing":     func() (events.Event, error) { return events.New(nil, "id", now, "", "") },
		"nil pointer": func() (events.Event, error) { return events.New((*events.RunFinished)(nil), "id", now, "", "") },
	} {
		if event, err := build(); err == nil {
			t.Errorf("%s: made %v", name, event)
		}
	}
}

func TestSweepScheduleInputIsASweepOnceFilledIn(t *testing.T) {
	malformed(t, []byte(events.SweepScheduleInput))
	filled := strings.NewReplacer("<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3", "<aws.scheduler.scheduled-time>", "2026-03-03T02:00:00Z")
	if event := decode(t, []byte(filled.Replace(events.SweepScheduleInput))); event.Kind != events.KindClusterSweepRequested {
		t.Errorf("is %v", event)
	}
}
