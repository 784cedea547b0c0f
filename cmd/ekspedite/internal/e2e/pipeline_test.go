package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ekspedite/ekspedite/infra/local/codepipeline"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/awscloud"
)

// TestPipeline: a stage of a pipeline asks for the plan of a spec in the bucket for specs. The pipeline function asks the
// cluster function, and answers CodePipeline until that has told its plan; no control plane is needed for it.
func TestPipeline(t *testing.T) {
	t.Parallel()
	c := cloud(t, faults.None)
	function, bucket := c.Stack.Outputs["ekspedite-automation.PipelineFunctionName"], c.Stack.Outputs["ekspedite-data.SpecsBucket"]
	text, err := os.ReadFile(filepath.Join(root, "examples", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := awscloud.Static(c.Endpoint(), "us-east-1", c.AccessKey(), c.SecretKey())
	files, key := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), "pipeline/demo" // no .yaml: it is not to be applied on arrival
	if _, err := files.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(string(text))}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	run := func(parameters string) codepipeline.Action {
		id, err := c.CodePipeline.StartJob(function, parameters)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-c.CodePipeline.Done(id):
		case <-time.After(2 * time.Minute):
			t.Error("the action does not end")
		}
		a, _ := c.CodePipeline.Job(id)
		return a
	}
	a := run(fmt.Sprintf(`{"action": "plan", "spec": "s3://%s/%s"}`, bucket, key))
	if a.Status != codepipeline.Succeeded || a.Jobs < 2 || !strings.Contains(a.OutputVariables["reason"], "nothing was written") {
		t.Errorf("%+v", a)
	}
	t.Logf("%s, %d jobs: %s", time.Since(begun).Round(time.Millisecond), a.Jobs, a.OutputVariables["reason"])
	if a := run(`{"action": "plan", "spec": "kind: ClusterConfig"}`); a.Status != codepipeline.Failed || a.FailureType != "ConfigurationError" {
		t.Errorf("%+v", a)
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
	if r, ok := c.Stack.Find("PipelineLogGroup"); ok {
		log := strings.Join(c.Logs.Lines(r.Ref), "\n")
		if !strings.Contains(log, "the action succeeds") || strings.Contains(log, "ASIAPIPELINE") {
			t.Errorf("the log:\n%s", log)
		}
	}
}
