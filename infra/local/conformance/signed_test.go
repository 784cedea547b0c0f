package conformance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// answered is a response to a signed call.
type answered struct {
	status int
	header http.Header
	body   []byte
}

// signed makes a call to a JSON API whose SDK is not among this module's dependencies. in is what to send as JSON, or a
// []byte to be sent as it is.
func signed(t *testing.T, tg Target, service, method, path string, header map[string]string, in any) answered {
	t.Helper()
	var body []byte
	switch v := in.(type) {
	case nil:
	case []byte:
		body = v
	default:
		var err error
		if body, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	endpoint := tg.Endpoint
	if endpoint == "" {
		endpoint = "https://" + service + "." + tg.Region + ".amazonaws.com"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, endpoint+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	creds, err := tg.Config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, req, hex.EncodeToString(sum[:]), service, tg.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answered{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return a
}

// ok returns the members of a successful response.
func (a answered) ok(t *testing.T) map[string]any {
	t.Helper()
	if a.status/100 != 2 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	out := map[string]any{}
	if len(bytes.TrimSpace(a.body)) == 0 {
		return out
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return out
}

// fails checks the status and the error's code, wherever the protocol has it.
func (a answered) fails(t *testing.T, status int, code string) {
	t.Helper()
	var e struct {
		Type string `json:"__type"`
	}
	_ = json.Unmarshal(a.body, &e) // a body that is not JSON has no code, which is reported below
	got := e.Type
	if h := a.header.Get("X-Amzn-Errortype"); h != "" {
		got = h
	}
	got = got[strings.LastIndexByte(got, '#')+1:]
	if got, _, _ = strings.Cut(got, ":"); a.status != status || got != code {
		t.Errorf("got %d %s, want %d %s: %s", a.status, got, status, code, a.body)
	}
}
