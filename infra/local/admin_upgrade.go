package local

import (
	"fmt"
	"net/http"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// upgradeAdmin is the part of the cloud's own API with which upgrades are made to go wrong.
func (c *Cloud) upgradeAdmin(handle func(method, path string, h http.HandlerFunc)) {
	handle("POST", "/eks/fail", post(func(in struct {
		Region string
		eks.Failure
	}) error {
		return c.onEKS(in.Region, func(s *eks.Service) error { return s.Fail(in.Failure) })
	}))
	handle("POST", "/eks/mend", post(func(in struct{ Region, Cluster, Nodegroup, Addon string }) error {
		return c.onEKS(in.Region, func(s *eks.Service) error { s.Mend(in.Cluster, in.Nodegroup, in.Addon); return nil })
	}))
	handle("GET", "/eks/failures", func(w http.ResponseWriter, _ *http.Request) {
		all := []eks.Failure{}
		for _, r := range c.used() {
			all = append(all, r.EKS.Failures()...)
		}
		writeJSON(w, http.StatusOK, all)
	})
	handle("POST", "/eks/patch", post(func(in struct{ Region, Cluster string }) error {
		return c.onEKS(in.Region, func(s *eks.Service) error { _, err := s.PatchPlatform(in.Cluster); return err })
	}))
	handle("POST", "/eks/insight", post(func(in struct {
		Region, Cluster string
		eks.Insight
	}) error {
		return c.onEKS(in.Region, func(s *eks.Service) error { return s.PlantInsight(in.Cluster, in.Insight) })
	}))
	handle("POST", "/eks/deprecated", post(func(in struct {
		Region, Cluster string
		eks.DeprecatedCall
	}) error {
		return c.onEKS(in.Region, func(s *eks.Service) error { return s.PlantDeprecated(in.Cluster, in.DeprecatedCall) })
	}))
	handle("DELETE", "/eks/insights", post(func(in struct{ Region, Cluster string }) error {
		return c.onEKS(in.Region, func(s *eks.Service) error { return s.DropInsights(in.Cluster) })
	}))
	handle("POST", "/eks/authority", post(func(in struct {
		Region, Cluster string
		Expires         time.Time // RFC 3339
	}) error {
		return c.onEKS(in.Region, func(s *eks.Service) error { return s.ExpireAuthority(in.Cluster, in.Expires) })
	}))
	handle("PUT", "/eks/switches", post(c.putSwitches))
	handle("POST", "/images/publish", post(func(in struct{ Region string }) error {
		region := c.Regional
		if in.Region != "" {
			var err error
			if region, err = c.In(in.Region); err != nil {
				return wire.Errf("ValidationException", "%v", err)
			}
		}
		region.EC2.PublishImages()
		return nil
	}))
	handle("POST", "/alarms", post(func(in struct{ Name, State, Reason string }) error {
		return c.Logs.SetAlarm(in.Name, in.State, in.Reason)
	}))
	handle("POST", "/health/planned-lifecycle", post(c.plannedLifecycle))
}

func (c *Cloud) onEKS(region string, do func(*eks.Service) error) error {
	if region == "" {
		return do(c.EKS)
	}
	r, err := c.In(region)
	if err != nil {
		return wire.Errf("ValidationException", "%v", err)
	}
	return do(r.EKS)
}

// switches are what EKS of all Regions does in one of two documented ways. What a request does not name stays.
type switches struct {
	StrictSkew, InsightGate *bool
	EvictionPatience        string // "2m"; "0s" is EKS's own
}

func (c *Cloud) putSwitches(in switches) error {
	var patience time.Duration
	if in.EvictionPatience != "" {
		var err error
		if patience, err = time.ParseDuration(in.EvictionPatience); err != nil || patience < 0 {
			return wire.Errf("ValidationException", "evictionPatience %q is not a duration such as 2m", in.EvictionPatience)
		}
	}
	for _, r := range c.used() {
		if in.StrictSkew != nil {
			r.EKS.SetStrictSkew(*in.StrictSkew)
		}
		if in.InsightGate != nil {
			r.EKS.SetInsightGate(*in.InsightGate)
		}
		if in.EvictionPatience != "" {
			r.EKS.SetEvictionPatience(patience)
		}
	}
	return nil
}

// lifecycle is a planned lifecycle event to be sent: AWS Health's notice that a version's standard support ends.
type lifecycle struct {
	Region, Cluster string
	// Start is when support ends, RFC 3339 or a date; the end of standard support of the cluster's version when empty.
	Start string
	// Status of the affected entity: PENDING when empty, or RESOLVED.
	Status string
}

const healthTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// plannedLifecycle sends the notice to the default bus of the cluster's Region, as AWS Health does months ahead.
func (c *Cloud) plannedLifecycle(in lifecycle) error {
	region := c.Regional
	if in.Region != "" {
		var err error
		if region, err = c.In(in.Region); err != nil {
			return wire.Errf("ValidationException", "%v", err)
		}
	}
	var cluster eks.ClusterInfo
	for _, have := range region.EKS.Clusters() {
		if have.Name == in.Cluster {
			cluster = have
		}
	}
	if cluster.Name == "" {
		return wire.Errf("ResourceNotFoundException", "No cluster found for name: %s.", in.Cluster).WithStatus(http.StatusNotFound)
	}
	start, ok := eks.EndOfStandardSupport(cluster.Version)
	if in.Start != "" {
		var err error
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if start, err = time.Parse(layout, in.Start); err == nil {
				break
			}
		}
		if ok = err == nil; !ok {
			return wire.Errf("ValidationException", "start %q is neither a date nor RFC 3339", in.Start)
		}
	}
	if !ok {
		return wire.Errf("ValidationException", "the end of support of %s is not known: say when it starts", cluster.Version)
	}
	status := in.Status
	switch status {
	case "":
		status = "PENDING"
	case "PENDING", "RESOLVED":
	default:
		return wire.Errf("ValidationException", "status %q is not PENDING or RESOLVED", in.Status)
	}
	arn := fmt.Sprintf("arn:aws:eks:%s:%s:cluster/%s", cluster.Region, c.World.Account, cluster.Name)
	now := time.Now().UTC().Format(healthTime)
	const code = "AWS_EKS_PLANNED_LIFECYCLE_EVENT"
	region.EventBridge.Emit("aws.health", "AWS Health Event", []string{arn}, map[string]any{
		"eventArn": fmt.Sprintf("arn:aws:health:%s::event/EKS/%s/%s_%s", cluster.Region, code, code, c.World.Hex(8)),
		"service":  "EKS", "eventTypeCode": code, "eventTypeCategory": "scheduledChange", "eventScopeCode": "ACCOUNT_SPECIFIC",
		"communicationId": c.World.Hex(24) + "-1", "startTime": start.UTC().Format(healthTime), "endTime": "", "lastUpdatedTime": now,
		"statusCode": "upcoming", "eventRegion": cluster.Region,
		"eventDescription": []any{map[string]string{"language": "en_US", "latestDescription": fmt.Sprintf("Amazon EKS ends standard support for Kubernetes version %s on %s.", cluster.Version, start.UTC().Format("January 2, 2006"))}},
		"eventMetadata":    map[string]string{"deprecated_versions": "Kubernetes " + cluster.Version + " in EKS"},
		"affectedEntities": []any{map[string]string{"entityValue": arn, "lastUpdatedTime": now, "status": status}},
		"affectedAccount":  c.World.Account, "page": "1", "totalPages": "1",
	})
	return nil
}
