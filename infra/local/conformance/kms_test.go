package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// kmsKey makes a key whose deletion is scheduled at the end.
func kmsKey(t *testing.T, c *kms.Client, in *kms.CreateKeyInput) *types.KeyMetadata {
	t.Helper()
	out, err := c.CreateKey(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = c.ScheduleKeyDeletion(context.Background(), &kms.ScheduleKeyDeletionInput{KeyId: out.KeyMetadata.KeyId, PendingWindowInDays: aws.Int32(7)})
	})
	return out.KeyMetadata
}

func TestKMSKeys(t *testing.T) {
	tg := target(t, "kms")
	c := kms.NewFromConfig(tg.Config)
	ctx := t.Context()
	k := kmsKey(t, c, &kms.CreateKeyInput{Description: aws.String("secrets"), Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("a")}}})
	if k.KeyState != types.KeyStateEnabled || k.KeySpec != types.KeySpecSymmetricDefault || exact(tg) && k.KeyUsage != types.KeyUsageTypeEncryptDecrypt ||
		!k.Enabled || k.KeyManager != types.KeyManagerTypeCustomer || !strings.HasSuffix(*k.Arn, ":key/"+*k.KeyId) {
		t.Errorf("got %+v", k)
	}
	for _, id := range []*string{k.KeyId, k.Arn} {
		if out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: id}); err != nil || *out.KeyMetadata.Description != "secrets" {
			t.Errorf("%s: %v %v", *id, out, err)
		}
	}
	_, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("00000000-0000-4000-8000-000000000000")})
	apiError(t, err, "NotFoundException")
	tags, err := c.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: k.KeyId})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].TagValue != "a" {
		t.Errorf("tags %+v %v", tags, err)
	}

	if _, err := c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: k.KeyId}); err != nil {
		t.Fatal(err)
	}
	if out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: k.KeyId}); err != nil || out.KeyMetadata.KeyState != types.KeyStateDisabled || out.KeyMetadata.Enabled {
		t.Errorf("disabled: %+v %v", out, err)
	}
	if _, err := c.EnableKey(ctx, &kms.EnableKeyInput{KeyId: k.KeyId}); err != nil {
		t.Fatal(err)
	}
	if exact(tg) {
		_, err = c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId, PendingWindowInDays: aws.Int32(3)})
		apiError(t, err, "ValidationException")
	}
	out, err := c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId, PendingWindowInDays: aws.Int32(7)})
	if err != nil || time.Until(*out.DeletionDate) < 6*24*time.Hour {
		t.Errorf("got %+v %v", out, err)
	}
	if out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: k.KeyId}); err != nil || out.KeyMetadata.KeyState != types.KeyStatePendingDeletion {
		t.Errorf("deleted: %+v %v", out, err)
	}
	if exact(tg) {
		_, err = c.EnableKey(ctx, &kms.EnableKeyInput{KeyId: k.KeyId})
		apiError(t, err, "KMSInvalidStateException")
	}
}

func TestKMSAliases(t *testing.T) {
	c := kms.NewFromConfig(target(t, "kms").Config)
	ctx := t.Context()
	k := kmsKey(t, c, &kms.CreateKeyInput{})
	name := aws.String(fmt.Sprintf("alias/conformance/%d", time.Now().UnixNano()))
	if _, err := c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: name, TargetKeyId: k.KeyId}); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: name, TargetKeyId: k.KeyId})
	apiError(t, err, "AlreadyExistsException")
	if out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: name}); err != nil || *out.KeyMetadata.KeyId != *k.KeyId {
		t.Errorf("by alias: %+v %v", out, err)
	}
	if out, err := c.ListAliases(ctx, &kms.ListAliasesInput{KeyId: k.KeyId}); err != nil || len(out.Aliases) != 1 || *out.Aliases[0].AliasName != *name || *out.Aliases[0].TargetKeyId != *k.KeyId {
		t.Errorf("list: %+v %v", out, err)
	}
	if _, err := c.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: name}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: name})
	apiError(t, err, "NotFoundException")
	_, err = c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("secrets"), TargetKeyId: k.KeyId})
	apiError(t, err, "ValidationException")
}

func TestKMSGrants(t *testing.T) {
	tg := target(t, "kms")
	c := kms.NewFromConfig(tg.Config)
	ctx := t.Context()
	k := kmsKey(t, c, &kms.CreateKeyInput{})
	who := aws.String("arn:aws:iam::" + accountOf(t, tg) + ":root")
	in := &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: who, Name: aws.String("eks"), Operations: []types.GrantOperation{types.GrantOperationDescribeKey, types.GrantOperationEncrypt}}
	g, err := c.CreateGrant(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.CreateGrant(ctx, in); exact(tg) && (err != nil || *again.GrantId != *g.GrantId) {
		t.Errorf("again: %+v %v", again, err)
	}
	list, err := c.ListGrants(ctx, &kms.ListGrantsInput{KeyId: k.KeyId, GrantId: g.GrantId})
	if err != nil || len(list.Grants) != 1 || *list.Grants[0].Name != "eks" || len(list.Grants[0].Operations) != 2 {
		t.Errorf("list: %+v %v", list, err)
	}
	if _, err := c.RetireGrant(ctx, &kms.RetireGrantInput{GrantToken: g.GrantToken}); err != nil {
		t.Error(err)
	}
	if list, err = c.ListGrants(ctx, &kms.ListGrantsInput{KeyId: k.KeyId, GrantId: g.GrantId}); err != nil || len(list.Grants) != 0 {
		t.Errorf("after: %+v %v", list, err)
	}
}

// What a key's policy does not allow to the account, the account's policies cannot give.
func TestKMSPolicies(t *testing.T) {
	tg := target(t, "kms")
	if !exact(tg) {
		t.Skip("needs an implementation that evaluates policies")
	}
	c := kms.NewFromConfig(tg.Config)
	ctx := t.Context()
	allowed, role := roleSession(t, tg, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`)
	with := kms.NewFromConfig(allowed)
	forbidden, other := roleSession(t, tg, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*"}]}`)
	without := kms.NewFromConfig(forbidden)
	describe := func(c *kms.Client, k *types.KeyMetadata) error {
		_, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: k.KeyId})
		return err
	}

	delegating := kmsKey(t, c, &kms.CreateKeyInput{})
	if out, err := c.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: delegating.KeyId}); err != nil || !strings.Contains(*out.Policy, "Enable IAM User Permissions") {
		t.Errorf("default policy: %v %v", out, err)
	}
	if err := describe(with, delegating); err != nil {
		t.Error(err)
	}
	apiError(t, describe(without, delegating), "AccessDeniedException")
	if _, err := c.CreateGrant(ctx, &kms.CreateGrantInput{KeyId: delegating.KeyId, GranteePrincipal: &other, Operations: []types.GrantOperation{types.GrantOperationDescribeKey}}); err != nil {
		t.Fatal(err)
	}
	if err := describe(without, delegating); err != nil {
		t.Errorf("what a grant allows: %v", err)
	}

	// This key's policy is for one role only, and for whoever changes it.
	statement := func(principal, action string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":` + action + `,"Resource":"*"}`
	}
	root := "arn:aws:iam::" + accountOf(t, tg) + ":root"
	admin := `["kms:PutKeyPolicy","kms:ScheduleKeyDeletion"]`
	document := `{"Version":"2012-10-17","Statement":[` + statement(root, admin) + `,` + statement(other, `"kms:DescribeKey"`) + `]}`
	closed := kmsKey(t, c, &kms.CreateKeyInput{Policy: &document})
	apiError(t, describe(with, closed), "AccessDeniedException")
	if err := describe(without, closed); err != nil {
		t.Errorf("what the key's policy allows: %v", err)
	}
	lockout := `{"Version":"2012-10-17","Statement":[` + statement(role, `"kms:DescribeKey"`) + `]}`
	_, err := c.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: closed.KeyId, Policy: &lockout})
	apiError(t, err, "MalformedPolicyDocumentException")
	if _, err = c.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: closed.KeyId, Policy: aws.String(`{"Version":"2012-10-17","Statement":[` + statement(root, `"kms:*"`) + `]}`)}); err != nil {
		t.Fatal(err)
	}
	if err := describe(with, closed); err != nil {
		t.Errorf("after the change: %v", err)
	}
}
