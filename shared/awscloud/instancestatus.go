package awscloud

import (
	"context"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// filterValues is how many values a filter of EC2's takes.
const filterValues = 200

// Machines reads instances by their ids. Those that EC2 does not know are left out: a filter does not mind them, as a list of ids
// would.
func (c *Compute) Machines(ctx context.Context, ids []string) ([]fleet.Instance, error) {
	var out []fleet.Instance
	for len(ids) > 0 {
		n := min(len(ids), filterValues)
		some, err := c.matching(ctx, "instance-id", ids[:n])
		if err != nil {
			return nil, err
		}
		out, ids = append(out, some...), ids[n:]
	}
	return out, nil
}

// InReservation reads the instances that run in a Capacity Reservation or a Capacity Block.
func (c *Compute) InReservation(ctx context.Context, reservationID string) ([]fleet.Instance, error) {
	return c.matching(ctx, "capacity-reservation-id", []string{reservationID})
}

func (c *Compute) matching(ctx context.Context, filter string, values []string) (out []fleet.Instance, err error) {
	pages := ec2.NewDescribeInstancesPaginator(c.ec2, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: &filter, Values: values}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeInstances", err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				out = append(out, instance(i))
			}
		}
	}
	return out, nil
}

// Impaired lists the running instances of the Region that fail a status check. EC2 picks them: of a Region in order the answers are
// empty. It takes two calls, since EC2 joins filters by "and".
func (c *Compute) Impaired(ctx context.Context) ([]fleet.Impairment, error) {
	checks := []string{"system", "instance"}
	lists := make([][]fleet.Impairment, len(checks))
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() {
			errs[i] = c.statuses(ctx, check+"-status.status", []string{"impaired"}, func(s ec2types.InstanceStatus) {
				summary := s.SystemStatus
				if check == "instance" {
					summary = s.InstanceStatus
				}
				lists[i] = append(lists[i], impairment(deref(s.InstanceId), check, summary))
			})
		})
	}
	wg.Wait()
	var out []fleet.Impairment
	had := map[string]bool{}
	for i := range checks {
		if errs[i] != nil {
			return nil, errs[i]
		}
		for _, f := range lists[i] { // a failing host fails both: its own check is told
			if !had[f.InstanceID] {
				had[f.InstanceID] = true
				out = append(out, f)
			}
		}
	}
	return out, nil
}

func impairment(id, check string, summary *ec2types.InstanceStatusSummary) fleet.Impairment {
	out := fleet.Impairment{InstanceID: id, Check: check}
	if summary == nil {
		return out
	}
	for _, d := range summary.Details {
		if since := aws.ToTime(d.ImpairedSince); d.Status == ec2types.StatusTypeFailed && !since.IsZero() && (out.Since.IsZero() || since.Before(out.Since)) {
			out.Since = since.UTC()
		}
	}
	return out
}

// scheduledCodes are all that EC2 has.
var scheduledCodes = []string{"instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop"}

// Scheduled lists what EC2 has scheduled for the running instances of the Region. EC2 picks them by the events' codes.
func (c *Compute) Scheduled(ctx context.Context) (out []fleet.ScheduledEvent, err error) {
	err = c.statuses(ctx, "event.code", scheduledCodes, func(s ec2types.InstanceStatus) {
		for _, e := range s.Events {
			text := deref(e.Description)
			out = append(out, fleet.ScheduledEvent{
				InstanceID: deref(s.InstanceId), ID: deref(e.InstanceEventId), Code: string(e.Code),
				NotBefore: aws.ToTime(e.NotBefore).UTC(), NotAfter: aws.ToTime(e.NotAfter).UTC(),
				// So EC2's user guide: the description of what is over begins with one of these.
				Over: strings.HasPrefix(text, "[Completed]") || strings.HasPrefix(text, "[Canceled]"),
			})
		}
	})
	return out, err
}

func (c *Compute) statuses(ctx context.Context, filter string, values []string, each func(ec2types.InstanceStatus)) error {
	pages := ec2.NewDescribeInstanceStatusPaginator(c.ec2, &ec2.DescribeInstanceStatusInput{Filters: []ec2types.Filter{{Name: &filter, Values: values}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return classify("ec2:DescribeInstanceStatus", err)
		}
		for _, s := range page.InstanceStatuses {
			each(s)
		}
	}
	return nil
}
