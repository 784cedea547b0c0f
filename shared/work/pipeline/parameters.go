package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Parameters are the action's UserParameters, as JSON. CodePipeline allows 1,000 characters.
type Parameters struct {
	// Action is "apply" (the default), "plan", which writes nothing, "check", "upgrade" or "soak".
	Action string `json:"action"`

	// Spec is where the YAML documents are, s3://bucket/key?versionId=…, or the documents themselves.
	Spec string `json:"spec"`
	// Prune asks for the end of what is not in the spec any more.
	Prune bool `json:"prune"`
	// DryRun makes an apply a plan.
	DryRun bool `json:"dryRun"`
	// Wait, unless it is false, keeps an apply, a plan or an upgrade open until the work is over.
	Wait *bool `json:"wait"`

	// Clusters, "name" or "region/name", or Ring are what a check or an upgrade is for. A soak is a ring's.
	Clusters []string `json:"clusters"`
	Ring     string   `json:"ring"`
	// To is the version, "1.36". An upgrade without one needs Patch, which asks for add-ons and node images as new as they get.
	To    fleet.Minor `json:"to"`
	Patch bool        `json:"patch"`
	// Now starts outside maintenance windows; blackouts and freezes hold.
	Now bool `json:"now"`
	// OnBlockers is "fail" (the default), or "report": a check with blockers succeeds, and its variables tell.
	OnBlockers string `json:"onBlockers"`
	// Rollout is the one whose soak is waited for; by default the ring's last.
	Rollout string `json:"rollout"`
	// For is how long a soak lasts; by default as long as the fleet policy says for the ring.
	For duration `json:"for"`

	// HandOff is after which time an upgrade or a soak succeeds although it is not over, with the variable handedOff. By default
	// 20h where Approval names who waits on, and else never.
	HandOff duration `json:"handOff"`
	// Approval is the approval action behind this one that ekspedite answers when all is over.
	Approval *ledger.PipelineApproval `json:"approval"`
}

// duration is Go's way of writing one: "20h", "1h30m".
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err == nil && v <= 0 {
		err = fmt.Errorf("%q is not more than nothing", text)
	}
	*d = duration(v)
	return err
}

const (
	apply   = "apply"
	plan    = "plan"
	check   = "check"
	upgrade = "upgrade"
	soak    = "soak"
)

// fields are the parameters that each action knows, beside "action".
var fields = map[string][]string{
	apply:   {"spec", "prune", "dryRun", "wait"},
	plan:    {"spec", "prune", "dryRun", "wait"},
	check:   {"clusters", "ring", "to", "patch", "onBlockers"},
	upgrade: {"clusters", "ring", "to", "patch", "now", "wait", "handOff", "approval"},
	soak:    {"ring", "rollout", "for", "handOff", "approval"},
}

// defaultHandOff leaves three hours of patience for what may go wrong with the answer.
const defaultHandOff = 20 * time.Hour

// readParameters reads the parameters, and refuses what nobody would act on.
func readParameters(text string) (Parameters, error) {
	var p Parameters
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf(`the action's UserParameters are not as they should be, {"action": "apply", "spec": "s3://bucket/key"} or {"action": "upgrade", "ring": "canary", "to": "1.36"}: %w`, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("the action's UserParameters go on behind the JSON object")
	}
	if p.Action == "" {
		p.Action = apply
	}
	known, ok := fields[p.Action]
	if !ok {
		return p, fmt.Errorf("the action's UserParameters ask for %q: it is apply, plan, check, upgrade or soak", p.Action)
	}
	var said map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		return p, err
	}
	for name := range said {
		if !strings.EqualFold(name, "action") && !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			return p, fmt.Errorf("the action's UserParameters have %q, which action %s does not know: it knows %s", name, p.Action, strings.Join(known, ", "))
		}
	}
	if p.Action == apply || p.Action == plan {
		p.DryRun = p.DryRun || p.Action == plan
		if strings.TrimSpace(p.Spec) == "" {
			return p, errors.New("the action's UserParameters name no spec: s3://bucket/key, or the documents themselves")
		}
		return p, nil
	}
	return p, p.checkUpgrade()
}

// checkUpgrade checks the parameters of a check, an upgrade or a soak, and fills in what they leave out.
func (p *Parameters) checkUpgrade() error {
	switch {
	case p.Action == soak && p.Ring == "":
		return errors.New("the action's UserParameters name no ring: a soak is a ring's")
	case p.Action != soak && (p.Ring == "") == (len(p.Clusters) == 0):
		return errors.New(`the action's UserParameters must name either a "ring" or "clusters"`)
	case p.Action == upgrade && p.To == 0 && !p.Patch:
		return errors.New(`the action's UserParameters say neither "to" which version, such as "1.36", nor "patch"`)
	case p.Action == upgrade && p.Ring != "" && p.To != 0 && p.Patch:
		return errors.New(`a ring is brought to a version, or patched within its own: leave out "to" or "patch"`)
	case p.OnBlockers != "" && p.OnBlockers != "fail" && p.OnBlockers != "report":
		return fmt.Errorf(`onBlockers is %q: it is "fail" or "report"`, p.OnBlockers)
	case time.Duration(p.HandOff) > patience:
		return fmt.Errorf("handOff is %s: CodePipeline ends an action after 24 hours, and this one gives up after %s", time.Duration(p.HandOff), patience)
	}
	if p.Approval == nil {
		return nil
	}
	if p.HandOff == 0 {
		p.HandOff = duration(defaultHandOff)
	}
	for _, field := range []struct{ name, value string }{{"pipeline", p.Approval.Pipeline}, {"stage", p.Approval.Stage}, {"action", p.Approval.Action}} {
		if !pipelineNames.MatchString(field.value) {
			return fmt.Errorf("approval.%s is %q: it is the name of the pipeline, the stage or the action of the approval that waits for this one", field.name, field.value)
		}
	}
	if !executions.MatchString(p.Approval.Execution) {
		return fmt.Errorf("approval.execution is %q: write #{codepipeline.PipelineExecutionId}, for which CodePipeline puts the execution's id", p.Approval.Execution)
	}
	return nil
}

// What CodePipeline's API allows as names, and as ids of executions.
var (
	pipelineNames = regexp.MustCompile(`^[A-Za-z0-9.@_-]{1,100}$`)
	executions    = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// place is where a spec in S3 is; ok is false for one that is given as text.
func place(spec string) (bucket, key, version string, ok bool, err error) {
	rest, ok := strings.CutPrefix(spec, "s3://")
	if !ok {
		return "", "", "", false, nil
	}
	bucket, key, _ = strings.Cut(rest, "/")
	key, query, _ := strings.Cut(key, "?")
	q, err := url.ParseQuery(query)
	if err != nil || bucket == "" || key == "" {
		return "", "", "", true, configuration("spec %q is not s3://bucket/key?versionId=…", spec)
	}
	return bucket, key, q.Get("versionId"), true, nil
}

// token is what CodePipeline keeps between two jobs of an action: which one it is. All else is in the ledger.
type token struct {
	// Request is the first job's id, and the id of the request.
	Request string    `json:"request"`
	Since   time.Time `json:"since"`
}

func (t token) String() string {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // a text and a time
	}
	return string(text)
}

func readToken(text string) (t token, err error) {
	err = json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&t)
	if err == nil && (t.Request == "" || t.Since.IsZero()) {
		err = errors.New("it says of no request")
	}
	if err != nil {
		err = fmt.Errorf("the continuation token is not ekspedite's: %w", err)
	}
	return t, err
}
