package eks

import (
	"context"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// rollbackWindow is how long after an upgrade EKS takes the control plane back to the minor before.
const rollbackWindow = 7 * 24 * time.Hour

// The limits of rollbackConfig.timeoutMinutes, from the API reference.
const (
	leastRollbackMinutes   = 120
	mostRollbackMinutes    = 10080
	defaultRollbackMinutes = 720
)

type rollbackConfig struct {
	TimeoutMinutes *int `json:"timeoutMinutes"`
}

func (r *rollbackConfig) check(cluster string) error {
	if m := r.minutes(); m < leastRollbackMinutes || m > mostRollbackMinutes {
		return invalidParameter(cluster, "timeoutMinutes must be between %d and %d", leastRollbackMinutes, mostRollbackMinutes)
	}
	return nil
}

func (r *rollbackConfig) minutes() int {
	if r == nil || r.TimeoutMinutes == nil {
		return defaultRollbackMinutes
	}
	return *r.TimeoutMinutes
}

// rollbackTarget is the minor to which the cluster can go back now, and empty when it cannot.
func (c *cluster) rollbackTarget() string {
	if c.upgradedFrom == "" || time.Since(c.upgraded) >= rollbackWindow {
		return ""
	}
	return c.upgradedFrom
}

// mayRollBack says why a cluster cannot go back to the minor before. EKS's words are not public. The caller holds s.mu.
func (s *Service) mayRollBack(c *cluster, to string) error {
	refused := func(why string, args ...any) error {
		return invalidRequest(c.name, "Cannot roll back cluster "+c.name+" from Kubernetes version "+c.version+" to "+to+": "+why, args...)
	}
	if _, ok := s.trip(c.name, "", "", exactly(RollbackRefused)); ok {
		return refused("the rollback is not available")
	}
	r, known := findRelease(to)
	switch {
	case c.rolledBack:
		return refused("it was rolled back already, and only one minor version can be rolled back")
	case c.upgradedFrom == "":
		return refused("it was created at version %s", c.version)
	case time.Since(c.upgraded) >= rollbackWindow:
		return refused("its upgrade ended more than 7 days ago")
	case !known || !supportedVersion(to):
		return refused("version %s is not supported any more", to)
	case time.Now().After(day(r.standardEnd)) && c.upgradePolicy.SupportType == "STANDARD":
		return refused("version %s is in extended support and the cluster's upgrade policy is STANDARD. Set supportType to EXTENDED first", to)
	}
	var newer []string
	for _, name := range sortedKeys(c.nodegroups) {
		g := c.nodegroups[name]
		is := minor(g.version) > minor(to) || minor(g.next) > minor(to)
		for _, m := range s.members(g) {
			is = is || m.inst.State == "running" && minor(m.version) > minor(to)
		}
		if is {
			newer = append(newer, name)
		}
	}
	if len(newer) > 0 {
		return refused("Nodegroups %s must be updated to version %s first", strings.Join(newer, ", "), to)
	}
	return nil
}

// rollBack starts the way back. The caller holds s.mu.
func (s *Service) rollBack(c *cluster, req request, in *updateVersionIn) (*updateOut, error) {
	if err := s.mayRollBack(c, in.Version); err != nil {
		return nil, err
	}
	if err := s.free(c, "VersionRollback"); err != nil {
		return nil, err
	}
	if err := s.checkControlPlaneAddresses(c); err != nil {
		return nil, err
	}
	if err := s.passGate(c, rollbackReadiness, in.Version, in.Force); err != nil {
		return nil, err
	}
	u := s.begin(c, &update{kind: "VersionRollback", request: req, params: []updateParam{{"Version", in.Version}, {"PlatformVersion", platformVersion(1)}}})
	if c.auto.on {
		patience := time.Duration(in.RollbackConfig.minutes()) * time.Minute
		stop := make(chan struct{})
		u.stop = stop
		s.w.Go(func(context.Context) { s.rollBackNodes(c, u, in.Version, patience, stop) })
		return u.view(), nil
	}
	s.showUpdating(c, u)
	s.w.Go(func(context.Context) { s.upgrade(c, u, in.Version) })
	return u.view(), nil
}

// rollBackNodes is the first phase of the rollback of a cluster with EKS Auto Mode: its nodes go back while the cluster stays
// ACTIVE. Nodes of Auto Mode are not emulated, so it takes the time of an update, unless they are told to be blocked.
func (s *Service) rollBackNodes(c *cluster, u *update, version string, patience time.Duration, stop <-chan struct{}) {
	begun := time.Now()
	blocked := func() bool { return s.failing(c.name, "", "", AutoModeBlocked) }
	timer := time.NewTimer(s.w.Profile.ClusterUpdate)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	case <-c.ctx.Done():
		return
	}
	cancelled := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	inTime := s.await(c.ctx, max(0, patience-time.Since(begun)), func() bool { return cancelled() || !blocked() })
	s.mu.Lock()
	if c.ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	switch {
	case cancelled():
		u.status, u.cancel = cancelledStatus, &cancellation{successful, "The rollback of the nodes was cancelled"}
		s.touch()
	case !inTime:
		s.end(u, updateError{ErrorCode: "Unknown", ErrorMessage: "The nodes were not rolled back within the timeout", ResourceIDs: []string{c.name}})
	default:
		u.stop = nil // the control plane's phase cannot be cancelled
		s.showUpdating(c, u)
		s.mu.Unlock()
		s.upgrade(c, u, version)
		return
	}
	s.mu.Unlock()
}

// cancelledStatus is an update that was cancelled.
const cancelledStatus = "Cancelled"

type cancellation struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

type cancelUpdateIn struct {
	Name               string `json:"-" path:"name"`
	UpdateID           string `json:"-" path:"updateId"`
	ClientRequestToken string `json:"clientRequestToken"`
}

// cancelUpdate stops the nodes' phase of a rollback, the only update that can be stopped.
func (s *Service) cancelUpdate(_ context.Context, _ *wire.Call, in *cancelUpdateIn) (*updateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	var u *update
	for _, have := range c.updates {
		if have.id == in.UpdateID && have.about("", "", "") {
			u = have
		}
	}
	switch {
	case u == nil:
		return nil, notFound(c.name, "No update found for ID: %s", in.UpdateID)
	case u.cancel != nil:
		return u.view(), nil // it was asked for already
	case u.kind != "VersionRollback" || !c.auto.on:
		return nil, invalidRequest(c.name, "Update %s of type %s cannot be cancelled: only the rollback of an EKS Auto Mode cluster can", u.id, u.kind)
	case u.status != inProgress:
		return nil, invalidRequest(c.name, "Update %s cannot be cancelled: it is %s", u.id, u.status)
	case u.stop == nil:
		return nil, invalidRequest(c.name, "Update %s cannot be cancelled: the rollback of the control plane has begun", u.id)
	}
	u.cancel = &cancellation{Status: inProgress}
	close(u.stop)
	s.touch()
	return u.view(), nil
}

func (s *Service) needCancelUpdate(_ *wire.Call, in *cancelUpdateIn) []wire.Need {
	return s.about("CancelUpdate", in.Name, "", "", "")
}

// afterVersion notes which way back there is after a version update. The caller holds s.mu.
func (c *cluster) afterVersion(u *update, version string) {
	if u.kind == "VersionRollback" {
		c.upgradedFrom, c.rolledBack = "", true
	} else {
		c.upgradedFrom, c.rolledBack = c.version, false
	}
	c.version, c.platform, c.upgraded = version, 1, time.Now()
}
