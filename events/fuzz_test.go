package events_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
)

var seedFlag = flag.Uint64("seed", 0, "seed of TestMutations; 0 takes a new one")

// holds checks what is true of every body whatsoever: Decode does not panic; its error is a *MalformedError that is safe
// to log; and an event comes back from Encode with nothing lost, and decodes to the same again.
func holds(t testing.TB, body []byte) (decoded bool) {
	event, err := events.Decode(body)
	if err != nil {
		var bad *events.MalformedError
		if !errors.As(err, &bad) || bad.Reason == "" || len(bad.Error()) > 500 {
			t.Errorf("%q: error %T %v", body, err, err)
		}
		if shown(fmt.Sprintf("%#v", bad)) {
			t.Errorf("%q: the error shows credentials: %v", body, bad)
		}
		return false
	}
	if event.Kind == "" || (event.Kind == events.KindUnknown) != (event.Payload == nil) {
		t.Errorf("%q: kind %q with payload %T", body, event.Kind, event.Payload)
	}
	again, err := event.Encode()
	if err != nil {
		t.Errorf("%q: encode: %v", body, err)
		return true
	}
	if job, ok := event.Payload.(*events.CodePipelineJob); ok {
		if shown(string(again)) {
			t.Errorf("%q: encoded with credentials as %s", body, again)
		}
		job.Data.ArtifactCredentials = events.ArtifactCredentials{}
	} else if !reflect.DeepEqual(parse(t, body), parse(t, again)) {
		t.Errorf("%q: came back as %s", body, again)
	}
	twice, err := events.Decode(again)
	if err != nil {
		t.Errorf("%q: encoded as %s: %v", body, again, err)
		return true
	}
	if !reflect.DeepEqual(outside(t, event), outside(t, twice)) {
		t.Errorf("%q: decoded again as %#v", body, twice)
	}
	return true
}

// outside is what a user of the package can see of an event.
func outside(t testing.TB, e events.Event) []any {
	return []any{e.Kind, e.Payload, e.Version, e.ID, e.DetailType, e.Source, e.Account, e.Time, e.Region, e.Resources, parse(t, e.Detail)}
}

func FuzzDecode(f *testing.F) {
	for _, sample := range samples.Samples() {
		f.Add(sample.Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) { holds(t, body) })
}

// TestMutations is the fuzzer with a fixed budget, for every run of the tests.
func TestMutations(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d; again with: go test ./events -run TestMutations -seed %d", seed, seed)
	budget := 20_000
	if testing.Short() {
		budget = 2_000
	}
	random := rand.New(rand.NewPCG(seed, 0))
	all := samples.Samples()
	decoded := 0
	for range budget {
		body := all[random.IntN(len(all))].Body
		for range 1 + random.IntN(3) {
			if random.IntN(3) == 0 {
				body = mutateBytes(random, body, all[random.IntN(len(all))].Body)
			} else if json.Valid(body) {
				body = render(t, mutateValue(random, parse(t, body)))
			}
		}
		if holds(t, body) {
			decoded++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d mutants are events", decoded, budget)
	if decoded < budget/20 || decoded > budget*19/20 {
		t.Errorf("the mutations are too wild or too tame")
	}
}

func mutateBytes(random *rand.Rand, body, other []byte) []byte {
	if len(body) == 0 {
		return other
	}
	from := random.IntN(len(body))
	to := min(len(body), from+1+random.IntN(20))
	mutant := append([]byte(nil), body[:from]...)
	switch random.IntN(5) {
	case 0: // cut
	case 1: // another byte
		mutant = append(mutant, "\"\\{}[],:0-e\x00\xff\nitn"[random.IntN(16)])
		to = from + 1
	case 2: // say it twice
		mutant = append(append(mutant, body[from:to]...), body[from:to]...)
	case 3: // go on with another body
		return append(mutant, other[random.IntN(len(other)):]...)
	case 4: // an escape
		mutant = fmt.Appendf(mutant, `\u%04x`, body[from])
		to = from + 1
	}
	return append(mutant, body[to:]...)
}

var oddValues = []any{nil, true, 0, -1, 1.5, json.Number("1e400"), "", "x", "2026-03-03T02:04:12+23:59", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
	"Thu, 26 Jan 2023 19:01:55 GMT", "i-0b662ef9931388ba0", []any{}, []any{"a", nil}, map[string]any{}, map[string]any{"instance-id": "i-12345678"}, "\u2028\ufffd"}

var oddNames = []string{"id", "ID", "detail_type", "detail-type", "customer_event_id", "source", "Event", "Message", "LifecycleTransition", "CodePipeline.job",
	"Instance-Id", "Resources", "time", "x\"y", ""}

// mutateValue changes one thing somewhere in a JSON value.
func mutateValue(random *rand.Rand, value any) any {
	odd := func() any { return oddValues[random.IntN(len(oddValues))] }
	switch value := value.(type) {
	case map[string]any:
		if len(value) == 0 || random.IntN(8) == 0 {
			value[oddNames[random.IntN(len(oddNames))]] = odd()
			return value
		}
		name := pick(random, value)
		switch random.IntN(8) {
		case 0:
			delete(value, name)
		case 1:
			value[name] = odd()
		case 2:
			value[oddNames[random.IntN(len(oddNames))]] = value[name]
		default:
			value[name] = mutateValue(random, value[name])
		}
		return value
	case []any:
		if len(value) == 0 {
			return append(value, odd())
		}
		i := random.IntN(len(value))
		value[i] = mutateValue(random, value[i])
		return value
	}
	return odd()
}

// pick takes a name in an order that the seed decides.
func pick(random *rand.Rand, object map[string]any) string {
	best, rank := "", uint64(0)
	salt := random.Uint64()
	for name := range object {
		hash := salt
		for i := range len(name) {
			hash = (hash ^ uint64(name[i])) * 1099511628211
		}
		if best == "" || hash > rank {
			best, rank = name, hash
		}
	}
	return best
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"SpotInterruption", "LifecycleAction-terminate", "LifecycleAction-direct", "AWSHealthEvent-ec2", "ECSTaskStateChange", "DrainContinuation-hook"} {
		body := samples.Body(name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := events.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The mix and the way of the peer that decodes each message twice: the envelope for its names, then all of it.
func BenchmarkTwoPasses(b *testing.B) {
	body := samples.Body("SpotInterruption")
	type envelope struct {
		Version    string    `json:"version"`
		ID         string    `json:"id"`
		DetailType string    `json:"detail-type"`
		Source     string    `json:"source"`
		Account    string    `json:"account"`
		Time       time.Time `json:"time"`
		Region     string    `json:"region"`
		Resources  []string  `json:"resources"`
	}
	b.ReportAllocs()
	for b.Loop() {
		var first envelope
		var second struct {
			envelope
			Detail events.SpotInterruption `json:"detail"`
		}
		if json.Unmarshal(body, &first) != nil || json.Unmarshal(body, &second) != nil {
			b.Fatal("not decoded")
		}
	}
}
