package local

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// signalAdmin is the part of the cloud's own API with which AWS says that machines and pods will go, or fail.
func (c *Cloud) signalAdmin(handle func(method, path string, h http.HandlerFunc)) {
	handle("POST", "/health/ec2", post(c.healthOfMachines))
	handle("POST", "/impair", post(c.impair))
	handle("POST", "/capacity-block", post(c.capacityBlock))
	handle("POST", "/eks/fargate-termination", post(c.fargateTermination))
}

// machineHealth is a Health event about instances to be sent.
type machineHealth struct {
	Instances []string
	// Code is the event's: AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED when empty.
	Code string
	// Category is scheduledChange when empty, or issue.
	Category string
	// Status is upcoming when empty, open or closed; EntityStatus is of the instances: PENDING when empty, IMPAIRED, RESOLVED, …
	Status, EntityStatus string
	// Start is RFC 3339; in 14 days when empty.
	Start string
	// Event is the ARN of one that was sent before, of which this is an update.
	Event string
	// Twice sends the same once more, as the delivery to a backup Region does; Pages cuts it into so many.
	Twice bool
	Pages int
}

// healthOfMachines sends the event, and has EC2 do what it says: schedule, fail, or take back.
func (c *Cloud) healthOfMachines(in machineHealth) error {
	if len(in.Instances) == 0 {
		return wire.Errf("ValidationException", "name the instances")
	}
	region, machines, err := c.homeOf(in.Instances[0])
	if err != nil {
		return err
	}
	now := time.Now()
	start := now.Add(14 * 24 * time.Hour)
	if in.Start != "" {
		if start, err = time.Parse(time.RFC3339, in.Start); err != nil {
			return wire.Errf("ValidationException", "start %q is not RFC 3339", in.Start)
		}
	}
	code := cmp.Or(in.Code, "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED")
	category, status, entity := cmp.Or(in.Category, "scheduledChange"), cmp.Or(in.Status, "upcoming"), cmp.Or(in.EntityStatus, "PENDING")
	if !slices.Contains([]string{"scheduledChange", "issue"}, category) || !slices.Contains([]string{"upcoming", "open", "closed"}, status) {
		return wire.Errf("ValidationException", "category %q is scheduledChange or issue, status %q upcoming, open or closed", category, status)
	}
	if err := c.suffer(machines, in.Instances, code, category, status, entity, start); err != nil {
		return err
	}
	arn := cmp.Or(in.Event, fmt.Sprintf("arn:aws:health:%s::event/EC2/%s/%s_%s", region, code, code, c.World.Hex(8)))
	communication := c.World.Hex(24) + "-1"
	pages := max(in.Pages, 1)
	var all []map[string]any
	for n := range pages {
		entities := []any{}
		for i, id := range in.Instances {
			if i%pages == n {
				entities = append(entities, map[string]string{"entityValue": id, "lastUpdatedTime": now.UTC().Format(healthTime), "status": entity})
			}
		}
		all = append(all, map[string]any{
			"eventArn": arn, "service": "EC2", "eventTypeCode": code, "eventTypeCategory": category, "eventScopeCode": "ACCOUNT_SPECIFIC",
			"communicationId": communication, "startTime": start.UTC().Format(healthTime), "endTime": "", "lastUpdatedTime": now.UTC().Format(healthTime),
			"statusCode": status, "eventRegion": region, "eventMetadata": map[string]string{},
			"eventDescription": []any{map[string]string{"language": "en_US", "latestDescription": "EC2 has detected degradation of the underlying hardware hosting your Amazon EC2 instance."}},
			"affectedEntities": entities, "affectedAccount": c.World.Account, "page": fmt.Sprint(n + 1), "totalPages": fmt.Sprint(pages),
		})
	}
	times := 1
	if in.Twice {
		times = 2
	}
	for range times {
		for _, detail := range all {
			c.EventBridge.Emit("aws.health", "AWS Health Event", in.Instances, detail) // whatever the Region: the home Region hears of all
		}
	}
	return nil
}

// scheduledAs is what EC2 itself calls what Health announces.
func scheduledAs(code string) string {
	for _, k := range []struct{ word, code string }{{"RETIREMENT", "instance-retirement"}, {"STOP", "instance-stop"}, {"NETWORK", "system-maintenance"},
		{"POWER", "system-maintenance"}, {"SYSTEM_REBOOT", "system-reboot"}, {"REBOOT", "instance-reboot"}} {
		if strings.Contains(code, k.word) {
			return k.code
		}
	}
	return ""
}

// suffer changes EC2's state as a Health event says.
func (c *Cloud) suffer(machines *ec2.Service, ids []string, code, category, status, entity string, start time.Time) error {
	for _, id := range ids {
		var err error
		switch over := status == "closed" || entity == "RESOLVED" || entity == "UNIMPAIRED"; {
		case over:
			if err = machines.Cancel(id); err == nil {
				err = machines.Impair(id, ec2.SystemCheck, time.Time{})
			}
		case category == "issue" && entity == "IMPAIRED":
			err = machines.Impair(id, ec2.SystemCheck, time.Now())
		case category == "scheduledChange" && scheduledAs(code) != "":
			_, err = machines.Schedule(id, scheduledAs(code), "The instance is affected by "+code, start)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// homeOf is the Region in which an instance is, and its EC2.
func (c *Cloud) homeOf(instanceID string) (string, *ec2.Service, error) {
	for _, r := range c.used() {
		if i, ok := r.EC2.Instance(instanceID); ok {
			return i.AZ[:len(i.AZ)-1], r.EC2, nil
		}
	}
	return "", nil, wire.Errf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", instanceID)
}

// impair lets a status check of an instance fail, or pass again.
func (c *Cloud) impair(in struct {
	InstanceID, Check string
	Age               string // for how long it has failed: "3m"
	Mend              bool
}) error {
	var age time.Duration
	if in.Age != "" {
		var err error
		if age, err = time.ParseDuration(in.Age); err != nil || age < 0 {
			return wire.Errf("ValidationException", "age %q is not a duration such as 3m", in.Age)
		}
	}
	since := time.Now().Add(-age)
	if in.Mend {
		since = time.Time{}
	}
	return c.machines(in.InstanceID).Impair(in.InstanceID, cmp.Or(in.Check, ec2.InstanceCheck), since)
}

// capacityBlock sends what EC2 says of a Capacity Block, and ends its instances half an hour before its end.
func (c *Cloud) capacityBlock(in struct {
	ReservationID string
	Instances     []string // that count as launched in it
	Delivered     bool     // it begins; else it ends
	End           string   // RFC 3339; in 40 minutes when empty, which is when EC2 warns
	Older         bool     // the older spelling of the event's name
}) error {
	if !strings.HasPrefix(in.ReservationID, "cr-") {
		return wire.Errf("ValidationException", "reservationId %q is not the id of a Capacity Reservation: cr-…", in.ReservationID)
	}
	end := time.Now().Add(40 * time.Minute)
	if in.End != "" {
		var err error
		if end, err = time.Parse(time.RFC3339, in.End); err != nil {
			return wire.Errf("ValidationException", "end %q is not RFC 3339", in.End)
		}
	}
	name := "Capacity Block Expiration Warning"
	if in.Delivered {
		name = "Capacity Block Delivered"
	} else if _, err := c.EC2.EndBlock(in.ReservationID, end.Add(-30*time.Minute), in.Instances...); err != nil {
		return err
	}
	if in.Older {
		name = strings.Replace(name, "Block ", "Block Reservation ", 1)
	}
	c.EventBridge.Emit("aws.ec2", name, []string{c.World.ARN("ec2", "capacity-reservation/"+in.ReservationID)},
		map[string]string{"capacity-reservation-id": in.ReservationID, "end-date": end.UTC().Format(time.RFC3339)})
	return nil
}

// fargateTermination sends what EKS says when it could not evict a Fargate pod whose machine it wants to patch. That it deletes the pod at
// the time is not emulated.
func (c *Cloud) fargateTermination(in struct{ Cluster, Namespace, Pod, Profile, At string }) error {
	if in.Cluster == "" || in.Pod == "" {
		return wire.Errf("ValidationException", "name the cluster and the pod")
	}
	at := time.Now().Add(48 * time.Hour)
	if in.At != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, in.At); err != nil {
			return wire.Errf("ValidationException", "at %q is not RFC 3339", in.At)
		}
	}
	namespace := cmp.Or(in.Namespace, "default")
	c.EventBridge.Emit("aws.eks", "EKS Fargate Pod Scheduled Termination", []string{namespace + "/" + in.Pod}, map[string]string{
		"clusterName": in.Cluster, "fargateProfileName": cmp.Or(in.Profile, "default"), "podName": in.Pod, "podNamespace": namespace,
		"evictErrorMessage":        "Cannot evict pod as it would violate the pod's disruption budget",
		"scheduledTerminationTime": at.UTC().Format("2006-01-02T15:04:05.000Z") + "[UTC]", // EKS writes it so
	})
	return nil
}
