package e2e

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// life is a cluster without machines: what runs in it, runs on Fargate. Pods get an AWS role by a service account, and
// somebody may look.
const life = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: life, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
iam:
  withOIDC: true
  serviceAccounts:
    - metadata: {name: reader, namespace: apps}
      wellKnownPolicies: {externalDNS: true}
accessConfig: {authenticationMode: API}
fargateProfiles:
  - {name: everything, selectors: [{namespace: kube-system}, {namespace: apps}]}
`

// TestLife: a file in the bucket for specs becomes a cluster, a changed file changes it, and a request ends it. All of it
// with the functions' binaries and permissions, a real API server, and a cloud that fails now and then.
func TestLife(t *testing.T) {
	t.Parallel()
	c := cloud(t, faults.Hostile)
	s, cfg, bucket := scene.New(c), scene.Config(c), c.Stack.Outputs["ekspedite-data.SpecsBucket"]
	files := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	ended := func(what, outcome string, since time.Time) events.RunFinished {
		t.Helper()
		run, err := s.AwaitRun(t.Context(), what, 5*time.Minute, func(r events.RunFinished) bool {
			return r.Function == "cluster" && r.Subject.Cluster == "life" && r.FinishedAt.After(since)
		})
		if err != nil {
			t.Fatal(err)
		}
		if run.Outcome != outcome {
			t.Fatalf("%s: %s: %s", what, run.Outcome, run.Reason)
		}
		t.Logf("%s: %s after %s, %v", what, run.Outcome, run.FinishedAt.Sub(since).Round(time.Millisecond), run.Counts)
		return run
	}
	put := func(what, text string) events.RunFinished {
		t.Helper()
		since := time.Now()
		if _, err := files.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("clusters/life.yaml"), Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
		return ended(what, events.OutcomeActive, since)
	}
	put("created", life)
	client, err := s.Admin("life")
	if err != nil {
		t.Fatal(err)
	}
	account, err := client.Object(t.Context(), fleet.Ref{Name: "v1|ServiceAccount|apps|reader"})
	if err != nil || !strings.Contains(fmt.Sprint(fleet.At(account.Props, "metadata", "annotations")), "role/ekspedite/us-east-1/life/") {
		t.Errorf("the service account has no role: %v, %v", account.Props, err)
	}

	if run := put("changed", strings.Replace(life, "withOIDC: true", "withOIDC: true\n  podIdentityAssociations: []", 1)); run.Counts["writes"] != 0 {
		t.Errorf("a file that says the same made %d writes", run.Counts["writes"])
	}
	changed := strings.Replace(life, "fargateProfiles:", "cloudWatch: {clusterLogging: {enableTypes: [audit]}}\nfargateProfiles:", 1)
	if run := put("logging", changed); run.Counts["writes"] != 1 {
		t.Errorf("logging took %d writes", run.Counts["writes"])
	}

	asked := time.Now()
	e, err := events.New(&events.ClusterDeleteRequested{RequestID: rand.Text(), Cluster: "life", Region: "us-east-1"}, rand.Text(), asked, c.World.Account, c.World.Region)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bus.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	ended("deleted", events.OutcomeDeleted, asked)
	left, err := ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{{Name: aws.String("tag-key"), Values: []string{fleet.TagCluster}}}})
	if err != nil || len(left.Vpcs) != 0 || len(c.EKS.Clusters()) != 0 {
		t.Errorf("left: %v, %v, %v", left, c.EKS.Clusters(), err)
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
}
