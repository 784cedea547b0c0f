package iam

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// Providers makes the IAM resources of templates. CloudFormation itself waits until IAM has settled, so a role made here
// can be used at once.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{
		"AWS::IAM::Role":            s.provideRole,
		"AWS::IAM::Policy":          s.providePolicy,
		"AWS::IAM::ManagedPolicy":   s.provideManagedPolicy,
		"AWS::IAM::InstanceProfile": s.provideInstanceProfile,
	}
}

type inlineProperties struct {
	PolicyName     string
	PolicyDocument json.RawMessage
}

func (s *Service) provideRole(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		AssumeRolePolicyDocument                         json.RawMessage
		Description, Path, PermissionsBoundary, RoleName string
		ManagedPolicyArns                                []string
		MaxSessionDuration                               *int
		Policies                                         []inlineProperties
		Tags                                             []Tag
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.newRole(&request{
		RoleName: s.generatedName(p.RoleName, id, 64), Path: p.Path, Description: p.Description, PermissionsBoundary: p.PermissionsBoundary,
		AssumeRolePolicyDocument: string(p.AssumeRolePolicyDocument), MaxSessionDuration: p.MaxSessionDuration, Tags: p.Tags,
	})
	if err != nil {
		return stack.Created{}, err
	}
	r.usable = time.Time{}
	for _, arn := range p.ManagedPolicyArns {
		if err := s.attach(r, arn); err != nil {
			return stack.Created{}, err
		}
	}
	for _, in := range p.Policies {
		if err := r.put(in.PolicyName, string(in.PolicyDocument)); err != nil {
			return stack.Created{}, err
		}
	}
	return stack.Created{Ref: r.name, Attributes: map[string]string{"Arn": r.arn, "RoleId": r.id}}, nil
}

// generatedName is a name as CloudFormation makes them: the logical id and something random.
func (s *Service) generatedName(name, id string, limit int) string {
	if name != "" {
		return name
	}
	return id[:min(len(id), limit-13)] + "-" + strings.ToUpper(s.w.Hex(12))
}

func (s *Service) providePolicy(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		PolicyName           string
		PolicyDocument       json.RawMessage
		Roles, Users, Groups []string
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	if len(p.Users)+len(p.Groups) > 0 {
		return stack.Created{}, fmt.Errorf("policy %s is for users or groups: the embedded cloud has roles only", p.PolicyName)
	}
	if len(p.Roles) == 0 {
		return stack.Created{}, fmt.Errorf("policy %s is for no role", p.PolicyName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range p.Roles {
		r := s.roles[name]
		if r == nil {
			return stack.Created{}, notFound("The role with name %s cannot be found.", name)
		}
		if err := r.put(p.PolicyName, string(p.PolicyDocument)); err != nil {
			return stack.Created{}, err
		}
	}
	return stack.Created{Ref: id}, nil
}

func (s *Service) provideManagedPolicy(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		Description, ManagedPolicyName, Path string
		PolicyDocument                       json.RawMessage
		Roles, Users, Groups                 []string
		Tags                                 []Tag
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	if len(p.Users)+len(p.Groups) > 0 {
		return stack.Created{}, fmt.Errorf("managed policy %s is for users or groups: the embedded cloud has roles only", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.newPolicy(&request{
		PolicyName: s.generatedName(p.ManagedPolicyName, id, 128), Path: p.Path, Description: p.Description, PolicyDocument: string(p.PolicyDocument), Tags: p.Tags,
	})
	if err != nil {
		return stack.Created{}, err
	}
	for _, name := range p.Roles {
		r := s.roles[name]
		if r == nil {
			return stack.Created{}, notFound("The role with name %s cannot be found.", name)
		}
		if err := s.attach(r, m.arn); err != nil {
			return stack.Created{}, err
		}
	}
	return stack.Created{Ref: m.arn, Attributes: map[string]string{"PolicyArn": m.arn, "PolicyId": m.id}}, nil
}

func (s *Service) provideInstanceProfile(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		InstanceProfileName, Path string
		Roles                     []string
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	if len(p.Roles) != 1 {
		return stack.Created{}, fmt.Errorf("an instance profile has exactly one role, not %d", len(p.Roles))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	created, err := s.newProfile(&request{InstanceProfileName: s.generatedName(p.InstanceProfileName, id, 128), Path: p.Path})
	if err != nil {
		return stack.Created{}, err
	}
	if err := s.addToProfile(created, p.Roles[0]); err != nil {
		return stack.Created{}, err
	}
	return stack.Created{Ref: created.name, Attributes: map[string]string{"Arn": created.arn, "InstanceProfileId": created.id}}, nil
}
