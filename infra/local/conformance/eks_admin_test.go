package conformance

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// ownCloud is a cloud that no other suite uses, with an EKS suite on it.
func ownCloud(t *testing.T) (*local.Cloud, *eksSuite, Target) {
	t.Helper()
	c, err := local.Start(context.Background(), local.Options{Seed: 1, Faults: &faults.None, Launcher: planes{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	tg := Target{Endpoint: c.Endpoint(), Region: c.World.Region, Embedded: true}
	tg.Config = configuration(t, tg, credentials.NewStaticCredentialsProvider(c.AccessKey(), c.SecretKey(), ""))
	return c, eksSuiteOf(t, tg), tg
}

// tell calls the embedded cloud's own interface.
func tell(t *testing.T, c *local.Cloud, method, path, body string, want int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.Endpoint()+"/_ekspedite"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Errorf("%s %s %s: %d %s, %v", method, path, body, resp.StatusCode, text, err)
	}
	return string(text)
}

// TestUpgradesCanBeMadeToGoWrong drives what no AWS has: the interface with which failures are ordered.
func TestUpgradesCanBeMadeToGoWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cloud of its own")
	}
	c, s, _ := ownCloud(t)
	name := s.upgradable()
	post := func(path, body string, want int) string { t.Helper(); return tell(t, c, "POST", path, body, want) }

	post("/eks/fail", `{"cluster":"`+name+`","how":"Unknown","times":1}`, 200)
	if got := tell(t, c, "GET", "/eks/failures", "", 200); !strings.Contains(got, name) {
		t.Errorf("failures %s", got)
	}
	if u := s.to(t, name, "1.36"); u.Status != types.UpdateStatusFailed || u.Errors[0].ErrorCode != types.ErrorCodeUnknown {
		t.Errorf("%+v", u)
	}
	for _, bad := range []string{`{"cluster":"` + name + `","how":"Nonsense"}`, `{"cluster":"` + name + `","how":"Unknown","region":"eu-west-9"}`, `{"cluster":"` + name + `","hw":"Unknown"}`} {
		post("/eks/fail", bad, 400)
	}
	post("/eks/fail", `{"cluster":"nobody","how":"Unknown"}`, 404)
	post("/eks/fail", `{"cluster":"`+name+`","how":"Unknown"}`, 200)
	post("/eks/mend", `{}`, 200)
	if got := tell(t, c, "GET", "/eks/failures", "", 200); strings.TrimSpace(got) != "[]" {
		t.Errorf("failures %s", got)
	}

	post("/eks/patch", `{"cluster":"`+name+`"}`, 200)
	_, err := s.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: &name, Version: aws.String("1.36")})
	wantEKS[*types.ResourceInUseException](t, err, "Cannot VersionUpdate because cluster")
	list, err := s.ListUpdates(t.Context(), &eks.ListUpdatesInput{Name: &name})
	s.must(err)
	for _, id := range list.UpdateIds {
		s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: &id})
	}

	post("/eks/insight", `{"cluster":"`+name+`","name":"Drill","category":"UPGRADE_READINESS","kubernetesVersion":"1.36","status":"ERROR"}`, 200)
	post("/eks/deprecated", `{"cluster":"`+name+`","group":"storage.k8s.io","version":"v1beta1","resource":"volumeattributesclasses","removed":"1.37","userAgent":"old/1"}`, 200)
	post("/eks/authority", `{"cluster":"`+name+`","expires":"2040-06-01T00:00:00Z"}`, 200)
	post("/eks/authority", `{"cluster":"`+name+`","expires":"2020-06-01T00:00:00Z"}`, 400)
	post("/eks/authority", `{"cluster":"nobody","expires":"2040-06-01T00:00:00Z"}`, 404)
	tell(t, c, "PUT", "/eks/switches", `{"insightGate":true,"strictSkew":true,"evictionPatience":"2m"}`, 200)
	tell(t, c, "PUT", "/eks/switches", `{"evictionPatience":"soon"}`, 400)
	_, err = s.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: &name, Version: aws.String("1.36")})
	wantEKS[*types.InvalidStateException](t, err, "Drill")
	tell(t, c, "DELETE", "/eks/insights", `{"cluster":"`+name+`"}`, 200)
	if u := s.to(t, name, "1.36"); u.Status != types.UpdateStatusSuccessful {
		t.Errorf("%+v", u)
	}
}

func TestPlannedLifecycleEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cloud of its own")
	}
	c, s, _ := ownCloud(t)
	name := s.upgradable()
	var mu sync.Mutex
	var seen []string
	c.EventBridge.Watch(func(_ string, event []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(event))
	})
	tell(t, c, "POST", "/health/planned-lifecycle", `{"cluster":"`+name+`"}`, 200)
	tell(t, c, "POST", "/health/planned-lifecycle", `{"cluster":"`+name+`","start":"2027-01-01","status":"RESOLVED"}`, 200)
	tell(t, c, "POST", "/health/planned-lifecycle", `{"cluster":"nobody"}`, 404)
	tell(t, c, "POST", "/health/planned-lifecycle", `{"cluster":"`+name+`","start":"soon"}`, 400)
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 {
		t.Fatalf("events %s", seen)
	}
	for n, want := range []struct{ start, status string }{{"Sat, 27 Mar 2027 00:00:00 GMT", "PENDING"}, {"Fri, 01 Jan 2027 00:00:00 GMT", "RESOLVED"}} {
		var e struct {
			Source     string
			DetailType string `json:"detail-type"`
			Resources  []string
			Detail     struct {
				EventTypeCode, StartTime string
				AffectedEntities         []struct{ EntityValue, Status string }
			}
		}
		arn := "arn:aws:eks:us-east-1:123456789012:cluster/" + name
		if err := json.Unmarshal([]byte(seen[n]), &e); err != nil || e.Source != "aws.health" || e.DetailType != "AWS Health Event" || e.Resources[0] != arn || e.Detail.EventTypeCode != "AWS_EKS_PLANNED_LIFECYCLE_EVENT" ||
			e.Detail.StartTime != want.start || e.Detail.AffectedEntities[0].EntityValue != arn || e.Detail.AffectedEntities[0].Status != want.status {
			t.Errorf("event %s: %v", seen[n], err)
		}
	}
}

// TestImagesAreReleased: a new AMI release shows in Systems Manager and is what a node group is updated to.
func TestImagesAreReleased(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cloud of its own")
	}
	c, s, tg := ownCloud(t)
	name := s.upgradable()
	parameters := ssm.NewFromConfig(tg.Config)
	newest := func() string {
		t.Helper()
		out, err := parameters.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/release_version")})
		s.must(err)
		return *out.Parameter.Value
	}
	group := aws.String("ng")
	_, err := s.CreateNodegroup(t.Context(), &eks.CreateNodegroupInput{ClusterName: &name, NodegroupName: group, NodeRole: &s.nodeARN, Subnets: s.subnets, ReleaseVersion: aws.String("1.35.9-20261029"),
		ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(0), MaxSize: aws.Int32(2), DesiredSize: aws.Int32(0)}})
	s.must(err)
	w := eks.NewNodegroupActiveWaiter(s.Client, func(o *eks.NodegroupActiveWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, eksPoll })
	s.must(w.Wait(t.Context(), &eks.DescribeNodegroupInput{ClusterName: &name, NodegroupName: group}, time.Minute))
	releases := []string{newest()}
	for range 2 {
		tell(t, c, "POST", "/images/publish", `{}`, 200)
		releases = append(releases, newest())
		out, err := s.UpdateNodegroupVersion(t.Context(), &eks.UpdateNodegroupVersionInput{ClusterName: &name, NodegroupName: group, Version: aws.String("1.35")})
		s.must(err)
		s.finished(t, &eks.DescribeUpdateInput{Name: &name, NodegroupName: group, UpdateId: out.Update.Id})
		got, err := s.DescribeNodegroup(t.Context(), &eks.DescribeNodegroupInput{ClusterName: &name, NodegroupName: group})
		s.must(err)
		if *got.Nodegroup.ReleaseVersion != newest() {
			t.Errorf("the group is at %s, the newest is %s", *got.Nodegroup.ReleaseVersion, newest())
		}
	}
	if got := strings.Join(releases, " "); got != "1.35.10-20261112 1.35.10-20261126 1.35.11-20261210" {
		t.Errorf("releases %s", got)
	}
}
