package interruption_test

import (
	"context"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// balancing is the load balancers that the machine is behind: a target group of a controller's, one of the Auto Scaling group's, or
// both.
type balancing struct {
	w        *world
	targets  []fleet.Target
	delay    time.Duration // of deregistration, of all
	slow     bool          // to tell of targets
	denied   error         // what deregistering comes to
	stubborn bool          // what is deregistered is registered again at once

	deregistered, byScaling int
	outAt                   time.Time // since then none is sent new connections
	left                    time.Time // and since then no old ones go through the machine
}

const webGroup = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"

// balanced puts the machine behind a controller's load balancer, and makes its pods serve.
func (w *world) balanced(edit ...func(*fleet.Target)) *balancing {
	t := fleet.Target{Group: webGroup, Port: 30080, State: fleet.TargetHealthy, Ours: true, PutBack: true}
	for _, f := range edit {
		f(&t)
	}
	w.lb = &balancing{w: w, targets: []fleet.Target{t}, delay: 5 * time.Minute}
	for _, p := range w.pods {
		p.Ready = true
	}
	return w.lb
}

// targets is how the function reaches the load balancers; nil if there are none.
func (w *world) targets() interruption.Targets {
	if w.lb == nil {
		return nil
	}
	return w.lb
}

// Targets implements interruption.Targets.
func (b *balancing) Targets(ctx context.Context, name string, inst fleet.Instance) (list []fleet.Target, err error) {
	if b.slow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	err = b.w.call(ctx, "targets", func() error {
		if name != cluster || inst.ID != machine {
			return fault.New(fault.Invalid, "targets of %s in %s", inst.ID, name)
		}
		b.settle()
		list = append(list, b.targets...)
		return nil
	})
	return list, err
}

// Deregister implements interruption.Targets.
func (b *balancing) Deregister(ctx context.Context, group, id string, port int) error {
	return b.w.call(ctx, "deregister", func() error {
		b.w.writes++
		if b.denied != nil {
			return b.denied
		}
		for i, t := range b.targets {
			if t.Group == group && t.Port == port && id == machine && t.Serving() && !b.stubborn {
				b.deregistered++
				b.take(i)
			}
		}
		return nil
	})
}

// take has a target drain. The world's lock is held.
func (b *balancing) take(i int) {
	b.targets[i].State, b.outAt, b.left = fleet.TargetDraining, time.Now(), time.Now().Add(b.delay)
}

// settle lets what has drained go, and Auto Scaling do its part.
func (b *balancing) settle() {
	for i, t := range b.targets {
		if t.Serving() && len(t.ScalingGroups) > 0 && b.w.group.Name == "" {
			b.byScaling++
			b.take(i)
		}
	}
	if !b.left.IsZero() && !time.Now().Before(b.left) {
		b.targets = nil
	}
}

// began is when a pod was told to go.
func (p *pod) began() time.Time { return p.goneAt.Add(-min(exitTime, p.grace)) }

// wantOut checks that no serving pod was told to go before load balancers had left the machine alone for a while.
func wantOut(t *testing.T, w *world, pause time.Duration) {
	t.Helper()
	if w.lb.outAt.IsZero() {
		t.Fatal("the machine was never taken out of its load balancers")
	}
	for name, p := range w.pods {
		if p.Deleting && p.Ready && p.Owner.Kind != "Job" && p.began().Before(w.lb.outAt.Add(pause)) {
			t.Errorf("%s was told to go %s after the deregistration", name, p.began().Sub(w.lb.outAt))
		}
	}
}
