package doorbell_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// packed is how CloudWatch Logs sends lines: JSON, gzip, base64.
func packed(t *testing.T, v any) json.RawMessage {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(v); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(`{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString(b.Bytes()) + `"}}`)
}

// noFit is a line that kube-scheduler v1.37.2 has written.
const noFit = `I1123 09:34:09.508988   11692 schedule_one.go:1194] "Unable to schedule pod; no fit; waiting" pod="default/probe" err="0/3 nodes are available: 3 Insufficient cpu."`

func lines(kind, group string, messages ...string) map[string]any {
	var list []any
	for _, m := range messages {
		list = append(list, map[string]any{"id": "1", "timestamp": 1772503452000, "message": m})
	}
	return map[string]any{"messageType": kind, "owner": "123456789012", "logGroup": group, "logStream": "kube-scheduler-0123",
		"subscriptionFilters": []any{"ekspedite-doorbell"}, "logEvents": list}
}

func TestTheSchedulersLogRings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		for name, body := range map[string]any{
			"a control message":   lines("CONTROL_MESSAGE", "", "CWL CONTROL MESSAGE: Checking health of destination Lambda."),
			"another line":        lines("DATA_MESSAGE", "/aws/eks/blue/cluster", "Successfully bound pod to node"),
			"no line":             lines("DATA_MESSAGE", "/aws/eks/blue/cluster"),
			"another group":       lines("DATA_MESSAGE", "/aws/lambda/blue", noFit),
			"a part of the group": lines("DATA_MESSAGE", "/aws/eks/blue", noFit),
			"a deeper group":      lines("DATA_MESSAGE", "/aws/eks/a/b/cluster", noFit),
		} {
			if _, err := r.envs[0].Handle(t.Context(), packed(t, body)); err != nil || len(r.queue.messages) > 0 {
				t.Errorf("%s: %v, %+v", name, err, r.queue.messages)
			}
		}
		body := packed(t, lines("DATA_MESSAGE", "/aws/eks/blue/cluster", "something else", noFit, noFit))
		for range 3 {
			if _, err := r.envs[0].Handle(t.Context(), body); err != nil {
				t.Fatal(err)
			}
		}
		if m := r.queue.messages; len(m) != 1 || m[0].Cluster != "blue" || m[0].Region != "us-east-1" || m[0].Source != "logs" {
			t.Errorf("%+v", m)
		}
	})
}

func TestHostileLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		bomb := packed(t, lines("DATA_MESSAGE", "/aws/eks/blue/cluster", string(bytes.Repeat([]byte{'x'}, 20<<20))))
		for name, body := range map[string]json.RawMessage{
			"no gzip": json.RawMessage(`{"awslogs":{"data":"aGVsbG8="}}`), "no base64": json.RawMessage(`{"awslogs":{"data":"%"}}`),
			"no JSON": packed(t, "hello"), "a bomb": bomb,
		} {
			if _, err := r.envs[0].Handle(t.Context(), body); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(r.queue.messages) > 0 {
			t.Errorf("%+v", r.queue.messages)
		}
	})
}
