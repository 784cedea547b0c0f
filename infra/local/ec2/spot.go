package ec2

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// SpotSignal is what EC2 says of a spot instance before it takes it away.
type SpotSignal string

// The signals.
const (
	Rebalance    SpotSignal = "rebalance"    // a recommendation: elevated risk of interruption
	Interruption SpotSignal = "interruption" // the notice: two minutes left
)

// OnSpotSignal registers a listener for rebalance recommendations and interruption notices. It is called as those of
// OnStateChange are, and in order with them.
func (s *Service) OnSpotSignal(f func(instanceID string, signal SpotSignal)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signals = append(s.signals, f)
}

// signal has everybody told. The lock is held. The resource's ARN has the zone where others have the Region, and no
// account: so EC2 sends it.
func (s *Service) signal(i *instance, signal SpotSignal, detailType string, detail map[string]string) {
	arn, id, listeners := "arn:aws:ec2:"+i.az+":instance/"+i.id, i.id, slices.Clone(s.signals)
	s.outbox.Post(func() {
		for _, f := range listeners {
			f(id, signal)
		}
		s.events.Emit("aws.ec2", detailType, []string{arn}, detail)
	})
}

func (s *Service) runningSpot(id string) (*instance, error) {
	i, err := get[*instance](s, kindInstance, id)
	switch {
	case err != nil:
		return nil, err
	case i.spotRequest == "":
		return nil, wire.Errf("UnsupportedOperation", "The instance '%s' is not a Spot Instance.", id)
	case i.state != "running":
		return nil, wire.Errf("IncorrectInstanceState", "The instance '%s' is not in the 'running' state but %s.", id, i.state)
	}
	return i, nil
}

// Interrupt does what EC2 does when it wants a spot instance's capacity back: the warning at once, and the action
// ("terminate", "stop" or "hibernate"; empty means terminate) when the profile's SpotNotice is over. Hibernation begins
// at once, as documented.
func (s *Service) Interrupt(instanceID, action string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.runningSpot(instanceID)
	if err != nil {
		return err
	}
	if action == "" {
		action = "terminate"
	}
	notice := s.w.Profile.SpotNotice
	switch action {
	case "terminate", "stop":
	case "hibernate":
		notice = 0
	default:
		return invalid("Value (%s) for the instance action is invalid: terminate, stop or hibernate.", action)
	}
	s.signal(i, Interruption, "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": i.id, "instance-action": action})
	step := i.transition
	s.w.After(notice, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case i.transition != step: // its owner was quicker
		case action == "terminate":
			s.terminate(i, bySpot)
		default:
			s.stop(i, bySpotStop)
		}
	})
	return nil
}

// Recommend emits a rebalance recommendation for a running spot instance. Nothing need follow.
func (s *Service) Recommend(instanceID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.runningSpot(instanceID)
	if err != nil {
		return err
	}
	s.signal(i, Rebalance, "EC2 Instance Rebalance Recommendation", map[string]string{"instance-id": i.id})
	return nil
}
