package stacks

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/constructs"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// newScaling makes the function that adds and removes nodes, and has it hear of everything that may ask for either.
func newScaling(stack awscdk.Stack, bus awsevents.EventBus, code func(string) awslambda.Code, network *constructs.Network, environment map[string]*string) *constructs.Worker {
	w := constructs.NewWorker(stack, constructs.WorkerProps{
		FunctionProps: constructs.FunctionProps{
			Name:        scaling,
			Description: "Adds the nodes that pods wait for, and removes those that nobody needs",
			Code:        code(scaling),
			// A look reads a cluster's pods and AWS's groups, plans in about a second where there are tens of thousands of pods,
			// and makes a few calls. Nodes are not waited for.
			Timeout: time.Minute,
			// One vCPU: planning is arithmetic on one thread. A list of 30,000 pods is some hundreds of MiB while it is read.
			Memory:      1769,
			Environment: environment,
			Network:     network,
		},
		// A look that died is made again while the pods still wait.
		Visibility: 75 * time.Second,
		// Each message is one look at one cluster, ten of them are one batch.
		Concurrency: 10,
		// Within an hour there have been sixty sweeps: whatever a message was about, they have seen it.
		Retention: time.Hour,
		// Pods have waited for that long, at least.
		Late: 2 * time.Minute,
	})
	w.Listen(nil, 5*time.Minute, scalingSignals()...) // sweeps have seen it by then
	w.Listen(bus, time.Hour, constructs.Signal{
		ID:          "ScalingRequestedRule",
		Description: "Somebody wants a cluster's nodes to be looked at",
		Pattern:     pattern(events.KindScalingRequested),
	})
	return w
}

// scalingSignals are what AWS says about groups and alarms, on the account's default bus.
func scalingSignals() []constructs.Signal {
	failed := pattern(events.KindAutoScalingResult)
	failed["detail"] = map[string]any{"StatusCode": []string{"Failed"}} // of all groups: whose one is, its tags say
	alarm := pattern(events.KindAlarmStateChange)
	alarm["detail"] = map[string]any{
		"alarmName": []any{map[string]any{"prefix": fleet.PendingPodsAlarms}},
		"state":     map[string]any{"value": []string{events.AlarmRaised}},
	}
	return []constructs.Signal{{
		ID:          "AutoScalingResultRule",
		Description: "Auto Scaling could not launch or end a machine: EC2 has none of the kind, perhaps, and others will do",
		Pattern:     failed,
	}, {
		ID:          "PendingPodsRule",
		Description: "EKS's metric says that pods find no node, for clusters whose policy asks to hear of it so",
		Pattern:     alarm,
	}}
}

// newDoorbell makes the function that clusters call when pods find no node.
func newDoorbell(stack awscdk.Stack, code func(string) awslambda.Code, ledger Ledger, scaled *constructs.Worker) *constructs.Called {
	d := constructs.NewCalled(stack, constructs.CalledProps{
		FunctionProps: constructs.FunctionProps{
			Name:        doorbell,
			Description: "Hears that pods found no node, and has the scaling function look",
			Code:        code(doorbell),
			// The API server waits for a second. CloudWatch Logs waits for longer.
			Timeout: 5 * time.Second,
			// For the CPU that comes with it: a cold start makes two TLS connections, within the API server's second.
			Memory: 512,
			Environment: map[string]*string{
				"EKSPEDITE_TABLE":             ledger.TableName,
				"EKSPEDITE_SCALING_QUEUE_URL": scaled.Queue.QueueUrl(),
			},
		},
		Limit: doorbellLimit,
	})
	d.Hear("/aws/eks/*/cluster:*")
	return d
}
