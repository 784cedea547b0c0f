package conformance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func accountOf(t *testing.T, tg Target) string {
	t.Helper()
	me, err := sts.NewFromConfig(tg.Config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *me.Account
}

// assumed is the target's configuration with credentials of a role, once IAM has settled.
func assumed(t *testing.T, tg Target, role string) aws.Config {
	t.Helper()
	client := sts.NewFromConfig(tg.Config)
	deadline := time.Now().Add(30 * time.Second)
	for {
		out, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("conformance")})
		if err == nil {
			cfg := tg.Config.Copy()
			cfg.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
			return cfg
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // the role is not known everywhere yet
	}
}

// roleSession is a configuration with a session of a new role that has one inline policy.
func roleSession(t *testing.T, tg Target, inline string) (aws.Config, string) {
	t.Helper()
	root := iam.NewFromConfig(tg.Config)
	name := aws.String(fmt.Sprintf("conformance-%d", time.Now().UnixNano()))
	me := accountOf(t, tg)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + me + `"},"Action":"sts:AssumeRole"}]}`
	out, err := root.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		_, err := root.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("p")})
		if _, err2 := root.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name}); err != nil || err2 != nil {
			t.Errorf("the role stays: %v %v", err, err2)
		}
	})
	if _, err := root.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("p"), PolicyDocument: &inline}); err != nil {
		t.Fatal(err)
	}
	return assumed(t, tg, *out.Role.Arn), *out.Role.Arn
}
