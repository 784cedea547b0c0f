package awscloud_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fault"
)

const topicARN = "arn:aws:sns:eu-west-1:123456789012:ekspedite-x"

// A message is published once, whatever comes back, in the topic's own Region; an error says whether it may have been taken.
func TestTopicsPublishOnce(t *testing.T) {
	refused := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>`+code+`</Code><Message>no</Message></Error></ErrorResponse>`)
		}
	}
	release := make(chan struct{})
	defer close(release)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		class  fault.Class
		unsure bool
		ok     bool
	}{
		"taken": {answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>`)
		}, ok: true},
		"denied":    {answer: refused(403, "AuthorizationError"), class: fault.Denied},
		"no topic":  {answer: refused(404, "NotFound"), class: fault.Invalid},
		"throttled": {answer: refused(400, "Throttling"), class: fault.Throttled},
		"broken":    {answer: refused(500, "InternalError"), class: fault.Transient},
		"hangs up":  {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, class: fault.Transient, unsure: true},
		"slow":      {answer: func(http.ResponseWriter, *http.Request) { <-release }, class: fault.Transient, unsure: true},
	} {
		calls, form := 0, url.Values{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls++
			body, _ := io.ReadAll(r.Body)
			form, _ = url.ParseQuery(string(body))
			if !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/sns/") {
				t.Errorf("%s: signed as %s", name, r.Header.Get("Authorization"))
			}
			c.answer(w, r)
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		topics := awscloud.NewTopics(awscloud.Static(server.URL, "us-east-1", "AKIA", "s"))
		err := topics.Publish(ctx, topicARN, notify.Body{Subject: "s", Data: []byte("m"), Attributes: map[string]string{"cluster": "blue"}})
		cancel()
		if calls != 1 || form.Get("TopicArn") != topicARN || form.Get("Message") != "m" || form.Get("Subject") != "s" || form.Get("MessageAttributes.entry.1.Value.StringValue") != "blue" {
			t.Errorf("%s: %d calls, %v", name, calls, form)
		}
		if c.ok != (err == nil) || err != nil && (fault.Of(err) != c.class || fault.Unsure(err) != c.unsure) {
			t.Errorf("%s: %v, class %s, unsure %t", name, err, fault.Of(err), fault.Unsure(err))
		}
		go server.Close() // waits for the slow one, which ends with the test
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	listener.Close()
	err = awscloud.NewTopics(awscloud.Static(nobody, "us-east-1", "AKIA", "s")).Publish(t.Context(), topicARN, notify.Body{Subject: "s", Data: []byte("m")})
	if err == nil || fault.Unsure(err) || fault.Of(err) != fault.Transient {
		t.Errorf("nobody listens: %v, unsure %t", err, fault.Unsure(err))
	}
	if err := awscloud.NewTopics(awscloud.Static(nobody, "us-east-1", "AKIA", "s")).Publish(t.Context(), "x", notify.Body{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no ARN: %v", err)
	}
}
