package eks

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func identityInput() *associateIdentityIn {
	return &associateIdentityIn{Name: "c", OIDC: oidcConfig{Name: "okta", IssuerURL: "https://example.okta.com", ClientID: "kubernetes", GroupsClaim: "groups"}, Tags: tags{"team": "a"}}
}

func TestIdentityProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		in := identityInput()
		in.OIDC.IssuerURL = r.clusters["c"].issuer()
		_, err := r.associateIdentity(t.Context(), asAdmin(), in)
		wantError(t, err, "InvalidParameterException", "The Identity Provider URL cannot be same as OpenID Connect (OIDC) issuer URL")
		in.OIDC.IssuerURL = "http://example.okta.com"
		_, err = r.associateIdentity(t.Context(), asAdmin(), in)
		wantError(t, err, "InvalidParameterException", "Incorrect Identity Provider URL configuration")
		none := &disassociateIdentityIn{Name: "c", Config: providerRef{"oidc", "okta"}}
		_, err = r.disassociateIdentity(t.Context(), asAdmin(), none)
		wantError(t, err, "InvalidRequestException", "Identity provider config is not associated with cluster c")

		out, err := r.associateIdentity(t.Context(), asAdmin(), identityInput())
		if err != nil {
			t.Fatal(err)
		}
		if out.Update.Type != "AssociateIdentityProviderConfig" || out.Tags["team"] != "a" {
			t.Errorf("association %+v", out)
		}
		describe := func() oidcShape {
			d, err := r.describeIdentity(t.Context(), asAdmin(), &describeIdentityIn{"c", providerRef{"oidc", "okta"}})
			if err != nil {
				t.Fatal(err)
			}
			return d.Config.OIDC
		}
		if p := describe(); p.Status != creating || p.ClusterName != "c" || p.GroupsClaim != "groups" {
			t.Errorf("new provider %+v", p)
		}
		other := identityInput()
		other.OIDC.Name = "second"
		_, err = r.associateIdentity(t.Context(), asAdmin(), other)
		wantError(t, err, "ResourceInUseException", "Cannot AssociateIdentityProviderConfig because cluster c currently has update "+out.Update.ID+" in progress")
		r.updateEnds(&updateOut{out.Update}, nil)
		if p := describe(); p.Status != active {
			t.Errorf("provider is %s", p.Status)
		}
		_, err = r.associateIdentity(t.Context(), asAdmin(), other)
		wantError(t, err, "ResourceLimitExceededException", "already has an identity provider")
		if got, err := r.listTags(t.Context(), asAdmin(), &listTagsIn{r.clusters["c"].idp.arn}); err != nil || got.Tags["team"] != "a" {
			t.Errorf("tags %v, %v", got, err)
		}

		u, err := r.disassociateIdentity(t.Context(), asAdmin(), none)
		if err != nil {
			t.Fatal(err)
		}
		if p := describe(); p.Status != deleting {
			t.Errorf("provider is %s", p.Status)
		}
		r.updateEnds(u, nil)
		list, err := r.listIdentity(t.Context(), asAdmin(), &listInCluster{Name: "c"})
		if err != nil || len(list.Configs) != 0 {
			t.Errorf("providers %+v, %v", list, err)
		}
		_, err = r.describeIdentity(t.Context(), asAdmin(), &describeIdentityIn{"c", providerRef{"oidc", "okta"}})
		wantError(t, err, "ResourceNotFoundException", "")
	})
}

const (
	capabilityRole      = "arn:aws:iam::111122223333:role/capability"
	otherCapabilityRole = "arn:aws:iam::111122223333:role/capability2"
)

func capabilityInput(name, kind string) *createCapabilityIn {
	return &createCapabilityIn{ClusterName: "c", CapabilityName: name, Type: kind, RoleARN: capabilityRole, DeletePropagation: "RETAIN", ClientRequestToken: name}
}

func TestCapabilities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx, admin := t.Context(), asAdmin()
		_, err := r.createCapability(ctx, admin, capabilityInput("ack", "ACK"))
		wantError(t, err, "ResourceNotFoundException", "No cluster found for name: c.")
		r.mustCluster()
		for name, tc := range map[string]struct {
			change        func(*createCapabilityIn)
			code, message string
		}{
			"type":   {func(in *createCapabilityIn) { in.Type = "FLUX" }, "InvalidParameterException", "type must be one of"},
			"policy": {func(in *createCapabilityIn) { in.DeletePropagation = "" }, "InvalidParameterException", "RETAIN"},
			"role":   {func(in *createCapabilityIn) { in.RoleARN = nodeRole }, "InvalidParameterException", "could not be assumed"},
			"Argo":   {func(in *createCapabilityIn) { in.Type = "ARGOCD" }, "InvalidParameterException", "idcInstanceArn"},
		} {
			in := capabilityInput("ack", "ACK")
			tc.change(in)
			_, err := r.createCapability(ctx, admin, in)
			t.Log(name)
			wantError(t, err, tc.code, tc.message)
		}
		out, err := r.createCapability(ctx, admin, capabilityInput("ack", "ACK"))
		if err != nil {
			t.Fatal(err)
		}
		if p := out.Capability; p.Status != creating || p.Configuration.ACK == nil || p.DeletePropagation != "RETAIN" {
			t.Errorf("capability %+v", p)
		}
		again, err := r.createCapability(ctx, admin, capabilityInput("ack", "ACK"))
		if err != nil || again.Capability.ARN != out.Capability.ARN {
			t.Errorf("the same token gave %+v, %v", again, err)
		}
		_, err = r.createCapability(ctx, admin, capabilityInput("ack2", "ACK"))
		wantError(t, err, "ResourceInUseException", "already has a capability of type ACK")
		_, err = r.deleteCapability(ctx, admin, &capabilityName{"c", "ack"})
		wantError(t, err, "ResourceInUseException", "currently in CREATING state")
		if e := r.clusters["c"].entries[capabilityRole]; e == nil || e.policies[policyPrefix+"AmazonEKSACKPolicy"] == nil {
			t.Errorf("entry %+v", e)
		}
		p := r.clusters["c"].capabilities["ack"]
		r.until(func() bool { return p.status == active })

		cross := true
		change := &updateCapabilityIn{ClusterName: "c", CapabilityName: "ack", Configuration: &capabilityConfigUpdate{}}
		_, err = r.updateCapability(ctx, admin, change)
		wantError(t, err, "InvalidParameterException", "No changes needed")
		change.Configuration.ACK = &struct {
			DisabledServices     *[]string `json:"disabledServices"`
			EnableCrossNamespace *bool     `json:"enableCrossNamespace"`
		}{EnableCrossNamespace: &cross}
		u, err := r.updateCapability(ctx, admin, change)
		if err != nil {
			t.Fatal(err)
		}
		if p.status != updating || p.config.ACK.EnableCrossNamespace {
			t.Errorf("capability is %s, %+v", p.status, p.config.ACK)
		}
		// It is the capability's own update: the cluster is free for others.
		if r.clusters["c"].running("", "") != nil {
			t.Error("the cluster has an update in progress")
		}
		end := r.updateEnds(u, nil)
		if end.Type != "CapabilityUpdate" || end.Status != successful || !p.config.ACK.EnableCrossNamespace {
			t.Errorf("update %+v", end)
		}
		ids, err := r.listUpdates(ctx, admin, &listUpdatesIn{Name: "c", Capability: "ack"})
		if err != nil || !slices.Equal(ids.UpdateIDs, []string{u.Update.ID}) {
			t.Errorf("updates %+v, %v", ids, err)
		}
		if _, err := r.describeUpdate(ctx, admin, &describeUpdateIn{Name: "c", UpdateID: u.Update.ID}); err == nil {
			t.Error("the capability's update is the cluster's as well")
		}
		gone, err := r.deleteCapability(ctx, admin, &capabilityName{"c", "ack"})
		if err != nil || gone.Capability.Status != deleting {
			t.Errorf("deletion %+v, %v", gone, err)
		}
		r.until(func() bool { return r.clusters["c"].capabilities["ack"] == nil })
		if r.clusters["c"].entries[capabilityRole] != nil {
			t.Error("the access entry stays")
		}
		_, err = r.describeCapability(ctx, admin, &capabilityName{"c", "ack"})
		wantError(t, err, "ResourceNotFoundException", "No capability found")
	})
}

func TestArgoCDRoleMappings(t *testing.T) {
	user := func(id string) ssoIdentity { return ssoIdentity{id, "SSO_USER"} }
	have := []roleMapping{{"ADMIN", []ssoIdentity{user("a"), user("b")}}, {"VIEWER", []ssoIdentity{user("c")}}}
	got := remap(have, []roleMapping{{"EDITOR", []ssoIdentity{user("d")}}}, []roleMapping{{"ADMIN", []ssoIdentity{user("a")}}, {"VIEWER", []ssoIdentity{user("c")}}})
	want := []roleMapping{{"ADMIN", []ssoIdentity{user("b")}}, {"EDITOR", []ssoIdentity{user("d")}}}
	if fingerprint(got) != fingerprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(have[0].Identities) != 2 {
		t.Error("the mappings from before have changed in place")
	}
}

func TestArgoCDCapability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx, admin := t.Context(), asAdmin()
		in := clusterInput()
		in.AccessConfig = nil
		if _, err := r.createCluster(ctx, admin, in); err != nil {
			t.Fatal(err)
		}
		_, err := r.createCapability(ctx, admin, capabilityInput("kro", "KRO"))
		wantError(t, err, "InvalidRequestException", "Cluster 'c' is not in ACTIVE status")
		r.until(func() bool { return r.clusters["c"].status == active })
		_, err = r.createCapability(ctx, admin, capabilityInput("kro", "KRO"))
		wantError(t, err, "InvalidRequestException", "authentication mode must be set to one of [API, API_AND_CONFIG_MAP]")
		r.updateEnds(r.config(func(in *updateConfigIn) { in.AccessConfig = &accessConfigRequest{AuthenticationMode: modeBoth} }))

		argo := capabilityInput("argo", "ARGOCD")
		mustDecode(t, `{"argoCd": {"awsIdc": {"idcInstanceArn": "arn:aws:sso:::instance/ssoins-1"}, "endpointPrefix": "team",
			"rbacRoleMappings": [{"role": "ADMIN", "identities": [{"id": "a", "type": "SSO_USER"}]}]}}`, &argo.Configuration)
		out, err := r.createCapability(ctx, admin, argo)
		if err != nil {
			t.Fatal(err)
		}
		c := out.Capability.Configuration.ArgoCD
		if c.Namespace != "argocd" || c.AWSIDC.Region != "us-east-1" || !strings.HasPrefix(c.ServerURL, "https://team-") || !strings.HasSuffix(c.ServerURL, ".eks-capabilities.us-east-1.amazonaws.com") {
			t.Errorf("configuration %+v", c)
		}
		if _, err := r.createCapability(ctx, admin, capabilityInput("kro", "KRO")); err != nil {
			t.Fatal(err)
		}
		list, err := r.listCapabilities(ctx, admin, &listInCluster{Name: "c", MaxResults: intp(1)})
		if err != nil || len(list.Capabilities) != 1 || list.Capabilities[0].Name != "argo" || list.NextToken == nil {
			t.Errorf("first page %+v, %v", list, err)
		}
		p := r.clusters["c"].capabilities["argo"]
		r.until(func() bool { return p.status == active && r.clusters["c"].capabilities["kro"].status == active })

		change := &updateCapabilityIn{ClusterName: "c", CapabilityName: "argo", RoleARN: nodeRole}
		_, err = r.updateCapability(ctx, admin, change)
		wantError(t, err, "InvalidParameterException", "could not be assumed")
		change.RoleARN = otherCapabilityRole
		mustDecode(t, `{"argoCd": {"networkAccess": {"vpceIds": ["vpce-1"]}, "rbacRoleMappings": {
			"addOrUpdateRoleMappings": [{"role": "VIEWER", "identities": [{"id": "g", "type": "SSO_GROUP"}]}],
			"removeRoleMappings": [{"role": "ADMIN", "identities": [{"id": "a", "type": "SSO_USER"}]}]}}}`, &change.Configuration)
		u, err := r.updateCapability(ctx, admin, change)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.updateCapability(ctx, admin, change)
		wantError(t, err, "ResourceInUseException", "currently in UPDATING state")
		end := r.updateEnds(u, nil)
		var kinds []string
		for _, p := range end.Params {
			kinds = append(kinds, p.Type)
		}
		if !slices.Equal(kinds, []string{"NetworkAccess", "RoleMappingsToAddOrUpdate", "RoleMappingsToRemove", "RoleArn"}) {
			t.Errorf("parameters %v", kinds)
		}
		if m := p.config.ArgoCD.RoleMappings; len(m) != 1 || m[0].Role != "VIEWER" || p.config.ArgoCD.NetworkAccess.EndpointIDs[0] != "vpce-1" || p.role != otherCapabilityRole {
			t.Errorf("after the update %+v", p.config.ArgoCD)
		}
		// The other capability still has the first role.
		if e := r.clusters["c"].entries; e[capabilityRole] == nil || e[otherCapabilityRole] == nil {
			t.Errorf("entries %v", sortedKeys(e))
		}
		mustDecode(t, `{"ack": {"enableCrossNamespace": true}}`, &change.Configuration)
		change.Configuration.ArgoCD = nil
		_, err = r.updateCapability(ctx, admin, change)
		wantError(t, err, "InvalidParameterException", "does not match the capability type ARGOCD")
	})
}

func mustDecode(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}
