// Package codepipeline is the embedded cloud's AWS CodePipeline: pipelines of S3 sources, Lambda invoke actions and manual
// approvals, with stages, transitions, variables, artifacts and events. A single Lambda action can be run by StartJob.
//
// Other types of actions, triggers, conditions of stages, actions in other Regions and parallel executions are refused by name.
package codepipeline

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Functions is Lambda as CodePipeline uses it.
type Functions interface {
	InvokeAsync(nameOrARN string, payload []byte) (requestID string, err error)
}

// The limits of a Lambda invoke action. They are deadlines that a customer plans with, so no profile shortens them.
const (
	answerLimit = 20 * time.Minute // from a job to its answer
	actionLimit = 24 * time.Hour   // from the first job to the end
	longestPoll = 30 * time.Second // from an answer with a continuation token to the next job
)

// Service is CodePipeline of one account in one Region.
type Service struct {
	w         *world.World
	functions Functions
	near      Neighbours

	mu        sync.Mutex
	pipelines map[string]*pipeline
	started   map[string]string // executions by pipeline and client request token
	used      map[string]*stage // whose approvals were answered, by their tokens
	jobs      map[string]*job
	actions   map[string]*action // by the id of any of their jobs
}

// action is one run of a Lambda invoke action: a job, and another for each continuation.
type action struct {
	id, function, parameters string
	started                  time.Time
	state                    Action
	run                      *run   // in a pipeline; nil for one that runs alone
	ended                    func() // told of the end, with s.mu held; may be nil
	current                  *job   // the one that waits for its answer; nil between jobs and at the end
	changed                  chan struct{}
}

type job struct {
	id, token   string
	credentials credentials
	action      *action
}

// Action says how a run of an action stands.
type Action struct {
	Status          string // InProgress, Succeeded or Failed
	Jobs            int    // how many there have been
	Token           string // the last continuation token
	OutputVariables map[string]string
	FailureType     string // JobFailed, PermissionError and so on
	FailureMessage  string
	ExecutionID     string // what the function calls its own execution
	Summary         string
	PercentComplete int
}

// The statuses of an action.
const (
	InProgress = "InProgress"
	Succeeded  = "Succeeded"
	Failed     = "Failed"
)

// Neighbours are the services that pipelines use beside Lambda. Without them only StartJob works.
type Neighbours struct {
	Roles   Roles
	Objects Objects
	Events  Events
}

// New makes a CodePipeline without pipelines and jobs.
func New(w *world.World, functions Functions, near Neighbours) *Service {
	return &Service{w: w, functions: functions, near: near, pipelines: map[string]*pipeline{}, started: map[string]string{}, used: map[string]*stage{}, jobs: map[string]*job{}, actions: map[string]*action{}}
}

// StartJob runs a Lambda invoke action: it invokes the function asynchronously with a job, and again some time after each
// answer with a continuation token, until the function succeeds or fails, or a limit is reached. The id is that of the
// first job; the jobs of continuations have ids of their own.
func (s *Service) StartJob(functionName, userParameters string) (jobID string, err error) {
	s.mu.Lock()
	a := &action{id: s.w.UUID(), function: functionName, parameters: userParameters, started: time.Now(),
		state: Action{Status: InProgress}, changed: make(chan struct{})}
	j, err := s.newJob(a)
	s.mu.Unlock()
	if err != nil {
		return "", err
	}
	if err := s.invoke(j); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.jobs, j.id)
		delete(s.actions, j.id)
		return "", err
	}
	s.watch(a, actionLimit, func() bool { return true }, tooLong)
	return j.id, nil
}

// Job says how the action of a job stands. Any job of the action will do.
func (s *Service) Job(id string) (Action, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.actions[id]
	if a == nil {
		return Action{}, false
	}
	out := a.state
	out.OutputVariables = maps.Clone(out.OutputVariables)
	return out, true
}

// Done is closed when the action of a job has ended; nil if there is no such job.
func (s *Service) Done(id string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.actions[id]; a != nil {
		return a.changed
	}
	return nil
}

// tooLong is said of an action that goes on for longer than CodePipeline lets it.
var tooLong = fmt.Sprintf("The action execution has exceeded its limit of %s.", actionLimit)

// newJob makes the next job of an action. Its credentials are a session of the pipeline's role where there are artifacts to
// read or write: AWS's are for the artifact store alone. Elsewhere they open nothing. The caller holds s.mu.
func (s *Service) newJob(a *action) (*job, error) {
	j := &job{id: s.w.UUID(), token: a.state.Token, action: a, credentials: credentials{
		AccessKeyID: "ASIA" + "PIPELINE" + "00000000", SecretAccessKey: s.w.Hex(40), SessionToken: s.w.Hex(64),
	}}
	if r := a.run; r != nil && len(r.inputs)+len(r.outputs) > 0 {
		var err error
		c := &j.credentials
		if c.AccessKeyID, c.SecretAccessKey, c.SessionToken, err = s.near.Roles.ServiceSession(r.ex.decl.RoleArn, ServicePrincipal, "codepipeline-"+j.id[:8], time.Hour); err != nil {
			return nil, err
		}
	}
	a.current = j
	a.state.Jobs++
	s.jobs[j.id], s.actions[j.id] = j, a
	return j, nil
}

// invoke gives the function a job.
func (s *Service) invoke(j *job) error {
	payload, err := s.payload(j)
	if err != nil {
		return err
	}
	if _, err := s.functions.InvokeAsync(j.action.function, payload); err != nil {
		return err
	}
	s.watch(j.action, answerLimit, func() bool { return j.action.current == j },
		"The AWS Lambda function "+j.action.function+" failed to return a result. Check the function to verify that it has permission to call the PutJobSuccessResult action and that it made a call to PutJobSuccessResult.")
	return nil
}

// watch fails an action after a while, if the condition still holds then.
func (s *Service) watch(a *action, after time.Duration, still func() bool, message string) {
	s.w.After(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a.state.Status == InProgress && still() {
			a.state.FailureType, a.state.FailureMessage = "JobFailed", message
			a.end(Failed)
		}
	})
}

// end ends an action. The caller holds s.mu.
func (a *action) end(status string) {
	a.state.Status, a.current = status, nil
	close(a.changed)
	if a.ended != nil {
		a.ended()
	}
}

// proceed makes the next job of an action that said it was not finished.
func (s *Service) proceed(a *action) {
	wait := min(longestPoll, s.w.Profile.ConfigUpdate)
	s.w.After(wait, func() {
		s.mu.Lock()
		if a.state.Status != InProgress {
			s.mu.Unlock()
			return
		}
		j, err := s.newJob(a)
		s.mu.Unlock()
		if err == nil {
			err = s.invoke(j)
		}
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if a.state.Status == InProgress {
				a.state.FailureType, a.state.FailureMessage = "PermissionError", err.Error()
				a.end(Failed)
			}
		}
	})
}

// find finds a job that waits for its answer. The caller holds s.mu.
func (s *Service) find(id string) (*job, error) {
	j := s.jobs[id]
	switch {
	case id == "":
		return nil, wire.Errf("ValidationException", "1 validation error detected: Value null at 'jobId' failed to satisfy constraint: Member must not be null")
	case j == nil:
		return nil, wire.Errf("JobNotFoundException", "Could not find job with id: %s", id)
	case j.action.current != j:
		return nil, wire.Errf("InvalidJobStateException", "Job %s is not in progress", id)
	}
	return j, nil
}
