package eks

import (
	"context"
	"slices"
)

func (f *fakeEC2) CreateGroup(spec GroupSpec) error {
	f.mu.Lock()
	f.groups[spec.Name] = &fakeGroup{spec: spec, desired: spec.Desired}
	f.mu.Unlock()
	f.fill()
	return nil
}

func (f *fakeEC2) UpdateGroup(name string, minimum, maximum, desired *int) error {
	f.mu.Lock()
	g := f.groups[name]
	for _, p := range []struct{ to, from *int }{{&g.spec.Min, minimum}, {&g.spec.Max, maximum}, {&g.desired, desired}} {
		if p.from != nil {
			*p.to = *p.from
		}
	}
	f.mu.Unlock()
	f.w.Go(func(context.Context) { f.fill() })
	return nil
}

func (f *fakeEC2) DeleteGroup(name string) error {
	f.mu.Lock()
	g := f.groups[name]
	g.desired, g.gone = 0, true
	f.mu.Unlock()
	f.fill()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.groups, name)
	return nil
}

func (f *fakeEC2) Group(name string) (Group, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.groups[name]
	if g == nil {
		return Group{}, false
	}
	out := Group{Name: name, Min: g.spec.Min, Max: g.spec.Max, Desired: g.desired, LaunchFailure: g.failure, FailingSince: g.failing}
	for _, id := range g.members {
		out.Instances = append(out.Instances, GroupInstance{ID: id, LifecycleState: "InService"})
	}
	return out, true
}

func (f *fakeEC2) TerminateInstance(id string, decrement bool) error {
	if decrement {
		f.mu.Lock()
		for _, g := range f.groups {
			if slices.Contains(g.members, id) {
				g.desired--
			}
		}
		f.mu.Unlock()
	}
	f.terminate(id)
	return nil
}
