package notify_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func target(kind fleet.NotificationType) fleet.NotificationTarget {
	return fleet.NotificationTarget{Name: "x", Type: kind, On: []fleet.Moment{fleet.MomentStarted, fleet.MomentFinished}, Functions: fleet.NotifiedUnlessSaidElse}
}

func report(moment fleet.Moment, function, outcome string) notify.Report {
	at := time.Date(2026, 3, 3, 2, 4, 12, 0, time.UTC)
	return notify.Report{Moment: moment, RunID: "run-" + function + outcome, Function: function, Outcome: outcome, Cluster: "blue", Region: "us-east-1", StartedAt: at, FinishedAt: at.Add(time.Minute)}
}

func TestWants(t *testing.T) {
	const started, finished, failed = fleet.MomentStarted, fleet.MomentFinished, fleet.MomentFailed
	removal := report(started, "interruption", "")
	removal.Cause = "NodeRemovalRequested"
	for _, c := range []struct {
		name string
		edit func(*fleet.NotificationTarget)
		r    notify.Report
		want bool
	}{
		{"a start", nil, report(started, "interruption", ""), true},
		{"an end", nil, report(finished, "interruption", "Drained"), true},
		{"scaling, unless asked for", nil, report(finished, "scaling", "Scaled"), false},
		{"scaling", func(t *fleet.NotificationTarget) { t.Functions = []string{"scaling"} }, report(finished, "scaling", "Scaled"), true},
		{"nothing to do", nil, report(finished, "interruption", "NothingToDo"), false},
		{"nothing to do, by name", func(t *fleet.NotificationTarget) { t.Outcomes = []string{"NothingToDo"} }, report(finished, "interruption", "NothingToDo"), true},
		{"another outcome", func(t *fleet.NotificationTarget) { t.Outcomes = []string{"Failed"} }, report(finished, "interruption", "Drained"), false},
		{"a removal", nil, removal, false},
		{"a removal, by name", func(t *fleet.NotificationTarget) { t.Outcomes = []string{"NodeRemoved"} }, removal, true},
		{"failures only: an end", func(t *fleet.NotificationTarget) { t.On = []fleet.Moment{failed} }, report(finished, "upgrade", "Upgraded"), false},
		{"failures only: a failure", func(t *fleet.NotificationTarget) { t.On = []fleet.Moment{failed} }, report(finished, "upgrade", "Failed"), true},
		{"failures only: a start", func(t *fleet.NotificationTarget) { t.On = []fleet.Moment{failed} }, report(started, "upgrade", ""), false},
		{"ends only: a start", func(t *fleet.NotificationTarget) { t.On = []fleet.Moment{finished} }, report(started, "upgrade", ""), false},
		{"a test, always", func(t *fleet.NotificationTarget) { t.On, t.Functions = nil, nil }, report(fleet.MomentTest, "notify", ""), true},
	} {
		to := target(fleet.NotifySlack)
		if c.edit != nil {
			c.edit(&to)
		}
		if got := notify.Wants(to, c.r); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestGather(t *testing.T) {
	many := func(n, clusters int) (out []notify.Report) {
		for i := range n {
			r := report(fleet.MomentStarted, "interruption", "")
			r.RunID, r.Cluster = fmt.Sprint("run-", i), fmt.Sprint("c", i%clusters)
			out = append(out, r)
		}
		return out
	}
	for _, c := range []struct{ reports, clusters, messages int }{
		{1, 1, 1}, {3, 1, 3}, {3, 3, 3}, {4, 1, 1}, {4, 2, 2}, {400, 3, 3}, {400, 4, 1}, {1000, 20, 1},
	} {
		got := notify.Gather(many(c.reports, c.clusters))
		n := 0
		for _, m := range got {
			n += len(m)
		}
		if len(got) != c.messages || n != c.reports {
			t.Errorf("%d reports of %d clusters are %d messages with %d, want %d", c.reports, c.clusters, len(got), n, c.messages)
		}
	}
	withTest := append(many(400, 20), report(fleet.MomentTest, "notify", ""))
	if got := notify.Gather(withTest); len(got) != 2 || len(got[0]) != 1 {
		t.Errorf("a try among 400 reports: %d messages", len(got))
	}
}

// What comes from outside cannot break a form, call a channel, pretend to be a link, or be Markdown.
func TestEscaping(t *testing.T) {
	evil := report(fleet.MomentFinished, "interruption", "Failed")
	evil.Node = "<!channel> & <https://evil|click> *b* _i_ [x](https://evil) \"q\" \\ `c`\n\x00" + strings.Repeat("é", 3000)
	evil.Reason, evil.Cluster, evil.Left = evil.Node, evil.Node, []string{evil.Node}
	b, err := notify.Compose(target(fleet.NotifySlack), []notify.Report{evil}, links)
	if err != nil || !json.Valid(b.Data) {
		t.Fatalf("%v", err)
	}
	var slack struct {
		Text   string
		Blocks []struct {
			Type   string
			Text   struct{ Type, Text string }
			Fields []struct{ Type, Text string }
		}
	}
	if err := json.Unmarshal(b.Data, &slack); err != nil {
		t.Fatal(err)
	}
	for _, block := range slack.Blocks {
		switch block.Type {
		case "header":
			if block.Text.Type != "plain_text" || len(block.Text.Text) > 150 {
				t.Errorf("header %+v", block.Text)
			}
		case "section":
			if len(block.Fields) > 10 {
				t.Errorf("%d fields", len(block.Fields))
			}
			for _, f := range block.Fields {
				if strings.Contains(f.Text, "<") || len(f.Text) > 2000 {
					t.Errorf("field %.200q", f.Text)
				}
			}
		}
	}
	if strings.Contains(slack.Text, "<") {
		t.Errorf("%.200q", slack.Text)
	}
	b, err = notify.Compose(target(fleet.NotifyTeams), []notify.Report{evil}, links)
	if err != nil || !json.Valid(b.Data) || len(b.Data) > 28<<10 {
		t.Errorf("%v, %d bytes", err, len(b.Data))
	}
	if s := string(b.Data); strings.Contains(s, "[x](") || strings.Contains(s, "<!channel>") || strings.Contains(s, " *b*") {
		t.Errorf("%s", s)
	}
	b, err = notify.Compose(target(fleet.NotifySNS), []notify.Report{evil}, links)
	if err != nil || len(b.Subject) > 100 || strings.ContainsFunc(b.Subject, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%v, subject %q", err, b.Subject)
	}
}

// The largest digest fits into every form.
func TestLargeDigest(t *testing.T) {
	var all []notify.Report
	for i := range 500 {
		r := report(fleet.MomentFinished, "interruption", "PartiallyDrained")
		r.RunID, r.Cluster, r.Node = fmt.Sprint("run-", i), fmt.Sprintf("a-cluster-with-a-long-name-%d", i%20), fmt.Sprintf("ip-10-0-%d-%d.eu-central-1.compute.internal", i/256, i%256)
		for p := range 30 {
			r.Left = append(r.Left, fmt.Sprintf("namespace/a-pod-with-a-long-name-%d by PodDisruptionBudget budget", p))
		}
		all = append(all, r)
	}
	for kind, most := range map[fleet.NotificationType]int{fleet.NotifySNS: 256 << 10, fleet.NotifySlack: 40 << 10, fleet.NotifyTeams: 28 << 10} {
		b, err := notify.Compose(target(kind), all, links)
		if err != nil || len(b.Data) > most {
			t.Errorf("%s: %d bytes, %v", kind, len(b.Data), err)
		}
		if !strings.Contains(string(b.Data), "500 of them need somebody") || !strings.Contains(string(b.Data), "and 490 more") {
			t.Errorf("%s: %s", kind, b.Data)
		}
	}
}

func TestTemplates(t *testing.T) {
	for text, want := range map[string]struct {
		says string
		line int
	}{
		`{"text":{{json .Title}}}`: {},
		`{"text":{{json (upper .Run.Cluster)}},"n":{{len .Runs}},"why":{{json (default "none" .Run.Reason)}},"at":"{{rfc3339 .Run.StartedAt}}"}`: {},
		"{\n\"text\": {{json .Titel}}\n}":                           {"can't evaluate field Titel", 2},
		"{{if .Digest}}{}":                                          {"unexpected EOF", 1},
		"{{env \"HOME\"}}":                                          {`function "env" not defined`, 1},
		`{"text":"{{.Run.Reason}}"}`:                                {"gives no JSON with a sample of a drain that was cut short", 0},
		`{{range .Runs}}x{{end}}`:                                   {"gives no JSON", 0},
		`{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}`: {"maximum template depth", 1},
		`"{{range .Runs}}{{printf "%99999s" .Node}}{{end}}"`:        {"more than 256 KiB", 0},
		strings.Repeat("x", notify.MaxTemplate+1):                   {"at most", 0},
	} {
		to := target(fleet.NotifyWebhook)
		to.Template = text
		err := notify.CheckTemplate(to)
		if want.says == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		wrong, ok := err.(*notify.TemplateError)
		if !ok || !strings.Contains(wrong.Text, want.says) || want.line > 0 && wrong.Line != want.line {
			t.Errorf("%.60s: %+v", text, err)
		}
	}
	plain := target(fleet.NotifyWebhook)
	plain.Template, plain.Headers = "{{.Title}}\n", []fleet.NotificationHeader{{Name: "content-type", Value: "text/plain"}}
	if err := notify.CheckTemplate(plain); err != nil {
		t.Errorf("text: %v", err)
	}
	if b, err := notify.Compose(plain, notify.Samples()["a rollout"], links); err != nil || b.ContentType != "text/plain" || string(b.Data) != "Upgrade of the fleet: upgraded\n" {
		t.Errorf("%+v %v", b, err)
	}
}

func TestStale(t *testing.T) {
	r := report(fleet.MomentStarted, "interruption", "")
	if notify.Stale(r.StartedAt.Add(time.Minute), r) || !notify.Stale(r.StartedAt.Add(time.Hour), r) {
		t.Error("a start is news for a quarter of an hour")
	}
	r.Moment = fleet.MomentFinished
	if notify.Stale(r.StartedAt.Add(10*time.Hour), r) {
		t.Error("an end is news for longer")
	}
}
