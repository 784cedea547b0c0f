package logs

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// stateUnknown is the state of an alarm of which nobody has said anything.
const stateUnknown = "INSUFFICIENT_DATA"

var alarmStates = []string{"OK", "ALARM", stateUnknown}

// mostAlarms is the most that DescribeAlarms returns at once; AWS's default is 50 for few and 100 for most.
const mostAlarms = 100

// alarmState is what SetAlarmState has said last.
type alarmState struct {
	value, reason, data string
	at                  time.Time
}

// SetAlarm sets an alarm's state as SetAlarmState does, for the assembly and for tests. On AWS it would last until the alarm is
// evaluated; here it lasts until it is set again.
func (s *Service) SetAlarm(name, state, reason string) error {
	_, err := s.setAlarmState(context.Background(), nil, &setStateIn{AlarmName: name, StateValue: state, StateReason: reason})
	return err
}

type setStateIn struct{ AlarmName, StateValue, StateReason, StateReasonData string }

func (s *Service) setAlarmState(_ context.Context, _ *wire.Call, in *setStateIn) (*none, error) {
	if !slices.Contains(alarmStates, in.StateValue) {
		return nil, wire.Errf("ValidationError", "Value '%s' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: %v", in.StateValue, alarmStates)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.alarms, func(a Alarm) bool { return a.AlarmName == in.AlarmName }) {
		return nil, wire.Errf("ResourceNotFound", "Alarm %s does not exist", in.AlarmName).WithStatus(http.StatusNotFound)
	}
	s.states[in.AlarmName] = alarmState{in.StateValue, in.StateReason, in.StateReasonData, time.Now()}
	return &none{}, nil
}

type alarmTagsIn struct{ ResourceARN string }

type alarmTag struct{ Key, Value string }

type alarmTagsOut struct {
	Tags []alarmTag `xml:"Tags>member"`
}

func (s *Service) alarmTags(_ context.Context, _ *wire.Call, in *alarmTagsIn) (*alarmTagsOut, error) {
	name := strings.TrimPrefix(in.ResourceARN, s.w.ARN("cloudwatch", "alarm:"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.alarms, func(a Alarm) bool { return a.AlarmName == name }) {
		return nil, wire.Errf("ResourceNotFoundException", "%s does not exist", in.ResourceARN).WithStatus(http.StatusNotFound)
	}
	out := &alarmTagsOut{}
	for _, k := range slices.Sorted(maps.Keys(s.alarmLabels[name])) {
		out.Tags = append(out.Tags, alarmTag{k, s.alarmLabels[name][k]})
	}
	return out, nil
}
