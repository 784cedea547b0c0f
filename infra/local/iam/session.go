package iam

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Session is a set of temporary credentials of a role.
type Session struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
	Principal                                  wire.Principal
}

type session struct {
	Session
	roleID string // a role that is deleted and made again is another role
	issued time.Time
}

// lambdaSession is how long a function's credentials last. AWS does not document it; an execution environment lives for
// some hours, and its credentials with it.
const lambdaSession = 12 * time.Hour

// Lookup implements wire.Credentials. Expired sessions, and those of deleted roles, are unknown.
func (s *Service) Lookup(accessKeyID string) (secret, token string, who wire.Principal, ok bool) {
	if accessKeyID == s.opts.AccessKeyID {
		return s.opts.SecretAccessKey, "", wire.Principal{
			Account: s.w.Account, ARN: s.arn("root"), UserID: s.w.Account, AccessKeyID: accessKeyID, Root: true,
		}, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sessions[accessKeyID]
	if c == nil || !time.Now().Before(c.Expires) {
		return "", "", wire.Principal{}, false
	}
	if r, err := s.roleByARN(c.Principal.RoleARN); err != nil || r.id != c.roleID {
		return "", "", wire.Principal{}, false
	}
	return c.SecretAccessKey, c.SessionToken, c.Principal, true
}

// SessionFor returns credentials of a role for a Lambda function. The role must trust lambda.amazonaws.com.
func (s *Service) SessionFor(roleARN, sessionName string) (accessKeyID, secretAccessKey, sessionToken string, err error) {
	if err := s.CheckTrust(roleARN, "lambda.amazonaws.com"); err != nil {
		return "", "", "", err
	}
	c, err := s.issue(roleARN, sessionName, lambdaSession)
	return c.AccessKeyID, c.SecretAccessKey, c.SessionToken, err
}

// ServiceSession returns credentials of a role that a service hands on, as CodePipeline does to the functions of its actions.
// The role must trust the service.
func (s *Service) ServiceSession(roleARN, servicePrincipal, sessionName string, life time.Duration) (accessKeyID, secretAccessKey, sessionToken string, err error) {
	if err := s.CheckTrust(roleARN, servicePrincipal); err != nil {
		return "", "", "", err
	}
	c, err := s.issue(roleARN, sessionName, life)
	return c.AccessKeyID, c.SecretAccessKey, c.SessionToken, err
}

// CheckTrust tells whether a service may assume a role: it exists, has settled, and its trust policy allows
// sts:AssumeRole to the service principal ("eks.amazonaws.com"). The error says what is missing, for the service to put
// into its own words.
func (s *Service) CheckTrust(roleARN, servicePrincipal string) error {
	return s.CheckTrustFrom(roleARN, servicePrincipal, "")
}

// CheckTrustFrom is CheckTrust for a service that says on which resource's behalf it comes: aws:SourceArn.
func (s *Service) CheckTrustFrom(roleARN, servicePrincipal, sourceARN string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.usableRole(roleARN)
	if err != nil {
		return err
	}
	context := map[string][]string{"aws:SourceAccount": {s.w.Account}}
	if sourceARN != "" {
		context["aws:SourceArn"] = []string{sourceARN}
	}
	d := policy.Trusts(r.trust, policy.Request{
		Principal: policy.Principal{Service: servicePrincipal}, Action: "sts:AssumeRole", Resource: roleARN, Context: context,
	})
	if !d.Allowed {
		return fmt.Errorf("the trust policy of the role %s does not let %s assume it", roleARN, servicePrincipal)
	}
	return nil
}

// usableRole finds a role that is old enough for the rest of AWS to know it. The caller holds s.mu.
func (s *Service) usableRole(arn string) (*role, error) {
	r, err := s.roleByARN(arn)
	if err != nil {
		return nil, err
	}
	if time.Now().Before(r.usable) {
		return nil, fmt.Errorf("the role %s does not exist", arn) // so AWS says too while IAM settles
	}
	return r, nil
}

func (s *Service) issue(roleARN, name string, life time.Duration) (Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.roleByARN(roleARN)
	if err != nil {
		return Session{}, err
	}
	now := time.Now()
	for id, c := range s.sessions {
		if now.After(c.Expires) {
			delete(s.sessions, id)
		}
	}
	id := s.id("ASIA")[:20]
	c := &session{roleID: r.id, issued: now, Session: Session{
		AccessKeyID: id, SecretAccessKey: s.w.Hex(40), SessionToken: "FwoGZXIvYXdz" + s.w.Hex(160), Expires: now.Add(life).Truncate(time.Second),
		Principal: wire.Principal{
			Account: s.w.Account, ARN: "arn:aws:sts::" + s.w.Account + ":assumed-role/" + r.name + "/" + name,
			UserID: r.id + ":" + name, RoleARN: r.arn, AccessKeyID: id,
		},
	}}
	r.lastUsed = now
	s.sessions[id] = c
	return c.Session, nil
}

// AssumeRequest is what a caller of sts:AssumeRole asks for.
type AssumeRequest struct {
	RoleARN, SessionName, ExternalID string
	Duration                         time.Duration // 0 is an hour
	Region                           string        // of the STS that is asked; empty is the home Region
}

// chainedMax is the longest session that one role's session may get of another role.
const chainedMax = time.Hour

// Assume gives the caller a session of a role if the role's trust policy and the caller's own policies let it.
//
// AWS refuses the root user ("Roles may not be assumed by root accounts"). Here root stands for a developer's own
// administrator credentials, so it is only held to the trust policy.
func (s *Service) Assume(who wire.Principal, in AssumeRequest) (Session, error) {
	if in.Duration == 0 {
		in.Duration = time.Hour
	}
	ctx := map[string][]string{"sts:RoleSessionName": {in.SessionName}}
	if in.ExternalID != "" {
		ctx["sts:ExternalId"] = []string{in.ExternalID}
	}
	if in.Region != "" {
		ctx["aws:RequestedRegion"] = []string{in.Region}
	}
	if err := s.mayAssume(who, in, ctx); err != nil {
		return Session{}, err
	}
	return s.issue(in.RoleARN, in.SessionName, in.Duration)
}

func (s *Service) mayAssume(who wire.Principal, in AssumeRequest, ctx map[string][]string) error {
	need := wire.Need{Action: "sts:AssumeRole", Resource: in.RoleARN, Context: ctx}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.usableRole(in.RoleARN)
	if err != nil {
		return refusal(who.ARN, need, "")
	}
	trust := policy.Trusts(r.trust, s.request(who, need))
	if !trust.Allowed {
		return refusal(who.ARN, need, "")
	}
	// Trust in the account leaves the choice to the account's policies. Trust in the very caller is enough, unless its own
	// policies deny.
	if !who.Root {
		d := s.decide(who, need)
		if !d.Allowed && (d.Denied != nil || policy.TrustsOnlyAccount(r.trust, asPolicy(who), trust)) {
			s.count(who.RoleARN, need, d)
			return refusal(who.ARN, need, d.Reason)
		}
		if d.Allowed {
			s.count(who.RoleARN, need, d)
		}
	}
	switch {
	case in.Duration > r.maxSession:
		return wire.Errf("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case in.Duration > chainedMax && who.RoleARN != "":
		return wire.Errf("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	return nil
}

func asPolicy(who wire.Principal) policy.Principal {
	return policy.Principal{Account: who.Account, ARN: who.ARN, RoleARN: who.RoleARN}
}
