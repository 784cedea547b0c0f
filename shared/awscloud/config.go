// Package awscloud is the only importer of aws-sdk-go-v2. It translates: nouns of package fleet on our side, SDK types
// on AWS's, and every error into a classed one (errors.go). Its types have small method sets and satisfy the interfaces
// that consumers declare.
package awscloud

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Config is credentials, Region and retry behaviour, loaded once at cold start.
type Config = aws.Config

// Load reads the SDK's configuration from the environment. Retries are few and quick, since a message that fails is
// delivered again by SQS anyway, and a Lambda that sleeps is paid for.
func Load(ctx context.Context) (Config, error) {
	return config.LoadDefaultConfig(ctx, config.WithRetryer(func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 4
			o.MaxBackoff = 2 * time.Second
		})
	}))
}

// InRegion is the same configuration for another Region.
func InRegion(cfg Config, region string) Config {
	cfg = cfg.Copy()
	cfg.Region = region
	return cfg
}

// Static is a configuration for one endpoint with fixed credentials: the embedded cloud's.
func Static(endpoint, region, accessKey, secretKey string) Config {
	return Config{
		Region: region, BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, Source: "embedded cloud"}, nil
		}),
	}
}
