package sts_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/sts"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// cliToken was made by `aws eks get-token --cluster-name demo` (AWS CLI 1.45) with the embedded cloud's default root
// credentials, for AWS's own host.
const (
	cliToken  = "k8s-aws-v1.aHR0cHM6Ly9zdHMuZXUtd2VzdC0xLmFtYXpvbmF3cy5jb20vP0FjdGlvbj1HZXRDYWxsZXJJZGVudGl0eSZWZXJzaW9uPTIwMTEtMDYtMTUmWC1BbXotQWxnb3JpdGhtPUFXUzQtSE1BQy1TSEEyNTYmWC1BbXotQ3JlZGVudGlhbD1BS0lBRUtTUEVESVRFTE9DQUwwMSUyRjIwMjYxMTIzJTJGZXUtd2VzdC0xJTJGc3RzJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjExMjNUMTIzNzIyWiZYLUFtei1FeHBpcmVzPTYwJlgtQW16LVNpZ25lZEhlYWRlcnM9aG9zdCUzQngtazhzLWF3cy1pZCZYLUFtei1TaWduYXR1cmU9ZjdhZTZhYWNjMDQyYjY5OWE2YmExNThkNWJhNzcyOTUwOGZiNDU5ZjJiODA5ZTVlMWM3ZGNmNDNhY2NmZmQ3OA"
	cliSigned = "2026-11-23T12:37:22Z"
)

func TestTokenOfTheAWSCLI(t *testing.T) {
	w := world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	s := sts.New(w, iam.New(w, iam.Options{}))
	at, err := time.Parse(time.RFC3339, cliSigned)
	if err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{0, 14 * time.Minute} {
		who, err := s.VerifyEKSToken(cliToken, "demo", at.Add(age))
		if err != nil || who.ARN != "arn:aws:iam::123456789012:root" {
			t.Errorf("after %v: %+v %v", age, who, err)
		}
	}
	for reason, verify := range map[string]func() error{
		"SignatureDoesNotMatch": func() error { _, err := s.VerifyEKSToken(cliToken, "other", at); return err },
		"it expired": func() error {
			_, err := s.VerifyEKSToken(cliToken, "demo", at.Add(15*time.Minute+time.Second))
			return err
		},
		"security token included in the request is invalid": func() error {
			_, err := sts.New(w, iam.New(w, iam.Options{AccessKeyID: "AKIAOTHER", SecretAccessKey: "x"})).VerifyEKSToken(cliToken, "demo", at)
			return err
		},
	} {
		if err := verify(); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("got %v, want %s", err, reason)
		}
	}
}

func FuzzVerifyEKSToken(f *testing.F) {
	w := world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	s := sts.New(w, iam.New(w, iam.Options{}))
	f.Add(cliToken, "demo")
	f.Add("k8s-aws-v1.aHR0cHM6Ly9bOjox", "")
	f.Fuzz(func(t *testing.T, token, cluster string) {
		// Only the CLI's own token for its own cluster is good, and it has been out of date for long.
		if _, err := s.VerifyEKSToken(token, cluster, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
			t.Errorf("%q is accepted", token)
		}
	})
}
