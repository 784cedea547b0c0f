package stacks

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/constructs"
)

// moreInterruptionSignals are what AWS says about several machines at once, and about pods, on the account's default bus.
func moreInterruptionSignals() []constructs.Signal {
	health := pattern(events.KindHealthEvent)
	// Health says everything of every service in one kind. Notices to the account name no machine.
	health["detail"] = map[string]any{
		"service":           []string{events.HealthServiceEC2},
		"eventTypeCategory": []string{"scheduledChange", "issue"},
	}
	return []constructs.Signal{{
		ID:          "MachineHealthRule",
		Description: "AWS Health says that machines will be ended, stopped or rebooted, or that they fail: drain them in time",
		Pattern:     health,
		Patience:    24 * time.Hour, // most of it is announced days ahead
	}, {
		ID:          "CapacityBlockExpirationRule",
		Description: "A Capacity Block ends: its machines go ten minutes from now. AWS's documents have two names for it",
		Pattern:     pattern(events.KindCapacityBlockExpiration),
	}, {
		ID:          "CapacityBlockDeliveredRule",
		Description: "A Capacity Block began: counted. AWS's documents have two names for it",
		Pattern:     pattern(events.KindCapacityBlockDelivered),
	}, {
		ID:          "CapacityReservationReclaimedRule",
		Description: "Lent capacity came back: counted. AWS's documents have two names for it",
		Pattern:     pattern(events.KindCapacityReservationReclaimed),
	}, {
		ID:          "FargatePodTerminationRule",
		Description: "EKS could not evict a Fargate pod, and will delete it: try again while there is time",
		Pattern:     pattern(events.KindFargatePodTermination),
	}}
}

// everyInterruption is the sweep for what AWS sends no event of.
//
// At one a minute it is 43,800 runs a month. Each reads the ledger twice (87,600 queries, $0.01 where nothing is planned), asks EC2
// three times for each Region with clusters (131,400 calls a month in one Region, which are free and 0.05 a second of the 20 that EC2
// allows), takes three SQS requests ($0.05) and some 200 ms of a function with 1 GiB ($0.15). Whoever needs a failing machine replaced
// later than within three minutes makes it rarer: the time until it is seen is the rate's.
func everyInterruption(w *constructs.Worker) awsiam.Role {
	return w.Every(constructs.Timer{
		ID:          "InterruptionSweep",
		Description: "Has planned drains begun that are due, and asks EC2 for machines that fail their status checks, of which it sends no event",
		Expression:  *awscdk.Fn_Ref(jsii.String(interruptionRate)),
		Patience:    time.Minute, // then the next sweep is due
		Input:       sweepInput(events.KindInterruptionSweepRequested),
	})
}

// sweepGrants are what the sweep takes, beside what draining does.
func sweepGrants(ledger Ledger) []constructs.Grant {
	return []constructs.Grant{{
		Sid:       "ListPlans", // planned drains, clusters, and what is frozen
		Actions:   []string{"dynamodb:Query"},
		Resources: []string{*ledger.TableARN},
	}, {
		Sid:       "FindFailingInstances",
		Actions:   []string{"ec2:DescribeInstanceStatus"},
		Resources: []string{"*"},
		Wide:      "Describe calls have no resources to name in EC2.",
	}}
}
