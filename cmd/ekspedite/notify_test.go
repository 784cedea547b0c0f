package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// notifying is a rig whose fleet tells two targets.
func notifying(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	p := fleet.DefaultFleetPolicy()
	p.Notifications = []fleet.NotificationTarget{
		{Name: "slack", Type: fleet.NotifySlack, Parameter: "/ekspedite/notify/slack", On: []fleet.Moment{fleet.MomentFailed}, Functions: []string{"upgrade"}},
		{Name: "mail", Type: fleet.NotifySNS, TopicARN: "arn:aws:sns:us-east-1:123456789012:ekspedite-mail", On: []fleet.Moment{fleet.MomentStarted}, Functions: []string{"interruption"}},
	}
	if _, err := r.work.Ledger.KeepFleetPolicy(t.Context(), p, time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

func typed(ctx context.Context, args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = exec(ctx, args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestNotifyShow(t *testing.T) {
	notifying(t)
	code, out, errs := typed(t.Context(), "notify", "show")
	if code != 0 || !strings.Contains(out, "slack") || !strings.Contains(out, "/ekspedite/notify/slack") || !strings.Contains(out, "Failed") || !strings.Contains(out, "ekspedite-mail") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	code, out, _ = typed(t.Context(), "notify", "show", "-o", "json")
	var views []told
	if err := json.Unmarshal([]byte(out), &views); code != 0 || err != nil || len(views) != 2 || views[0].Name != "mail" {
		t.Errorf("%d %s %v", code, out, err)
	}
	if code, _, errs := typed(t.Context(), "notify", "show", "--cluster", "nobody"); code != exitFailed || !strings.Contains(errs, "no cluster nobody") {
		t.Errorf("%d %s", code, errs)
	}
}

// `notify test` puts a request on the bus, and says of each target what the function has noted.
func TestNotifyTest(t *testing.T) {
	r := notifying(t)
	l := r.work.Ledger
	answer := ledger.NoticeSent
	r.cloud.EventBridge.Watch(func(_ string, body []byte) { // in place of the function
		e, err := events.Decode(body)
		p, ok := e.Payload.(*events.NotificationTestRequested)
		if err != nil || !ok {
			return
		}
		for _, target := range []string{"slack", "mail"} {
			if p.Target != "" && p.Target != target {
				continue
			}
			n, ok, err := l.ClaimNotice(context.Background(), ledger.Notice{RunID: p.RequestID, Moment: "Test", Target: target, By: "x"})
			if err != nil || !ok {
				t.Errorf("%t %v", ok, err)
			}
			state, why := ledger.NoticeSent, ""
			if target == "slack" && answer != state {
				state, why = answer, "webhook: it answered 404 Not Found (no_service)"
			}
			if err := l.SettleNotice(context.Background(), n, state, why); err != nil {
				t.Error(err)
			}
		}
	})
	code, out, errs := typed(t.Context(), "notify", "test")
	if code != 0 || strings.Count(out, "Sent") != 2 {
		t.Errorf("%d %s %s", code, out, errs)
	}
	answer = ledger.NoticeRefused
	code, out, errs = typed(t.Context(), "notify", "test", "--target", "slack")
	if code != exitFailed || !strings.Contains(out, "it answered 404 Not Found (no_service)") || strings.Contains(out, "mail") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if code, _, errs := typed(t.Context(), "notify", "test", "--target", "pager"); code != exitUsage || !strings.Contains(errs, "it is one of mail, slack") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestNotifyTestMistakes(t *testing.T) {
	newRig(t)
	if code, _, errs := typed(t.Context(), "notify", "test"); code != exitFailed || !strings.Contains(errs, "nobody is told") {
		t.Errorf("%d %s", code, errs)
	}
	if code, out, _ := typed(t.Context(), "notify", "show"); code != 0 || !strings.Contains(out, "nobody is told") {
		t.Errorf("%d %s", code, out)
	}
	if code, _, _ := typed(t.Context(), "notify", "test", "x"); code != exitUsage {
		t.Errorf("%d", code)
	}
	notifying(t) // nobody answers
	if code, _, errs := typed(t.Context(), "notify", "test", "--timeout", "1s"); code != exitTimeout || !strings.Contains(errs, "--timeout 1s is over") {
		t.Errorf("%d %s", code, errs)
	}
}
