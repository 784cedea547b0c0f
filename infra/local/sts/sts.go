// Package sts is the embedded cloud's Security Token Service: who am I, sessions of roles, and the verification of EKS
// bearer tokens, which are presigned STS calls.
package sts

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Identities is the part of IAM that STS uses.
type Identities interface {
	wire.Credentials
	Assume(who wire.Principal, in iam.AssumeRequest) (iam.Session, error)
}

// Service is STS of one account.
type Service struct {
	w   *world.World
	ids Identities
}

// New makes an STS over the account's identities.
func New(w *world.World, ids Identities) *Service { return &Service{w: w, ids: ids} }

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "sts", Protocol: wire.Query, XMLNamespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Ops: []wire.Op{
			wire.Handle("GetCallerIdentity", nil, s.callerIdentity), // needs no permission, and none can take it away
			wire.Handle("AssumeRole", nil, s.assumeRole),            // IAM weighs the trust policy together with the caller's own
		},
	}
}

type identity struct{ Arn, UserId, Account string }

func (s *Service) callerIdentity(_ context.Context, c *wire.Call, _ *struct{}) (*identity, error) {
	return &identity{Arn: c.Caller.ARN, UserId: c.Caller.UserID, Account: c.Caller.Account}, nil
}

type assumeInput struct {
	RoleArn, RoleSessionName, ExternalId string
	DurationSeconds                      *int
	// What follows is refused rather than ignored: each of them narrows or widens what the session may do.
	Policy, SerialNumber, TokenCode, SourceIdentity string
	PolicyArns                                      []struct{ Arn string }
	Tags                                            []iam.Tag
	TransitiveTagKeys                               []string
}

type assumeOutput struct {
	AssumedRoleUser struct{ Arn, AssumedRoleId string }
	Credentials     struct {
		AccessKeyId, SecretAccessKey, SessionToken string
		Expiration                                 wire.Time
	}
}

var sessionNamePattern = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func (s *Service) assumeRole(_ context.Context, c *wire.Call, in *assumeInput) (*assumeOutput, error) {
	if p := in.unsupported(); p != "" {
		return nil, wire.Errf("NotImplemented", "AssumeRole: the embedded cloud does not implement %s", p).WithStatus(http.StatusNotImplemented)
	}
	if !sessionNamePattern.MatchString(in.RoleSessionName) {
		return nil, wire.Errf("ValidationError", `1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`, in.RoleSessionName)
	}
	if len(in.RoleArn) < 20 {
		return nil, wire.Errf("ValidationError", "%s is invalid", in.RoleArn)
	}
	request := iam.AssumeRequest{RoleARN: in.RoleArn, SessionName: in.RoleSessionName, ExternalID: in.ExternalId, Region: c.Region}
	if d := in.DurationSeconds; d != nil {
		if *d < 900 || *d > 43200 {
			return nil, wire.Errf("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200", *d)
		}
		request.Duration = time.Duration(*d) * time.Second
	}
	session, err := s.ids.Assume(c.Caller, request)
	if err != nil {
		return nil, err
	}
	out := new(assumeOutput)
	out.AssumedRoleUser.Arn, out.AssumedRoleUser.AssumedRoleId = session.Principal.ARN, session.Principal.UserID
	out.Credentials.AccessKeyId, out.Credentials.SecretAccessKey = session.AccessKeyID, session.SecretAccessKey
	out.Credentials.SessionToken, out.Credentials.Expiration = session.SessionToken, wire.Time{Time: session.Expires}
	return out, nil
}

func (in *assumeInput) unsupported() string {
	switch {
	case in.Policy != "":
		return "the parameter Policy"
	case len(in.PolicyArns) > 0:
		return "the parameter PolicyArns"
	case len(in.Tags)+len(in.TransitiveTagKeys) > 0:
		return "session tags"
	case in.SerialNumber+in.TokenCode != "":
		return "MFA"
	case in.SourceIdentity != "":
		return "the parameter SourceIdentity"
	}
	return ""
}
