package webhook_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/webhook"
)

// secret is in every part of a request that is one.
const secret = "Xo9secretXo9"

func request(url string) webhook.Request {
	return webhook.Request{
		URL: url + "/services/" + secret + "?token=" + secret, Headers: map[string]string{"Authorization": "Bearer " + secret},
		ContentType: "application/json", Body: []byte(`{"title":"x"}`),
	}
}

// silent fails when an error tells the secret.
func silent(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("the error tells the secret: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status     int
		answer     string
		want       string // of the error
		class      fault.Class
		unsure     bool
		retryAfter string
	}{
		{status: 200, answer: "ok"},
		{status: 202},
		{status: 429, retryAfter: "7", want: "429", class: fault.Throttled},
		{status: 500, answer: "internal_error", want: "(internal_error)", class: fault.Transient},
		{status: 503, answer: "you sent " + secret, want: "503 Service Unavailable", class: fault.Transient},
		{status: 502, want: "may have", class: fault.Transient, unsure: true},
		{status: 504, want: "may have", class: fault.Transient, unsure: true},
		{status: 404, answer: "no_service", want: "(no_service)", class: fault.Invalid},
		{status: 403, answer: secret, want: "403", class: fault.Invalid},
		{status: 302, want: "not followed", class: fault.Invalid},
	} {
		var got string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got != "" {
				t.Error("it was asked twice")
			}
			body, _ := io.ReadAll(r.Body)
			got = r.Method + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("Authorization") + " " + string(body)
			w.Header().Set("Location", "/elsewhere")
			if c.retryAfter != "" {
				w.Header().Set("Retry-After", c.retryAfter)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.answer)
		}))
		err := webhook.New(time.Second, true).Post(t.Context(), request(server.URL))
		server.Close()
		silent(t, err)
		if got != "POST application/json Bearer "+secret+` {"title":"x"}` {
			t.Errorf("%d: it got %q", c.status, got)
		}
		if c.want == "" {
			if err != nil {
				t.Errorf("%d: %v", c.status, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != c.class || fault.Unsure(err) != c.unsure {
			t.Errorf("%d: %v, class %s, unsure %t", c.status, err, fault.Of(err), fault.Unsure(err))
		}
		if c.retryAfter != "" && fault.RetryAfter(err) != 7*time.Second {
			t.Errorf("%d: again after %s", c.status, fault.RetryAfter(err))
		}
	}
}

// What was certainly not taken may be sent again; of what may have been, the error says so.
func TestNoAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	listener.Close()
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-release
	}))
	defer slow.Close()
	defer close(release)
	hangsUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangsUp.Close()
	noTLS := "https" + strings.TrimPrefix(slow.URL, "http")
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing: no TLS handshake
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	for name, c := range map[string]struct {
		url, want string
		class     fault.Class
		unsure    bool
	}{
		"nobody listens":  {nobody, "connection refused", fault.Transient, false},
		"slow":            {slow.URL, "no answer within", fault.Transient, true},
		"hangs up":        {hangsUp.URL, "without an answer", fault.Transient, true},
		"speaks no TLS":   {noTLS, "no connection", fault.Transient, false},
		"mute":            {"https://" + mute.Addr().String(), "no connection could be made", fault.Transient, false},
		"own certificate": {untrusted.URL, "certificate", fault.Invalid, false},
		"no such host":    {"https://" + secret + ".invalid", "", fault.Transient, false},
	} {
		err := webhook.New(300*time.Millisecond, true).Post(t.Context(), request(c.url))
		silent(t, err)
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != c.class || fault.Unsure(err) != c.unsure {
			t.Errorf("%s: %v, class %s, unsure %t", name, err, fault.Of(err), fault.Unsure(err))
		}
	}
}

// Nothing is sent to EC2's metadata, to Lambda's Runtime API, or without TLS, whatever a secret says.
func TestForbiddenAddresses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, url := range []string{
		"https://169.254.169.254", "https://169.254.100.1", "https://[fe80::1]", "https://[fd00:ec2::254]", "https://[::ffff:169.254.169.254]",
		"https://[64:ff9b::a9fe:a9fe]", "https://127.0.0.1:9001", "https://localhost:9001", "https://[::1]", "https://0.0.0.0", "https://224.0.0.1",
		"http://127.0.0.1:9001", "http://example.com", "ftp://example.com", "https://", "nonsense", "http://169.254.169.254",
	} {
		err := webhook.New(time.Second, false).Post(ctx, request(url))
		silent(t, err)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "its address") {
			t.Errorf("%s: %v", url, err)
		}
	}
	err := webhook.New(time.Second, true).Post(ctx, request("http://169.254.169.254"))
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("with loopback: %v", err)
	}
}
