package iam

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Authorize implements wire.Authorizer.
func (s *Service) Authorize(who wire.Principal, need wire.Need) error {
	if who.Root {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.decide(who, need)
	s.count(who.RoleARN, need, d)
	if !d.Allowed {
		return refusal(who.ARN, need, d.Reason)
	}
	return nil
}

// AuthorizeRole decides for a service that acts as a role, as EventBridge Scheduler does. That the role trusts the service
// is CheckTrust's to say.
func (s *Service) AuthorizeRole(roleARN string, need wire.Need) error {
	name := roleARN[strings.LastIndexByte(roleARN, '/')+1:]
	return s.Authorize(wire.Principal{
		Account: s.w.Account, RoleARN: roleARN, UserID: "AROA:service",
		ARN: "arn:aws:sts::" + s.w.Account + ":assumed-role/" + name + "/service",
	}, need)
}

// decide evaluates without counting. The caller holds s.mu.
func (s *Service) decide(who wire.Principal, need wire.Need) policy.Decision {
	r, err := s.roleByARN(who.RoleARN)
	if err != nil {
		return policy.Decision{Reason: "because " + err.Error()}
	}
	identity, boundary := s.documents(r)
	request := s.request(who, need)
	if len(need.Policy) == 0 {
		return policy.Evaluate(identity, boundary, nil, request)
	}
	own, err := policy.Parse(need.Policy)
	if err != nil { // the service that stored it checked it
		return policy.Decision{Reason: "because the resource's policy cannot be read: " + err.Error()}
	}
	own.Name = "resource/" + need.Resource
	if t := policy.Trusts(own, request); need.PolicyMust && !t.Allowed && t.Denied == nil {
		return policy.Decision{Reason: "because no resource-based policy allows the " + need.Action + " action"}
	}
	return policy.Evaluate(identity, boundary, &own, request)
}

// request adds the global condition keys. The caller holds s.mu.
func (s *Service) request(who wire.Principal, need wire.Need) policy.Request {
	now := time.Now().UTC()
	ctx := map[string][]string{
		"aws:currenttime":      {now.Format(time.RFC3339)},
		"aws:epochtime":        {strconv.FormatInt(now.Unix(), 10)},
		"aws:principalaccount": {who.Account},
		"aws:principalarn":     {who.ARN},
		"aws:principaltype":    {"Account"},
		"aws:userid":           {who.UserID},
		"aws:requestedregion":  {s.w.Region},
		"aws:resourceaccount":  {s.w.Account},
		"aws:sourceip":         {"127.0.0.1"},
		// The embedded cloud speaks plain HTTP on loopback. A policy that insists on TLS would hold against AWS.
		"aws:securetransport": {"true"},
		"aws:viaawsservice":   {"false"},
	}
	if who.RoleARN != "" {
		ctx["aws:principalarn"], ctx["aws:principaltype"] = []string{who.RoleARN}, []string{"AssumedRole"}
		if r, err := s.roleByARN(who.RoleARN); err == nil {
			for _, t := range r.tags {
				ctx["aws:principaltag/"+strings.ToLower(t.Key)] = []string{t.Value}
			}
		}
		if c := s.sessions[who.AccessKeyID]; c != nil {
			ctx["aws:tokenissuetime"] = []string{c.issued.UTC().Format(time.RFC3339)}
		}
	}
	for k, v := range need.Context {
		ctx[strings.ToLower(k)] = v
	}
	return policy.Request{Principal: asPolicy(who), Action: need.Action, Resource: need.Resource, Context: ctx}
}

// deniedWith400 are the services whose access denial has HTTP status 400, because they speak awsJson; the others answer 403.
var deniedWith400 = []string{"dynamodb", "events", "logs", "ssm", "codepipeline", "ecs", "kms", "servicequotas", "pricing"}

// refusal is the service's own kind of access-denied error.
func refusal(caller string, need wire.Need, reason string) *wire.Error {
	service, _, _ := strings.Cut(need.Action, ":")
	action := need.Action
	if service == "sqs" {
		action = strings.ToLower(action) // SQS writes its actions so
	}
	msg := "User: " + caller + " is not authorized to perform: " + action
	if need.Resource != "*" {
		msg += " on resource: " + need.Resource
	} else if service == "eks" || service == "events" || service == "dynamodb" || service == "logs" || service == "lambda" || service == "kms" || service == "ssm" || service == "servicequotas" || service == "pricing" || service == "ecs" {
		msg += " on resource: *"
	}
	if reason != "" {
		msg += " " + strings.Replace(reason, need.Action, action, 1)
	}
	e := wire.Errf("AccessDeniedException", "%s", msg).WithStatus(http.StatusForbidden)
	switch service {
	case "ec2":
		e.Code, e.Message = "UnauthorizedOperation", "You are not authorized to perform this operation. "+msg
	case "iam", "sts", "autoscaling", "cloudformation", "cloudwatch", "elasticloadbalancing", "s3":
		e.Code = "AccessDenied"
	case "sqs":
		e.QueryCode = "AccessDenied"
	case "sns":
		e.Code = "AuthorizationError"
	}
	if slices.Contains(deniedWith400, service) {
		e.Status = http.StatusBadRequest
	}
	return e
}
