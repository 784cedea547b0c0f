package plan_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/plan"
)

func TestAPlanPrintsAndEncodes(t *testing.T) {
	cut := 2 * time.Second
	p := plan.Plan{Subject: "i-1", Reason: "because", LookAgain: time.Second, Outcome: "Drained", Notes: []string{"a stays"}, Left: []string{"b was still there"}}
	p.Add("nothing")
	p.Add("evict", plan.EvictPod{Namespace: "ns", Name: "p", UID: "u", Grace: &cut}, plan.DeletePod{Namespace: "ns", Name: "q", Grace: cut, Why: "why"})
	p.Add("hook", plan.CompleteLifecycleAction{AutoScalingGroup: "g", Hook: "h", InstanceID: "i-1"})
	if p.Empty() || p.Len() != 3 || len(p.Steps) != 2 || !(plan.Plan{}).Empty() {
		t.Errorf("%d actions in %d steps", p.Len(), len(p.Steps))
	}
	want := "i-1: because\n1. evict\n   - evict pod ns/p (grace cut to 2s)\n   - delete pod ns/q with grace 2s: why\n2. hook\n" +
		"   - complete lifecycle hook h of g for i-1\n   note: a stays\n   left: b was still there\nlook again in 1s\noutcome: Drained\n"
	if p.String() != want {
		t.Errorf("got\n%swant\n%s", p, want)
	}
	b, err := json.Marshal(p.Steps[0])
	if err != nil || string(b) != `{"name":"evict","actions":[{"kind":"EvictPod","action":{"namespace":"ns","name":"p","uid":"u","grace":2000000000}},`+
		`{"kind":"DeletePod","action":{"namespace":"ns","name":"q","uid":"","grace":2000000000,"why":"why"}}]}` {
		t.Errorf("%s, %v", b, err)
	}
}
