package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
)

// The credentials of the samples; nothing may ever show them.
var secrets = []string{"ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "MIICiTCCAfICCQD6m7oRw0uXOjANBgkqhkiG9w0BAQUFADCBiDELEXAMPLETOKEN"}

func redactByHand(body []byte) []byte {
	for _, secret := range secrets {
		body = bytes.ReplaceAll(body, []byte(secret), []byte("REDACTED"))
	}
	return body
}

func shown(text string) bool {
	for _, secret := range secrets {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) || strings.Contains(text, strings.Trim(fmt.Sprint([]byte(secret)), "[]")) {
			return true
		}
	}
	return false
}

func TestNoPrintShowsCredentials(t *testing.T) {
	for _, sample := range samples.Of(events.KindCodePipelineJob) {
		event := decode(t, sample.Body)
		job := event.Payload.(*events.CodePipelineJob)
		credentials := job.Data.ArtifactCredentials
		if got := []string{credentials.AccessKeyID.Reveal(), credentials.SecretAccessKey.Reveal(), credentials.SessionToken.Reveal()}; !reflect.DeepEqual(got, secrets) {
			t.Fatalf("the credentials are lost")
		}
		hidden := struct{ inner any }{credentials} // fmt calls no methods behind an unexported field
		values := []any{event, &event, event.Envelope, event.Detail, job, *job, job.Data, credentials, &credentials, credentials.SessionToken,
			&credentials.SessionToken, []events.Secret{credentials.SecretAccessKey}, map[string]any{"x": credentials}, hidden,
			struct{ c events.ArtifactCredentials }{credentials}}
		for i, value := range values {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
				if shown(fmt.Sprintf(verb, value)) {
					t.Errorf("%s of value %d (%T) shows them", verb, i, value)
				}
			}
			text, err := json.Marshal(value)
			if err != nil || shown(string(text)) {
				t.Errorf("JSON of value %d (%T) shows them, or fails: %v", i, value, err)
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", value)
			if shown(log.String()) {
				t.Errorf("a log of value %d (%T) shows them", i, value)
			}
		}
		again := decode(t, encode(t, event)).Payload.(*events.CodePipelineJob)
		if again.Data.ArtifactCredentials.SessionToken.Reveal() != "" {
			t.Error("REDACTED is no session token")
		}
		again.Data.ArtifactCredentials = credentials
		if !reflect.DeepEqual(again, job) {
			t.Errorf("the rest of the job is lost: %+v", again)
		}
	}
}

func TestNoErrorShowsCredentials(t *testing.T) {
	whole := samples.Body("CodePipelineJob")
	for name, body := range map[string][]byte{
		"cut off":                 whole[:len(whole)-20],
		"the key as the id":       edit(t, "CodePipelineJob", "CodePipeline.job/id", map[string]any{secrets[0]: 1}),
		"a list of credentials":   edit(t, "CodePipelineJob", "CodePipeline.job/data/artifactCredentials", []any{secrets[1]}),
		"no function":             edit(t, "CodePipelineJob", "CodePipeline.job/data/actionConfiguration", nil),
		"in an envelope's detail": edit(t, "SpotInterruption", "detail/instance-id", secrets[1], "detail/secretAccessKey", secrets[1]),
		"in a wrapper":            render(t, map[string]any{"Message": string(whole)}),
	} {
		if bad := malformed(t, body); shown(fmt.Sprintf("%v %+v %#v", bad, bad, bad)) {
			t.Errorf("%s: %v", name, bad)
		}
	}
}

func TestRedactionFindsOddSpellings(t *testing.T) {
	body := edit(t, "CodePipelineJob", "CodePipeline.job/data/ARTIFACTCREDENTIALS", map[string]any{"new": map[string]any{"token": []any{secrets[2]}}},
		"CodePipeline.job/data/SessionToken", secrets[2], "extra", map[string]any{"accesskeyid": secrets[0]})
	event := decode(t, body)
	if shown(string(encode(t, event))) || shown(string(event.Detail)) {
		t.Errorf("shows them: %s", encode(t, event))
	}
}

func TestEventPrintsWithoutItsDetail(t *testing.T) {
	event := decode(t, edit(t, "ClusterApplyRequested", "detail/spec", "hunter2"))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "event", event)
	if text := fmt.Sprintf("%v %+v %#v %s", event, event, event, &event) + log.String(); strings.Contains(text, "hunter2") || !strings.Contains(text, "ClusterApplyRequested") {
		t.Error(text)
	}
}
