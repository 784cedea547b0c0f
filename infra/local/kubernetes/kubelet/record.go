package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// stage is where the containers of a pod are. All containers of a pod share one: nothing here tells them apart.
type stage int

const (
	creating stage = iota
	running
	// waiting for the next start after an exit.
	waiting
	// exited for good; no stage follows.
	exited
)

// exit codes, as container runtimes report them.
const (
	exitOK     int32 = 0
	exitError  int32 = 1
	exitKilled int32 = 137
)

// record is what the stand-in remembers of one pod. It is needed because the pod's status has whole seconds only, and
// because nothing in it says when a kubelet saw the deletion.
type record struct {
	uid     types.UID
	machine string
	address string

	stage stage
	// since is when the stage was entered.
	since time.Time
	// terminating is when the deletion was seen; zero while the pod is to live.
	terminating time.Time

	firstSeen time.Time
	startedAt time.Time
	restarts  int32
	// finishedAt and exitCode describe the last exit; they hold only when hasExited.
	hasExited  bool
	finishedAt time.Time
	exitCode   int32
	// neverRan marks a pod that was deleted before its containers started.
	neverRan bool
}

// newRecord starts from the pod's status: the containers of a pod that ran before the stand-in was restarted still do,
// as they survive a kubelet's restart.
func newRecord(pod *corev1.Pod, now time.Time) *record {
	r := &record{uid: pod.UID, machine: pod.Spec.NodeName, address: pod.Status.PodIP, stage: creating, since: now, firstSeen: now}
	if pod.Status.StartTime != nil {
		r.firstSeen = pod.Status.StartTime.Time
	}
	if len(pod.Status.ContainerStatuses) > 0 {
		r.restoreContainer(pod.Status.ContainerStatuses[0], now)
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		if !r.hasExited {
			r.exit(now, exitKilled)
		}
		r.stage = exited
	}
	return r
}

func (r *record) restoreContainer(c corev1.ContainerStatus, now time.Time) {
	r.restarts = c.RestartCount
	last := c.LastTerminationState.Terminated
	switch {
	case c.State.Running != nil:
		r.stage, r.since, r.startedAt = running, c.State.Running.StartedAt.Time, c.State.Running.StartedAt.Time
	case c.State.Terminated != nil:
		last = c.State.Terminated
		r.stage, r.since = waiting, now
	case c.RestartCount > 0:
		r.stage, r.since = waiting, now
	}
	if last != nil {
		r.hasExited, r.exitCode, r.finishedAt = true, last.ExitCode, last.FinishedAt.Time
		if r.startedAt.IsZero() {
			r.startedAt = last.StartedAt.Time
		}
	}
}

// advance moves the record through every stage that is due by now, and returns when to look again: zero for "only when
// the pod changes". It decides from its arguments alone.
func (r *record) advance(pod *corev1.Pod, now time.Time) (next time.Time) {
	b := behaviourOf(pod)
	if pod.DeletionTimestamp != nil && r.terminating.IsZero() {
		r.terminating = now
	}
	for r.stage != exited {
		due, step := r.next(pod, b)
		if due.IsZero() {
			break
		}
		if due.After(now) {
			next = due
			break
		}
		step(due)
	}
	// Becoming ready is no stage: nothing else about the containers changes.
	if ready := r.readyAt(b); r.stage == running && ready.After(now) && (next.IsZero() || ready.Before(next)) {
		next = ready
	}
	return next
}

// next is the transition that comes first, and when it is due.
func (r *record) next(pod *corev1.Pod, b behaviour) (time.Time, func(time.Time)) {
	terminating := !r.terminating.IsZero()
	switch {
	case terminating && r.stage != running:
		// Nothing runs that could be asked to exit.
		return r.terminating, func(at time.Time) { r.abandon(at) }
	case r.stage == creating:
		return r.since.Add(b.startAfter), r.start
	case r.stage == waiting:
		return r.since.Add(backoff(r.restarts)), r.start
	}
	var due time.Time
	var step func(time.Time)
	consider := func(at time.Time, f func(time.Time)) {
		if due.IsZero() || at.Before(due) {
			due, step = at, f
		}
	}
	if terminating {
		grace := gracePeriod(pod)
		if b.exitAfter <= grace {
			consider(r.terminating.Add(b.exitAfter), func(at time.Time) { r.exit(at, exitOK); r.stage = exited })
		} else {
			consider(r.terminating.Add(grace), func(at time.Time) { r.exit(at, exitKilled); r.stage = exited })
		}
	}
	if b.completeAfter >= 0 {
		consider(r.since.Add(b.completeAfter), func(at time.Time) { r.exitOrRestart(pod, at, exitOK) })
	}
	if b.failAfter >= 0 {
		consider(r.since.Add(b.failAfter), func(at time.Time) { r.exitOrRestart(pod, at, exitError) })
	}
	return due, step
}

func gracePeriod(pod *corev1.Pod) time.Duration {
	if pod.DeletionGracePeriodSeconds == nil {
		return 0
	}
	return time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
}

func (r *record) start(at time.Time) {
	r.stage, r.since, r.startedAt = running, at, at
}

func (r *record) exit(at time.Time, code int32) {
	r.hasExited, r.exitCode, r.finishedAt, r.since = true, code, at, at
}

// exitOrRestart follows the pod's restart policy. A terminating pod's containers are never restarted.
func (r *record) exitOrRestart(pod *corev1.Pod, at time.Time, code int32) {
	r.exit(at, code)
	policy := pod.Spec.RestartPolicy
	if !r.terminating.IsZero() || policy == corev1.RestartPolicyNever || (policy == corev1.RestartPolicyOnFailure && code == exitOK) {
		r.stage = exited
		return
	}
	r.restarts++
	r.stage = waiting
}

func (r *record) abandon(at time.Time) {
	if !r.hasExited {
		r.neverRan = true
		r.exit(at, exitKilled)
	}
	r.stage = exited
}

func (r *record) readyAt(b behaviour) time.Time { return r.since.Add(b.readyAfter) }

// ready tells whether the containers answer their readiness probe.
func (r *record) ready(b behaviour, now time.Time) bool {
	return r.stage == running && r.terminating.IsZero() && !r.readyAt(b).After(now)
}

// removable tells whether nothing of the pod runs any more and its object is to go.
func (r *record) removable(pod *corev1.Pod) bool {
	// A grace period of zero says that the object was deleted for good already: only finalizers hold it.
	return r.stage == exited && pod.DeletionTimestamp != nil && gracePeriod(pod) > 0
}

// shift moves the record's clocks by the time that its containers were frozen.
func (r *record) shift(d time.Duration) {
	r.since = r.since.Add(d)
	if !r.terminating.IsZero() {
		r.terminating = r.terminating.Add(d)
	}
}
