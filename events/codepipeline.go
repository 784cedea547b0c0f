package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
)

// KindCodePipelineJob is an action of a pipeline that waits for a function's answer.
const KindCodePipelineJob Kind = "CodePipelineJob"

// detailTypeJob stands in for the detail-type, which a CodePipeline job does not have.
const detailTypeJob = "CodePipeline.job"

// CodePipelineJob is what CodePipeline invokes a Lambda action with. The action hangs until PutJobSuccessResult or
// PutJobFailureResult is called with the job's ID.
//
// The job carries temporary AWS credentials. They are in Data.ArtifactCredentials and nowhere else: not in the event's
// Detail, not in what Encode writes. An event that was encoded and decoded again has none, so that work which needs the
// artifacts must be done by the function that CodePipeline invoked.
//
// https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-invoke-lambda-function.html
type CodePipelineJob struct {
	ID        string           `json:"id"`
	AccountID string           `json:"accountId"`
	Data      CodePipelineData `json:"data"`
}

// CodePipelineData is the content of a job.
type CodePipelineData struct {
	ActionConfiguration struct {
		Configuration struct {
			FunctionName string `json:"FunctionName"`
			// UserParameters is the text which the pipeline's author gave the action.
			UserParameters string `json:"UserParameters,omitempty"`
		} `json:"configuration"`
	} `json:"actionConfiguration"`
	InputArtifacts      []CodePipelineArtifact `json:"inputArtifacts"`
	OutputArtifacts     []CodePipelineArtifact `json:"outputArtifacts"`
	ArtifactCredentials ArtifactCredentials    `json:"artifactCredentials"`
	// ContinuationToken is what the function answered the last time when it was not finished; empty the first time.
	ContinuationToken string `json:"continuationToken,omitempty"`
	// EncryptionKey is the KMS key of the artifacts, nil for the default one.
	EncryptionKey *CodePipelineKey `json:"encryptionKey,omitempty"`
}

// CodePipelineKey names a KMS key.
type CodePipelineKey struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// CodePipelineArtifact is a zip file in the pipeline's bucket.
type CodePipelineArtifact struct {
	Name     string `json:"name"`
	Revision string `json:"revision,omitempty"`
	Location struct {
		Type       string `json:"type"`
		S3Location struct {
			BucketName string `json:"bucketName"`
			ObjectKey  string `json:"objectKey"`
		} `json:"s3Location"`
	} `json:"location"`
}

// ArtifactCredentials are temporary credentials for a pipeline's artifact bucket. No way of printing or encoding them
// shows any part; call Reveal on the parts.
type ArtifactCredentials struct {
	AccessKeyID     Secret `json:"accessKeyId"`
	SecretAccessKey Secret `json:"secretAccessKey"`
	SessionToken    Secret `json:"sessionToken"`
}

// redacted is what is written in place of a secret.
const redacted = "REDACTED"

// Secret is a text that does not print: fmt with any verb, slog and encoding/json write "REDACTED". It holds a pointer,
// so that even a print of the memory of a struct around it shows an address.
type Secret struct{ text *string }

// Reveal returns the secret, "" if there is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Format writes "REDACTED" for every verb.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(redacted)) }

// String is "REDACTED".
func (s Secret) String() string { return redacted }

// GoString is "REDACTED".
func (s Secret) GoString() string { return redacted }

// LogValue is "REDACTED".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "REDACTED".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes the secret. "REDACTED" is none.
func (s *Secret) UnmarshalText(text []byte) error {
	s.text = nil
	if secret := string(text); secret != "" && secret != redacted {
		s.text = &secret
	}
	return nil
}

func (p *CodePipelineJob) check(*Envelope) *fault {
	switch {
	case p.ID == "":
		return missing("id")
	case p.AccountID == "":
		return missing("accountId")
	case p.Data.ActionConfiguration.Configuration.FunctionName == "":
		return missing("data.actionConfiguration.configuration.FunctionName")
	}
	return nil
}

// decodeCodePipeline reads a job, takes the credentials out of it, and builds an envelope around the rest.
func decodeCodePipeline(w *wire) (Event, *fault) {
	event := Event{Kind: KindCodePipelineJob}
	env := &event.Envelope
	env.Source, env.DetailType = SourceCodePipeline, detailTypeJob
	open, clean, err := redact(w.body)
	if err == nil {
		env.Detail = open
		event.Payload, err = intoJob(env)
	}
	if err != nil {
		err.kind, err.value = KindCodePipelineJob, "" // never quote a job
		err.field = strings.TrimSuffix(detailTypeJob+"."+err.bare().field, ".")
		return Event{}, err
	}
	job := event.Payload.(*CodePipelineJob)
	env.ID, env.Account = job.ID, job.AccountID
	env.Detail = clean.value(fieldCodePipeline)
	env.wire = wire{body: clean.body, verbatim: true}
	return event, nil
}

func intoJob(env *Envelope) (any, *fault) {
	if env.Detail[0] != '{' {
		return nil, &fault{reason: "want an object, got " + jsonType(env.Detail)}
	}
	return into[CodePipelineJob](env)
}

// redact returns the job as it is and the whole body without secrets. Hidden is whatever stands under
// artifactCredentials, and every value named like a part of AWS credentials wherever it stands; names are compared as
// encoding/json does, without case. Both results are of the same parsed value, so that they agree on names said twice.
func redact(body []byte) (open json.RawMessage, clean wire, err *fault) {
	unreadable := &fault{reason: "cannot be read"}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value map[string]any
	if decoder.Decode(&value) != nil {
		return nil, wire{}, unreadable
	}
	open, failed := json.Marshal(value[detailTypeJob])
	if failed != nil {
		return nil, wire{}, unreadable
	}
	hidden, failed := json.Marshal(hide(value, false))
	if failed != nil {
		return nil, wire{}, unreadable
	}
	clean, err = scan(hidden)
	return open, clean, err
}

// hide replaces the secrets in value, all of its leaves if it is one itself.
func hide(value any, secret bool) any {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			hidden := secret && !strings.EqualFold(name, "expirationTime")
			for _, word := range []string{"artifactCredentials", "accessKeyId", "secretAccessKey", "sessionToken"} {
				hidden = hidden || strings.EqualFold(name, word)
			}
			value[name] = hide(inner, hidden)
		}
	case []any:
		for i, inner := range value {
			value[i] = hide(inner, secret)
		}
	case nil:
	default:
		if secret {
			return redacted
		}
	}
	return value
}
