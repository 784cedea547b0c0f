package conformance

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

func TestEKSMissing(t *testing.T) {
	s := newEKSSuite(t)
	none := eksName(t)
	_, err := s.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: &none})
	wantEKS[*types.ResourceNotFoundException](t, err, "No cluster found for name: "+none+".")
	_, err = s.CreateNodegroup(t.Context(), &eks.CreateNodegroupInput{ClusterName: &none, NodegroupName: &none, NodeRole: &s.nodeARN, Subnets: s.subnets})
	wantEKS[*types.ResourceNotFoundException](t, err, "No cluster found for name: "+none+".")
	_, err = s.DeleteCluster(t.Context(), &eks.DeleteClusterInput{Name: &none})
	wantEKS[*types.ResourceNotFoundException](t, err, "No cluster found for name: "+none+".")
}

func TestEKSCreateRefusals(t *testing.T) {
	s := newEKSSuite(t)
	if !s.embedded {
		t.Skip("other implementations take any role and subnet")
	}
	in := s.input(eksName(t))
	in.RoleArn = &s.nodeARN
	_, err := s.CreateCluster(t.Context(), in)
	wantEKS[*types.InvalidParameterException](t, err, "could not be assumed because it does not exist or the trusted entity is not correct")
	in = s.input(eksName(t))
	in.ResourcesVpcConfig.SubnetIds = []string{s.subnets[0], s.sameZone}
	_, err = s.CreateCluster(t.Context(), in)
	wantEKS[*types.InvalidParameterException](t, err, "Subnets specified must be in at least two different AZs")
}

func TestEKSVersions(t *testing.T) {
	s := newEKSSuite(t)
	out, err := s.DescribeClusterVersions(t.Context(), &eks.DescribeClusterVersionsInput{DefaultOnly: aws.Bool(true)})
	s.missing(t, err)
	s.must(err)
	if len(out.ClusterVersions) != 1 || !out.ClusterVersions[0].DefaultVersion || out.ClusterVersions[0].EndOfStandardSupportDate == nil {
		t.Errorf("default version: %+v", out.ClusterVersions)
	}
	version := out.ClusterVersions[0].ClusterVersion
	addons, err := s.DescribeAddonVersions(t.Context(), &eks.DescribeAddonVersionsInput{KubernetesVersion: version, AddonName: aws.String("coredns")})
	s.must(err)
	if len(addons.Addons) != 1 || len(addons.Addons[0].AddonVersions) == 0 || *addons.Addons[0].AddonVersions[0].Compatibilities[0].ClusterVersion != *version {
		t.Errorf("coredns: %+v", addons.Addons)
	}
}

// TestEKSLifecycle takes one cluster through its life: a cluster is too expensive for one each.
func TestEKSLifecycle(t *testing.T) {
	s := newEKSSuite(t)
	name := eksName(t)
	in := s.input(name)
	in.ClientRequestToken = aws.String(name)
	created := s.create(in)
	if *created.Name != name || !strings.HasSuffix(*created.Arn, ":cluster/"+name) {
		t.Errorf("created %s, %s", *created.Name, *created.Arn)
	}
	other := s.input(name)
	_, err := s.CreateCluster(t.Context(), other)
	wantEKS[*types.ResourceInUseException](t, err, "Cluster already exists with name: "+name)
	c := s.active(name)
	if aws.ToString(c.Endpoint) == "" || aws.ToString(c.CertificateAuthority.Data) == "" || !strings.HasPrefix(aws.ToString(c.Identity.Oidc.Issuer), "https://") {
		t.Errorf("an active cluster has endpoint, certificate and issuer: %+v", c)
	}
	if c.Tags["suite"] != "conformance" || *c.Version != "1.35" || *c.RoleArn != s.clusterRole {
		t.Errorf("cluster %+v", c)
	}
	list, err := s.ListClusters(t.Context(), &eks.ListClustersInput{})
	s.must(err)
	if !slices.Contains(list.Clusters, name) {
		t.Errorf("clusters %v", list.Clusters)
	}
	t.Run("tags", func(t *testing.T) { s.tags(t, *c.Arn) })
	t.Run("access entries", func(t *testing.T) { s.access(t, name) })
	t.Run("updates", func(t *testing.T) { s.updates(t, name) })
	t.Run("add-ons", func(t *testing.T) { s.addons(t, name) })
	t.Run("node groups", func(t *testing.T) { s.nodegroups(t, name) })
	s.must(s.remove(t.Context(), name))
	_, err = s.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: &name})
	wantEKS[*types.ResourceNotFoundException](t, err, "No cluster found")
}

func (s *eksSuite) tags(t *testing.T, arn string) {
	_, err := s.TagResource(t.Context(), &eks.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"a/b": "c d", "x": "y"}})
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.UntagResource(t.Context(), &eks.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	out, err := s.ListTagsForResource(t.Context(), &eks.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil || len(out.Tags) != 2 || out.Tags["a/b"] != "c d" || out.Tags["suite"] != "conformance" {
		t.Errorf("tags %+v, %v", out, err)
	}
	_, err = s.ListTagsForResource(t.Context(), &eks.ListTagsForResourceInput{ResourceArn: aws.String(arn + "-none")})
	// The model says NotFoundException; moto answers ResourceNotFoundException. Both are 404.
	var r *awshttp.ResponseError
	if !errors.As(err, &r) || r.HTTPStatusCode() != http.StatusNotFound {
		t.Errorf("tags of nothing: %v", err)
	}
}

func (s *eksSuite) access(t *testing.T, cluster string) {
	ctx := t.Context()
	principal := s.nodeARN
	in := &eks.CreateAccessEntryInput{ClusterName: &cluster, PrincipalArn: &principal, KubernetesGroups: []string{"readers"}}
	out, err := s.CreateAccessEntry(ctx, in)
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if e := out.AccessEntry; *e.Type != "STANDARD" || !strings.HasSuffix(*e.Username, "/{{SessionName}}") || !slices.Equal(e.KubernetesGroups, []string{"readers"}) {
		t.Errorf("entry %+v", e)
	}
	_, err = s.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{ClusterName: &cluster, PrincipalArn: &principal})
	wantEKS[*types.ResourceInUseException](t, err, "The specified access entry resource is already in use on this cluster.")
	policy := "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
	if _, err := s.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{ClusterName: &cluster, PrincipalArn: &principal, PolicyArn: &policy, AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster}}); err != nil {
		t.Fatal(err)
	}
	policies, err := s.ListAssociatedAccessPolicies(ctx, &eks.ListAssociatedAccessPoliciesInput{ClusterName: &cluster, PrincipalArn: &principal})
	if err != nil || len(policies.AssociatedAccessPolicies) != 1 || *policies.AssociatedAccessPolicies[0].PolicyArn != policy {
		t.Errorf("policies %+v, %v", policies, err)
	}
	if _, err := s.DisassociateAccessPolicy(ctx, &eks.DisassociateAccessPolicyInput{ClusterName: &cluster, PrincipalArn: &principal, PolicyArn: &policy}); err != nil {
		t.Fatal(err)
	}
	updated, err := s.UpdateAccessEntry(ctx, &eks.UpdateAccessEntryInput{ClusterName: &cluster, PrincipalArn: &principal, KubernetesGroups: []string{"writers"}})
	if err != nil || !slices.Equal(updated.AccessEntry.KubernetesGroups, []string{"writers"}) {
		t.Errorf("updated %+v, %v", updated, err)
	}
	entries, err := s.ListAccessEntries(ctx, &eks.ListAccessEntriesInput{ClusterName: &cluster})
	if err != nil || !slices.Contains(entries.AccessEntries, principal) {
		t.Errorf("entries %+v, %v", entries, err)
	}
	if _, err := s.DeleteAccessEntry(ctx, &eks.DeleteAccessEntryInput{ClusterName: &cluster, PrincipalArn: &principal}); err != nil {
		t.Fatal(err)
	}
	_, err = s.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &cluster, PrincipalArn: &principal})
	wantEKS[*types.ResourceNotFoundException](t, err, "The specified principalArn could not be found")
}

func (s *eksSuite) updates(t *testing.T, cluster string) {
	ctx := t.Context()
	in := &eks.UpdateClusterConfigInput{Name: &cluster, ClientRequestToken: aws.String("logging"), Logging: &types.Logging{ClusterLogging: []types.LogSetup{{Enabled: aws.Bool(true), Types: []types.LogType{types.LogTypeAudit}}}}}
	first, err := s.UpdateClusterConfig(ctx, in)
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if !s.embedded && (first.Update == nil || first.Update.Id == nil) {
		t.Skip("updates are not tracked there")
	}
	_, err = s.UpdateClusterVersion(ctx, &eks.UpdateClusterVersionInput{Name: &cluster, Version: aws.String("1.36")})
	wantEKS[*types.ResourceInUseException](t, err, *first.Update.Id)
	same, err := s.UpdateClusterConfig(ctx, in)
	if err != nil || *same.Update.Id != *first.Update.Id {
		t.Errorf("the same token: %+v, %v", same, err)
	}
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: &cluster, UpdateId: first.Update.Id}); u.Status != types.UpdateStatusSuccessful || u.Type != types.UpdateTypeLoggingUpdate {
		t.Errorf("update %+v", u)
	}
	ids, err := s.ListUpdates(ctx, &eks.ListUpdatesInput{Name: &cluster})
	if err != nil || !slices.Contains(ids.UpdateIds, *first.Update.Id) {
		t.Errorf("updates %+v, %v", ids, err)
	}
	_, err = s.UpdateClusterVersion(ctx, &eks.UpdateClusterVersionInput{Name: &cluster, Version: aws.String("1.37")})
	wantEKS[*types.InvalidParameterException](t, err, "Unsupported Kubernetes minor version update from 1.35 to 1.37")
	upgrade, err := s.UpdateClusterVersion(ctx, &eks.UpdateClusterVersionInput{Name: &cluster, Version: aws.String("1.36")})
	if err != nil {
		t.Fatal(err)
	}
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: &cluster, UpdateId: upgrade.Update.Id}); u.Status != types.UpdateStatusSuccessful || u.Type != types.UpdateTypeVersionUpdate {
		t.Errorf("upgrade %+v", u)
	}
	if c := s.active(cluster); *c.Version != "1.36" {
		t.Errorf("version %s after the upgrade", *c.Version)
	}
}

func (s *eksSuite) addons(t *testing.T, cluster string) {
	ctx := t.Context()
	addon := aws.String("kube-proxy")
	_, err := s.CreateAddon(ctx, &eks.CreateAddonInput{ClusterName: &cluster, AddonName: addon})
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	w := eks.NewAddonActiveWaiter(s.Client, func(o *eks.AddonActiveWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	if err := w.Wait(ctx, &eks.DescribeAddonInput{ClusterName: &cluster, AddonName: addon}, eksPatience); err != nil {
		t.Fatal(err)
	}
	_, err = s.CreateAddon(ctx, &eks.CreateAddonInput{ClusterName: &cluster, AddonName: addon})
	wantEKS[*types.ResourceInUseException](t, err, "")
	list, err := s.ListAddons(ctx, &eks.ListAddonsInput{ClusterName: &cluster})
	if err != nil || !slices.Equal(list.Addons, []string{*addon}) {
		t.Errorf("add-ons %+v, %v", list, err)
	}
	if _, err := s.DeleteAddon(ctx, &eks.DeleteAddonInput{ClusterName: &cluster, AddonName: addon, Preserve: true}); err != nil {
		t.Fatal(err)
	}
	gone := eks.NewAddonDeletedWaiter(s.Client, func(o *eks.AddonDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	if err := gone.Wait(ctx, &eks.DescribeAddonInput{ClusterName: &cluster, AddonName: addon}, eksPatience); err != nil {
		t.Error(err)
	}
}

func (s *eksSuite) nodegroups(t *testing.T, cluster string) {
	ctx := t.Context()
	name := aws.String("spot")
	in := &eks.CreateNodegroupInput{
		ClusterName: &cluster, NodegroupName: name, NodeRole: &s.nodeARN, Subnets: s.subnets, InstanceTypes: []string{"m5.large", "m6i.large"},
		CapacityType: types.CapacityTypesSpot, ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(1), MaxSize: aws.Int32(3), DesiredSize: aws.Int32(1)},
		Labels: map[string]string{"team": "a"}, Taints: []types.Taint{{Key: aws.String("spot"), Value: aws.String("true"), Effect: types.TaintEffectNoSchedule}},
		Tags: map[string]string{"suite": "conformance"},
	}
	_, err := s.CreateNodegroup(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	again := *in
	again.ClientRequestToken = nil
	_, err = s.CreateNodegroup(ctx, &again)
	wantEKS[*types.ResourceInUseException](t, err, "NodeGroup already exists with name spot and cluster name "+cluster)
	w := eks.NewNodegroupActiveWaiter(s.Client, func(o *eks.NodegroupActiveWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	out, err := w.WaitForOutput(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: name}, eksPatience)
	if err != nil {
		t.Fatal(err)
	}
	g := out.Nodegroup
	if g.CapacityType != types.CapacityTypesSpot || *g.ScalingConfig.DesiredSize != 1 || g.Labels["team"] != "a" || len(g.Taints) != 1 || len(g.Resources.AutoScalingGroups) != 1 {
		t.Errorf("node group %+v", g)
	}
	if !strings.Contains(*g.NodegroupArn, ":nodegroup/"+cluster+"/spot/") {
		t.Errorf("ARN %s", *g.NodegroupArn)
	}
	_, err = s.DeleteCluster(ctx, &eks.DeleteClusterInput{Name: &cluster})
	wantEKS[*types.ResourceInUseException](t, err, "Cluster has nodegroups attached")
	_, err = s.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: aws.String("none")})
	wantEKS[*types.ResourceNotFoundException](t, err, "No node group found for name: none.")

	u, err := s.UpdateNodegroupConfig(ctx, &eks.UpdateNodegroupConfigInput{ClusterName: &cluster, NodegroupName: name, ScalingConfig: &types.NodegroupScalingConfig{DesiredSize: aws.Int32(2)}})
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: &cluster, NodegroupName: name, UpdateId: u.Update.Id}); u.Status != types.UpdateStatusSuccessful || u.Type != types.UpdateTypeConfigUpdate {
		t.Errorf("update %+v", u)
	}
	_, err = s.UpdateNodegroupConfig(ctx, &eks.UpdateNodegroupConfigInput{ClusterName: &cluster, NodegroupName: name, Labels: &types.UpdateLabelsPayload{AddOrUpdateLabels: map[string]string{"kubernetes.io/x": "y"}}})
	wantEKS[*types.InvalidParameterException](t, err, "Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]")
}
