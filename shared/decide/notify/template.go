package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Data is what a webhook's template sees, and what a webhook without one gets as JSON.
type Data struct {
	Title string `json:"title"`
	Text  string `json:"text"` // the whole message, in lines
	// Digest: the message stands for several reports. Run is the first of them.
	Digest bool              `json:"digest"`
	Run    Report            `json:"-"`
	Runs   []Report          `json:"runs"`
	Links  map[string]string `json:"links,omitempty"` // Logs, Dashboard
}

func newData(m message, reports []Report) Data {
	d := Data{Title: m.title, Text: m.plain(), Digest: len(reports) > 1, Run: reports[0], Runs: reports, Links: map[string]string{}}
	for _, l := range m.links {
		d.Links[l.text] = l.url
	}
	return d
}

// MaxTemplate is how long a template may be, and maxBody what may come of it, in bytes.
const (
	MaxTemplate = 16 << 10
	maxBody     = 256 << 10
)

// functions are those of templates, besides text/template's own. None of them reaches anything but its arguments.
var functions = template.FuncMap{
	"json":    toJSON,
	"upper":   strings.ToUpper,
	"lower":   strings.ToLower,
	"trim":    strings.TrimSpace,
	"join":    func(separator string, list []string) string { return strings.Join(list, separator) },
	"default": func(otherwise, s string) string { return map[bool]string{true: otherwise, false: s}[s == ""] },
	"cut":     func(most int, s string) string { return cut(s, most) },
	"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}

func toJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSpace(b.String()), err
}

// limited takes so many bytes and no more.
type limited struct {
	bytes.Buffer
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxBody {
		return 0, fmt.Errorf("it writes more than %d KiB", maxBody>>10)
	}
	return l.Buffer.Write(p)
}

// contentType is what a webhook's own header says, or JSON.
func contentType(t fleet.NotificationTarget) string {
	for _, h := range t.Headers {
		if strings.EqualFold(h.Name, "Content-Type") && h.Value != "" {
			return h.Value
		}
	}
	return jsonType
}

func webhook(t fleet.NotificationTarget, d Data) (Body, error) {
	if t.Template == "" {
		b, err := encode(d)
		b.ContentType = contentType(t)
		return b, err
	}
	tmpl, err := parse(t.Template)
	if err != nil {
		return Body{}, err
	}
	var out limited
	if err := tmpl.Execute(&out, d); err != nil {
		return Body{}, err
	}
	return Body{ContentType: contentType(t), Data: out.Bytes()}, nil
}

func parse(text string) (*template.Template, error) {
	return template.New("notification").Funcs(functions).Option("missingkey=error").Parse(text)
}

// TemplateError says what is wrong with a template.
type TemplateError struct {
	Line int // of the template, from 1; 0 if it is of none
	Text string
}

func (e *TemplateError) Error() string { return e.Text }

var templateErrors = regexp.MustCompile(`(?s)^template: notification:([0-9]+)(?::[0-9]+)?: (.*)$`)

// CheckTemplate tries a webhook's template with reports of every kind. What it makes has to be JSON, if that is what the target
// is told it is.
func CheckTemplate(t fleet.NotificationTarget) error {
	if len(t.Template) > MaxTemplate {
		return &TemplateError{Text: fmt.Sprintf("has %d bytes: %d at most", len(t.Template), MaxTemplate)}
	}
	samples := Samples()
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		b, err := Compose(t, samples[name], Links{Region: "us-east-1", Dashboard: "ekspedite"})
		if err != nil {
			m := templateErrors.FindStringSubmatch(err.Error())
			if m == nil {
				return &TemplateError{Text: err.Error()}
			}
			line, _ := strconv.Atoi(m[1])
			return &TemplateError{line, m[2]}
		}
		if strings.HasPrefix(contentType(t), jsonType) {
			var syntax *json.SyntaxError
			var any json.RawMessage
			if err := json.Unmarshal(b.Data, &any); errors.As(err, &syntax) {
				line := 1 + bytes.Count(b.Data[:min(int(syntax.Offset), len(b.Data))], []byte("\n"))
				return &TemplateError{Text: fmt.Sprintf("gives no JSON with a sample of %s (line %d of what it gives: %v): use {{json .Title}} for a text with its quotes, or set a header Content-Type", name, line, err)}
			}
		}
	}
	return nil
}

// Samples are reports of every kind, for trying templates and targets.
func Samples() map[string][]Report {
	at := time.Date(2026, 3, 3, 2, 4, 12, 0, time.UTC)
	started := Report{
		Moment: fleet.MomentStarted, RunID: "run-02", Function: "interruption", Cluster: "blue", Region: "us-east-1", Node: "ip-10-0-1-23.ec2.internal",
		InstanceID: "i-0b662ef9931388ba0", NodeGroup: "workers", Cause: "SpotInterruption", EventTime: at, StartedAt: at.Add(time.Second), Deadline: at.Add(2 * time.Minute),
	}
	partly := started
	partly.Moment, partly.Outcome, partly.Reason, partly.Deadline = fleet.MomentFinished, "PartiallyDrained", `the machine's end has come, says "EC2"`, time.Time{}
	partly.FinishedAt = at.Add(2 * time.Minute)
	partly.Counts = map[string]int64{"podsEvicted": 18, "podsForced": 1, "evictionsRefused": 7}
	partly.Left = []string{"default/web-1 by PodDisruptionBudget web"}
	upgraded := Report{
		Moment: fleet.MomentFinished, RunID: "cluster-9f3a", Function: "upgrade", Cluster: "blue", Region: "us-east-1", Outcome: "Failed", Reason: "from 1.34 to 1.36",
		StartedAt: at, FinishedAt: at.Add(time.Hour), Failures: []string{"nodegroup/spot: Ec2SubnetInvalidConfiguration: the subnet is full: free addresses"},
	}
	rollout := Report{Moment: fleet.MomentFinished, RunID: "rollout-1", Function: "upgrade", Outcome: "Upgraded", StartedAt: at, FinishedAt: at.Add(time.Hour)}
	digest := []Report{started, partly, upgraded, rollout}
	for i := range 20 {
		r := started
		r.RunID, r.Node = "run-1"+strconv.Itoa(i), fmt.Sprintf("ip-10-0-2-%d.ec2.internal", i)
		digest = append(digest, r)
	}
	return map[string][]Report{
		"a run's start": {started}, "a drain that was cut short": {partly}, "an upgrade that failed": {upgraded}, "a rollout": {rollout}, "a digest": digest,
	}
}
