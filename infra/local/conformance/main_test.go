// Package conformance holds one suite per AWS API. Each asserts what AWS documents, so that it passes against the embedded
// cloud, against other implementations, and against AWS itself:
//
//	go test ./infra/local/conformance                                            the embedded cloud
//	ENDPOINT=http://127.0.0.1:5000 SERVICES="sqs events" go test ./infra/…       another implementation
//	ENDPOINT=aws SERVICES="sqs" go test ./infra/…                                AWS, with the caller's own credentials
package conformance

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// Target is an implementation under test.
type Target struct {
	Endpoint string // base URL; empty for AWS itself
	Region   string
	Config   aws.Config
	Embedded bool // it is the embedded cloud
}

// embedded starts one cloud for all suites, when the first of them asks.
var embedded struct {
	sync.Once
	cloud *local.Cloud
	err   error
}

// functionsDir takes the executables of Lambda functions that a suite makes.
var functionsDir string

func TestMain(m *testing.M) {
	var err error
	if functionsDir, err = os.MkdirTemp("", "ekspedite-functions"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(functionsDir)
	if embedded.cloud != nil {
		if err := embedded.cloud.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing the embedded cloud:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// cloud returns the embedded cloud, for what its suites need beyond AWS's APIs.
func cloud(t *testing.T) *local.Cloud {
	t.Helper()
	embedded.Do(func() {
		embedded.cloud, embedded.err = local.Start(context.Background(), local.Options{
			Seed: 1, Faults: &faults.None, BinDir: functionsDir, Launcher: planes{}, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		})
	})
	if embedded.err != nil {
		t.Fatalf("the embedded cloud does not start: %v", embedded.err)
	}
	for _, code := range []string{ec2.QuotaVPCs, ec2.QuotaInternetGateways, ec2.QuotaEgressGateways, ec2.QuotaNATGateways, ec2.QuotaAddresses} {
		embedded.cloud.EC2.SetQuota(code, 1000) // the suites run side by side in one account
	}
	return embedded.cloud
}

// target says what to test a service against. service is the signing name: "sqs", "events". Against a foreign $ENDPOINT,
// services that $SERVICES does not list are skipped.
func target(t *testing.T, service string) Target {
	t.Helper()
	endpoint := os.Getenv("ENDPOINT")
	if endpoint == "" {
		c := cloud(t)
		tg := Target{Endpoint: c.Endpoint(), Region: c.World.Region, Embedded: true}
		tg.Config = configuration(t, tg, credentials.NewStaticCredentialsProvider(c.AccessKey(), c.SecretKey(), ""))
		return tg
	}
	if !slices.Contains(strings.Fields(strings.ReplaceAll(os.Getenv("SERVICES"), ",", " ")), service) {
		t.Skipf("SERVICES does not list %s", service)
	}
	tg := Target{Endpoint: endpoint, Region: cmp.Or(os.Getenv("AWS_REGION"), "us-east-1")}
	if endpoint == "aws" {
		tg.Endpoint = ""
		tg.Config = configuration(t, tg, nil)
		return tg
	}
	// Other implementations take any credentials; nobody's own go to them.
	tg.Config = configuration(t, tg, credentials.NewStaticCredentialsProvider("test", "test", ""))
	return tg
}

func configuration(t *testing.T, tg Target, own aws.CredentialsProvider) aws.Config {
	t.Helper()
	options := []func(*config.LoadOptions) error{config.WithRegion(tg.Region)}
	if own != nil {
		options = append(options, config.WithCredentialsProvider(own),
			config.WithSharedConfigFiles([]string{os.DevNull}), config.WithSharedCredentialsFiles([]string{os.DevNull}))
	}
	if tg.Endpoint != "" {
		options = append(options, config.WithBaseEndpoint(tg.Endpoint))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
