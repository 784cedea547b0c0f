package pipeline

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/codepipeline"
	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/s3"
	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	local "github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// lambda gives the function the jobs of an emulated CodePipeline.
type lambda struct {
	t   *testing.T
	w   *world
	log *slog.Logger

	mu      sync.Mutex
	last    []byte // the last job
	secrets int    // jobs with credentials
	deaths  int
}

func (l *lambda) InvokeAsync(_ string, payload []byte) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = payload
	if strings.Contains(string(payload), "ASIAPIPELINE") {
		l.secrets++
	}
	go func() {
		e, err := events.Decode(payload)
		if err != nil {
			l.t.Error(err)
			return
		}
		l.log.Info("invoked", "event", e)
		l.handle(e)
	}()
	return "request", nil
}

// handle invokes the function, and twice more if it fails or dies, as Lambda does with what nobody waits for.
func (l *lambda) handle(e events.Event) {
	var err error
	for attempt := range 3 {
		time.Sleep(time.Duration(attempt) * time.Minute)
		if err = l.try(e); err == nil {
			return
		}
	}
	l.t.Error(err)
}

func (l *lambda) try(e events.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, killed := r.(dead); !killed {
				panic(r)
			}
			l.mu.Lock()
			l.deaths++
			l.mu.Unlock()
			err = errors.New("killed")
		}
	}()
	return l.w.work.Handle(obs.With(l.t.Context(), l.log), e)
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// emulated are the services that a pipeline needs, in a bubble of time.
type emulated struct {
	world  *local.World
	roles  *iam.Service
	s3     *s3.Service
	lambda *lambda
	pipes  *codepipeline.Service
	cfg    awscloud.Config
}

// objects is S3 as CodePipeline uses it.
type objects struct{ *s3.Service }

func (o objects) Read(bucket, key, version string) (body []byte, id, etag string, err error) {
	got, err := o.Object("us-east-1", bucket, key, version)
	return got.Body, got.VersionID, got.ETag, err
}

func (o objects) Write(bucket, key string, body []byte) error {
	return o.Store("us-east-1", bucket, key, body)
}

// emulate makes them, and gives the function the real SDK's clients of them.
func emulate(t *testing.T, w *world, log io.Writer) *emulated {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	e := &emulated{world: local.New("123456789012", "us-east-1", local.Real, 1, quiet)}
	t.Cleanup(e.world.Close)
	e.roles = iam.New(e.world, iam.Options{AccessKeyID: "AKIAROOT", SecretAccessKey: "secret"})
	e.s3 = s3.New(e.world, nil)
	e.lambda = &lambda{t: t, w: w, log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	e.pipes = codepipeline.New(e.world, e.lambda, codepipeline.Neighbours{Roles: e.roles, Objects: objects{e.s3}})
	gateway := &wire.Gateway{Account: "123456789012", Region: "us-east-1", Credentials: e.roles, Authorizer: e.roles, Log: quiet, NewID: e.world.UUID}
	gateway.Register(e.pipes.API(), e.s3.API())
	e.cfg = awscloud.Static("http://embedded.invalid", "us-east-1", "AKIAROOT", "secret")
	e.cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	e.cfg.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		in := r.Clone(r.Context())
		in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
		if in.Host == "" {
			in.Host = r.URL.Host
		}
		if in.Body == nil {
			in.Body = http.NoBody
		}
		recorder := httptest.NewRecorder()
		gateway.ServeHTTP(recorder, in)
		return recorder.Result(), nil
	})}
	w.work.Now, w.work.Ledger.Now = time.Now, time.Now
	w.work.Jobs, w.work.Approvals = awscloud.NewJobs(e.cfg), awscloud.NewApprovals(e.cfg)
	return e
}

// TestOverTheWire: an action of an emulated CodePipeline, answered by the real SDK.
func TestOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		service := emulate(t, w, io.Discard).pipes
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
		done.RunID = ledger.RunID(id, fleet.ClusterID{Region: "us-east-1", Name: "blue"})
		if err := w.work.Ledger.SaveRun(t.Context(), done); err != nil {
			t.Fatal(err)
		}
		<-service.Done(id)
		if a, _ := service.Job(id); a.Status != codepipeline.Succeeded || a.OutputVariables["outcome"] != "Active" || a.OutputVariables["requestId"] != id {
			t.Errorf("%+v", a)
		}

		if id, err = service.StartJob("ekspedite-pipeline", ringUp); err != nil {
			t.Fatal(err)
		}
		<-service.Done(id)
		if a, _ := service.Job(id); a.FailureType != configurationError || !strings.Contains(a.FailureMessage, "pipeline with name 'fleet'") || len(w.bus) != 1 {
			t.Errorf("an approval of a pipeline that is not there: %+v", a)
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

// TestArtifactsOfAJob: the embedded CodePipeline gives a job what it takes to read its input artifact, which AWS does, and of
// which this function makes no use.
func TestArtifactsOfAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e := emulate(t, w, io.Discard)
		make := func(kind, id, properties string) stack.Created {
			t.Helper()
			for _, p := range []stack.Providers{e.roles.Providers(), e.s3.Providers(), e.pipes.Providers()} {
				if provide := p[kind]; provide != nil {
					made, err := provide(id, json.RawMessage(properties))
					if err != nil {
						t.Fatal(err)
					}
					return made
				}
			}
			t.Fatalf("nobody makes %s", kind)
			return stack.Created{}
		}
		bucket := make("AWS::S3::Bucket", "Files", `{"VersioningConfiguration": {"Status": "Enabled"}}`).Ref
		if err := e.s3.Store("us-east-1", bucket, "app.zip", []byte("content")); err != nil {
			t.Fatal(err)
		}
		role := make("AWS::IAM::Role", "Role", `{"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
			"Policies": [{"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "lambda:InvokeFunction"], "Resource": "*"}]}}]}`).Attributes["Arn"]
		make("AWS::CodePipeline::Pipeline", "Pipe", `{"RoleArn": "`+role+`", "ArtifactStore": {"Type": "S3", "Location": "`+bucket+`"}, "Stages": [
			{"Name": "Source", "Actions": [{"Name": "S", "ActionTypeId": {"Category": "Source", "Owner": "AWS", "Provider": "S3", "Version": "1"}, "OutputArtifacts": [{"Name": "App"}],
				"Configuration": {"S3Bucket": "`+bucket+`", "S3ObjectKey": "app.zip", "PollForSourceChanges": false}}]},
			{"Name": "Run", "Actions": [{"Name": "R", "ActionTypeId": {"Category": "Invoke", "Owner": "AWS", "Provider": "Lambda", "Version": "1"}, "InputArtifacts": [{"Name": "App"}],
				"Configuration": {"FunctionName": "f"}}]}]}`)
		synctest.Wait()
		got, err := events.Decode(e.lambda.last)
		if err != nil {
			t.Fatal(err)
		}
		data := got.Payload.(*events.CodePipelineJob).Data
		at, keys := data.InputArtifacts[0].Location.S3Location, data.ArtifactCredentials
		cfg := e.cfg.Copy()
		cfg.Credentials = credentials.NewStaticCredentialsProvider(keys.AccessKeyID.Reveal(), keys.SecretAccessKey.Reveal(), keys.SessionToken.Reveal())
		if _, err := awscloud.NewObjects(cfg).Read(t.Context(), at.BucketName, at.ObjectKey, data.InputArtifacts[0].Revision); err == nil || at.BucketName != bucket {
			t.Errorf("the artifact has a version of its own, not the source's: %v %+v", err, at)
		}
		if body, err := awscloud.NewObjects(cfg).Read(t.Context(), at.BucketName, at.ObjectKey, ""); err != nil || string(body) != "content" {
			t.Errorf("%s %v", body, err)
		}
	})
}
