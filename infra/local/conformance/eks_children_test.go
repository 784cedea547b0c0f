package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// eksChildren is a cluster with roles for what is in it.
type eksChildren struct {
	*eksSuite
	ec2                  *ec2.Client
	cluster              *string
	podRole, fargateRole string
}

// TestEKSChildren has one cluster for all that clusters hold: a cluster is too expensive for one each.
func TestEKSChildren(t *testing.T) {
	target := target(t, "eks")
	s := &eksChildren{eksSuite: newEKSSuite(t), ec2: ec2.NewFromConfig(target.Config)}
	roles, suffix := iam.NewFromConfig(target.Config), fmt.Sprint(time.Now().UnixNano()%1e9)
	s.podRole = s.trusting(roles, "conformance-pods-"+suffix, "pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession")
	s.fargateRole = s.trusting(roles, "conformance-fargate-"+suffix, "eks-fargate-pods.amazonaws.com", "sts:AssumeRole")
	name := eksName(t)
	s.cluster = &name
	s.create(s.input(name))
	s.active(name)
	t.Run("pod identity", s.podIdentity)
	t.Run("fargate", s.fargate)
	t.Run("access types", s.entryTypes)
	t.Run("access policies", s.accessPolicies)
	t.Run("add-on catalogue", s.catalogue)
	t.Run("add-on configuration", s.configuration)
	t.Run("node group fields", s.fields)
	t.Run("node group remote access", s.remoteAccess)
	t.Run("node group capacity block", s.capacityBlock)
	t.Run("node group refusals", s.refusals)
	t.Run("node group sizes", s.sizes)
}

func (s *eksChildren) trusting(c *iam.Client, name, service string, actions ...string) string {
	trust, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": service}, "Action": actions,
	}}})
	s.must(err)
	out, err := c.CreateRole(s.t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(string(trust))})
	s.must(err)
	s.undo("role "+name, func(ctx context.Context) error {
		_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name})
		return err
	})
	return *out.Role.Arn
}

// settled asks again while IAM's eventual consistency hides a new role.
func settled[Out any](t *testing.T, text string, ask func() (*Out, error)) (*Out, error) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		out, err := ask()
		if err == nil || !strings.Contains(err.Error(), text) {
			return out, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-deadline:
			return out, err
		case <-t.Context().Done():
			return out, err
		}
	}
}

func (s *eksChildren) podIdentity(t *testing.T) {
	ctx := t.Context()
	in := &eks.CreatePodIdentityAssociationInput{ClusterName: s.cluster, Namespace: aws.String("shop"), ServiceAccount: aws.String("cart"), RoleArn: &s.podRole, Tags: map[string]string{"suite": "conformance"}}
	out, err := settled(t, "Trust policy of the role provided is invalid", func() (*eks.CreatePodIdentityAssociationOutput, error) {
		return s.CreatePodIdentityAssociation(ctx, in)
	})
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	a := out.Association
	if !strings.HasPrefix(*a.AssociationId, "a-") || !strings.HasSuffix(*a.AssociationArn, ":podidentityassociation/"+*s.cluster+"/"+*a.AssociationId) || a.OwnerArn != nil {
		t.Errorf("association %+v", a)
	}
	again := *in
	again.ClientRequestToken = nil
	_, err = s.CreatePodIdentityAssociation(ctx, &again)
	wantEKS[*types.ResourceInUseException](t, err, "Association already exists: "+*a.AssociationId)
	_, err = s.CreatePodIdentityAssociation(ctx, &eks.CreatePodIdentityAssociationInput{ClusterName: s.cluster, Namespace: aws.String("shop"), ServiceAccount: aws.String("other"), RoleArn: &s.nodeARN})
	wantEKS[*types.InvalidParameterException](t, err, "Trust policy of the role provided is invalid.")
	updated, err := s.UpdatePodIdentityAssociation(ctx, &eks.UpdatePodIdentityAssociationInput{ClusterName: s.cluster, AssociationId: a.AssociationId, DisableSessionTags: aws.Bool(true)})
	if err != nil || !*updated.Association.DisableSessionTags || *updated.Association.RoleArn != s.podRole {
		t.Errorf("updated %+v, %v", updated, err)
	}
	list, err := s.ListPodIdentityAssociations(ctx, &eks.ListPodIdentityAssociationsInput{ClusterName: s.cluster, Namespace: aws.String("shop")})
	if err != nil || len(list.Associations) != 1 || *list.Associations[0].ServiceAccount != "cart" {
		t.Errorf("associations %+v, %v", list, err)
	}
	tags, err := s.ListTagsForResource(ctx, &eks.ListTagsForResourceInput{ResourceArn: a.AssociationArn})
	if err != nil || tags.Tags["suite"] != "conformance" {
		t.Errorf("tags %+v, %v", tags, err)
	}
	if _, err := s.DeletePodIdentityAssociation(ctx, &eks.DeletePodIdentityAssociationInput{ClusterName: s.cluster, AssociationId: a.AssociationId}); err != nil {
		t.Fatal(err)
	}
	_, err = s.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{ClusterName: s.cluster, AssociationId: a.AssociationId})
	wantEKS[*types.ResourceNotFoundException](t, err, "")
}

func (s *eksChildren) fargate(t *testing.T) {
	ctx := t.Context()
	profile := func(name string, subnets ...string) *eks.CreateFargateProfileInput {
		return &eks.CreateFargateProfileInput{ClusterName: s.cluster, FargateProfileName: &name, PodExecutionRoleArn: &s.fargateRole, Subnets: subnets,
			Selectors: []types.FargateProfileSelector{{Namespace: aws.String("web"), Labels: map[string]string{"tier": "front"}}}, Tags: map[string]string{"suite": "conformance"}}
	}
	out, err := settled(t, "Misconfigured PodExecutionRole Trust Policy", func() (*eks.CreateFargateProfileOutput, error) {
		return s.CreateFargateProfile(ctx, profile("web", s.subnets...))
	})
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if p := out.FargateProfile; p.Status != types.FargateProfileStatusCreating || !strings.Contains(*p.FargateProfileArn, ":fargateprofile/"+*s.cluster+"/web/") {
		t.Errorf("profile %+v", p)
	}
	_, err = s.CreateFargateProfile(ctx, profile("web", s.subnets...))
	wantEKS[*types.ResourceInUseException](t, err, "A Fargate Profile already exists with this name in this cluster.")
	w := eks.NewFargateProfileActiveWaiter(s.Client, func(o *eks.FargateProfileActiveWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	if err := w.Wait(ctx, &eks.DescribeFargateProfileInput{ClusterName: s.cluster, FargateProfileName: aws.String("web")}, eksPatience); err != nil {
		t.Fatal(err)
	}
	wrong := profile("batch", s.subnets...)
	wrong.PodExecutionRoleArn = &s.nodeARN
	_, err = s.CreateFargateProfile(ctx, wrong)
	wantEKS[*types.InvalidParameterException](t, err, "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com Service Principal")
	_, err = s.DeleteCluster(ctx, &eks.DeleteClusterInput{Name: s.cluster})
	wantEKS[*types.ResourceInUseException](t, err, "Fargate")
	list, err := s.ListFargateProfiles(ctx, &eks.ListFargateProfilesInput{ClusterName: s.cluster})
	if err != nil || !slices.Equal(list.FargateProfileNames, []string{"web"}) {
		t.Errorf("profiles %+v, %v", list, err)
	}
	if _, err := s.DeleteFargateProfile(ctx, &eks.DeleteFargateProfileInput{ClusterName: s.cluster, FargateProfileName: aws.String("web")}); err != nil {
		t.Fatal(err)
	}
	_, err = s.CreateFargateProfile(ctx, profile("batch", s.subnets...))
	wantEKS[*types.ResourceInUseException](t, err, "Cannot Create Fargate Profile batch because cluster "+*s.cluster+" currently has Fargate profile web in status DELETING")
	gone := eks.NewFargateProfileDeletedWaiter(s.Client, func(o *eks.FargateProfileDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	if err := gone.Wait(ctx, &eks.DescribeFargateProfileInput{ClusterName: s.cluster, FargateProfileName: aws.String("web")}, eksPatience); err != nil {
		t.Error(err)
	}
	_, err = s.DescribeFargateProfile(ctx, &eks.DescribeFargateProfileInput{ClusterName: s.cluster, FargateProfileName: aws.String("web")})
	wantEKS[*types.ResourceNotFoundException](t, err, "No Fargate Profile found with name: web.")
}

func (s *eksChildren) entryTypes(t *testing.T) {
	ctx := t.Context()
	for kind, username := range map[string]string{
		"EC2_LINUX": "system:node:{{EC2PrivateDNSName}}", "EC2_WINDOWS": "system:node:{{EC2PrivateDNSName}}", "FARGATE_LINUX": "system:node:{{SessionName}}", "HYBRID_LINUX": "system:node:{{SessionName}}",
	} {
		out, err := s.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{ClusterName: s.cluster, PrincipalArn: &s.podRole, Type: &kind})
		s.missing(t, err)
		if err != nil || *out.AccessEntry.Type != kind || *out.AccessEntry.Username != username {
			t.Fatalf("%s: %+v, %v", kind, out, err)
		}
		_, err = s.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{ClusterName: s.cluster, PrincipalArn: &s.podRole, PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"), AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster}})
		wantEKS[*types.InvalidRequestException](t, err, "")
		if _, err := s.DeleteAccessEntry(ctx, &eks.DeleteAccessEntryInput{ClusterName: s.cluster, PrincipalArn: &s.podRole}); err != nil {
			t.Fatal(err)
		}
		_, err = s.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{ClusterName: s.cluster, PrincipalArn: &s.podRole, Type: &kind, KubernetesGroups: []string{"x"}})
		wantEKS[*types.InvalidParameterException](t, err, "")
	}
}

func (s *eksChildren) accessPolicies(t *testing.T) {
	ctx := t.Context()
	all, err := s.ListAccessPolicies(ctx, &eks.ListAccessPoliciesInput{})
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{ClusterName: s.cluster, PrincipalArn: &s.podRole}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AmazonEKSAdminPolicy", "AmazonEKSAdminViewPolicy", "AmazonEKSClusterAdminPolicy", "AmazonEKSEditPolicy", "AmazonEKSViewPolicy"} {
		arn := "arn:aws:eks::aws:cluster-access-policy/" + name
		if !slices.ContainsFunc(all.AccessPolicies, func(p types.AccessPolicy) bool { return *p.Arn == arn && *p.Name == name }) {
			t.Errorf("no policy %s", name)
		}
		for _, scope := range []types.AccessScope{{Type: types.AccessScopeTypeNamespace, Namespaces: []string{"dev-*", "ci"}}, {Type: types.AccessScopeTypeCluster}} {
			out, err := s.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{ClusterName: s.cluster, PrincipalArn: &s.podRole, PolicyArn: &arn, AccessScope: &scope})
			if err != nil || out.AssociatedAccessPolicy.AccessScope.Type != scope.Type || len(out.AssociatedAccessPolicy.AccessScope.Namespaces) != len(scope.Namespaces) {
				t.Fatalf("%s: %+v, %v", name, out, err)
			}
		}
	}
	associated, err := s.ListAssociatedAccessPolicies(ctx, &eks.ListAssociatedAccessPoliciesInput{ClusterName: s.cluster, PrincipalArn: &s.podRole})
	if err != nil || len(associated.AssociatedAccessPolicies) != 5 {
		t.Errorf("associated %+v, %v", associated, err)
	}
	if _, err := s.DeleteAccessEntry(ctx, &eks.DeleteAccessEntryInput{ClusterName: s.cluster, PrincipalArn: &s.podRole}); err != nil {
		t.Fatal(err)
	}
}

func (s *eksChildren) catalogue(t *testing.T) {
	ctx := t.Context()
	out, err := s.DescribeAddonVersions(ctx, &eks.DescribeAddonVersionsInput{KubernetesVersion: aws.String("1.35"), Owners: []string{"aws", "community"}})
	s.missing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]types.AddonInfo{}
	for _, a := range out.Addons {
		found[*a.AddonName] = a
	}
	for name, iam := range map[string]bool{
		"vpc-cni": true, "coredns": false, "kube-proxy": false, "aws-ebs-csi-driver": true, "aws-efs-csi-driver": true, "eks-pod-identity-agent": false, "metrics-server": false,
		"amazon-cloudwatch-observability": true, "snapshot-controller": false, "eks-node-monitoring-agent": false, "aws-mountpoint-s3-csi-driver": true, "external-dns": true, "cert-manager": true,
	} {
		a, ok := found[name]
		if !ok || len(a.AddonVersions) == 0 {
			t.Errorf("no versions of %s", name)
			continue
		}
		defaults := 0
		for _, v := range a.AddonVersions {
			for _, c := range v.Compatibilities {
				if *c.ClusterVersion != "1.35" || len(c.PlatformVersions) == 0 {
					t.Errorf("%s: %+v", name, c)
				}
				if c.DefaultVersion {
					defaults++
				}
			}
		}
		if defaults != 1 || a.AddonVersions[0].RequiresIamPermissions != iam {
			t.Errorf("%s: %d defaults, IAM %t", name, defaults, a.AddonVersions[0].RequiresIamPermissions)
		}
		config, err := s.DescribeAddonConfiguration(ctx, &eks.DescribeAddonConfigurationInput{AddonName: &name, AddonVersion: a.AddonVersions[0].AddonVersion})
		if err != nil || !json.Valid([]byte(aws.ToString(config.ConfigurationSchema))) {
			t.Errorf("%s: configuration %+v, %v", name, config, err)
		}
	}
	none, err := s.DescribeAddonVersions(ctx, &eks.DescribeAddonVersionsInput{AddonName: aws.String("coredns"), Types: []string{"storage"}})
	if err == nil && len(none.Addons) > 0 {
		t.Errorf("coredns is no storage: %+v", none.Addons)
	}
}

func (s *eksChildren) configuration(t *testing.T) {
	ctx := t.Context()
	addon := aws.String("vpc-cni")
	_, err := s.CreateAddon(ctx, &eks.CreateAddonInput{ClusterName: s.cluster, AddonName: addon, ConfigurationValues: aws.String(`{"nonsense":1}`)})
	s.missing(t, err)
	wantEKS[*types.InvalidParameterException](t, err, "ConfigurationValue provided in request is not supported: Json schema validation failed with error: [$.nonsense: is not defined in the schema and the schema does not allow additional properties]")
	values := `{"env":{"ENABLE_PREFIX_DELEGATION":"true"}}`
	out, err := settled(t, "Trust policy of the role provided is invalid", func() (*eks.CreateAddonOutput, error) {
		return s.CreateAddon(ctx, &eks.CreateAddonInput{
			ClusterName: s.cluster, AddonName: addon, ConfigurationValues: &values, ResolveConflicts: types.ResolveConflictsOverwrite,
			PodIdentityAssociations: []types.AddonPodIdentityAssociations{{ServiceAccount: aws.String("aws-node"), RoleArn: &s.podRole}},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := out.Addon; a.Status != types.AddonStatusCreating || *a.ConfigurationValues != values || len(a.PodIdentityAssociations) != 1 {
		t.Errorf("add-on %+v", a)
	}
	_, err = s.UpdateAddon(ctx, &eks.UpdateAddonInput{ClusterName: s.cluster, AddonName: addon})
	wantEKS[*types.ResourceInUseException](t, err, "Addon vpc-cni cannot be updated as it is currently in CREATING state")
	w := eks.NewAddonActiveWaiter(s.Client, func(o *eks.AddonActiveWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	if err := w.Wait(ctx, &eks.DescribeAddonInput{ClusterName: s.cluster, AddonName: addon}, eksPatience); err != nil {
		t.Fatal(err)
	}
	list, err := s.ListPodIdentityAssociations(ctx, &eks.ListPodIdentityAssociationsInput{ClusterName: s.cluster})
	if err != nil || len(list.Associations) != 1 || aws.ToString(list.Associations[0].OwnerArn) != *out.Addon.AddonArn {
		t.Errorf("associations %+v, %v", list, err)
	}
	u, err := s.UpdateAddon(ctx, &eks.UpdateAddonInput{ClusterName: s.cluster, AddonName: addon, PodIdentityAssociations: []types.AddonPodIdentityAssociations{}, ResolveConflicts: types.ResolveConflictsPreserve})
	if err != nil {
		t.Fatal(err)
	}
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: s.cluster, AddonName: addon, UpdateId: u.Update.Id}); u.Status != types.UpdateStatusSuccessful || u.Type != types.UpdateTypeAddonUpdate {
		t.Errorf("update %+v", u)
	}
	if _, err := s.DeleteAddon(ctx, &eks.DeleteAddonInput{ClusterName: s.cluster, AddonName: addon}); err != nil {
		t.Fatal(err)
	}
	gone := eks.NewAddonDeletedWaiter(s.Client, func(o *eks.AddonDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	if err := gone.Wait(ctx, &eks.DescribeAddonInput{ClusterName: s.cluster, AddonName: addon}, eksPatience); err != nil {
		t.Error(err)
	}
	list, err = s.ListPodIdentityAssociations(ctx, &eks.ListPodIdentityAssociationsInput{ClusterName: s.cluster})
	if err != nil || len(list.Associations) != 0 {
		t.Errorf("associations stay: %+v, %v", list, err)
	}
}
