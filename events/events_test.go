package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
	"github.com/ekspedite/ekspedite/events/schemas"
)

func parse(t testing.TB, text []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	return value
}

func render(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t testing.TB, body []byte) events.Event {
	t.Helper()
	event, err := events.Decode(body)
	if err != nil {
		t.Fatalf("%v in %.500s", err, body)
	}
	return event
}

// edit returns a sample with fields changed: pairs of a dotted path and a value, or nil to leave the field out.
func edit(t testing.TB, sample string, changes ...any) []byte {
	t.Helper()
	root := parse(t, samples.Body(sample))
	for i := 0; i < len(changes); i += 2 {
		path := strings.Split(changes[i].(string), "/")
		object := root.(map[string]any)
		for _, name := range path[:len(path)-1] {
			object = object[name].(map[string]any)
		}
		if changes[i+1] == nil {
			delete(object, path[len(path)-1])
		} else {
			object[path[len(path)-1]] = changes[i+1]
		}
	}
	return render(t, root)
}

func TestEverySampleDecodesIntoItsType(t *testing.T) {
	for _, sample := range samples.Samples() {
		t.Run(sample.Name, func(t *testing.T) {
			contract, _ := events.ContractOf(sample.Kind)
			event := decode(t, sample.Body)
			if event.Kind != sample.Kind || reflect.TypeOf(event.Payload) != reflect.PointerTo(contract.Type) {
				t.Fatalf("kind %s, payload %T; want %s, *%s", event.Kind, event.Payload, sample.Kind, contract.Type)
			}
			if event.Source != contract.Source || !slices.Contains(contract.DetailTypes, event.DetailType) {
				t.Errorf("source %s, detail-type %q are not the contract's", event.Source, event.DetailType)
			}
			if event.ID == "" || event.Time.IsZero() && event.Kind != events.KindCodePipelineJob {
				t.Errorf("id %q, time %s", event.ID, event.Time)
			}
			if wantRegion := !bytes.Contains(sample.Body, []byte(`"customer_event_id"`)); event.Region == "" && wantRegion && contract.Bus == events.BusDefault &&
				bytes.Contains(sample.Body, []byte(`"source"`)) {
				t.Error("no Region")
			}
		})
	}
}

func TestEverySampleSurvivesTheRoundTrip(t *testing.T) {
	for _, sample := range samples.Samples() {
		want := parse(t, sample.Body)
		if sample.Kind == events.KindCodePipelineJob {
			want = parse(t, redactByHand(sample.Body))
		}
		event := decode(t, sample.Body)
		for _, again := range [][]byte{encode(t, event), render(t, event), render(t, &event)} {
			if !reflect.DeepEqual(parse(t, again), want) {
				t.Errorf("%s came back as\n%s", sample.Name, again)
			}
		}
		var unmarshalled events.Event
		if err := json.Unmarshal(encode(t, event), &unmarshalled); err != nil || unmarshalled.Kind != event.Kind {
			t.Errorf("%s: Unmarshal: %v", sample.Name, err)
		}
	}
}

func encode(t testing.TB, event events.Event) []byte {
	t.Helper()
	body, err := event.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestContractTableIsComplete(t *testing.T) {
	seenFile, seenName, seenKind, seenSchema := map[string]bool{}, map[string]bool{}, map[events.Kind]bool{}, map[string]bool{}
	for _, c := range events.Contracts() {
		if seenKind[c.Kind] || c.Kind == "" || c.Kind == events.KindUnknown {
			t.Errorf("%q is no kind or is there twice", c.Kind)
		}
		seenKind[c.Kind], seenSchema[c.Schema] = true, true
		if c.Meaning == "" || c.Origin == "" || c.Source == "" || len(c.DetailTypes) == 0 || len(c.Forms) == 0 || len(c.Samples) == 0 {
			t.Errorf("%s is incomplete: %+v", c.Kind, c)
		}
		for _, name := range c.DetailTypes {
			if seenName[c.Source+name] {
				t.Errorf("%s: %q is there twice", c.Kind, name)
			}
			seenName[c.Source+name] = true
		}
		for _, file := range c.Samples {
			if seenFile[file] || !strings.HasPrefix(file, string(c.Kind)) {
				t.Errorf("%s: sample %s", c.Kind, file)
			}
			seenFile[file] = true
		}
		if unmatched := c.Route == events.RouteNone; unmatched != (c.Handler == "") || unmatched != (c.Reason != "") {
			t.Errorf("%s: route %q, handler %q, reason %q", c.Kind, c.Route, c.Handler, c.Reason)
		}
		if c.Route == events.RouteRule && (c.Bus == events.BusNone || c.Pattern() == nil) {
			t.Errorf("%s: a rule on no bus", c.Kind)
		}
		if (c.Bus == events.BusEkspedite) && c.Source != events.SourceEkspedite {
			t.Errorf("%s: AWS does not publish on our bus", c.Kind)
		}
	}
	for _, file := range samples.Names() {
		if !seenFile[file] {
			t.Errorf("sample %s belongs to no contract", file)
		}
	}
	entries, _ := schemas.Files.ReadDir(".")
	for _, entry := range entries {
		if !seenSchema[entry.Name()] {
			t.Errorf("schema %s belongs to no contract", entry.Name())
		}
	}
}

// Every spelling of every event decodes, whichever the samples happen to show.
func TestEverySpelling(t *testing.T) {
	for _, c := range events.Contracts() {
		if !slices.Contains(c.Forms, events.FormEnvelope) {
			continue
		}
		for _, name := range c.DetailTypes {
			changes := []any{"detail-type", name, "detail_type", nil}
			if c.Kind == events.KindLifecycleAction && strings.Contains(name, "launch") {
				changes = append(changes, "detail/LifecycleTransition", events.TransitionLaunching)
			}
			if event := decode(t, edit(t, c.Samples[0], changes...)); event.Kind != c.Kind {
				t.Errorf("%q is %s", name, event.Kind)
			}
			changes[1], changes[3] = nil, name
			if event := decode(t, edit(t, c.Samples[0], changes...)); event.Kind != c.Kind || event.DetailType != name {
				t.Errorf("detail_type %q is %s", name, event.Kind)
			}
		}
	}
}

func TestUnknownEventsAreNoError(t *testing.T) {
	for _, body := range [][]byte{
		edit(t, "SpotInterruption", "detail-type", "EC2 Coffee Break"),
		edit(t, "SpotInterruption", "source", "aws.s3"),
		edit(t, "SpotInterruption", "source", "aws.codepipeline", "detail-type", "CodePipeline.job"),
		edit(t, "LifecycleAction-terminate", "detail-type", "autoscaling:TEST_NOTIFICATION"),
		edit(t, "AutoScalingTestNotification", "Event", "autoscaling:EC2_INSTANCE_TERMINATE"),
	} {
		event := decode(t, body)
		if event.Kind != events.KindUnknown || event.Payload != nil {
			t.Errorf("%s is %s", body, event.Kind)
		}
		if !reflect.DeepEqual(parse(t, encode(t, event)), parse(t, body)) {
			t.Errorf("%s is not what came in", encode(t, event))
		}
	}
}

func TestEncodeKeepsWhatNobodyKnowsAndWritesWhatChanged(t *testing.T) {
	body := []byte(` { "trace-header":{"a":[1,2.50]}, "time":"2026-03-03T03:04:12.000+01:00", "resources":"arn:x","source":"aws.ec2",
		"detail_type":"EC2 Instance Rebalance Recommendation","customer_event_id":"e-1","region":null,
		"detail":{"instance-id":"i-0b662ef9931388ba0","future":{"x":1e400}} } `)
	event := decode(t, body)
	if !reflect.DeepEqual(parse(t, encode(t, event)), parse(t, body)) {
		t.Errorf("came back as %s", encode(t, event))
	}
	if extra := event.Extra(); len(extra) != 1 || string(extra["trace-header"]) != `{"a":[1,2.50]}` {
		t.Errorf("Extra is %s", extra)
	}
	event.Region, event.ID, event.Time, event.Account = "eu-west-1", "e-2", event.Time.Add(1), "123456789012"
	event.Resources = append(event.Resources, "arn:y")
	want := edit2(t, body, "region", "eu-west-1", "customer_event_id", "e-2", "time", "2026-03-03T02:04:12.000000001Z",
		"account", "123456789012", "resources", []any{"arn:x", "arn:y"})
	if !reflect.DeepEqual(parse(t, encode(t, event)), want) {
		t.Errorf("came back as %s", encode(t, event))
	}
}

func edit2(t testing.TB, body []byte, changes ...any) any {
	root := parse(t, body).(map[string]any)
	for i := 0; i < len(changes); i += 2 {
		root[changes[i].(string)] = changes[i+1]
	}
	return root
}

func TestEncodeRefusesWhatIsNoEvent(t *testing.T) {
	if body, err := (events.Event{}).Encode(); err == nil {
		t.Errorf("encoded %s", body)
	}
	event := decode(t, samples.Body("SpotInterruption"))
	event.Detail = json.RawMessage(`{"cut`)
	if body, err := event.Encode(); err == nil {
		t.Errorf("encoded %s", body)
	}
	// An event built by hand from its payload.
	event = decode(t, samples.Body("SpotInterruption"))
	event.Detail = nil
	if again := decode(t, encode(t, event)); !reflect.DeepEqual(again.Payload, event.Payload) {
		t.Errorf("payload %+v", again.Payload)
	}
}

func malformed(t testing.TB, body []byte) *events.MalformedError {
	t.Helper()
	event, err := events.Decode(body)
	var bad *events.MalformedError
	if !errors.As(err, &bad) {
		t.Fatalf("%.300s gave %v, %v; want a *MalformedError", body, event, err)
	}
	if len(bad.Error()) > 400 {
		t.Errorf("a message of %d bytes: %s", len(bad.Error()), bad)
	}
	return bad
}

// What a payload reads, it writes back: an event can be built from its envelope and its payload alone.
func TestPayloadsEncode(t *testing.T) {
	for _, sample := range samples.Samples() {
		event := decode(t, sample.Body)
		if contract, _ := events.ContractOf(event.Kind); !slices.Contains(contract.Forms, events.FormEnvelope) {
			continue
		}
		built := events.Event{Kind: event.Kind, Payload: event.Payload, Envelope: events.Envelope{ID: event.ID, DetailType: event.DetailType,
			Source: event.Source, Account: event.Account, Time: event.Time, Region: event.Region, Resources: event.Resources}}
		if again := decode(t, encode(t, built)); !reflect.DeepEqual(again.Payload, event.Payload) || !again.Time.Equal(event.Time) {
			t.Errorf("%s: %+v came back as %+v", sample.Name, event.Payload, again.Payload)
		}
	}
}

func TestPatternsAreOfBusesOnly(t *testing.T) {
	spot, _ := events.ContractOf(events.KindSpotInterruption)
	want := map[string][]string{"source": {"aws.ec2"}, "detail-type": {"EC2 Spot Instance Interruption Warning"}}
	if !reflect.DeepEqual(spot.Pattern(), want) {
		t.Errorf("%v", spot.Pattern())
	}
	if direct, _ := events.ContractOf(events.KindDrainContinuation); direct.Pattern() != nil {
		t.Errorf("%v", direct.Pattern())
	}
	if _, found := events.ContractOf("Nothing"); found {
		t.Error("a contract of nothing")
	}
}
