package eks

import (
	"context"
	"errors"
	"slices"
)

const (
	podRole     = "arn:aws:iam::111122223333:role/pods"
	fargateRole = "arn:aws:iam::111122223333:role/fargate"
)

func (f *fakeEC2) MapsPublicIPs(string) bool { return false }

func (f *fakeEC2) KeyPair(name string) bool { return name == "ops" }

func (f *fakeEC2) CreateRemoteAccessGroup(g RemoteAccessGroup) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remote = g
	return "sg-remote", nil
}

// CheckTrustFor trusts the roles for pods and for Fargate.
func (fakeTrust) CheckTrustFor(role, service, _ string, actions ...string) error {
	if role == podRole && service == podPrincipal && slices.Contains(actions, "sts:TagSession") || role == fargateRole && service == fargatePrincipal {
		return nil
	}
	return errors.New("not trusted")
}

// Enforce notes the grants and goes on until it is ended, as a real control plane does.
func (p *fakePlane) Enforce(ctx context.Context, grants []Grant) error {
	p.mu.Lock()
	p.grants = grants
	p.mu.Unlock()
	p.note("enforce %d", len(grants))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.done:
		return errors.New("connection refused")
	}
}

// Fargate has one pod for each rule, until it is ended.
func (p *fakePlane) Fargate(ctx context.Context, rules []FargateRules, machines FargateMachines) error {
	p.note("fargate %d", len(rules))
	keep := map[string]bool{}
	for _, r := range rules {
		keep["uid-"+r.Profile] = true
	}
	machines.Keep(keep)
	for {
		for _, r := range rules {
			if node, ready := machines.Want(FargatePod{UID: "uid-" + r.Profile, Namespace: "web", Name: "x", CPU: 0.3}, r.Profile); ready {
				p.note("bind %s", node)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return errors.New("connection refused")
		case <-machines.Changed():
		}
	}
}

func (p *fakePlane) Apply(_ context.Context, objects []Object, mode string) error {
	p.mu.Lock()
	conflict := p.conflict
	p.mu.Unlock()
	if conflict != nil && mode == resolveNone {
		return conflict
	}
	for _, o := range objects {
		p.note("apply %s %s", o.Path, mode)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applied = objects
	return nil
}

func (p *fakePlane) Remove(_ context.Context, objects []Object) error {
	for _, o := range objects {
		p.note("remove %s", o.Path)
	}
	return nil
}
