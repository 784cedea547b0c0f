package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
	"github.com/ekspedite/ekspedite/infra/local/eventbridge/pattern"
)

// Every real sample meets the rules of the template as the contract table says: those of kinds with a rule are matched by
// one that leads to their handler's queue, all others by none.
func TestSamplesMeetTheRules(t *testing.T) {
	tpl := everything(t)
	type compiled struct {
		id, queue string
		bus       events.Bus
		*pattern.Pattern
	}
	var rules []compiled
	for _, rule := range tpl.of(t, "AWS::Events::Rule") {
		text, err := json.Marshal(rule.Properties["EventPattern"])
		text = bytes.ReplaceAll(text, []byte(`{"Fn::ImportValue":"ekspedite-specs-name"}`), []byte(`"amzn-s3-demo-bucket1"`)) // the sample's bucket
		if err != nil {
			t.Fatal(err)
		}
		p, err := pattern.Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", rule.ID, err)
		}
		bus := events.BusDefault
		if rule.Properties["EventBusName"] != nil {
			bus = events.BusEkspedite
		}
		rules = append(rules, compiled{rule.ID, target(at(list(rule.Properties["Targets"])[0], "Arn")), bus, p})
	}
	for _, s := range samples.Samples() {
		contract, ok := events.ContractOf(s.Kind)
		if !ok {
			t.Errorf("%s: no contract for %s", s.Name, s.Kind)
			continue
		}
		var to []string
		for _, r := range rules {
			matched, err := r.Match(s.Body)
			if err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
			if matched && r.bus == contract.Bus {
				to = append(to, r.queue)
			}
		}
		// Notifications that Auto Scaling sends directly to a queue meet no rule. State changes to pending or running, launches
		// that worked, alarms that are over, and ECS tasks that nobody interrupts are left out by theirs.
		direct := !strings.Contains(string(s.Body), `"detail-type"`)
		started := s.Kind == events.KindInstanceStateChange && !slices.ContainsFunc([]string{"stopping", "stopped", "shutting-down", "terminated"},
			func(state string) bool { return strings.Contains(string(s.Body), `"`+state+`"`) })
		fine := s.Kind == events.KindAutoScalingResult && !strings.Contains(string(s.Body), `"Failed"`) ||
			s.Kind == events.KindAlarmStateChange && strings.HasSuffix(s.Name, "-ok.json") ||
			s.Kind == events.KindECSTaskStateChange && !strings.Contains(string(s.Body), `"SpotInterruption"`)
		heard := false
		if contract.Route != events.RouteRule || direct || started || fine {
			if len(to) > 0 {
				t.Errorf("%s is not for a rule (%s) and goes to %v", s.Name, contract.Reason, to)
			}
			continue
		}
		// Events that two functions hear of go to one of them, or to both; which rules there are, TestRulesAreTheContracts says.
		for _, handler := range append([]string{contract.Handler}, contract.Also...) {
			if at := slices.IndexFunc(to, func(q string) bool {
				return strings.EqualFold(q, handler+"Queue") || strings.EqualFold(q, handler+"Function")
			}); at >= 0 {
				to = slices.Delete(to, at, at+1)
				heard = true
			}
		}
		if !heard || len(to) > 0 {
			t.Errorf("%s is heard by its handlers %v: %t; and goes to %v as well", s.Name, append([]string{contract.Handler}, contract.Also...), heard, to)
		}
	}
}
