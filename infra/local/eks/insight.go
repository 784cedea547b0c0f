package eks

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Categories and statuses of insights.
const (
	upgradeReadiness  = "UPGRADE_READINESS"
	misconfiguration  = "MISCONFIGURATION"
	rollbackReadiness = "ROLLBACK_READINESS"

	passing = "PASSING"
	warning = "WARNING"
	erring  = "ERROR"
	unknown = "UNKNOWN"
)

var (
	insightCategories = []string{upgradeReadiness, misconfiguration, rollbackReadiness}
	insightStatuses   = []string{passing, warning, erring, unknown}
)

// insightPeriod is how often EKS looks at a cluster by itself.
const insightPeriod = 24 * time.Hour

// insights are what EKS has found out about a cluster. Service.mu guards them; the values are replaced, never changed.
type insights struct {
	found      map[string]insightShape // by id
	planted    []Insight
	refresh    *refreshOut
	deprecated map[string]*deprecatedUse // by API and user agent
}

type insightState struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

type insightResource struct {
	InsightStatus         insightState `json:"insightStatus"`
	KubernetesResourceURI string       `json:"kubernetesResourceUri,omitempty"`
	ARN                   string       `json:"arn,omitempty"`
}

type clientStat struct {
	UserAgent       string     `json:"userAgent"`
	Requests        int        `json:"numberOfRequestsLast30Days"`
	LastRequestTime *wire.Time `json:"lastRequestTime"`
}

type deprecationDetail struct {
	Usage        string       `json:"usage"`
	ReplacedWith string       `json:"replacedWith,omitempty"`
	StopServing  string       `json:"stopServingVersion,omitempty"`
	StartServing string       `json:"startServingReplacementVersion,omitempty"`
	ClientStats  []clientStat `json:"clientStats"`
}

type addonCompatibility struct {
	Name               string   `json:"name"`
	CompatibleVersions []string `json:"compatibleVersions"`
}

type insightSpecifics struct {
	Deprecations []deprecationDetail  `json:"deprecationDetails"`
	Addons       []addonCompatibility `json:"addonCompatibilityDetails"`
}

type insightSummary struct {
	ID                string       `json:"id"`
	Name              string       `json:"name"`
	Category          string       `json:"category"`
	KubernetesVersion string       `json:"kubernetesVersion,omitempty"`
	LastRefresh       *wire.Time   `json:"lastRefreshTime"`
	LastTransition    *wire.Time   `json:"lastTransitionTime"`
	Description       string       `json:"description"`
	InsightStatus     insightState `json:"insightStatus"`
}

type insightShape struct {
	insightSummary
	Recommendation string            `json:"recommendation"`
	AdditionalInfo map[string]string `json:"additionalInfo"`
	Resources      []insightResource `json:"resources"`
	Specifics      insightSpecifics  `json:"categorySpecificSummary"`
}

type listInsightsIn struct {
	ClusterName string `json:"-" path:"clusterName"`
	Filter      *struct {
		Categories         []string `json:"categories"`
		KubernetesVersions []string `json:"kubernetesVersions"`
		Statuses           []string `json:"statuses"`
	} `json:"filter"`
	MaxResults *int   `json:"maxResults"`
	NextToken  string `json:"nextToken"`
}

type listInsightsOut struct {
	Insights  []insightSummary `json:"insights"`
	NextToken *string          `json:"nextToken,omitempty"`
}

type insightIn struct {
	ClusterName string `json:"-" path:"clusterName"`
	ID          string `json:"-" path:"id"`
}

type insightOut struct {
	Insight insightShape `json:"insight"`
}

type refreshIn struct {
	ClusterName string `json:"-" path:"clusterName"`
}

type refreshOut struct {
	Message   string     `json:"message"`
	Status    string     `json:"status"`
	StartedAt *wire.Time `json:"startedAt,omitempty"`
	EndedAt   *wire.Time `json:"endedAt,omitempty"`
}

func (s *Service) insightOps() []wire.Op {
	const all, refresh = "/clusters/{clusterName}/insights", "/clusters/{clusterName}/insights-refresh"
	return []wire.Op{
		wire.Handle("ListInsights", func(_ *wire.Call, in *listInsightsIn) []wire.Need {
			return s.about("ListInsights", in.ClusterName, "", "", "")
		}, s.listInsights).REST("POST", all),
		wire.Handle("DescribeInsight", func(_ *wire.Call, in *insightIn) []wire.Need {
			return s.about("DescribeInsight", in.ClusterName, "", "", "")
		}, s.describeInsight).REST("GET", all+"/{id}"),
		wire.Handle("StartInsightsRefresh", func(_ *wire.Call, in *refreshIn) []wire.Need {
			return s.about("StartInsightsRefresh", in.ClusterName, "", "", "")
		}, s.startInsightsRefresh).REST("POST", refresh),
		wire.Handle("DescribeInsightsRefresh", func(_ *wire.Call, in *refreshIn) []wire.Need {
			return s.about("DescribeInsightsRefresh", in.ClusterName, "", "", "")
		}, s.describeInsightsRefresh).REST("GET", refresh),
	}
}

func (s *Service) listInsights(_ context.Context, _ *wire.Call, in *listInsightsIn) (*listInsightsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	var categories, versions, statuses []string
	if f := in.Filter; f != nil {
		categories, versions, statuses = f.Categories, f.KubernetesVersions, f.Statuses
	}
	for _, check := range []struct {
		what           string
		given, allowed []string
	}{{"categories", categories, insightCategories}, {"statuses", statuses, insightStatuses}} {
		for _, v := range check.given {
			if !slices.Contains(check.allowed, v) {
				return nil, invalidParameter(c.name, "filter.%s: %s is not one of %s", check.what, v, strings.Join(check.allowed, ", "))
			}
		}
	}
	takes := func(filter []string, value string) bool { return len(filter) == 0 || slices.Contains(filter, value) }
	var ids []string
	for _, id := range sortedKeys(c.found) {
		i := c.found[id]
		if takes(categories, i.Category) && takes(versions, i.KubernetesVersion) && takes(statuses, i.InsightStatus.Status) {
			ids = append(ids, id)
		}
	}
	part, next, err := page(ids, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listInsightsOut{Insights: []insightSummary{}, NextToken: next}
	for _, id := range part {
		out.Insights = append(out.Insights, c.found[id].insightSummary)
	}
	return out, nil
}

func (s *Service) describeInsight(_ context.Context, _ *wire.Call, in *insightIn) (*insightOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	i, ok := c.found[in.ID]
	if !ok {
		return nil, notFound(c.name, "No insight found for ID: %s", in.ID)
	}
	return &insightOut{i}, nil
}

// startInsightsRefresh looks at the cluster again. A second call while one is under way joins it.
func (s *Service) startInsightsRefresh(_ context.Context, _ *wire.Call, in *refreshIn) (*refreshOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	switch {
	case c == nil:
		return nil, noCluster(in.ClusterName)
	case c.status == creating || c.status == deleting || c.status == failed:
		return nil, notActive(c.name)
	}
	if c.refresh == nil || c.refresh.Status != "IN_PROGRESS" {
		started := wire.At(time.Now())
		c.refresh = &refreshOut{Message: "Insights refresh is in progress", Status: "IN_PROGRESS", StartedAt: started}
		s.w.Go(func(context.Context) {
			if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
				return
			}
			s.lookAgain(c)
			s.mu.Lock()
			defer s.mu.Unlock()
			c.refresh = &refreshOut{Message: "Insights refresh is complete", Status: "COMPLETED", StartedAt: started, EndedAt: wire.At(time.Now())}
			s.touch()
		})
	}
	return &refreshOut{Message: c.refresh.Message, Status: c.refresh.Status}, nil
}

func (s *Service) describeInsightsRefresh(_ context.Context, _ *wire.Call, in *refreshIn) (*refreshOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	switch {
	case c == nil:
		return nil, noCluster(in.ClusterName)
	case c.refresh == nil:
		return nil, notFound(c.name, "No insights refresh found for cluster: %s", c.name)
	}
	return c.refresh, nil
}

// tendInsights looks at a cluster now and once a day. The caller holds s.mu.
func (s *Service) tendInsights(c *cluster) {
	s.refreshInsights(c)
	s.w.Go(func(context.Context) {
		for sleep(c.ctx, insightPeriod) {
			s.lookAgain(c)
		}
	})
}

// lookAgain reads what the API server has counted and computes the insights anew.
func (s *Service) lookAgain(c *cluster) {
	s.mu.Lock()
	plane := c.plane
	s.mu.Unlock()
	s.collectDeprecated(c, plane)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshInsights(c)
}

// refreshInsights computes a cluster's insights. The caller holds s.mu.
func (s *Service) refreshInsights(c *cluster) {
	now := time.Now()
	next := map[string]insightShape{}
	for _, i := range s.examine(c) {
		i.ID = insightID(c, i.Category, i.Name, i.KubernetesVersion)
		i.LastRefresh, i.LastTransition = wire.At(now), wire.At(now)
		if old, ok := c.found[i.ID]; ok && old.InsightStatus.Status == i.InsightStatus.Status {
			i.LastTransition = old.LastTransition
		}
		next[i.ID] = i
	}
	c.found = next
	s.touch()
}

// insightID is the same at every look.
func insightID(c *cluster, parts ...string) string {
	sum := sha256.Sum256([]byte(c.id + "/" + strings.Join(parts, "/")))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// passGate refuses what an insight of status ERROR stands against, as EKS knew it at its last look. A rollback is always
// looked at anew, and its gate is never off. EKS's words are not public. The caller holds s.mu.
func (s *Service) passGate(c *cluster, category, version string, force bool) error {
	if force || category == upgradeReadiness && !s.opt.InsightGate {
		return nil
	}
	if category == rollbackReadiness {
		s.refreshInsights(c)
	}
	names := map[string]bool{}
	for _, i := range c.found {
		if i.Category == category && i.KubernetesVersion == version && i.InsightStatus.Status == erring {
			names[i.Name] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	return invalidState(c.name, "Cluster %s has insights of category %s with status ERROR for Kubernetes version %s: %s. Resolve them or use the force flag",
		c.name, category, version, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
}
