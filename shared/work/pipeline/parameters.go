package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// Parameters are the action's UserParameters, as JSON. CodePipeline allows 1,000 characters.
type Parameters struct {
	// Action is "apply" (the default) or "plan", which writes nothing.
	Action string `json:"action"`
	// Spec is where the YAML documents are, s3://bucket/key?versionId=…, or the documents themselves.
	Spec string `json:"spec"`
	// Prune asks for the end of what is not in the spec any more.
	Prune bool `json:"prune"`
	// DryRun makes an apply a plan.
	DryRun bool `json:"dryRun"`
	// Wait, unless it is false, keeps the action open until the work is over.
	Wait *bool `json:"wait"`
}

const (
	apply = "apply"
	plan  = "plan"
)

// readParameters reads the parameters, and refuses what nobody would act on.
func readParameters(text string) (Parameters, error) {
	var p Parameters
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf(`the action's UserParameters are not as they should be, {"action": "apply", "spec": "s3://bucket/key"}: %w`, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("the action's UserParameters go on behind the JSON object")
	}
	switch p.Action {
	case "":
		p.Action = apply
	case apply, plan:
	default:
		return p, fmt.Errorf("the action's UserParameters ask for %q: it is apply or plan", p.Action)
	}
	if p.Action == plan {
		p.DryRun = true
	}
	if strings.TrimSpace(p.Spec) == "" {
		return p, errors.New("the action's UserParameters name no spec: s3://bucket/key, or the documents themselves")
	}
	return p, nil
}

// text reads the spec's documents.
func (w *Work) text(ctx context.Context, p Parameters) ([]byte, error) {
	rest, ok := strings.CutPrefix(p.Spec, "s3://")
	if !ok {
		return []byte(p.Spec), nil
	}
	bucket, key, _ := strings.Cut(rest, "/")
	key, query, _ := strings.Cut(key, "?")
	q, err := url.ParseQuery(query)
	if err != nil || bucket == "" || key == "" {
		return nil, configuration("spec %q is not s3://bucket/key?versionId=…", p.Spec)
	}
	return w.Files.Read(ctx, bucket, key, q.Get("versionId"))
}

// clusters are those that the documents are about.
func clusters(text []byte) ([]fleet.ClusterID, error) {
	specs, said := spec.Parse(text)
	if err := said.Err(); err != nil {
		return nil, configuration("%v", err)
	}
	var ids []fleet.ClusterID
	for _, s := range specs {
		ids = append(ids, fleet.ClusterID{Region: s.Cluster.Region, Name: s.Cluster.Name})
	}
	return ids, nil
}

// token is what is remembered between two jobs of an action. CodePipeline keeps it.
type token struct {
	// Request is the first job's id, and the id of the request.
	Request string    `json:"request"`
	Since   time.Time `json:"since"`
	// Clusters are those that were asked for; none while the request has not been made.
	Clusters []string `json:"clusters,omitempty"`
	DryRun   bool     `json:"dryRun,omitempty"`
}

// maxToken is CodePipeline's limit, in characters.
const maxToken = 2048

func (t token) String() string {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // texts and a time
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

// run is the run of one of the clusters.
func (t token) run(cluster string) (fleet.ClusterID, string) {
	id := fleet.ParseClusterID(cluster)
	return id, ledger.RunID(t.Request, id)
}
