package spec

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var (
	clusterName = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)
	regionName  = regexp.MustCompile(`^[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}$`)
	version     = regexp.MustCompile(`^1\.[0-9]{2}$`)
	tagLetters  = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// maxTags is AWS's 50 for each resource, without ekspedite's own and the Name.
const maxTags = 44

// cluster reads a ClusterConfig.
func (v value) cluster() fleet.ClusterSpec {
	var c fleet.ClusterSpec
	v.metadata(&c)
	c.Outpost = v.at("outpost").outpost()
	c.Auto = v.autoMode()
	v.network(&c)
	v.remote(&c)
	v.iam(&c)
	v.access(&c)
	v.controlPlane(&c)
	v.nodeGroups(&c)
	v.addons(&c)
	v.fargate(&c)
	v.capabilities(&c)
	v.identityProviders(&c)
	v.onOutpost(&c)
	v.together(&c)
	return c
}

func (v value) metadata(c *fleet.ClusterSpec) {
	meta := v.at("metadata")
	name := meta.at("name")
	if c.Name = name.text(""); !clusterName.MatchString(c.Name) {
		name.wrong("%q must be the cluster's name: letters, digits, - and _, up to 100, a letter or digit first", clip(c.Name))
	}
	region := meta.at("region")
	if c.Region = region.text(""); !regionName.MatchString(c.Region) {
		region.wrong("%q must be an AWS Region, like us-east-1", clip(c.Region))
	}
	ver := meta.at("version")
	switch c.Version = ver.text(""); {
	case c.Version == "auto":
		c.Version = ""
	case c.Version != "" && !version.MatchString(c.Version):
		ver.wrong("%q must be a Kubernetes minor version in quotes, like \"1.36\"; drop it for EKS's default", clip(c.Version))
	}
	c.Tags = meta.at("tags").tags()
}

// tags are AWS's.
func (v value) tags() map[string]string {
	tags := v.textMap()
	if len(tags) > maxTags {
		v.wrong("has %d tags: at most %d are possible beside ekspedite's own", len(tags), maxTags)
	}
	for k, val := range tags {
		switch {
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			v.wrong("%q: names that begin with aws: are AWS's own: drop it", clip(k))
		case k == "" || len(k) > 128 || len(val) > 256:
			v.wrong("%q: a tag's name has 1 to 128 letters and its value at most 256", clip(k))
		case !tagLetters.MatchString(k) || !tagLetters.MatchString(val):
			v.wrong("%q: a tag has letters, digits, spaces and + - = . _ : / @ only", clip(k))
		case k == fleet.TagCluster || k == fleet.TagEksctlCluster || k == fleet.TagResource || k == "Name":
			v.wrong("%q is a tag that ekspedite sets itself: drop it", k)
		}
	}
	return tags
}

// older tells whether the cluster's version is known and older than a minor one.
func older(c *fleet.ClusterSpec, minor int) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(c.Version, "1."))
	return err == nil && version.MatchString(c.Version) && n < minor
}

// controlPlane reads what EKS is told of the control plane beside its network.
func (v value) controlPlane(c *fleet.ClusterSpec) {
	v.logging(c)
	if key := v.at("secretsEncryption", "keyARN"); key.there() {
		c.SecretsKeyARN = key.arn(kmsKey)
	} else if v.has("secretsEncryption") {
		key.wrong("is missing: name the KMS key, or drop secretsEncryption")
	}
	c.SupportType = v.at("upgradePolicy", "supportType").oneOf("", "STANDARD", "EXTENDED")
	c.ZonalShift = v.at("zonalShiftConfig", "enabled").flag()
	c.Tier = v.at("controlPlaneScalingConfig", "tier").oneOf("", "standard", "tier-xl", "tier-2xl", "tier-4xl", "tier-8xl")
	c.APIServer = v.at("kubeAPIServerConfig").apiServer()
	period := v.at("kubeControllerManagerConfig", "horizontalPodAutoscalerControllerConfig", "horizontalPodAutoscalerSyncPeriod")
	if s := period.single("15s"); s != "" {
		c.ControllerManager = fleet.Props{"horizontalPodAutoscalerControllerConfig": fleet.Props{"horizontalPodAutoscalerSyncPeriod": s}}
	}
	c.Scheduler = v.at("kubeSchedulerConfig", "nodeResourcesFit", "scoringStrategy").scheduler()
}

var logTypes = []string{"api", "audit", "authenticator", "controllerManager", "scheduler"}

// retentions are what CloudWatch Logs takes.
var retentions = []string{"1", "3", "5", "7", "14", "30", "60", "90", "120", "150", "180", "365", "400", "545", "731", "1096", "1827",
	"2192", "2557", "2922", "3288", "3653"}

// logging reads the log types. eksctl lets "*" and "all" stand for all of them.
func (v value) logging(c *fleet.ClusterSpec) {
	l := v.at("cloudWatch", "clusterLogging")
	for _, item := range l.at("enableTypes").items() {
		s, ok := item.scalar()
		switch {
		case s == "*" || s == "all":
			c.Logging = append(c.Logging, logTypes...)
		case ok:
			if t := item.oneOf("", logTypes...); t != "" {
				c.Logging = append(c.Logging, t)
			}
		}
	}
	slices.Sort(c.Logging)
	c.Logging = slices.Compact(c.Logging)
	days := l.at("logRetentionInDays")
	if days.text("0") != "0" {
		c.LogRetentionDays, _ = strconv.Atoi(days.oneOf("0", retentions...))
		if len(c.Logging) == 0 {
			days.wrong("there are no logs to keep: say which in enableTypes")
		}
	}
}

var singleUnit = regexp.MustCompile(`^[1-9][0-9]{0,8}[smh]$`)

// single is a duration in one unit, as EKS takes it.
func (v value) single(like string) string {
	s := v.text("")
	if s != "" && !singleUnit.MatchString(s) {
		v.wrong("%q must be a number and one of s, m, h, like %s", clip(s), like)
		return ""
	}
	return s
}

// apiServer is EKS's KubeApiServerConfigRequest; nil where there is nothing.
func (v value) apiServer() fleet.Props {
	out := fleet.Props{}
	if s := v.at("eventTTL").single("1h"); s != "" {
		out["eventTtl"] = s
	}
	ports := v.at("serviceNodePortRange")
	low, high := ports.at("minPort"), ports.at("maxPort")
	if ports.given() {
		from, to := low.within(1, 65535), high.within(1, 65535)
		switch {
		case !low.there() || !high.there():
			ports.wrong("needs minPort and maxPort")
		case from > to:
			high.wrong("%d is less than minPort %d", to, from)
		}
		out["serviceNodePortRange"] = fleet.Props{"minPort": from, "maxPort": to}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// scheduler is EKS's KubeSchedulerConfigRequest; nil where there is nothing.
func (v value) scheduler() fleet.Props {
	strategy := fleet.Props{}
	if t := v.at("type").oneOf("", "LeastAllocated", "MostAllocated"); t != "" {
		strategy["type"] = t
	}
	var weights []any
	for _, item := range v.at("resources").mappings() {
		name, weight := item.at("name").text(""), item.at("weight").within(1, 100)
		if name == "" || weight == 0 {
			item.wrong("needs the name of a resource, like cpu, and a weight of 1 to 100")
		}
		weights = append(weights, fleet.Props{"name": name, "weight": weight})
	}
	if len(weights) > 0 {
		strategy["resources"] = weights
	}
	if len(strategy) == 0 {
		return nil
	}
	return fleet.Props{"nodeResourcesFit": fleet.Props{"scoringStrategy": strategy}}
}
