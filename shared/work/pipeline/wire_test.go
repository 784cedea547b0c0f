package pipeline

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/codepipeline"
	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	local "github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// lambda gives the function the jobs of an emulated CodePipeline.
type lambda struct {
	t *testing.T
	w *world
}

func (l *lambda) InvokeAsync(_ string, payload []byte) (string, error) {
	go func() {
		e, err := events.Decode(payload)
		if err == nil {
			err = l.w.work.Handle(l.t.Context(), e)
		}
		if err != nil {
			l.t.Error(err)
		}
	}()
	return "request", nil
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestOverTheWire: an action of an emulated CodePipeline, answered by the real SDK.
func TestOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		emulated := local.New("123456789012", "us-east-1", local.Real, 1, slog.New(slog.DiscardHandler))
		defer emulated.Close()
		roles := iam.New(emulated, iam.Options{AccessKeyID: "AKIAROOT", SecretAccessKey: "secret"})
		w := newWorld(t)
		w.work.Now = time.Now
		w.work.Ledger.Now = time.Now
		service := codepipeline.New(emulated, &lambda{t, w})
		gateway := &wire.Gateway{Account: "123456789012", Region: "us-east-1", Credentials: roles, Authorizer: roles, Log: slog.New(slog.DiscardHandler), NewID: emulated.UUID}
		gateway.Register(service.API())
		cfg := awscloud.Static("http://embedded.invalid", "us-east-1", "AKIAROOT", "secret")
		cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		cfg.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			in := r.Clone(r.Context())
			in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
			if in.Host == "" {
				in.Host = r.URL.Host
			}
			recorder := httptest.NewRecorder()
			gateway.ServeHTTP(recorder, in)
			return recorder.Result(), nil
		})}
		w.work.Jobs = awscloud.NewJobs(cfg)

		id, err := service.StartJob("ekspedite-pipeline", fromFile)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if a, _ := service.Job(id); a.Status != codepipeline.InProgress || a.Jobs < 10 || !strings.Contains(a.Summary, "not begun") {
			t.Fatalf("%+v", a)
		}
		asked := w.bus[0].Payload.(*events.ClusterApplyRequested)
		if len(w.bus) != 1 || asked.RequestID != id {
			t.Fatalf("%d requests: %+v", len(w.bus), asked)
		}
		done := ledger.Run{
			Function: "cluster", Subject: events.Subject{Cluster: "blue", Region: "us-east-1"},
			Outcome: events.OutcomeActive, StartedAt: time.Now(), FinishedAt: time.Now(),
		}
		_, done.RunID = token{Request: id}.run("us-east-1/blue")
		if err := w.work.Ledger.SaveRun(t.Context(), done); err != nil {
			t.Fatal(err)
		}
		<-service.Done(id)
		if a, _ := service.Job(id); a.Status != codepipeline.Succeeded || a.OutputVariables["outcome"] != "Active" || a.OutputVariables["requestId"] != id {
			t.Errorf("%+v", a)
		}

		if id, err = service.StartJob("ekspedite-pipeline", "nonsense"); err != nil {
			t.Fatal(err)
		}
		<-service.Done(id)
		if a, _ := service.Job(id); a.Status != codepipeline.Failed || a.FailureType != configurationError {
			t.Errorf("%+v", a)
		}
	})
}
