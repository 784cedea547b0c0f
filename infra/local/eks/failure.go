package eks

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// What a Failure can be besides an error code of updates.
const (
	// RollbackRefused makes UpdateClusterVersion refuse to go back.
	RollbackRefused = "RollbackRefused"
	// AutoModeBlocked keeps the nodes of EKS Auto Mode from going back, as a node pool's budget of 0 does: the rollback's first
	// phase lasts until it is cancelled or its time is over.
	AutoModeBlocked = "AutoModeBlocked"
)

const (
	podEviction  = "PodEvictionFailure"
	nodeCreation = "NodeCreationFailure"
	conflicting  = "ConfigurationConflict"

	insufficientAddresses = "InsufficientFreeAddresses"
)

// updateErrors are the error codes that the API lists for updates.
var updateErrors = []string{
	"SubnetNotFound", "SecurityGroupNotFound", "EniLimitReached", "IpNotAvailable", "AccessDenied", "OperationNotPermitted", "VpcIdNotFound",
	"Unknown", nodeCreation, podEviction, insufficientAddresses, "ClusterUnreachable", "InsufficientNumberOfReplicas", conflicting,
	"AdmissionRequestDenied", "UnsupportedAddonModification", "K8sResourceNotFound",
}

// Failure is something that EKS is told to do badly, so that its customer's software can be seen to cope. It is about the
// cluster's control plane, or about the node group or add-on that is named.
type Failure struct {
	Cluster, Nodegroup, Addon string
	// How is an error code of updates, such as NodeCreationFailure, or one of the constants above. NodeCreationFailure
	// is acted out: new machines do not join. PodEvictionFailure ends the first drain at once: a PodDisruptionBudget does the
	// same with the real patience. ConfigurationConflict spares updates that resolve conflicts. The others fail the update
	// when its time has come, and what it was to change stays.
	How string
	// Times is how many updates fail; 0 is all until the failure is taken away.
	Times int
}

func (f Failure) about(g Failure) bool {
	return f.Cluster == g.Cluster && f.Nodegroup == g.Nodegroup && f.Addon == g.Addon
}

// Fail tells EKS to fail from now on. The same subject and way again replace the former one.
func (s *Service) Fail(f Failure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.subject(f.Cluster, f.Nodegroup, f.Addon, ""); err != nil {
		return err
	}
	switch {
	case f.Nodegroup != "" && f.Addon != "":
		return invalidParameter(f.Cluster, "A failure is about a node group or an add-on, not both")
	case f.Times < 0:
		return invalidParameter(f.Cluster, "times must be 0 or more")
	case f.How == RollbackRefused || f.How == AutoModeBlocked:
		if f.Nodegroup+f.Addon != "" {
			return invalidParameter(f.Cluster, "%s is about a control plane, not about a node group or an add-on", f.How)
		}
	case (f.How == nodeCreation || f.How == podEviction) && f.Nodegroup == "":
		return invalidParameter(f.Cluster, "%s needs the name of a node group", f.How)
	case f.How == conflicting && f.Addon == "":
		return invalidParameter(f.Cluster, "%s needs the name of an add-on", f.How)
	case !slices.Contains(updateErrors, f.How):
		return invalidParameter(f.Cluster, "How to fail is one of %s, %s, %s", strings.Join(updateErrors, ", "), RollbackRefused, AutoModeBlocked)
	}
	s.failures = slices.DeleteFunc(s.failures, func(g Failure) bool { return g.about(f) && g.How == f.How })
	s.failures = append(s.failures, f)
	s.touch()
	return nil
}

// Mend takes the failures of a cluster away, or those of one of its node groups or add-ons; of all clusters when none is named.
func (s *Service) Mend(cluster, nodegroup, addon string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = slices.DeleteFunc(s.failures, func(f Failure) bool {
		return (cluster == "" || f.Cluster == cluster) && (nodegroup == "" || f.Nodegroup == nodegroup) && (addon == "" || f.Addon == addon)
	})
	for _, name := range sortedKeys(s.clusters) {
		s.kick(name) // machines that did not join may now
	}
	s.touch()
}

// Failures lists what EKS does badly now.
func (s *Service) Failures() []Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Failure{}, s.failures...)
}

// failing tells whether there is a failure, and leaves it there. The caller holds s.mu.
func (s *Service) failing(cluster, nodegroup, addon, how string) bool {
	return slices.ContainsFunc(s.failures, func(f Failure) bool {
		return f.about(Failure{Cluster: cluster, Nodegroup: nodegroup, Addon: addon}) && f.How == how
	})
}

// trip takes the first failure of the subject that passes, and uses one of its times up. The caller holds s.mu.
func (s *Service) trip(cluster, nodegroup, addon string, passes func(how string) bool) (how string, ok bool) {
	i := slices.IndexFunc(s.failures, func(f Failure) bool {
		return f.about(Failure{Cluster: cluster, Nodegroup: nodegroup, Addon: addon}) && passes(f.How)
	})
	if i < 0 {
		return "", false
	}
	how = s.failures[i].How
	if s.failures[i].Times == 1 {
		s.failures = slices.Delete(s.failures, i, i+1)
	} else if s.failures[i].Times > 1 {
		s.failures[i].Times--
	}
	return how, true
}

func exactly(how string) func(string) bool { return func(h string) bool { return h == how } }

// isUpdateError holds for what fails an update at its end, without a cause that is acted out.
func isUpdateError(how string) bool {
	return slices.Contains(updateErrors, how) && how != nodeCreation && how != podEviction && how != conflicting
}

// ordered is the update error of a failure that was ordered.
func ordered(how string, about ...string) updateError {
	text := "The embedded cloud was told to fail: " + how
	if how == insufficientAddresses {
		text = "One or more of the subnets do not have enough free IP addresses for this operation"
	}
	return updateError{ErrorCode: how, ErrorMessage: text, ResourceIDs: about}
}

// SetStrictSkew switches between node groups that must follow the control plane minor by minor, and kubelets that may be
// three minors older. See Options.StrictSkew.
func (s *Service) SetStrictSkew(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.StrictSkew = on
}

// SetInsightGate switches Options.InsightGate.
func (s *Service) SetInsightGate(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.InsightGate = on
}

// SetEvictionPatience changes Options.EvictionPatience for drains that begin from now on.
func (s *Service) SetEvictionPatience(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.EvictionPatience = d
}

// PatchPlatform makes AWS roll a new platform version out to a cluster now, of its own accord, and returns the update's id.
// The cluster stays ACTIVE, and changes of it are refused, until the patch is there.
func (s *Service) PatchPlatform(name string) (updateID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[name]
	switch {
	case c == nil:
		return "", noCluster(name)
	case c.status == creating || c.status == deleting || c.status == failed:
		return "", notActive(name)
	}
	if u := c.running("", ""); u != nil {
		return "", inUse(name, "Cluster %s currently has update %s in progress", name, u.id)
	}
	return s.patchPlatform(c).id, nil
}

// invalidState is the answer of the insight gate.
func invalidState(cluster, format string, args ...any) *wire.Error {
	return named(wire.Errf("InvalidStateException", format, args...), cluster, "")
}
