package codepipeline

import (
	"cmp"
	"slices"
	"time"
)

// The statuses of pipelines' executions, stages and actions beside those of an action.
const (
	stopping   = "Stopping"
	stopped    = "Stopped"
	superseded = "Superseded"
	cancelled  = "Cancelled"
	abandoned  = "Abandoned"
)

// pipeline is a pipeline with all that went through it.
type pipeline struct {
	decl             declaration
	created, updated time.Time
	stages           map[string]*stage // by name, also of stages that an update has taken away
	executions       []*execution      // oldest first
	tags             map[string]string
}

// stage is how a stage stands.
type stage struct {
	in, out transition
	waiting []*execution // at its entrance, in their order
	latest  *stageRun
	actions map[string]*run // the last run of each action
}

// transition is the way into a stage, or out of it.
type transition struct {
	disabled   bool
	reason, by string
	at         time.Time
}

// stageRun is one execution's time in a stage.
type stageRun struct {
	ex     *execution
	decl   stageDecl
	status string
	runs   map[string]*run // by action; none for those that have not begun
}

// execution is one run of a pipeline, which is what the pipeline was when it began.
type execution struct {
	id               string
	p                *pipeline
	decl             declaration
	status           string
	started, updated time.Time
	trigger, detail  string
	attempt          int
	variables        map[string]string
	overrides        map[string]sourceRevisionOverride // by action
	artifacts        map[string]artifact
	namespaces       map[string]map[string]string
	revisions        []sourceRevision
	stopReason       string
	at               int  // which stage
	inside           bool // in the stage, not at its entrance
	runs             []*run
}

// run is one run of an action.
type run struct {
	id               string
	ex               *execution
	in               *stageRun
	decl             actionDecl
	status           string
	started, updated time.Time
	by               string // whose approval
	summary, outside string // what the function calls its own execution
	percent          int
	code, message    string // of an error
	token            string // of an approval
	resolved         map[string]string
	inputs, outputs  []artifact
	variables        map[string]string
	lambda           *action
}

// artifact is a file in the pipeline's artifact store.
type artifact struct {
	name, bucket, key, revision string
}

func (p *pipeline) stage(name string) *stage {
	s := p.stages[name]
	if s == nil {
		s = &stage{in: transition{at: p.updated}, out: transition{at: p.updated}, actions: map[string]*run{}}
		p.stages[name] = s
	}
	return s
}

func (p *pipeline) execution(id string) *execution {
	for _, ex := range p.executions {
		if ex.id == id {
			return ex
		}
	}
	return nil
}

// begin starts an execution. The caller holds s.mu.
func (s *Service) begin(p *pipeline, trigger, detail string, variables map[string]string, overrides map[string]sourceRevisionOverride) *execution {
	ex := &execution{
		id: s.w.UUID(), p: p, decl: p.decl, status: InProgress, started: time.Now(), updated: time.Now(), trigger: trigger, detail: detail, attempt: 1,
		variables: variables, overrides: overrides, artifacts: map[string]artifact{}, namespaces: map[string]map[string]string{},
	}
	p.executions = append(p.executions, ex)
	s.tellPipeline(ex, "STARTED")
	s.arrive(ex, 0)
	return ex
}

// arrive puts an execution at a stage's entrance. Where executions supersede each other, a newer one takes the place of the one
// that waits there. The caller holds s.mu, here and below.
func (s *Service) arrive(ex *execution, i int) {
	ex.at, ex.inside = i, false
	st := ex.p.stage(ex.decl.Stages[i].Name)
	if ex.decl.ExecutionMode == "SUPERSEDED" {
		for _, old := range st.waiting {
			s.close(old, superseded, "SUPERSEDED")
		}
		st.waiting = nil
	}
	st.waiting = append(st.waiting, ex)
	s.pump(ex.p, st)
}

// pump lets the next execution into a stage, if the way is free.
func (s *Service) pump(p *pipeline, st *stage) {
	if len(st.waiting) == 0 || st.in.disabled || st.latest != nil && (st.latest.status == InProgress || st.latest.status == stopping) {
		return
	}
	ex := st.waiting[0]
	if ex.at > 0 && p.stage(ex.decl.Stages[ex.at-1].Name).out.disabled {
		return
	}
	st.waiting = st.waiting[1:]
	ex.inside = true
	st.latest = &stageRun{ex: ex, decl: ex.decl.Stages[ex.at], status: InProgress, runs: map[string]*run{}}
	s.tellStage(st.latest, "STARTED")
	s.proceedStage(st.latest)
}

// proceedStage starts what is next in a stage, or ends it. Actions of one runOrder run side by side.
func (s *Service) proceedStage(sr *stageRun) {
	ex, failed, order := sr.ex, false, 0
	for _, a := range sr.decl.Actions {
		switch r := sr.runs[a.Name]; {
		case r == nil:
			if order == 0 || a.RunOrder < order {
				order = a.RunOrder
			}
		case r.status == InProgress:
			return
		case r.status == Failed:
			failed = true
		}
	}
	st := ex.p.stage(sr.decl.Name)
	switch {
	case ex.status == stopping:
		s.closeStage(sr, stopped, "STOPPED")
		s.close(ex, stopped, "STOPPED")
	case failed:
		s.closeStage(sr, Failed, "FAILED")
		s.close(ex, Failed, "FAILED")
	case order > 0:
		for _, a := range sr.decl.Actions {
			if a.RunOrder == order && sr.runs[a.Name] == nil {
				s.startAction(sr, st, a)
			}
		}
		return
	case ex.at == len(ex.decl.Stages)-1:
		s.closeStage(sr, Succeeded, "SUCCEEDED")
		s.close(ex, Succeeded, "SUCCEEDED")
	default:
		s.closeStage(sr, Succeeded, "SUCCEEDED")
		s.arrive(ex, ex.at+1)
	}
	s.pump(ex.p, st)
}

func (s *Service) closeStage(sr *stageRun, status, event string) {
	sr.status, sr.ex.updated = status, time.Now()
	s.tellStage(sr, event)
}

func (s *Service) close(ex *execution, status, event string) {
	ex.status, ex.updated = status, time.Now()
	s.tellPipeline(ex, event)
}

func (s *Service) startAction(sr *stageRun, st *stage, a actionDecl) {
	r := &run{id: s.w.UUID(), ex: sr.ex, in: sr, decl: a, status: InProgress, started: time.Now(), updated: time.Now()}
	sr.runs[a.Name], st.actions[a.Name] = r, r
	sr.ex.runs = append(sr.ex.runs, r)
	s.tellAction(r, "STARTED")
	s.w.After(0, func() { s.perform(r) })
}

// finish ends an action's run, and goes on with its stage.
func (s *Service) finish(r *run, status string) {
	r.status, r.updated, r.token = status, time.Now(), ""
	if status == Succeeded && r.decl.Namespace != "" {
		r.ex.namespaces[r.decl.Namespace] = r.variables
	}
	s.tellAction(r, map[string]string{Succeeded: "SUCCEEDED", Failed: "FAILED", abandoned: "ABANDONED"}[status])
	s.proceedStage(r.in)
}

// fail ends an action's run badly.
func (s *Service) fail(r *run, code, message string) {
	r.code, r.message = code, message
	s.finish(r, Failed)
}

// stop ends an execution: at the next end of an action, or at once, which leaves what its actions have begun alone.
func (s *Service) stop(ex *execution, abandon bool, reason string) {
	ex.status, ex.stopReason, ex.updated = stopping, reason, time.Now()
	s.tellPipeline(ex, "STOPPING")
	st := ex.p.stage(ex.decl.Stages[ex.at].Name)
	if !ex.inside {
		st.waiting = slices.DeleteFunc(st.waiting, func(w *execution) bool { return w == ex })
		s.close(ex, stopped, "STOPPED")
		return
	}
	sr := st.latest
	sr.status = stopping
	s.tellStage(sr, "STOPPING")
	if abandon {
		s.abandon(sr)
	}
	s.proceedStage(sr)
}

// abandon ends the runs of a stage's actions, and does not go on with it.
func (s *Service) abandon(sr *stageRun) {
	for _, a := range sr.decl.Actions {
		r := sr.runs[a.Name]
		if r == nil || r.status != InProgress {
			continue
		}
		if l := r.lambda; l != nil && l.state.Status == InProgress {
			l.ended = nil
			l.end(Failed)
		}
		r.status, r.updated, r.token = abandoned, time.Now(), ""
		s.tellAction(r, "ABANDONED")
	}
}

// retry runs a stage's actions again: those that failed, or all.
func (s *Service) retry(sr *stageRun, all bool) {
	ex := sr.ex
	ex.status, ex.updated, ex.attempt, ex.stopReason = InProgress, time.Now(), ex.attempt+1, ""
	sr.status = InProgress
	for name, r := range sr.runs {
		if all || r.status != Succeeded {
			delete(sr.runs, name)
		}
	}
	s.tellPipeline(ex, "RESUMED")
	s.tellStage(sr, "RESUMED")
	s.proceedStage(sr)
}

// order of executions and runs in lists: the newest first.
func newestFirst[T any](list []T, at func(T) time.Time) []T {
	out := slices.Clone(list)
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b T) int { return cmp.Compare(at(b).UnixNano(), at(a).UnixNano()) })
	return out
}
