package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	local "github.com/ekspedite/ekspedite/infra/local/eks"
)

// upgradable is an active cluster at 1.35.
func (s *eksSuite) upgradable() string {
	s.t.Helper()
	name := eksName(s.t)
	s.create(s.input(name))
	s.active(name)
	return name
}

// to starts a version update and waits for it.
func (s *eksSuite) to(t *testing.T, name, version string) *types.Update {
	t.Helper()
	out, err := s.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: &name, Version: &version})
	s.must(err)
	return s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: out.Update.Id})
}

func TestEKSRollback(t *testing.T) {
	s := newEKSSuite(t)
	name := s.upgradable()
	rollback := func(config *types.RollbackConfig) (*eks.UpdateClusterVersionOutput, error) {
		return s.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: &name, Version: aws.String("1.35"), RollbackConfig: config})
	}
	_, err := s.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: &name, Version: aws.String("1.34")})
	s.missing(t, err)
	wantEKS[*types.InvalidRequestException](t, err, "")
	if u := s.to(t, name, "1.36"); u.Type != types.UpdateTypeVersionUpdate || u.Status != types.UpdateStatusSuccessful {
		t.Fatalf("%+v", u)
	}
	_, err = rollback(&types.RollbackConfig{TimeoutMinutes: aws.Int32(60)})
	wantEKS[*types.InvalidParameterException](t, err, "120")
	out, err := rollback(&types.RollbackConfig{TimeoutMinutes: aws.Int32(120)})
	s.must(err)
	if out.Update.Type != types.UpdateTypeVersionRollback {
		t.Errorf("%+v", out.Update)
	}
	// Only the rollback of a cluster with EKS Auto Mode can be cancelled.
	_, err = s.CancelUpdate(t.Context(), &eks.CancelUpdateInput{Name: &name, UpdateId: out.Update.Id})
	wantEKS[*types.InvalidRequestException](t, err, "")
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: out.Update.Id}); u.Status != types.UpdateStatusSuccessful || u.Cancellation != nil {
		t.Errorf("%+v", u)
	}
	if c := s.active(name); *c.Version != "1.35" {
		t.Errorf("version %s", *c.Version)
	}
	list, err := s.ListUpdates(t.Context(), &eks.ListUpdatesInput{Name: &name})
	s.must(err)
	if len(list.UpdateIds) != 2 || !slices.Contains(list.UpdateIds, *out.Update.Id) {
		t.Errorf("updates %v", list.UpdateIds)
	}
}

func TestEKSInsights(t *testing.T) {
	s := newEKSSuite(t)
	name := s.upgradable()
	start, err := s.StartInsightsRefresh(t.Context(), &eks.StartInsightsRefreshInput{ClusterName: &name})
	s.missing(t, err)
	s.must(err)
	if start.Status != types.InsightsRefreshStatusInProgress {
		t.Errorf("%+v", start)
	}
	deadline := time.Now().Add(eksPatience)
	for ticker := time.NewTicker(s.poll()); ; <-ticker.C {
		out, err := s.DescribeInsightsRefresh(t.Context(), &eks.DescribeInsightsRefreshInput{ClusterName: &name})
		s.must(err)
		if out.Status == types.InsightsRefreshStatusCompleted && out.EndedAt != nil && !out.EndedAt.Before(*out.StartedAt) {
			break
		}
		if out.Status == types.InsightsRefreshStatusFailed || time.Now().After(deadline) {
			t.Fatalf("%+v", out)
		}
	}
	list := func(filter *types.InsightsFilter) []types.InsightSummary {
		t.Helper()
		out, err := s.ListInsights(t.Context(), &eks.ListInsightsInput{ClusterName: &name, Filter: filter})
		s.must(err)
		return out.Insights
	}
	all := list(&types.InsightsFilter{Categories: []types.Category{types.CategoryUpgradeReadiness}, KubernetesVersions: []string{"1.36"}})
	if len(all) == 0 {
		t.Fatal("no insights")
	}
	for _, i := range all {
		out, err := s.DescribeInsight(t.Context(), &eks.DescribeInsightInput{ClusterName: &name, Id: i.Id})
		s.must(err)
		got := out.Insight
		if *got.Name != *i.Name || got.Category != types.CategoryUpgradeReadiness || *got.KubernetesVersion != "1.36" || got.InsightStatus.Status != types.InsightStatusValuePassing ||
			got.LastRefreshTime == nil || got.LastTransitionTime == nil || got.Recommendation == nil || got.CategorySpecificSummary == nil {
			t.Errorf("%+v", got)
		}
	}
	if got := list(&types.InsightsFilter{Statuses: []types.InsightStatusValue{types.InsightStatusValueError}}); len(got) != 0 {
		t.Errorf("a new cluster has errors: %+v", got)
	}
	_, err = s.DescribeInsight(t.Context(), &eks.DescribeInsightInput{ClusterName: &name, Id: aws.String("12345678-1234-1234-1234-123456789012")})
	wantEKS[*types.ResourceNotFoundException](t, err, "")
	if !s.embedded {
		return
	}

	// What only the embedded cloud can be told.
	seen := time.Now().Add(-48 * time.Hour)
	s.must(cloud(t).EKS.PlantDeprecated(name, local.DeprecatedCall{Group: "flowcontrol.apiserver.k8s.io", Version: "v1beta3", Resource: "flowschemas", Removed: "1.36", UserAgent: "old/1", Count: 7, LastRequest: seen}))
	got := list(&types.InsightsFilter{Statuses: []types.InsightStatusValue{types.InsightStatusValueError}})
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	out, err := s.DescribeInsight(t.Context(), &eks.DescribeInsightInput{ClusterName: &name, Id: got[0].Id})
	s.must(err)
	d := out.Insight.CategorySpecificSummary.DeprecationDetails
	if len(d) != 1 || *d[0].Usage != "/apis/flowcontrol.apiserver.k8s.io/v1beta3/flowschemas" || *d[0].StopServingVersion != "1.36" || *d[0].ReplacedWith != "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas" ||
		*d[0].ClientStats[0].UserAgent != "old/1" || d[0].ClientStats[0].NumberOfRequestsLast30Days != 7 || d[0].ClientStats[0].LastRequestTime.Sub(seen).Abs() > time.Second {
		t.Errorf("%+v", d)
	}
	cloud(t).EKS.SetInsightGate(true)
	defer cloud(t).EKS.SetInsightGate(false)
	_, err = s.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: &name, Version: aws.String("1.36")})
	wantEKS[*types.InvalidStateException](t, err, "Deprecated APIs removed in Kubernetes v1.36")
	forced, err := s.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: &name, Version: aws.String("1.36"), Force: true})
	s.must(err)
	s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: forced.Update.Id})
}

func TestEKSCancelledRollback(t *testing.T) {
	s := newEKSSuite(t)
	name := eksName(t)
	in := s.input(name)
	in.BootstrapSelfManagedAddons = aws.Bool(false)
	in.ComputeConfig = &types.ComputeConfigRequest{Enabled: aws.Bool(true)}
	in.StorageConfig = &types.StorageConfigRequest{BlockStorage: &types.BlockStorage{Enabled: aws.Bool(true)}}
	in.KubernetesNetworkConfig = &types.KubernetesNetworkConfigRequest{ElasticLoadBalancing: &types.ElasticLoadBalancing{Enabled: aws.Bool(true)}}
	s.create(in)
	s.active(name)
	s.to(t, name, "1.36")
	out, err := s.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: &name, Version: aws.String("1.35")})
	s.missing(t, err)
	s.must(err)
	cancelled, err := s.CancelUpdate(t.Context(), &eks.CancelUpdateInput{Name: &name, UpdateId: out.Update.Id})
	s.must(err)
	if cancelled.Update.Cancellation == nil || cancelled.Update.Cancellation.Status != types.CancellationStatusInProgress {
		t.Errorf("%+v", cancelled.Update)
	}
	u := s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: out.Update.Id})
	if u.Status != types.UpdateStatusCancelled || u.Cancellation == nil || u.Cancellation.Status != types.CancellationStatusSuccessful {
		t.Errorf("%+v", u)
	}
	if c := s.active(name); *c.Version != "1.36" {
		t.Errorf("version %s", *c.Version)
	}
}
