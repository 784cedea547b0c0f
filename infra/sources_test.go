package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/stacks"
)

func TestWhatCannotBeDeliveredIsKept(t *testing.T) {
	tpl := everything(t)
	check := func(source, queue, dlq string) {
		if r := tpl.Resources[queue]; r != nil && r.Type == "AWS::Lambda::Function" { // invoked directly: it has a dead-letter queue of its own
			if want := strings.TrimSuffix(queue, "Function") + "DLQ"; dlq != want || tpl.Resources[want] == nil {
				t.Errorf("%s: what %s cannot get goes to %q", source, queue, dlq)
			}
			return
		}
		if queue == "" || tpl.Resources[queue] == nil || redrive(tpl.Resources[queue]) != dlq {
			t.Errorf("%s: what %s cannot get goes to %q", source, queue, dlq)
		}
	}
	for _, rule := range tpl.of(t, "AWS::Events::Rule") {
		targets := list(rule.Properties["Targets"])
		if len(targets) == 0 {
			t.Errorf("%s has no target", rule.ID)
		}
		for _, to := range targets {
			queue, dlq := target(at(to, "Arn")), target(at(to, "DeadLetterConfig", "Arn"))
			check(rule.ID, queue, dlq)
			for _, id := range []string{queue, dlq} {
				if tpl.Resources[id].Type == "AWS::Lambda::Function" {
					if !slices.ContainsFunc(tpl.of(t, "AWS::Lambda::Permission"), func(p *resource) bool {
						return target(p.Properties["FunctionName"]) == id && target(p.Properties["SourceArn"]) == rule.ID && p.Properties["Principal"] == "events.amazonaws.com"
					}) {
						t.Errorf("%s does not let %s in", id, rule.ID)
					}
					continue
				}
				if !admits(queueStatements(t, tpl, id), rule.ID) {
					t.Errorf("the policy of %s does not let %s in", id, rule.ID)
				}
			}
		}
	}
	for _, schedule := range tpl.of(t, "AWS::Scheduler::Schedule") {
		to := schedule.Properties["Target"]
		check(schedule.ID, target(at(to, "Arn")), target(at(to, "DeadLetterConfig", "Arn")))
	}
}

// admits reports whether a queue's policy lets EventBridge send for a rule.
func admits(statements []any, rule string) bool {
	return slices.ContainsFunc(statements, func(s any) bool {
		arns := list(at(s, "Condition", "ArnEquals", "aws:SourceArn"))
		return at(s, "Effect") == "Allow" && at(s, "Principal", "Service") == "events.amazonaws.com" &&
			slices.ContainsFunc(arns, func(arn any) bool { return target(arn) == rule })
	})
}

// Nobody but these rules and the account's own roles.
func TestQueuesAdmitNobodyElse(t *testing.T) {
	tpl := everything(t)
	for _, queue := range tpl.of(t, "AWS::SQS::Queue") {
		for _, s := range queueStatements(t, tpl, queue.ID) {
			if at(s, "Effect") == "Deny" {
				continue
			}
			if at(s, "Principal", "Service") != "events.amazonaws.com" || at(s, "Action") != "sqs:SendMessage" ||
				target(at(s, "Resource")) != queue.ID || at(s, "Condition", "ArnEquals", "aws:SourceArn") == nil {
				t.Errorf("%s admits %v", queue.ID, s)
			}
		}
	}
}

// CloudFormation and cfn-lint take a bare value where EventBridge wants a list, and the deployment fails.
func TestPatternsAreMadeOfLists(t *testing.T) {
	var walk func(rule, path string, value any)
	walk = func(rule, path string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, below := range value {
				walk(rule, path+"."+key, below)
			}
		case []any:
			if len(value) == 0 {
				t.Errorf("%s: %s is an empty list and matches nothing", rule, path)
			}
		default:
			t.Errorf("%s: %s is %v and no list", rule, path, value)
		}
	}
	for _, rule := range everything(t).of(t, "AWS::Events::Rule") {
		pattern, ok := rule.Properties["EventPattern"].(map[string]any)
		if !ok || len(pattern) == 0 {
			t.Errorf("%s matches everything, or nothing: %v", rule.ID, rule.Properties["EventPattern"])
		}
		walk(rule.ID, "pattern", pattern)
		if len(text(rule.Properties["Description"])) < 10 || len(text(rule.Properties["Description"])) > 512 {
			t.Errorf("%s wants a description, of at most 512 characters", rule.ID)
		}
	}
}

// The contract table says what is listened to, on which bus and by whom; the rules do that and no more.
func TestRulesAreTheContracts(t *testing.T) {
	tpl := everything(t)
	buses := map[events.Bus]string{events.BusDefault: "", events.BusEkspedite: "Bus"}
	rules := tpl.of(t, "AWS::Events::Rule")
	used := map[string]bool{}
	for _, contract := range events.Contracts() {
		for _, detailType := range contract.DetailTypes {
			var matching []string
			others := map[string]int{}
			for _, rule := range rules {
				pattern := rule.Properties["EventPattern"]
				if target(rule.Properties["EventBusName"]) == buses[contract.Bus] && contract.Bus != events.BusNone &&
					slices.Contains(list(at(pattern, "source")), any(contract.Source)) &&
					slices.Contains(list(at(pattern, "detail-type")), any(detailType)) {
					used[rule.ID+detailType] = true
					function := tpl.Resources[target(at(list(rule.Properties["Targets"])[0], "Arn"))]
					if function.Type == "AWS::SQS::Queue" {
						function = tpl.Resources[target(sourceOf(t, tpl, function.ID).Properties["FunctionName"])]
					}
					handler := text(function.Properties["Handler"])
					if slices.Contains(contract.Also, handler) {
						others[handler]++
						continue
					}
					matching = append(matching, rule.ID)
					if handler != contract.Handler {
						t.Errorf("%s goes to %s and not to %s", contract.Kind, handler, contract.Handler)
					}
				}
			}
			for _, other := range contract.Also { // for some of the kind: see TestSamplesMeetTheRules
				if others[other] != 1 {
					t.Errorf("%s (%q): %d rules bring it to %s as well", contract.Kind, detailType, others[other], other)
				}
			}
			if want := contract.Route == events.RouteRule; want && len(matching) != 1 || !want && len(matching) != 0 {
				t.Errorf("%s (%q): route %q, rules %v", contract.Kind, detailType, contract.Route, matching)
			}
		}
	}
	for _, rule := range rules {
		for _, detailType := range list(at(rule.Properties["EventPattern"], "detail-type")) {
			if !used[rule.ID+text(detailType)] {
				t.Errorf("%s listens to %q, which no contract has", rule.ID, detailType)
			}
		}
	}
}

func TestSchedules(t *testing.T) {
	tpl := everything(t)
	for _, schedule := range tpl.of(t, "AWS::Scheduler::Schedule") {
		rate, ok := schedule.Properties["ScheduleExpression"].(string)
		if !ok { // a parameter
			rate = text(at(stack(t, stacks.AutomationName).Parameters[target(schedule.Properties["ScheduleExpression"])], "Default"))
		}
		if err := checkExpression(rate); err != nil {
			t.Errorf("%s: %v", schedule.ID, err)
		}
		to := schedule.Properties["Target"]
		body := strings.NewReplacer(
			"<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3", "<aws.scheduler.scheduled-time>", "2026-11-23T12:00:00Z",
		).Replace(text(at(to, "Input")))
		event, err := events.Decode([]byte(body))
		if err != nil || event.ID != "d32c5kddcf5bb8c3" || event.Time.IsZero() {
			t.Errorf("%s sends what is no event: %s: %v", schedule.ID, body, err)
			continue
		}
		contract, ok := events.ContractOf(event.Kind)
		function := tpl.Resources[target(at(to, "Arn"))]
		if function.Type == "AWS::SQS::Queue" {
			function = tpl.Resources[target(sourceOf(t, tpl, function.ID).Properties["FunctionName"])]
		}
		if !ok || contract.Route != events.RouteSchedule || function.Properties["Handler"] != contract.Handler {
			t.Errorf("%s sends %s to %v", schedule.ID, event.Kind, function.Properties["Handler"])
		}
	}
}

// checkExpression does what cfn-lint does not: it let hour 25 pass.
func checkExpression(expression string) error {
	if match := regexp.MustCompile(`^rate\((\d+) (minutes?|hours?|days?)\)$`).FindStringSubmatch(expression); match != nil {
		n, err := strconv.Atoi(match[1])
		if err != nil || n < 1 || (n == 1) == strings.HasSuffix(match[2], "s") {
			return fmt.Errorf("%s: one minute or several minutes", expression)
		}
		return nil
	}
	match := regexp.MustCompile(`^cron\((.*)\)$`).FindStringSubmatch(expression)
	if match == nil {
		return fmt.Errorf("%q is neither a rate nor a cron", expression)
	}
	fields := strings.Fields(match[1])
	if len(fields) != 6 {
		return fmt.Errorf("%s: six fields, not %d", expression, len(fields))
	}
	// minutes, hours, day of month, month, day of week, year
	limits := [6][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {1, 7}, {1970, 2199}}
	for i, field := range fields {
		for _, number := range regexp.MustCompile(`/?\d+`).FindAllString(field, -1) {
			low := limits[i][0]
			if step := strings.TrimPrefix(number, "/"); step != number {
				number, low = step, 1
			}
			if n, err := strconv.Atoi(number); err != nil || n < low || n > limits[i][1] {
				return fmt.Errorf("%s: %s in field %d", expression, number, i+1)
			}
		}
	}
	if (fields[2] == "?") == (fields[4] == "?") {
		return fmt.Errorf("%s: one of day of month and day of week is ?, and one only", expression)
	}
	return nil
}

func TestCheckExpression(t *testing.T) {
	for expression, valid := range map[string]bool{
		"rate(15 minutes)":            true,
		"rate(1 hour)":                true,
		"rate(1 hours)":               false,
		"rate(15 minute)":             false,
		"rate(0 minutes)":             false,
		"rate(15 seconds)":            false,
		"cron(0 2 ? * TUE *)":         true,
		"cron(0/15 * * * ? *)":        true,
		"cron(0 25 ? * TUE *)":        false,
		"cron(0 2 * * TUE *)":         false,
		"cron(0 2 ? * TUE)":           false,
		"every(15 minutes)":           false,
		"cron(0 2 ? 13 MON#1 *)":      false,
		"cron(0 9-17 ? * MON-FRI *)":  true,
		"cron(0 9-24 ? * MON-FRI *)":  false,
		"cron(*/0 9 ? * MON-FRI *)":   false,
		"cron(0 9 ? * MON-FRI 20260)": false,
	} {
		if err := checkExpression(expression); (err == nil) != valid {
			t.Errorf("%s: %v", expression, err)
		}
	}
}
