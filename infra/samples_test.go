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
		// that worked, alarms that are over, and runs of others than the upgrade function are left
		// out by theirs.
		direct := !strings.Contains(string(s.Body), `"detail-type"`)
		started := s.Kind == events.KindInstanceStateChange && !slices.ContainsFunc([]string{"stopping", "stopped", "shutting-down", "terminated"},
			func(state string) bool { return strings.Contains(string(s.Body), `"`+state+`"`) })
		fine := s.Kind == events.KindAutoScalingResult && !strings.Contains(string(s.Body), `"Failed"`) ||
			s.Kind == events.KindAlarmStateChange && strings.HasSuffix(s.Name, "-ok.json") ||
			s.Kind == events.KindRunFinished && !strings.Contains(string(s.Body), `"function": "upgrade"`)
		if contract.Route != events.RouteRule || direct || started || fine {
			if len(to) > 0 {
				t.Errorf("%s is not for a rule (%s) and goes to %v", s.Name, contract.Reason, to)
			}
			continue
		}
		if len(to) != 1 || !slices.ContainsFunc([]string{contract.Handler + "Queue", contract.Handler + "Function", contract.Also + "Queue"},
			func(name string) bool { return strings.EqualFold(to[0], name) }) {
			t.Errorf("%s goes to %v, its handlers are %q, %q", s.Name, to, contract.Handler, contract.Also)
		}
	}
}
