package eks

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// deprecatedWindow is how long a call of a deprecated API shows in the insights: who mends the client waits for it.
const deprecatedWindow = 30 * 24 * time.Hour

// DeprecatedCall says that a client used an API that a later Kubernetes minor does not serve.
type DeprecatedCall struct {
	Group     string `json:"group"` // "networking.k8s.io"
	Version   string `json:"version"`
	Resource  string `json:"resource"`  // "servicecidrs"
	Removed   string `json:"removed"`   // the minor that serves it no more: "1.37"
	UserAgent string `json:"userAgent"` // the client's
	Count     int    `json:"count"`
	// LastRequest is when the client called last.
	LastRequest time.Time `json:"lastRequest"`
}

// Witness is a control plane that knows which deprecated APIs were called. Stand-ins need not be one.
type Witness interface {
	// Deprecated returns the calls since it was asked last.
	Deprecated(ctx context.Context) ([]DeprecatedCall, error)
}

func (d DeprecatedCall) usage() string {
	return "/apis/" + d.Group + "/" + d.Version + "/" + d.Resource
}

var apiName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)

func (d DeprecatedCall) check(cluster string) error {
	for what, v := range map[string]string{"group": d.Group, "version": d.Version, "resource": d.Resource} {
		if !apiName.MatchString(v) {
			return invalidParameter(cluster, "a deprecated call needs a %s such as in networking.k8s.io/v1beta1/servicecidrs, not %q", what, v)
		}
	}
	if minor(d.Removed) < 0 {
		return invalidParameter(cluster, "a deprecated call needs the minor that serves it no more, such as 1.37, not %q", d.Removed)
	}
	return nil
}

// deprecatedUse is one client's use of one API. EKS counts the calls of each day; here all go when the last is too old.
type deprecatedUse struct{ DeprecatedCall }

// note adds calls to what is known. The caller holds Service.mu.
func (c *cluster) note(d DeprecatedCall) {
	if c.deprecated == nil {
		c.deprecated = map[string]*deprecatedUse{}
	}
	key := d.usage() + " " + d.UserAgent
	u := c.deprecated[key]
	if u == nil {
		c.deprecated[key] = &deprecatedUse{d}
		return
	}
	u.Count += d.Count
	if d.LastRequest.After(u.LastRequest) {
		u.LastRequest = d.LastRequest
	}
}

// collectPatience is how long EKS waits for an API server to say what it has seen.
const collectPatience = 10 * time.Second

// collectDeprecated asks a control plane what it has seen since it was asked last. One that does not answer is asked the
// next time.
func (s *Service) collectDeprecated(c *cluster, plane ControlPlane) {
	w, ok := plane.(Witness)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, collectPatience)
	defer cancel()
	calls, err := w.Deprecated(ctx)
	if err != nil {
		s.w.Log.Warn("eks: the control plane does not say which deprecated APIs were called", "cluster", c.name, "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range calls {
		c.note(d)
	}
}

// replacements are what to use instead of an API, and since which minor: the deprecation guide of kubernetes.io, and
// k8s.io/api's APILifecycleReplacement. For others nothing is said.
var replacements = map[string][2]string{
	"flowcontrol.apiserver.k8s.io/v1beta3": {"v1", "1.29"},
	"networking.k8s.io/v1beta1":            {"v1", "1.33"},
	"storage.k8s.io/v1beta1":               {"v1", "1.34"},
	"resource.k8s.io/v1beta1":              {"v1", "1.34"},
	"resource.k8s.io/v1beta2":              {"v1", "1.34"},
	"admissionregistration.k8s.io/v1beta1": {"v1", "1.30"},
	"authentication.k8s.io/v1beta1":        {"v1", "1.28"},
}

// removing are the minors after which an API that clusters had on EKS is gone: those about which EKS says something even
// when nobody uses it.
var removing = []string{"1.32", "1.37"}

// deprecations are the insights on APIs that later minors serve no more: an ERROR for the next minor, a WARNING for those
// after. The caller holds s.mu.
func (s *Service) deprecations(c *cluster) []insightShape {
	now := time.Now()
	byMinor := map[string][]*deprecatedUse{}
	for _, m := range removing {
		if minor(m) > minor(c.version) {
			byMinor[m] = nil
		}
	}
	for _, key := range sortedKeys(c.deprecated) {
		u := c.deprecated[key]
		if now.Sub(u.LastRequest) > deprecatedWindow {
			delete(c.deprecated, key)
			continue
		}
		if minor(u.Removed) > minor(c.version) {
			byMinor[u.Removed] = append(byMinor[u.Removed], u)
		}
	}
	var all []insightShape
	for _, target := range sortedKeys(byMinor) {
		bad := erring
		if minor(target) > minor(c.version)+1 {
			bad = warning
		}
		all = append(all, deprecation(target, bad, byMinor[target]))
	}
	return all
}

func deprecation(target, bad string, uses []*deprecatedUse) insightShape {
	i := newInsight("Deprecated APIs removed in Kubernetes v"+target, target, "Checks for usage of deprecated APIs that are scheduled for removal in Kubernetes v"+target+". Upgrading your cluster before migrating to the updated APIs supported by v"+target+" could cause application impact.",
		"Update manifests and API clients to use newer Kubernetes APIs if applicable before upgrading to Kubernetes v"+target+".")
	i.AdditionalInfo["Kubernetes v"+target+" deprecation guide"] = "https://kubernetes.io/docs/reference/using-api/deprecation-guide/#v" + strings.ReplaceAll(target, ".", "-")
	for _, u := range uses {
		d := slices.IndexFunc(i.Specifics.Deprecations, func(d deprecationDetail) bool { return d.Usage == u.usage() })
		if d < 0 {
			detail := deprecationDetail{Usage: u.usage(), StopServing: u.Removed, ClientStats: []clientStat{}}
			if r, ok := replacements[u.Group+"/"+u.Version]; ok {
				detail.ReplacedWith, detail.StartServing = fmt.Sprintf("/apis/%s/%s/%s", u.Group, r[0], u.Resource), r[1]
			}
			d = len(i.Specifics.Deprecations)
			i.Specifics.Deprecations = append(i.Specifics.Deprecations, detail)
			i.Resources = append(i.Resources, insightResource{insightState{bad, "A deprecated API is in use"}, u.usage(), ""})
		}
		stats := &i.Specifics.Deprecations[d].ClientStats
		*stats = append(*stats, clientStat{u.UserAgent, u.Count, wire.At(u.LastRequest)})
	}
	return i.judge(bad, "No deprecated API usage detected within the last 30 days.", "Deprecated API usage detected within last 30 days.")
}
