package schedulertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Request is a world and what happens in it: infra/local/kubernetes/oracle says what it means.
type Request struct {
	Nodes          []*corev1.Node                  `json:"nodes,omitempty"`
	Pods           []*corev1.Pod                   `json:"pods,omitempty"`
	Volumes        []*corev1.PersistentVolume      `json:"volumes,omitempty"`
	Claims         []*corev1.PersistentVolumeClaim `json:"claims,omitempty"`
	StorageClasses []*storagev1.StorageClass       `json:"storageClasses,omitempty"`
	CSINodes       []*storagev1.CSINode            `json:"csiNodes,omitempty"`
	Runs           []Run                           `json:"runs"`
}

// Run is a sequence of steps in a world of its own.
type Run struct {
	Steps []Step `json:"steps"`
	Retry bool   `json:"retry,omitempty"` // come back to refused bindings until nothing changes
}

// Step binds a pod, asks about one, lets a node join or leave, or settles.
type Step struct {
	Pod   string       `json:"pod,omitempty"` // namespace/name
	Node  string       `json:"node,omitempty"`
	Ask   bool         `json:"ask,omitempty"`
	Join  *corev1.Node `json:"join,omitempty"`
	Leave string       `json:"leave,omitempty"`
	// Settle tries what was refused again before anything else.
	Settle bool `json:"settle,omitempty"`
}

// Verdict is what the filters said to a step.
type Verdict struct {
	Passing []string           `json:"passing,omitempty"`
	Refused map[string]Refusal `json:"refused,omitempty"` // by node
}

// Refusal is a filter's no.
type Refusal struct {
	Plugin string `json:"plugin"`
	Reason string `json:"reason"`
}

// Oracle is a running program that answers requests.
type Oracle struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	out     *json.Decoder
}

// Start starts the program, which controlplane.Binary builds. It ends with ctx, or by Close.
func Start(ctx context.Context, binary string) (*Oracle, error) {
	o := &Oracle{command: exec.CommandContext(ctx, binary, "oracle")}
	o.command.Stderr = os.Stderr
	var err error
	if o.stdin, err = o.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := o.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	o.out = json.NewDecoder(bufio.NewReaderSize(stdout, 1<<20))
	return o, o.command.Start()
}

// Ask has one request answered: for each run, the verdict on each step. It is not for concurrent use.
func (o *Oracle) Ask(request Request) ([][]Verdict, error) {
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := o.stdin.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("the oracle does not listen: %w", err)
	}
	var response struct {
		Error string      `json:"error"`
		Runs  [][]Verdict `json:"runs"`
	}
	if err := o.out.Decode(&response); err != nil {
		return nil, fmt.Errorf("the oracle does not answer: %w", err)
	}
	if response.Error != "" {
		return nil, errors.New("oracle: " + response.Error)
	}
	return response.Runs, nil
}

// Close ends the program.
func (o *Oracle) Close() error {
	return errors.Join(o.stdin.Close(), o.command.Wait())
}
