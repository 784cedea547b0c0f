package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// localHealth sends AWS Health's word about machines.
func localHealth() *cobra.Command {
	var instances []string
	var code, category, status, entity, start, event string
	var twice bool
	var pages int
	c := &cobra.Command{
		Use: "health --instance i-… [--code AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED] [--start 2026-12-01T02:00:00Z]", Short: "Have AWS Health announce what will happen to instances",
		Long: `Sends AWS Health's event about instances, and has the embedded EC2 do what it says: retirements and stops end the instance at --start,
an issue of entities that are IMPAIRED lets their system status check fail, and --status closed takes all of it back.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tell(cmd, http.MethodPost, "/health/ec2", map[string]any{"instances": instances, "code": code, "category": category, "status": status,
				"entityStatus": entity, "start": start, "event": event, "twice": twice, "pages": pages}, "%d instances: %s sent (%s, %s)", len(instances), code, category, status)
		},
	}
	c.Flags().StringSliceVar(&instances, "instance", nil, "an affected instance's id; more than once for several")
	c.Flags().StringVar(&code, "code", "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", "the event's type code")
	c.Flags().StringVar(&category, "category", "scheduledChange", "scheduledChange or issue")
	c.Flags().StringVar(&status, "status", "upcoming", "upcoming, open or closed")
	c.Flags().StringVar(&entity, "entity", "PENDING", "status of the instances: PENDING, IMPAIRED, UNIMPAIRED, RESOLVED")
	c.Flags().StringVar(&start, "start", "", "when it happens, RFC 3339; in 14 days when empty")
	c.Flags().StringVar(&event, "event", "", "ARN of an event that was sent before, of which this is an update")
	c.Flags().BoolVar(&twice, "twice", false, "send it twice, as the delivery to a backup Region does")
	c.Flags().IntVar(&pages, "pages", 1, "cut it into so many messages")
	_ = c.MarkFlagRequired("instance")
	return c
}

// localImpair lets a status check fail.
func localImpair() *cobra.Command {
	var instance, check string
	var age time.Duration
	var mend bool
	c := &cobra.Command{
		Use: "impair --instance i-… [--check system|instance] [--age 3m] [--mend]", Short: "Let a status check of an instance fail, or pass again", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if age < 0 {
				return usageError{fmt.Errorf("--age %s: 0 or more", age)}
			}
			done := "%s: the %s status check fails"
			if mend {
				done = "%s: the %s status check passes"
			}
			return tell(cmd, http.MethodPost, "/impair", map[string]any{"instanceId": instance, "check": check, "age": age.String(), "mend": mend}, done, instance, check)
		},
	}
	c.Flags().StringVar(&instance, "instance", "", "the instance's id")
	c.Flags().StringVar(&check, "check", "instance", "system (AWS's side) or instance (its own)")
	c.Flags().DurationVar(&age, "age", 0, "for how long it has failed already: 3m")
	c.Flags().BoolVar(&mend, "mend", false, "let it pass again")
	_ = c.MarkFlagRequired("instance")
	return c
}

// localCapacityBlock lets a Capacity Block begin or end.
func localCapacityBlock() *cobra.Command {
	var reservation, end string
	var instances []string
	var delivered, older bool
	c := &cobra.Command{
		Use: "capacity-block --reservation cr-… [--instance i-…] [--end 2026-12-01T11:30:00Z] [--delivered]", Short: "Have EC2 say that a Capacity Block ends in 40 minutes, or that it began",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			word := "ends"
			if delivered {
				word = "has begun"
			}
			return tell(cmd, http.MethodPost, "/capacity-block", map[string]any{"reservationId": reservation, "instances": instances, "end": end, "delivered": delivered, "older": older},
				"%s %s", reservation, word)
		},
	}
	c.Flags().StringVar(&reservation, "reservation", "", "the Capacity Reservation's id: cr-…")
	c.Flags().StringSliceVar(&instances, "instance", nil, "an instance that counts as launched in it, besides those that were")
	c.Flags().StringVar(&end, "end", "", "when the block ends, RFC 3339; in 40 minutes when empty. Its instances go half an hour earlier")
	c.Flags().BoolVar(&delivered, "delivered", false, "it begins")
	c.Flags().BoolVar(&older, "older", false, "the older spelling of the event's name, which AWS's documents have as well")
	_ = c.MarkFlagRequired("reservation")
	return c
}

// localFargateTermination sends EKS's word about a Fargate pod.
func localFargateTermination() *cobra.Command {
	var cluster, namespace, pod, profile, at string
	c := &cobra.Command{
		Use: "fargate-termination --cluster X --pod web-1 [--namespace default] [--at 2026-12-01T11:30:00Z]", Short: "Have EKS say that it will delete a Fargate pod that it could not evict",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tell(cmd, http.MethodPost, "/eks/fargate-termination", map[string]any{"cluster": cluster, "namespace": namespace, "pod": pod, "profile": profile, "at": at},
				"%s/%s: EKS Fargate Pod Scheduled Termination sent", namespace, pod)
		},
	}
	c.Flags().StringVar(&cluster, "cluster", "", "the cluster's name")
	c.Flags().StringVar(&namespace, "namespace", "default", "the pod's namespace")
	c.Flags().StringVar(&pod, "pod", "", "the pod's name")
	c.Flags().StringVar(&profile, "profile", "default", "the Fargate profile's name")
	c.Flags().StringVar(&at, "at", "", "when EKS deletes it, RFC 3339; in two days when empty")
	_ = c.MarkFlagRequired("cluster")
	_ = c.MarkFlagRequired("pod")
	return c
}
