package plane

import (
	"slices"
	"strings"
	"sync"
	"time"

	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// DeprecatedCall is one client's use of one API that a later minor serves no more.
type DeprecatedCall struct {
	Group     string `json:"group"`
	Version   string `json:"version"`
	Resource  string `json:"resource"`
	Removed   string `json:"removed"` // the minor without it: "1.37"
	UserAgent string `json:"userAgent"`
	Count     int    `json:"count"`
	// LastRequest is when the last of them was answered.
	LastRequest time.Time `json:"lastRequest"`
}

type callKey struct{ group, version, resource, agent string }

// Witness counts the calls of deprecated APIs. It stands where the API server's audit log would be: only audit events carry what
// the server says of an API's end together with who called it.
type Witness struct {
	mu    sync.Mutex
	calls map[callKey]*DeprecatedCall
}

// maxCalls bounds what clients with ever new names can make this process hold.
const maxCalls = 10000

// own are the components of the control plane: they follow its version by themselves.
var own = []string{"system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "ekspedite:kubelets"}

// EvaluatePolicyRule implements audit.PolicyRuleEvaluator: only versions that are not stable are looked at, for the sake of time.
func (w *Witness) EvaluatePolicyRule(a authorizer.Attributes) audit.RequestAuditConfig {
	config := audit.RequestAuditConfig{Level: auditinternal.LevelNone}
	unstable := strings.Contains(a.GetAPIVersion(), "beta") || strings.Contains(a.GetAPIVersion(), "alpha")
	if a.IsResourceRequest() && unstable && (a.GetUser() == nil || !slices.Contains(own, a.GetUser().GetName())) {
		config.Level = auditinternal.LevelMetadata
		config.OmitStages = []auditinternal.Stage{auditinternal.StageRequestReceived, auditinternal.StageResponseStarted}
	}
	return config
}

// ProcessEvents implements audit.Backend.
func (w *Witness) ProcessEvents(events ...*auditinternal.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range events {
		removed := e.Annotations["k8s.io/removed-release"]
		if e.ObjectRef == nil || removed == "" {
			continue
		}
		key := callKey{e.ObjectRef.APIGroup, e.ObjectRef.APIVersion, e.ObjectRef.Resource, e.UserAgent}
		c := w.calls[key]
		if c == nil {
			if len(w.calls) >= maxCalls {
				continue
			}
			c = &DeprecatedCall{Group: key.group, Version: key.version, Resource: key.resource, Removed: removed, UserAgent: key.agent}
			w.calls[key] = c
		}
		c.Count++
		c.LastRequest = e.StageTimestamp.Time
	}
	return true
}

// Collect hands over what was counted since the last time.
func (w *Witness) Collect() []DeprecatedCall {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []DeprecatedCall
	for _, c := range w.calls {
		all = append(all, *c)
	}
	clear(w.calls)
	slices.SortFunc(all, func(a, b DeprecatedCall) int {
		return strings.Compare(a.Group+a.Version+a.Resource+a.UserAgent, b.Group+b.Version+b.Resource+b.UserAgent)
	})
	return all
}

// Run implements audit.Backend.
func (*Witness) Run(<-chan struct{}) error { return nil }

// Shutdown implements audit.Backend.
func (*Witness) Shutdown() {}

// String implements audit.Backend.
func (*Witness) String() string { return "ekspedite-witness" }
