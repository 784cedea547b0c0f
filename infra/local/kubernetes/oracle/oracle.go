// Package oracle asks the real kube-scheduler's filters where pods may go, without a cluster: nodes and pods come as JSON,
// verdicts go back. It is what planners of nodes are held against. Questions are answered from memory, so that there can be
// thousands a second.
package oracle

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Request is a world and what happens in it. Every run begins with the same world and knows nothing of the others.
type Request struct {
	Nodes []*v1.Node `json:"nodes,omitempty"`
	// Pods with a node are on it from the beginning. The others wait for a step that names them.
	Pods           []*v1.Pod                   `json:"pods,omitempty"`
	Volumes        []*v1.PersistentVolume      `json:"volumes,omitempty"`
	Claims         []*v1.PersistentVolumeClaim `json:"claims,omitempty"`
	StorageClasses []*storagev1.StorageClass   `json:"storageClasses,omitempty"`
	CSINodes       []*storagev1.CSINode        `json:"csiNodes,omitempty"`
	Runs           []Run                       `json:"runs"`
}

// Run is a sequence of steps.
type Run struct {
	Steps []Step `json:"steps"`
	// Retry tries bindings that were refused again, round after round, until a round binds nothing: before the filters are
	// asked, and in the end. The scheduler, too, comes back to a pod whose affinity had nobody to be near yet.
	Retry bool `json:"retry,omitempty"`
}

// Step is one of five: a pod is bound to a node (Pod and Node), the filters are asked about a pod without binding it (Pod and
// Ask, with a Node or for all), a node joins (Join), a node goes with all that is on it (Leave), and what was refused is tried again (Settle). A pod that an earlier
// step has bound is asked about as if it came last: all others are where they are.
type Step struct {
	Pod   string   `json:"pod,omitempty"` // namespace/name
	Node  string   `json:"node,omitempty"`
	Ask   bool     `json:"ask,omitempty"`
	Join  *v1.Node `json:"join,omitempty"`
	Leave string   `json:"leave,omitempty"`
	// Settle does what Retry does, now.
	Settle bool `json:"settle,omitempty"`
}

// Response answers a Request.
type Response struct {
	// Error is what was wrong with the request; nothing else is set then.
	Error string `json:"error,omitempty"`
	// Runs has, for each run, the verdict on each step.
	Runs [][]Verdict `json:"runs,omitempty"`
}

// Verdict is what came of a step; both are empty for nodes that join and leave.
type Verdict struct {
	// Passing are the nodes that the filters let the pod on, sorted by name, of all or of the one in the step.
	Passing []string `json:"passing,omitempty"`
	// Refused says by node why not. A binding that is refused is not made.
	Refused map[string]Refusal `json:"refused,omitempty"`
}

// Refusal is a filter's no.
type Refusal struct {
	Plugin string `json:"plugin"`
	Reason string `json:"reason"`
}

// Serve answers requests, one line of JSON each, until the input ends. A request that makes no sense is answered with its
// error; what is not JSON ends it.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	scheduler, err := newScheduler(ctx)
	if err != nil {
		return err
	}
	writer := bufio.NewWriter(out)
	encoder := json.NewEncoder(writer)
	for decoder := json.NewDecoder(in); ; {
		var request Request
		if err := decoder.Decode(&request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		if err := encoder.Encode(answer(ctx, scheduler, request)); err != nil {
			return err
		}
		if err := writer.Flush(); err != nil {
			return err
		}
	}
}

func answer(ctx context.Context, s *scheduler, request Request) Response {
	var response Response
	for i, run := range request.Runs {
		verdicts, err := s.run(ctx, request, run)
		if err != nil {
			return Response{Error: fmt.Sprintf("run %d: %v", i, err)}
		}
		response.Runs = append(response.Runs, verdicts)
	}
	return response
}
