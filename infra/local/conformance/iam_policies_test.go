package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	listQueues = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:ListQueues","Resource":"*"}]}`
	listKeys   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*"}]}`
)

func TestIAMPolicyVersions(t *testing.T) {
	tg := target(t, "iam")
	c := iam.NewFromConfig(tg.Config)
	ctx := t.Context()
	name := aws.String(fmt.Sprintf("conformance-%d", time.Now().UnixNano()))
	p, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: name, Path: aws.String("/ekspedite/"), PolicyDocument: aws.String(listQueues)})
	if err != nil {
		t.Fatal(err)
	}
	arn := p.Policy.Arn
	for i := range 4 {
		v, err := c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(listKeys), SetAsDefault: i == 0})
		if err != nil || *v.PolicyVersion.VersionId != fmt.Sprintf("v%d", i+2) || v.PolicyVersion.IsDefaultVersion != (i == 0) {
			t.Fatalf("%+v %v", v, err)
		}
	}
	_, err = c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(listKeys)})
	apiError(t, err, "LimitExceeded")
	if got, err := c.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn}); err != nil || *got.Policy.DefaultVersionId != "v2" {
		t.Errorf("got %+v %v", got, err)
	}
	if v, err := c.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")}); err != nil || !strings.Contains(*v.PolicyVersion.Document, "ListQueues") || v.PolicyVersion.IsDefaultVersion {
		t.Errorf("got %+v %v", v, err)
	}
	_, err = c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v2")})
	apiError(t, err, "DeleteConflict")
	if exact(tg) {
		_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn})
		apiError(t, err, "DeleteConflict")
	}
	if _, err := c.SetDefaultPolicyVersion(ctx, &iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")}); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: arn})
	if err != nil || len(list.Versions) != 5 {
		t.Fatalf("%+v %v", list, err)
	}
	for _, v := range list.Versions {
		if v.IsDefaultVersion {
			continue
		}
		if _, err := c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: v.VersionId}); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.TagPolicy(ctx, &iam.TagPolicyInput{PolicyArn: arn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}}); err != nil {
		t.Error(err)
	}
	if tags, err := c.ListPolicyTags(ctx, &iam.ListPolicyTagsInput{PolicyArn: arn}); err != nil || len(tags.Tags) != 1 {
		t.Errorf("%+v %v", tags, err)
	}
	mine, err := c.ListPolicies(ctx, &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal, PathPrefix: aws.String("/ekspedite/")})
	if err != nil || !slices.ContainsFunc(mine.Policies, func(p types.Policy) bool { return *p.Arn == *arn }) {
		t.Errorf("%+v %v", mine, err)
	}
	if _, err := c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn}); err != nil {
		t.Error(err)
	}
}

func TestIAMBoundary(t *testing.T) {
	tg := target(t, "iam")
	c := iam.NewFromConfig(tg.Config)
	ctx := t.Context()
	session, arn := roleSession(t, tg, strings.Replace(listQueues, `"sqs:ListQueues"`, `["sqs:ListQueues","sqs:CreateQueue"]`, 1))
	role := aws.String(arn[strings.LastIndexByte(arn, '/')+1:])
	name := aws.String(fmt.Sprintf("conformance-boundary-%d", time.Now().UnixNano()))
	boundary, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: name, PolicyDocument: aws.String(listKeys)})
	if err != nil {
		t.Fatal(err)
	}
	queues := sqs.NewFromConfig(session)
	list := func() error {
		_, err := queues.ListQueues(ctx, &sqs.ListQueuesInput{})
		return err
	}
	if err := list(); err != nil && exact(tg) {
		t.Errorf("before: %v", err)
	}
	if _, err := c.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: role, PermissionsBoundary: boundary.Policy.Arn}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: role}); err != nil || *got.Role.PermissionsBoundary.PermissionsBoundaryArn != *boundary.Policy.Arn {
		t.Errorf("%+v %v", got, err)
	}
	if exact(tg) {
		err := list()
		apiError(t, err, "AccessDenied")
		_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: boundary.Policy.Arn})
		apiError(t, err, "DeleteConflict")
		sim, err := c.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &arn, ActionNames: []string{"sqs:ListQueues", "kms:ListKeys"}})
		if err != nil {
			t.Fatal(err)
		}
		for i, within := range []bool{false, true} {
			r := sim.EvaluationResults[i]
			if r.EvalDecision != types.PolicyEvaluationDecisionTypeImplicitDeny || r.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary != within {
				t.Errorf("%s: %+v", *r.EvalActionName, r)
			}
		}
	}
	if _, err := c.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: role}); err != nil {
		t.Fatal(err)
	}
	if err := list(); err != nil && exact(tg) {
		t.Errorf("after: %v", err)
	}
	if _, err := c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: boundary.Policy.Arn}); err != nil {
		t.Error(err)
	}
}

func TestIAMSimulate(t *testing.T) {
	tg := target(t, "iam")
	if !exact(tg) {
		t.Skip("needs an implementation that evaluates policies")
	}
	c := iam.NewFromConfig(tg.Config)
	_, arn := roleSession(t, tg, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:*","Resource":"*"},{"Effect":"Deny","Action":"eks:DeleteCluster","Resource":"*"},
		{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"eks.amazonaws.com"}}}]}`)
	out, err := c.SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &arn,
		ActionNames: []string{"eks:CreateCluster", "eks:DeleteCluster", "ec2:CreateVpc", "iam:PassRole"},
		ContextEntries: []types.ContextEntry{{ContextKeyName: aws.String("iam:PassedToService"), ContextKeyType: types.ContextKeyTypeEnumString,
			ContextKeyValues: []string{"eks.amazonaws.com"}}}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.EvaluationResults {
		got = append(got, string(r.EvalDecision))
	}
	if fmt.Sprint(got) != "[allowed explicitDeny implicitDeny allowed]" {
		t.Errorf("got %v", got)
	}
	_, err = c.SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String("arn:aws:iam::" + accountOf(t, tg) + ":root"), ActionNames: []string{"eks:CreateCluster"}})
	apiError(t, err, "InvalidInput")
	custom, err := c.SimulateCustomPolicy(t.Context(), &iam.SimulateCustomPolicyInput{PolicyInputList: []string{listKeys}, ActionNames: []string{"kms:ListKeys", "kms:CreateKey"}})
	if err != nil || custom.EvaluationResults[0].EvalDecision != types.PolicyEvaluationDecisionTypeAllowed || custom.EvaluationResults[1].EvalDecision != types.PolicyEvaluationDecisionTypeImplicitDeny {
		t.Errorf("%+v %v", custom, err)
	}
}

// eksctl's well-known policies and its default roles attach these.
func TestIAMAWSManagedPolicies(t *testing.T) {
	tg := target(t, "iam")
	if !exact(tg) {
		t.Skip("moto has AWS's policies only if told to load them")
	}
	c := iam.NewFromConfig(tg.Config)
	for _, name := range []string{
		"service-role/AmazonEBSCSIDriverPolicy", "service-role/AmazonEFSCSIDriverPolicy", "AmazonEKS_CNI_Policy", "CloudWatchAgentServerPolicy",
		"AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy", "AmazonEKSBlockStoragePolicy", "AmazonEKSComputePolicy",
		"AmazonEKSFargatePodExecutionRolePolicy", "AmazonEKSVPCResourceController", "AmazonEKSLocalOutpostClusterPolicy", "AWSXRayDaemonWriteAccess",
		"AutoScalingFullAccess", "AmazonRoute53AutoNamingFullAccess", "ElasticLoadBalancingFullAccess", "AmazonFSxFullAccess",
		"AmazonElasticFileSystemFullAccess", "AmazonS3ReadOnlyAccess", "AmazonEKSClusterPolicy", "AmazonEKSWorkerNodePolicy", "AmazonSSMManagedInstanceCore",
	} {
		p, err := c.GetPolicy(t.Context(), &iam.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/" + name)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v, err := c.GetPolicyVersion(t.Context(), &iam.GetPolicyVersionInput{PolicyArn: p.Policy.Arn, VersionId: p.Policy.DefaultVersionId}); err != nil || !strings.Contains(*v.PolicyVersion.Document, "Statement") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIAMAccountSummary(t *testing.T) {
	out, err := iam.NewFromConfig(target(t, "iam").Config).GetAccountSummary(t.Context(), &iam.GetAccountSummaryInput{})
	if err != nil {
		t.Fatal(err)
	}
	m := out.SummaryMap
	if m["RolesQuota"] < 1000 || m["PolicySizeQuota"] != 6144 || m["AttachedPoliciesPerRoleQuota"] < 10 || m["VersionsPerPolicyQuota"] != 5 {
		t.Errorf("got %v", m)
	}
}

func TestIAMServiceLinkedRoles(t *testing.T) {
	tg := target(t, "iam")
	if !tg.Embedded {
		t.Skip("would take a service's role from a real account")
	}
	c := iam.NewFromConfig(tg.Config)
	for _, service := range []string{"eks.amazonaws.com", "eks-nodegroup.amazonaws.com", "eks-fargate.amazonaws.com", "autoscaling.amazonaws.com", "spot.amazonaws.com", "elasticloadbalancing.amazonaws.com"} {
		var name *string
		if r, err := c.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: &service}); err == nil {
			name = r.Role.RoleName
		} else {
			apiError(t, err, "InvalidInput") // another test's use has made it
			continue
		}
		_, err := c.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(nodePolicy)})
		apiError(t, err, "UnmodifiableEntity")
		d, err := c.DeleteServiceLinkedRole(t.Context(), &iam.DeleteServiceLinkedRoleInput{RoleName: name})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := c.GetServiceLinkedRoleDeletionStatus(t.Context(), &iam.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: d.DeletionTaskId}); err != nil || s.Status != types.DeletionTaskStatusTypeSucceeded {
			t.Errorf("%+v %v", s, err)
		}
	}
}

func TestIAMProfilesAndProviders(t *testing.T) {
	tg := target(t, "iam")
	c := iam.NewFromConfig(tg.Config)
	ctx := t.Context()
	suffix := fmt.Sprint(time.Now().UnixNano())
	name, path := aws.String("conformance-"+suffix), aws.String("/ekspedite/"+suffix+"/")
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}
	p, err := c.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: name, Path: path, Tags: tags})
	if err != nil || !strings.HasSuffix(*p.InstanceProfile.Arn, ":instance-profile"+*path+*name) {
		t.Fatalf("%+v %v", p, err)
	}
	if list, err := c.ListInstanceProfiles(ctx, &iam.ListInstanceProfilesInput{PathPrefix: path}); err != nil || len(list.InstanceProfiles) != 1 || *list.InstanceProfiles[0].InstanceProfileName != *name {
		t.Errorf("%+v %v", list, err)
	}
	if got, err := c.ListInstanceProfileTags(ctx, &iam.ListInstanceProfileTagsInput{InstanceProfileName: name}); err != nil || len(got.Tags) != 1 || *got.Tags[0].Value != "a" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := c.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: name}); err != nil {
		t.Error(err)
	}

	o, err := c.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://conformance-" + suffix + ".example.com/id"),
		ClientIDList: []string{"sts.amazonaws.com"}, ThumbprintList: []string{strings.Repeat("a", 40)}, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	arn := o.OpenIDConnectProviderArn
	if _, err := c.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: aws.String("other")}); err != nil && exact(tg) {
		t.Error(err)
	}
	if _, err := c.TagOpenIDConnectProvider(ctx, &iam.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, Tags: []types.Tag{{Key: aws.String("stage"), Value: aws.String("b")}}}); err != nil {
		t.Error(err)
	}
	got, err := c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	if err != nil || len(got.Tags) != 2 || exact(tg) && fmt.Sprint(got.ClientIDList) != "[sts.amazonaws.com other]" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := c.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}); err != nil {
		t.Error(err)
	}
}
