package codepipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// ServicePrincipal is CodePipeline, as roles trust it.
const ServicePrincipal = "codepipeline.amazonaws.com"

// approvalLimit is how long a manual approval waits where its action says nothing.
const approvalLimit = 7 * 24 * time.Hour

// Roles decide what a pipeline's role may do, and whether it trusts CodePipeline.
type Roles interface {
	AuthorizeRole(roleARN string, need wire.Need) error
	CheckTrustFrom(roleARN, servicePrincipal, sourceARN string) error
	ServiceSession(roleARN, servicePrincipal, sessionName string, life time.Duration) (accessKeyID, secretAccessKey, sessionToken string, err error)
}

// Objects are Amazon S3's.
type Objects interface {
	// Read reads a version of an object, the latest if none is named.
	Read(bucket, key, version string) (body []byte, versionID, etag string, err error)
	Write(bucket, key string, body []byte) error
	Need(action, bucket, key string) wire.Need
}

// perform does what an action is for.
func (s *Service) perform(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.status != InProgress { // abandoned meanwhile
		return
	}
	var err error
	if r.resolved, err = r.resolve(); err != nil {
		s.fail(r, "InvalidVariable", err.Error())
		return
	}
	for _, in := range r.decl.InputArtifacts {
		a, ok := r.ex.artifacts[in.Name]
		if !ok {
			s.fail(r, "ConfigurationError", "the input artifact "+in.Name+" was not made")
			return
		}
		r.inputs = append(r.inputs, a)
	}
	for _, out := range r.decl.OutputArtifacts {
		r.outputs = append(r.outputs, s.artifact(r, out.Name))
	}
	switch r.decl.ActionTypeID {
	case sourceS3:
		if err := s.source(r); err != nil {
			s.fail(r, failureCode(err), err.Error())
			return
		}
		s.finish(r, Succeeded)
	case invokeLambda:
		s.call(r)
	case approvalManual:
		s.ask(r)
	}
}

func failureCode(err error) string {
	var e *wire.Error
	if errors.As(err, &e) && strings.Contains(e.Code, "AccessDenied") {
		return "PermissionError"
	}
	return "ConfigurationError"
}

// artifact is where an output artifact will be: CodePipeline's own way of naming them.
func (s *Service) artifact(r *run, name string) artifact {
	pipelineName := r.ex.decl.Name
	return artifact{name: name, bucket: r.ex.decl.ArtifactStore.Location,
		key: pipelineName[:min(20, len(pipelineName))] + "/" + name[:min(10, len(name))] + "/" + s.w.Hex(7)}
}

// resolve puts values for the variables in the action's configuration.
func (r *run) resolve() (map[string]string, error) {
	var missing []string
	out := map[string]string{}
	for key, value := range r.decl.Configuration {
		out[key] = reference.ReplaceAllStringFunc(value, func(ref string) string {
			m := reference.FindStringSubmatch(ref)
			var text string
			var ok bool
			switch m[1] {
			case "codepipeline":
				text, ok = r.ex.id, m[2] == "PipelineExecutionId"
			case "variables":
				text, ok = r.ex.variables[m[2]]
			default:
				text, ok = r.ex.namespaces[m[1]][m[2]]
			}
			if !ok {
				missing = append(missing, ref)
			}
			return text
		})
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the variables %s of action %s could not be resolved", strings.Join(missing, ", "), r.decl.Name)
	}
	return out, nil
}

// source takes a version of an object into the artifact store.
func (s *Service) source(r *run) error {
	bucket, key, version := r.resolved["S3Bucket"], r.resolved["S3ObjectKey"], ""
	switch o := r.ex.overrides[r.decl.Name]; o.RevisionType {
	case "S3_OBJECT_VERSION_ID":
		version = o.RevisionValue
	case "S3_OBJECT_KEY":
		key = o.RevisionValue
	}
	out, read := r.outputs[0], "GetObject"
	if version != "" {
		read = "GetObjectVersion"
	}
	for _, need := range []wire.Need{s.near.Objects.Need("GetBucketVersioning", bucket, ""), s.near.Objects.Need(read, bucket, key), s.near.Objects.Need("PutObject", out.bucket, out.key)} {
		if err := s.near.Roles.AuthorizeRole(r.ex.decl.RoleArn, need); err != nil {
			return err
		}
	}
	body, id, etag, err := s.near.Objects.Read(bucket, key, version)
	if err != nil {
		return err
	}
	if id == "null" {
		return fmt.Errorf("the bucket %s of source action %s is not versioned", bucket, r.decl.Name)
	}
	if err := s.near.Objects.Write(out.bucket, out.key, body); err != nil {
		return err
	}
	out.revision = id
	r.outputs[0], r.ex.artifacts[out.name] = out, out
	r.variables = map[string]string{"BucketName": bucket, "ObjectKey": key, "VersionId": id, "ETag": etag}
	r.summary = "Amazon S3 version id: " + id
	r.ex.revisions = append(r.ex.revisions, sourceRevision{ActionName: r.decl.Name, RevisionID: id, RevisionSummary: r.summary})
	return nil
}

// call runs a Lambda invoke action, in the name of the pipeline's role.
func (s *Service) call(r *run) {
	function := r.resolved["FunctionName"]
	arn := function
	if !strings.HasPrefix(arn, "arn:") {
		arn = s.w.ARN("lambda", "function:"+function)
	}
	if err := s.near.Roles.AuthorizeRole(r.ex.decl.RoleArn, wire.Need{Action: "lambda:InvokeFunction", Resource: arn}); err != nil {
		s.fail(r, "PermissionError", err.Error())
		return
	}
	a := &action{id: r.id, function: function, parameters: r.resolved["UserParameters"], started: time.Now(), run: r,
		state: Action{Status: InProgress}, changed: make(chan struct{})}
	a.ended = func() {
		st := a.state
		r.summary, r.outside, r.percent, r.variables = st.Summary, st.ExecutionID, st.PercentComplete, st.OutputVariables
		if st.Status == Failed {
			s.fail(r, st.FailureType, st.FailureMessage)
			return
		}
		for _, o := range r.outputs { // the function has written them, or whoever reads them will say
			r.ex.artifacts[o.name] = o
		}
		s.finish(r, Succeeded)
	}
	r.lambda = a
	j, err := s.newJob(a)
	if err != nil {
		s.fail(r, "PermissionError", err.Error())
		return
	}
	s.w.Go(func(context.Context) {
		if err := s.invoke(j); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if a.state.Status == InProgress {
				a.state.FailureType, a.state.FailureMessage = "ConfigurationError", err.Error()
				a.end(Failed)
			}
		}
	})
	s.watch(a, actionLimit, func() bool { return true }, tooLong)
}

// ask asks for an approval.
func (s *Service) ask(r *run) {
	limit := approvalLimit
	if m := r.decl.TimeoutInMinutes; m != nil {
		limit = time.Duration(*m) * time.Minute
	}
	r.token = s.w.UUID()
	s.w.After(limit, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.status == InProgress {
			s.fail(r, "JobFailed", fmt.Sprintf("The approval action timed out: nobody answered it within %s", limit))
		}
	})
}

// payload is what a function is invoked with.
func (s *Service) payload(j *job) ([]byte, error) {
	return json.Marshal(map[string]any{"CodePipeline.job": map[string]any{"id": j.id, "accountId": s.w.Account, "data": j.data()}})
}
