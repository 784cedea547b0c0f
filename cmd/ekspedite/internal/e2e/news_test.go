package e2e

import (
	"fmt"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// news checks on the real API server that a drain has left its Kubernetes Events, with the permissions of the function's role: an
// Event of the name that follows from the run is there already. One of another name is not, so that the check can fail.
func news(t *testing.T, client *kube.Client, run events.RunFinished, node fleet.Node) {
	t.Helper()
	for _, reason := range []string{"SpotInterruption", "Cordoned", "Drained", "NeverHappened"} {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s|%s|%s|", run.RunID, node.UID, reason)
		err := client.Record(t.Context(), plan.RecordEvent{Name: fmt.Sprintf("%s.%016x", node.Name, h.Sum64()), About: "Node", Object: node.Name, UID: node.UID,
			Reason: reason, Message: "from the test", At: time.Now()})
		if told := fault.Is(err, fault.Conflict); told != (reason != "NeverHappened") || err != nil && !told {
			t.Errorf("R10: event %s of node %s: there already %t, %v", reason, node.Name, told, err)
		}
	}
}

// R26 on a real API server: attachments can be listed, a claim that is gone is told from one that cannot be read, and the taint of
// a node that is out of service is put on the node as it was seen, and on no other.
func outOfService(t *testing.T, client *kube.Client, name string) {
	t.Helper()
	if _, err := client.Attachments(t.Context()); err != nil {
		t.Errorf("VolumeAttachments: %v", err)
	}
	if _, err := client.ClaimedVolume(t.Context(), fleet.Claim{Namespace: "default", Name: "none"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a claim that is not there: %v", err)
	}
	node, err := client.Node(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	taint := fleet.Taint{Key: "node.kubernetes.io/out-of-service", Value: "nodeshutdown", Effect: "NoExecute"}
	a := plan.OutOfService{Node: name, UID: node.UID, ResourceVersion: "1", Taints: append(slices.Clone(node.Taints), taint)}
	if err := client.OutOfService(t.Context(), a); !fault.Is(err, fault.Conflict) {
		t.Errorf("a node that has changed since: %v", err)
	}
	for try := 1; ; try++ { // its kubelet writes to it, too
		node, err = client.Node(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		a.ResourceVersion = node.ResourceVersion
		if err = client.OutOfService(t.Context(), a); !fault.Is(err, fault.Conflict) || try == 10 {
			break
		}
	}
	after, readErr := client.Node(t.Context(), name)
	if err != nil || readErr != nil || !slices.Contains(after.Taints, taint) {
		t.Errorf("taints %v, %v, %v", after.Taints, err, readErr)
	}
}
