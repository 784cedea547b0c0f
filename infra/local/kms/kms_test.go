package kms

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

func newService(t *testing.T) *Service {
	w := world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	t.Cleanup(w.Close)
	return New(w)
}

func root() *wire.Call {
	return &wire.Call{Account: "123456789012", Region: "eu-west-1", Caller: wire.Principal{Account: "123456789012", ARN: "arn:aws:iam::123456789012:root", Root: true}}
}

func create(t *testing.T, s *Service, in createIn) *key {
	t.Helper()
	out, err := s.createKey(t.Context(), root(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return s.keys[out.KeyMetadata.KeyId]
}

func TestDescribeKeyForServices(t *testing.T) {
	s := newService(t)
	k, rsa := create(t, s, createIn{}), create(t, s, createIn{KeySpec: "RSA_2048"})
	if _, err := s.createAlias(t.Context(), root(), &aliasIn{AliasName: "alias/secrets", TargetKeyId: k.arn}); err != nil {
		t.Fatal(err)
	}
	off := create(t, s, createIn{MultiRegion: true})
	off.state = disabledState
	for name, want := range map[string][3]bool{
		k.id: {true, true, true}, k.arn: {true, true, true}, "alias/secrets": {true, true, true},
		"arn:aws:kms:eu-west-1:123456789012:alias/secrets": {true, true, true}, rsa.arn: {true, false, true}, off.arn: {false, true, true},
		"alias/aws/ebs": {true, true, true}, "nope": {}, "alias/nope": {}, strings.Replace(k.arn, "eu-west-1", "us-east-1", 1): {},
		"arn:aws:iam::123456789012:role/r": {},
	} {
		enabled, symmetric, ok := s.DescribeKey(name)
		if got := [3]bool{enabled, symmetric, ok}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if !strings.HasPrefix(off.id, "mrk-") || len(off.id) != 36 {
		t.Errorf("multi-Region key %s", off.id)
	}
}

func TestDeletionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		k := create(t, s, createIn{})
		if _, err := s.createAlias(t.Context(), root(), &aliasIn{AliasName: "alias/a", TargetKeyId: k.id}); err != nil {
			t.Fatal(err)
		}
		days := 7
		schedule := func() {
			t.Helper()
			if _, err := s.scheduleDeletion(root(), &keyIn{PendingWindowInDays: &days}, k); err != nil {
				t.Fatal(err)
			}
		}
		schedule()
		time.Sleep(3 * 24 * time.Hour)
		// Cancelled and scheduled anew: the first schedule must not end it.
		s.mu.Lock()
		k.state = disabledState
		k.scheduled++
		schedule()
		s.mu.Unlock()
		time.Sleep(5 * 24 * time.Hour)
		if _, _, ok := s.DescribeKey(k.arn); !ok {
			t.Error("the key went with its first schedule")
		}
		time.Sleep(2*24*time.Hour + time.Second)
		if _, _, ok := s.DescribeKey(k.arn); ok || len(s.aliases) != 0 {
			t.Error("the key or its alias is still there")
		}
	})
}

func TestRefusals(t *testing.T) {
	s := newService(t)
	k := create(t, s, createIn{})
	for want, call := range map[string]func() error{
		"NotImplemented: the embedded cloud's KMS does not implement keys of another origin": func() error {
			_, err := s.createKey(t.Context(), root(), &createIn{Origin: "EXTERNAL"})
			return err
		},
		"ValidationException: KeyUsage SIGN_VERIFY is not compatible": func() error {
			_, err := s.createKey(t.Context(), root(), &createIn{KeyUsage: "SIGN_VERIFY"})
			return err
		},
		"MalformedPolicyDocumentException: the policy is not": func() error {
			_, err := s.createKey(t.Context(), root(), &createIn{Policy: "nonsense"})
			return err
		},
		"ValidationException: Aliases must refer to keys": func() error {
			_, err := s.createAlias(t.Context(), root(), &aliasIn{AliasName: "alias/x", TargetKeyId: "alias/y"})
			return err
		},
		"AccessDeniedException: The operation is not permitted": func() error { return s.customers(s.awsKey("alias/aws/ebs")) },
		"InvalidMarkerException": func() error {
			_, err := s.listKeys(t.Context(), root(), &keyIn{Marker: "x"})
			return err
		},
		"NotFoundException: Grant ID g not found": func() error { return k.drop("g", false) },
	} {
		if err := call(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if len(s.keys) != 2 { // what was refused left nothing; one is AWS's
		t.Errorf("%d keys", len(s.keys))
	}
}
