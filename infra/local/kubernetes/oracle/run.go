package oracle

import (
	"context"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// quiet: whoever asks reads verdicts, not logs.
var quiet = klog.Logger{}

func (s *scheduler) run(ctx context.Context, request Request, run Run) ([]Verdict, error) {
	// What the framework and the cache keep running ends with the run.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.newWorld(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.fill(request); err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(run.Steps))
	var refused []int
	for i, step := range run.Steps {
		if step.Settle || step.Ask && run.Retry {
			if refused, err = w.settle(ctx, run.Steps, refused, verdicts); err != nil {
				return nil, err
			}
		}
		if step.Settle {
			continue
		}
		bound, err := w.step(ctx, step, &verdicts[i])
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i, err)
		}
		if !bound {
			refused = append(refused, i)
		}
	}
	if run.Retry {
		_, err = w.settle(ctx, run.Steps, refused, verdicts)
	}
	return verdicts, err
}

// settle tries refused steps again until a round binds nothing, and returns those that are refused still.
func (w *world) settle(ctx context.Context, steps []Step, refused []int, verdicts []Verdict) ([]int, error) {
	for {
		var still []int
		for _, i := range refused {
			bound, err := w.step(ctx, steps[i], &verdicts[i])
			if err != nil {
				return nil, fmt.Errorf("step %d, again: %w", i, err)
			}
			if !bound {
				still = append(still, i)
			}
		}
		if len(still) == len(refused) {
			return still, nil
		}
		refused = still
	}
}

func (w *world) fill(request Request) error {
	if err := w.storage.fill(request); err != nil {
		return err
	}
	for _, n := range request.Nodes {
		w.cache.AddNode(quiet, n)
	}
	for _, p := range request.Pods {
		if p.Spec.NodeName == "" {
			w.waiting[p.Namespace+"/"+p.Name] = p
		} else if err := w.cache.AddPod(quiet, p); err != nil {
			return err
		}
	}
	return nil
}

// step carries one out; false is a binding that was refused.
func (w *world) step(ctx context.Context, step Step, verdict *Verdict) (bool, error) {
	switch {
	case step.Join != nil:
		w.cache.AddNode(quiet, step.Join)
		return true, nil
	case step.Leave != "":
		return true, w.leave(step.Leave)
	}
	if step.Node == "" && !step.Ask {
		return false, fmt.Errorf("the step neither names a node nor asks about one: %+v", step)
	}
	if bound := w.bound[step.Pod]; bound != nil && step.Ask {
		return true, w.again(ctx, bound, step.Node, verdict)
	}
	pod, ok := w.waiting[step.Pod]
	if !ok {
		return false, fmt.Errorf("no pod %q waits for a node", step.Pod)
	}
	if err := w.judge(ctx, pod, step.Node, verdict); err != nil {
		return false, fmt.Errorf("pod %s: %w", step.Pod, err)
	}
	if step.Ask {
		return true, nil
	}
	if len(verdict.Passing) == 0 {
		return false, nil
	}
	delete(w.waiting, step.Pod)
	return true, w.bind(pod, step.Node)
}

// again asks about a pod that is bound, as if it were not.
func (w *world) again(ctx context.Context, pod *v1.Pod, node string, verdict *Verdict) error {
	if err := w.cache.RemovePod(quiet, pod); err != nil {
		return err
	}
	free := pod.DeepCopy()
	free.Spec.NodeName = ""
	if err := w.judge(ctx, free, node, verdict); err != nil {
		return err
	}
	return w.cache.AddPod(quiet, pod)
}

// judge fills the verdict of one node, or of all.
func (w *world) judge(ctx context.Context, pod *v1.Pod, node string, verdict *Verdict) error {
	*verdict = Verdict{Refused: map[string]Refusal{}}
	if err := w.cache.UpdateSnapshot(quiet, w.snapshot); err != nil {
		return err
	}
	nodes, err := w.snapshot.NodeInfos().List()
	if err != nil {
		return err
	}
	state := framework.NewCycleState()
	allowed, rejected, _ := w.framework.RunPreFilterPlugins(ctx, state, pod)
	if !rejected.IsSuccess() && !rejected.IsRejected() {
		return rejected.AsError()
	}
	known := false
	for _, n := range nodes {
		name := n.Node().Name
		if node != "" && name != node {
			continue
		}
		known = true
		status := rejected
		if status.IsSuccess() {
			status = w.filter(ctx, state, pod, allowed, n)
		}
		switch {
		case status.IsSuccess():
			verdict.Passing = append(verdict.Passing, name)
		case status.IsRejected():
			verdict.Refused[name] = Refusal{status.Plugin(), status.Message()}
		default:
			return fmt.Errorf("node %s: %w", name, status.AsError())
		}
	}
	if node != "" && !known {
		verdict.Refused[node] = Refusal{"", "no such node yet"}
	}
	slices.Sort(verdict.Passing)
	return nil
}

// filter asks the filters about one node, as the scheduler does after its prefilters.
func (w *world) filter(ctx context.Context, state fwk.CycleState, pod *v1.Pod, allowed *fwk.PreFilterResult, n fwk.NodeInfo) *fwk.Status {
	if !allowed.AllNodes() && !allowed.NodeNames.Has(n.Node().Name) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "not among the nodes that the pod names").WithPlugin("NodeAffinity")
	}
	return w.framework.RunFilterPluginsWithNominatedPods(ctx, state, pod, n)
}

func (w *world) bind(pod *v1.Pod, node string) error {
	bound := pod.DeepCopy()
	bound.Spec.NodeName = node
	info, err := w.snapshot.Get(node)
	if err != nil {
		return err
	}
	if err := w.storage.provision(bound, info.Node()); err != nil {
		return err
	}
	w.bound[pod.Namespace+"/"+pod.Name] = bound
	return w.cache.AddPod(quiet, bound)
}

// leave removes the node and what is on it. Pods that were bound to it do not wait again.
func (w *world) leave(name string) error {
	if err := w.cache.UpdateSnapshot(quiet, w.snapshot); err != nil {
		return err
	}
	info, err := w.snapshot.Get(name)
	if err != nil {
		return err
	}
	for _, p := range info.GetPods() {
		if err := w.cache.RemovePod(quiet, p.GetPod()); err != nil {
			return err
		}
		delete(w.bound, p.GetPod().Namespace+"/"+p.GetPod().Name)
	}
	return w.cache.RemoveNode(quiet, info.Node())
}
