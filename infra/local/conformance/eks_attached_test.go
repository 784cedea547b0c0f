package conformance

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// TestEKSAttached is about what a cluster is given later: a key, an identity provider, capabilities.
func TestEKSAttached(t *testing.T) {
	s := newEKSSuite(t)
	if !s.embedded {
		t.Skip("others lack it, and on AWS it takes hours")
	}
	name := eksName(t)
	s.create(s.input(name))
	s.active(name)
	t.Run("identity provider", func(t *testing.T) { s.identityProvider(t, name) })
	t.Run("capability", func(t *testing.T) { s.capability(t, name) })
}

func (s *eksSuite) identityProvider(t *testing.T, cluster string) {
	ctx := t.Context()
	ref := &types.IdentityProviderConfig{Name: aws.String("okta"), Type: aws.String("oidc")}
	_, err := s.DisassociateIdentityProviderConfig(ctx, &eks.DisassociateIdentityProviderConfigInput{ClusterName: &cluster, IdentityProviderConfig: ref})
	wantEKS[*types.InvalidRequestException](t, err, "Identity provider config is not associated with cluster "+cluster)
	out, err := s.AssociateIdentityProviderConfig(ctx, &eks.AssociateIdentityProviderConfigInput{ClusterName: &cluster, Tags: map[string]string{"suite": "conformance"}, Oidc: &types.OidcIdentityProviderConfigRequest{
		IdentityProviderConfigName: ref.Name, IssuerUrl: aws.String("https://example.okta.com"), ClientId: aws.String("kubernetes"), RequiredClaims: map[string]string{"team": "a"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	u := s.finished(t, &eks.DescribeUpdateInput{Name: &cluster, UpdateId: out.Update.Id})
	if u.Type != types.UpdateTypeAssociateIdentityProviderConfig || u.Status != types.UpdateStatusSuccessful {
		t.Errorf("update %+v", u)
	}
	d, err := s.DescribeIdentityProviderConfig(ctx, &eks.DescribeIdentityProviderConfigInput{ClusterName: &cluster, IdentityProviderConfig: ref})
	if err != nil {
		t.Fatal(err)
	}
	if o := d.IdentityProviderConfig.Oidc; o.Status != types.ConfigStatusActive || o.RequiredClaims["team"] != "a" || o.Tags["suite"] != "conformance" || !strings.Contains(*o.IdentityProviderConfigArn, ":identityproviderconfig/"+cluster+"/oidc/okta/") {
		t.Errorf("identity provider %+v", o)
	}
	list, err := s.ListIdentityProviderConfigs(ctx, &eks.ListIdentityProviderConfigsInput{ClusterName: &cluster})
	if err != nil || len(list.IdentityProviderConfigs) != 1 || *list.IdentityProviderConfigs[0].Name != "okta" {
		t.Errorf("identity providers %+v, %v", list, err)
	}
	gone, err := s.DisassociateIdentityProviderConfig(ctx, &eks.DisassociateIdentityProviderConfigInput{ClusterName: &cluster, IdentityProviderConfig: ref})
	if err != nil {
		t.Fatal(err)
	}
	s.finished(t, &eks.DescribeUpdateInput{Name: &cluster, UpdateId: gone.Update.Id})
	_, err = s.DescribeIdentityProviderConfig(ctx, &eks.DescribeIdentityProviderConfigInput{ClusterName: &cluster, IdentityProviderConfig: ref})
	wantEKS[*types.ResourceNotFoundException](t, err, "")
}

func (s *eksSuite) capability(t *testing.T, cluster string) {
	ctx := t.Context()
	role := s.role(iam.NewFromConfig(target(t, "iam").Config), "conformance-capability-"+cluster, "capabilities.eks.amazonaws.com")
	in := &eks.CreateCapabilityInput{
		ClusterName: &cluster, CapabilityName: aws.String("ack"), Type: types.CapabilityTypeAck, RoleArn: &role, DeletePropagationPolicy: types.CapabilityDeletePropagationPolicyRetain,
		Configuration: &types.CapabilityConfigurationRequest{Ack: &types.AckConfigRequest{DisabledServices: []string{"s3"}}},
	}
	s.eventually(t, func() error {
		_, err := s.CreateCapability(ctx, in)
		return err
	})
	if p := s.settled(t, cluster, *in.CapabilityName); p == nil || p.Status != types.CapabilityStatusActive || p.Type != types.CapabilityTypeAck || !slices.Equal(p.Configuration.Ack.DisabledServices, []string{"s3"}) || *p.RoleArn != role || *p.Version == "" {
		t.Errorf("capability %+v", p)
	}
	second := *in
	second.CapabilityName, second.ClientRequestToken = aws.String("ack2"), nil
	if _, err := s.CreateCapability(ctx, &second); err == nil {
		t.Error("a cluster has two capabilities of one type")
	}
	u, err := s.UpdateCapability(ctx, &eks.UpdateCapabilityInput{ClusterName: &cluster, CapabilityName: in.CapabilityName, Configuration: &types.UpdateCapabilityConfiguration{Ack: &types.UpdateAckConfig{DisabledServices: []string{}}}})
	if err != nil {
		t.Fatal(err)
	}
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: &cluster, CapabilityName: in.CapabilityName, UpdateId: u.Update.Id}); u.Type != types.UpdateTypeCapabilityUpdate || u.Status != types.UpdateStatusSuccessful {
		t.Errorf("update %+v", u)
	}
	list, err := s.ListCapabilities(ctx, &eks.ListCapabilitiesInput{ClusterName: &cluster})
	if err != nil || len(list.Capabilities) != 1 || *list.Capabilities[0].CapabilityName != "ack" {
		t.Errorf("capabilities %+v, %v", list, err)
	}
	if _, err := s.DeleteCapability(ctx, &eks.DeleteCapabilityInput{ClusterName: &cluster, CapabilityName: in.CapabilityName}); err != nil {
		t.Fatal(err)
	}
	if p := s.settled(t, cluster, *in.CapabilityName); p != nil {
		t.Errorf("the deleted capability is %s", p.Status)
	}
}

// settled waits until a capability is neither being created nor deleted; nil when it is gone. The SDK has no waiter.
func (s *eksSuite) settled(t *testing.T, cluster, name string) *types.Capability {
	t.Helper()
	ticker := time.NewTicker(s.poll())
	defer ticker.Stop()
	for {
		out, err := s.DescribeCapability(t.Context(), &eks.DescribeCapabilityInput{ClusterName: &cluster, CapabilityName: &name})
		var gone *types.ResourceNotFoundException
		switch {
		case errors.As(err, &gone):
			return nil
		case err != nil:
			t.Fatal(err)
		case out.Capability.Status != types.CapabilityStatusCreating && out.Capability.Status != types.CapabilityStatusDeleting:
			return out.Capability
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("the capability does not settle")
		}
	}
}

// eventually repeats what fails because a role is too new for EKS to see.
func (s *eksSuite) eventually(t *testing.T, do func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := do()
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "could not be assumed") || time.Now().After(deadline) {
			t.Fatal(err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(err)
		}
	}
}
