package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func (s *Service) hookOps() []wire.Op {
	action := func(name string, do func(*actionIn) (*none, error)) wire.Op {
		return handle(s, name, needOn(s, name, func(in *actionIn) string { return in.AutoScalingGroupName }), do)
	}
	return []wire.Op{
		wire.Handle("PutLifecycleHook", func(_ *wire.Call, in *putHookIn) []wire.Need {
			needs := []wire.Need{s.need("PutLifecycleHook", in.AutoScalingGroupName)}
			if in.RoleARN != "" {
				needs = append(needs, wire.Need{Action: "iam:PassRole", Resource: in.RoleARN, Context: map[string][]string{"iam:PassedToService": {"autoscaling.amazonaws.com"}}})
			}
			return needs
		}, s.putHook),
		handle(s, "DeleteLifecycleHook", needOn(s, "DeleteLifecycleHook", func(in *deleteHookIn) string { return in.AutoScalingGroupName }), s.deleteHook),
		handle(s, "DescribeLifecycleHooks", nil, s.describeHooks),
		action("CompleteLifecycleAction", s.completeAction),
		action("RecordLifecycleActionHeartbeat", s.heartbeat),
	}
}

// putHook sends its test notification before it takes the lock: the queue is another service.
func (s *Service) putHook(_ context.Context, _ *wire.Call, in *putHookIn) (*none, error) {
	next := newHook(in.LifecycleHookName)
	arn := ""
	check := func() error {
		g, err := s.find(in.AutoScalingGroupName)
		if err != nil {
			return err
		}
		arn = g.arn
		if i := g.hook(in.LifecycleHookName); i >= 0 {
			*next = *g.hooks[i]
		} else if len(g.hooks) >= maxHooks {
			return wire.Errf("LimitExceeded", "You have reached the limit of %d lifecycle hooks for the Auto Scaling group %s", maxHooks, g.name)
		}
		return in.hook().update(next)
	}
	s.mu.Lock()
	err := check()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if in.NotificationTargetARN != nil && *in.NotificationTargetARN != "" {
		n := notification{
			AccountID: s.w.Account, RequestID: s.w.UUID(), AutoScalingGroupARN: arn, AutoScalingGroupName: in.AutoScalingGroupName,
			Service: "AWS Auto Scaling", Event: "autoscaling:TEST_NOTIFICATION", Time: time.Now().UTC().Format(isoMillis),
		}
		if err := s.send(next.target, n); err != nil {
			return nil, validation("Unable to publish test message to notification target %s using IAM role %s. Please check your target and role configuration and try to put lifecycle hook again.", next.target, next.role)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if i := g.hook(next.name); i >= 0 {
		g.hooks[i] = next
	} else {
		g.hooks = append(g.hooks, next)
	}
	return &none{}, nil
}

// hook returns the index of a hook, or -1.
func (g *group) hook(name string) int {
	return slices.IndexFunc(g.hooks, func(h *hook) bool { return h.name == name })
}

// deleteHook completes what waits for the hook: ABANDON for launching instances, CONTINUE for terminating ones.
func (s *Service) deleteHook(in *deleteHookIn) (*none, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	i := g.hook(in.LifecycleHookName)
	if i < 0 {
		return nil, validation("No Lifecycle Hook found with name %s", in.LifecycleHookName)
	}
	g.hooks = slices.Delete(g.hooks, i, i+1)
	for _, m := range g.members {
		for _, w := range m.waits {
			if w.hook.name == in.LifecycleHookName && w.result == "" {
				w.result = proceed
				if w.hook.transition == onLaunch {
					w.result = abandon
				}
			}
		}
	}
	g.poke()
	return &none{}, nil
}

func (s *Service) describeHooks(in *describeHooksIn) (*describeHooksOut, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	out := &describeHooksOut{}
	for _, h := range g.hooks {
		if len(in.LifecycleHookNames) > 0 && !slices.Contains(in.LifecycleHookNames, h.name) {
			continue
		}
		out.LifecycleHooks = append(out.LifecycleHooks, hookXML{
			LifecycleHookName: h.name, AutoScalingGroupName: g.name, LifecycleTransition: h.transition, NotificationTargetARN: h.target,
			RoleARN: h.role, NotificationMetadata: h.metadata, HeartbeatTimeout: h.heartbeat,
			GlobalTimeout: int(h.global() / time.Second), DefaultResult: h.result,
		})
	}
	return out, nil
}

// openWait finds the lifecycle action that a request means, by token or by instance.
func (s *Service) openWait(in *actionIn) (*group, *wait, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, nil, err
	}
	if in.LifecycleActionToken == "" && in.InstanceID == "" {
		return nil, nil, validation("Either an instance ID or a lifecycle action token must be specified")
	}
	for _, m := range g.members {
		if m.state != pendingWait && m.state != terminatingWait || in.InstanceID != "" && m.id != in.InstanceID {
			continue
		}
		for _, w := range m.waits {
			if w.hook.name == in.LifecycleHookName && w.result == "" && (in.LifecycleActionToken == "" || w.token == in.LifecycleActionToken) {
				return g, w, nil
			}
		}
	}
	if in.LifecycleActionToken != "" {
		return nil, nil, validation("No active Lifecycle Action found with token %s", in.LifecycleActionToken)
	}
	return nil, nil, validation("No active Lifecycle Action found with instance ID %s", in.InstanceID)
}

func (s *Service) completeAction(in *actionIn) (*none, error) {
	if in.LifecycleActionResult != proceed && in.LifecycleActionResult != abandon {
		return nil, validation("Invalid Lifecycle Action Result %s: must be CONTINUE or ABANDON", in.LifecycleActionResult)
	}
	g, w, err := s.openWait(in)
	if err != nil {
		return nil, err
	}
	w.result = in.LifecycleActionResult
	g.poke()
	return &none{}, nil
}

// heartbeat begins the hook's timeout anew, up to the global one.
func (s *Service) heartbeat(in *actionIn) (*none, error) {
	g, w, err := s.openWait(in)
	if err != nil {
		return nil, err
	}
	w.deadline = time.Now().Add(w.hook.interval())
	if w.deadline.After(w.limit) {
		w.deadline = w.limit
	}
	g.poke()
	return &none{}, nil
}
