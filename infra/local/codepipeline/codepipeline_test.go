package codepipeline

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// event is what aws-lambda-go's CodePipelineJobEvent reads.
type event struct {
	Job struct {
		ID, AccountID string
		Data          struct {
			ActionConfiguration struct {
				Configuration struct{ FunctionName, UserParameters string }
			}
			ArtifactCredentials struct{ AccessKeyID string }
			ContinuationToken   string
		}
	} `json:"CodePipeline.job"`
}

// function keeps the jobs that it gets.
type function struct {
	err error

	mu   sync.Mutex
	jobs []event
}

func (f *function) InvokeAsync(_ string, payload []byte) (string, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jobs = append(f.jobs, e)
	return "request", f.err
}

func (f *function) last() event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.jobs[len(f.jobs)-1]
}

func (f *function) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.jobs)
}

// start starts an action in a bubble of time.
func start(t *testing.T, profile world.Profile, do func(s *Service, f *function, id string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := world.New("123456789012", "eu-west-1", profile, 1, slog.New(slog.DiscardHandler))
		defer w.Close()
		f := new(function)
		s := New(w, f, Neighbours{})
		id, err := s.StartJob("pipeline-function", `{"cluster":"a"}`)
		if err != nil {
			t.Fatal(err)
		}
		do(s, f, id)
	})
}

func (f *function) answer(t *testing.T, s *Service, token string, variables map[string]string) error {
	t.Helper()
	in := &successIn{JobID: f.last().Job.ID, OutputVariables: variables}
	if token != "" {
		in.ContinuationToken = &token
	}
	_, err := s.putSuccess(t.Context(), nil, in)
	return err
}

func TestContinuations(t *testing.T) {
	start(t, world.Real, func(s *Service, f *function, id string) {
		first := f.last()
		if first.Job.ID != id || first.Job.AccountID != "123456789012" || first.Job.Data.ContinuationToken != "" || first.Job.Data.ArtifactCredentials.AccessKeyID == "" ||
			first.Job.Data.ActionConfiguration.Configuration.FunctionName != "pipeline-function" || first.Job.Data.ActionConfiguration.Configuration.UserParameters != `{"cluster":"a"}` {
			t.Errorf("event %+v", first)
		}
		// An hour of continuations: each answer starts the twenty minutes anew.
		for range 4 {
			time.Sleep(15 * time.Minute)
			if err := f.answer(t, s, "run-1", nil); err != nil {
				t.Fatal(err)
			}
			if err := f.answer(t, s, "", nil); err == nil {
				t.Error("a job is answered twice")
			}
			n := f.count()
			time.Sleep(29 * time.Second)
			if f.count() != n {
				t.Error("the next job comes too early")
			}
			time.Sleep(2 * time.Second)
			if f.count() != n+1 || f.last().Job.Data.ContinuationToken != "run-1" || f.last().Job.ID == id {
				t.Fatalf("the next job: %+v", f.last())
			}
		}
		if err := f.answer(t, s, "", map[string]string{"clusterArn": "arn"}); err != nil {
			t.Fatal(err)
		}
		<-s.Done(id)
		got, ok := s.Job(id)
		if !ok || got.Status != Succeeded || got.Jobs != 5 || got.OutputVariables["clusterArn"] != "arn" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestNoAnswer(t *testing.T) {
	start(t, world.Fast, func(s *Service, f *function, id string) {
		time.Sleep(19 * time.Minute)
		if got, _ := s.Job(id); got.Status != InProgress {
			t.Errorf("early: %+v", got)
		}
		time.Sleep(2 * time.Minute)
		if got, _ := s.Job(id); got.Status != Failed || !strings.Contains(got.FailureMessage, "failed to return a result") {
			t.Errorf("late: %+v", got)
		}
		var e *wire.Error
		if err := f.answer(t, s, "", nil); !errors.As(err, &e) || e.Code != "InvalidJobStateException" {
			t.Errorf("an answer too late: %v", err)
		}
	})
}

func TestADayIsTheLimit(t *testing.T) {
	start(t, world.Fast, func(s *Service, f *function, id string) {
		for range 24*4 + 4 {
			if f.answer(t, s, "more", nil) != nil {
				break
			}
			time.Sleep(15 * time.Minute)
		}
		if got, _ := s.Job(id); got.Status != Failed || !strings.Contains(got.FailureMessage, "limit") || got.Jobs < 90 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFailureAndDetails(t *testing.T) {
	start(t, world.Fast, func(s *Service, f *function, id string) {
		d, err := s.getDetails(t.Context(), nil, &detailsIn{id})
		if err != nil || d.JobDetails.Data.ActionConfiguration.Configuration["FunctionName"] != "pipeline-function" || d.JobDetails.Data.ActionTypeID["provider"] != "Lambda" {
			t.Errorf("%+v %v", d, err)
		}
		long := strings.Repeat("x", 2049)
		for _, in := range []*successIn{{JobID: id, ContinuationToken: new(string)}, {JobID: id, ContinuationToken: &long}, {},
			{JobID: id, ContinuationToken: &id, OutputVariables: map[string]string{"a": "b"}}, {JobID: "nope"}} {
			if _, err := s.putSuccess(t.Context(), nil, in); err == nil {
				t.Errorf("%+v is accepted", in)
			}
		}
		fail := func(kind, message string) error {
			raw, _ := json.Marshal(map[string]any{"jobId": id, "failureDetails": map[string]string{"type": kind, "message": message}})
			in := new(failureIn)
			if err := json.Unmarshal(raw, in); err != nil {
				t.Fatal(err)
			}
			_, err := s.putFailure(t.Context(), nil, in)
			return err
		}
		if fail("Sorry", "m") == nil || fail("JobFailed", "") == nil {
			t.Error("a wrong failure is accepted")
		}
		if err := fail("ConfigurationError", "no such cluster"); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.Job(id); got.Status != Failed || got.FailureType != "ConfigurationError" || got.FailureMessage != "no such cluster" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAFunctionThatIsNot(t *testing.T) {
	w := world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	defer w.Close()
	s := New(w, &function{err: errors.New("no such function")}, Neighbours{})
	if _, err := s.StartJob("nope", ""); err == nil || len(s.jobs) != 0 {
		t.Errorf("got %v, %d jobs", err, len(s.jobs))
	}
}
