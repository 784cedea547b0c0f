package conformance

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
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
