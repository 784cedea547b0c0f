package stacks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/jsii-runtime-go"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/constructs"
)

// AutomationProps is what the automation stack is made from.
type AutomationProps struct {
	Ledger Ledger
	Specs  Specs
	Code   Code
}

// Automation is the stack of what listens and acts.
type Automation struct {
	Stack                 awscdk.Stack
	Bus                   awsevents.EventBus
	Cluster, Interruption *constructs.Worker
	Scaling, Upgrade      *constructs.Worker
	Doorbell              *constructs.Called
	Pipeline              *constructs.Invoked
}

// concurrency is how many of the cluster function's environments run at most, of ten messages each. Ten of them have 100
// clusters at work at once. EC2 lets an account change its networks a few times a second, and EKS creates and updates
// clusters no faster; the function keeps to a share of that, which its environments divide.
const concurrency = 10

// NewAutomation adds the automation stack to an app.
func NewAutomation(app awscdk.App, props AutomationProps) Automation {
	stack := awscdk.NewStack(app, jsii.String(AutomationName), &awscdk.StackProps{
		Description: jsii.String("ekspedite: the functions that keep a fleet of EKS clusters, and the events that start them"),
	})
	code := props.Code(stack)
	addParameters(stack)
	network := constructs.NewNetwork(stack)

	// Requests to ekspedite and its reports. It has no resource policy: only this account may use it.
	bus := awsevents.NewEventBus(stack, jsii.String("Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(string(events.BusEkspedite)),
		Description:  jsii.String("Requests to ekspedite, and its reports of what it has done"),
	})
	bus.Node().DefaultChild().(awsevents.CfnEventBus).OverrideLogicalId(jsii.String("Bus"))
	environment := func(more map[string]*string) map[string]*string {
		all := map[string]*string{
			"EKSPEDITE_TABLE": props.Ledger.TableName,
			"EKSPEDITE_BUS":   bus.EventBusName(),
		}
		for key, value := range more {
			all[key] = value
		}
		return all
	}

	interrupted := constructs.NewWorker(stack, constructs.WorkerProps{
		FunctionProps: constructs.FunctionProps{
			Name:        interruption,
			Description: "Drains and replaces nodes that AWS is about to take away",
			Code:        code(interruption),
			// A drain is deferred between looks, and one look is a few seconds of calls. A quarter of a spot instance's two
			// minutes is the most that may be lost to an invocation that hangs.
			Timeout: 30 * time.Second,
			// Over half a vCPU. Ten nodes of 110 pods in one batch take a quarter of a second of CPU, and seconds count.
			Memory:      1024,
			Environment: environment(nil),
			Network:     network,
		},
		// Not six times the timeout: a message that comes back after three minutes finds its machine gone. Coming back a
		// little early at worst costs a second look, which finds the drain held by the first. It is longer than the timeout,
		// since SQS deletes a batch's messages when all of it is done, and not each when it is.
		Visibility: 45 * time.Second,
		// A zone that is reclaimed is 1,000 warnings in a second, 100 batches. Lambda begins with 5 batches at once and adds 5 a
		// second, so that (5t + 2.5t²)/L batches are done after t seconds if a first look takes L: all of them after 3.6 s for
		// half a second, at 23 at once, and after 6.8 s for one and a half (cold starts, nodes of 110 pods), at 39. The rest up
		// to 60 is room for continuations, which come from the first second on, and for batches with a message of a cluster
		// that hangs, which are held for three seconds (TestOneClusterThatHangsCostsTheOthersOneTimeout). It is a bound for the account's
		// sake, whose functions share 1,000. EC2 is not the limit any more: a batch asks once for its machines, 100 calls, which
		// is what DescribeInstances allows at once, and looks at running drains ask again after 20 s only. A larger batch would
		// cost each message a window of at least a second to wait in; ten need none.
		Concurrency: 60,
		// An hour is the longest that AWS itself waits for an answer to any of these signals, a lifecycle hook's default
		// timeout. Whatever is older has happened. Continuations are new messages with an hour of their own.
		Retention: time.Hour,
		// Half of a spot instance's notice has passed.
		Late: time.Minute,
	})
	// As long as the queue would keep them.
	interrupted.Listen(nil, time.Hour, append(interruptionSignals(), moreInterruptionSignals()...)...)
	interrupted.Listen(bus, 15*time.Minute, removalSignal()) // then there is no time left to drain in

	scaled := newScaling(stack, bus, code, network, environment(nil))
	rung := newDoorbell(stack, code, props.Ledger, scaled)
	upgraded := newUpgrade(stack, bus, code, network, environment(nil))

	applied := constructs.NewWorker(stack, constructs.WorkerProps{
		FunctionProps: constructs.FunctionProps{
			Name:        cluster,
			Description: "Creates clusters, keeps them as their specs say, and deletes them",
			Code:        code(cluster),
			// One step of many clusters: some tens of calls, of which the slow ones (a NAT gateway, a role that has to
			// become visible) are waited for by deferring, not here.
			Timeout: 2 * time.Minute,
			// It waits for AWS most of the time; its memory is the SDK and one batch of specs, some 30 MiB.
			Memory: 512,
			Environment: environment(map[string]*string{
				// The principal that a cluster's access entry lets cordon and evict.
				"EKSPEDITE_INTERRUPTION_ROLE_ARN": interrupted.Role.RoleArn(),
				// The one that it lets read what nodes are planned from, and where clusters ring.
				"EKSPEDITE_SCALING_ROLE_ARN": scaled.Role.RoleArn(),
				// The one that it lets read what the readiness checks are made on.
				"EKSPEDITE_UPGRADE_ROLE_ARN": upgraded.Role.RoleArn(),
				"EKSPEDITE_DOORBELL_URL":     rung.URL,
				"EKSPEDITE_DOORBELL_ARN":     rung.Function.Function.FunctionArn(),
				"EKSPEDITE_IN_VPC":           network.Attached,
				"EKSPEDITE_ROLE_BOUNDARY":    awscdk.Fn_Ref(jsii.String(roleBoundary)),
			}),
			Network: network,
		},
		// As long as the lease of an invocation that died keeps others away from its cluster, and no longer: with six times
		// the timeout, a cluster whose invocation died would stand still for twelve minutes.
		Visibility:  150 * time.Second,
		Concurrency: concurrency,
		// Requests are somebody's will and do not grow stale. Four days get over a long weekend, and leave ten of the
		// dead-letter queue's fourteen for what ends there.
		Retention: 4 * 24 * time.Hour,
		// A continuation may lawfully be delayed for 15 minutes, and a lost attempt adds 2.5. Later than two sweeps, a
		// cluster is no longer looked after.
		Late: 30 * time.Minute,
	})
	applied.Tell("EKSPEDITE_ROLE_ARN", applied.Role.RoleArn())
	// EventBridge's longest: a request is not to be lost.
	applied.Listen(bus, 24*time.Hour, clusterSignals()...)
	applied.Listen(nil, 24*time.Hour, specSignal(props.Specs))
	scheduler := applied.Every(constructs.Timer{
		ID:          "ClusterSweep",
		Description: "Has every cluster looked at, in case somebody has changed it, or an event about it was lost",
		// Drift and lost events are repaired within this time. EKS's own work takes about as long as the default.
		Expression: *awscdk.Fn_Ref(jsii.String(sweepRate)),
		Patience:   15 * time.Minute, // then the next sweep is due
		Input:      sweepInput(events.KindClusterSweepRequested),
	})
	scalingScheduler := scaled.Every(constructs.Timer{
		ID:          "ScalingSweep",
		Description: "Has the nodes of every cluster looked at, in case a signal was lost, and because nobody rings when nodes have nothing to do",
		Expression:  *awscdk.Fn_Ref(jsii.String(scalingRate)),
		Patience:    time.Minute, // then the next sweep is due
		Input:       sweepInput(events.KindScalingSweepRequested),
	})

	upgradeScheduler := everyUpgrade(upgraded)
	told := newNotify(stack, bus, code, environment(nil))
	interruptionScheduler := everyInterruption(interrupted)

	staged := constructs.NewInvoked(stack, constructs.InvokedProps{
		FunctionProps: constructs.FunctionProps{
			Name:        pipeline,
			Description: "Lets stages of CodePipeline ask for clusters and upgrades, and wait for them",
			Code:        code(pipeline),
			// A job is a few calls. What is waited for is waited for by answering that it is not finished.
			Timeout:     30 * time.Second,
			Memory:      256,
			Environment: environment(nil),
		},
		// CodePipeline itself gives a job up after 20 minutes without an answer.
		Patience: 15 * time.Minute,
		// What failed for good is the job with its credentials, which last for an hour or so. A day is time to see that there
		// was something; CodePipeline shows that the action has failed for longer.
		Retention: 24 * time.Hour,
	})
	staged.Listen(bus, 15*time.Minute, endedUpgradeSignal()) // the sweep has seen it by then
	approvals := staged.Every(constructs.Timer{
		ID:          "PipelineSweep",
		Description: "Has the approvals of pipelines looked at that wait for a soak or an upgrade: a soak ends by the clock",
		Expression:  *awscdk.Fn_Ref(jsii.String(pipelineRate)),
		Patience:    15 * time.Minute, // then the next sweep is due
		Input:       sweepInput(events.KindPipelineSweepRequested),
	})

	interrupted.Allow(workerGrants(interrupted, props.Ledger, bus)...)
	interrupted.Allow(interruptionGrants()...)
	interrupted.Allow(containerGrants()...)
	interrupted.Allow(sweepGrants(props.Ledger)...)
	interrupted.Allow(targetGrants()...)
	applied.Allow(workerGrants(applied, props.Ledger, bus)...)
	scaled.Allow(workerGrants(scaled, props.Ledger, bus)...)
	allowScaling(scaled, props.Ledger)
	upgraded.Allow(workerGrants(upgraded, props.Ledger, bus)...)
	allowUpgrade(upgraded, props.Ledger)
	rung.Allow(doorbellGrants(rung, props.Ledger, scaled)...)
	allowCluster(applied, props.Ledger, props.Specs, *interrupted.Role.RoleArn(), *applied.Role.RoleArn(), *staged.Role.RoleArn(),
		*scheduler.RoleArn(), *scaled.Role.RoleArn(), *rung.Role.RoleArn(), *scalingScheduler.RoleArn(),
		*upgraded.Role.RoleArn(), *upgradeScheduler.RoleArn(), *approvals.RoleArn(), *told.Role.RoleArn(), *interruptionScheduler.RoleArn())
	staged.Allow(pipelineGrants(staged, props.Ledger, props.Specs, bus)...)
	told.Allow(workerGrants(told, props.Ledger, bus)...)
	told.Allow(notifyGrants()...)
	seeLogsOf(told, map[string]*constructs.Function{
		cluster: &applied.Function, interruption: &interrupted.Function, scaling: &scaled.Function, upgrade: &upgraded.Function,
	})
	newDashboard(stack, told, []observed{
		{interruption, "Interruption", interrupted}, {cluster, "Cluster", applied}, {scaling, "Scaling", scaled}, {upgrade, "Upgrade", upgraded}, {notify, "Notify", told},
	})

	// For people, and for whoever starts the embedded cloud.
	output(stack, "BusName", "Where to put requests, and to listen for reports", bus.EventBusName())
	output(stack, "ClusterQueueUrl", "", applied.Queue.QueueUrl())
	output(stack, "ClusterDLQUrl", "", applied.DeadLetters.QueueUrl())
	output(stack, "InterruptionQueueUrl", "", interrupted.Queue.QueueUrl())
	output(stack, "InterruptionDLQUrl", "", interrupted.DeadLetters.QueueUrl())
	output(stack, "NotifyQueueUrl", "", told.Queue.QueueUrl())
	output(stack, "NotifyDLQUrl", "", told.DeadLetters.QueueUrl())
	output(stack, "PipelineFunctionName", "For the Lambda actions of pipelines that ask for clusters", staged.Function.Function.FunctionName())
	output(stack, "PipelineDLQUrl", "", staged.DeadLetters.QueueUrl())
	output(stack, "ScalingQueueUrl", "", scaled.Queue.QueueUrl())
	output(stack, "ScalingDLQUrl", "", scaled.DeadLetters.QueueUrl())
	output(stack, "UpgradeQueueUrl", "", upgraded.Queue.QueueUrl())
	output(stack, "UpgradeDLQUrl", "", upgraded.DeadLetters.QueueUrl())
	output(stack, "DoorbellUrl", "Where clusters ring when pods find no node, each with a path of its own", rung.URL)
	return Automation{Stack: stack, Bus: bus, Cluster: applied, Interruption: interrupted, Scaling: scaled, Upgrade: upgraded, Doorbell: rung, Pipeline: staged}
}

// interruptionSignals are what AWS says about machines, on the account's default bus.
func interruptionSignals() []constructs.Signal {
	gone := pattern(events.KindInstanceStateChange)
	// Pending and running say nothing to act on, and are half of all state changes.
	gone["detail"] = map[string]any{"state": []string{
		string(events.StateStopping), string(events.StateStopped),
		string(events.StateShuttingDown), string(events.StateTerminated),
	}}
	return []constructs.Signal{{
		ID:          "SpotInterruptionRule",
		Description: "EC2 takes a spot instance back in two minutes: drain it and replace it",
		Pattern:     pattern(events.KindSpotInterruption),
	}, {
		ID:          "RebalanceRecommendationRule",
		Description: "A spot instance is at a higher risk than before: replace it ahead of the warning, where the policy says so",
		Pattern:     pattern(events.KindRebalanceRecommendation),
	}, {
		ID:          "InstanceStateChangeRule",
		Description: "An instance stops or ends, by whosever hand: drain what is left, note that it is gone",
		Pattern:     gone,
	}, {
		ID:          "LifecycleActionRule",
		Description: "Auto Scaling waits before it launches or ends an instance: drain, then let it go on",
		Pattern:     pattern(events.KindLifecycleAction),
	}, {
		ID:          "CapacityReservationInterruptionRule",
		Description: "An instance loses its borrowed capacity reservation: as with a spot interruption. AWS's documents have two names for it",
		Pattern:     pattern(events.KindCapacityReservationInterruption),
	}, fargateSignal()}
}

// removalSignal is a node that is given up, on ekspedite's own bus.
func removalSignal() constructs.Signal {
	return constructs.Signal{
		ID:          "NodeRemovalRequestedRule",
		Description: "Somebody gives a node up: drain it, end its machine, and make its group smaller",
		Pattern:     pattern(events.KindNodeRemovalRequested),
	}
}

// clusterSignals are requests on ekspedite's own bus.
func clusterSignals() []constructs.Signal {
	return []constructs.Signal{{
		ID:          "ClusterApplyRequestedRule",
		Description: "Somebody wants clusters to be what a spec says",
		Pattern:     pattern(events.KindClusterApplyRequested),
	}, {
		ID:          "ClusterDeleteRequestedRule",
		Description: "Somebody wants a cluster to end, with all that was made for it",
		Pattern:     pattern(events.KindClusterDeleteRequested),
	}}
}

// specSignal is a file in the bucket for specs.
func specSignal(specs Specs) constructs.Signal {
	put := pattern(events.KindSpecFileCreated)
	var endings []any
	for _, e := range []string{".yaml", ".yml", ".json"} {
		endings = append(endings, map[string]any{"suffix": e})
	}
	put["detail"] = map[string]any{
		"bucket": map[string]any{"name": []*string{specs.BucketName}},
		"object": map[string]any{"key": endings},
	}
	return constructs.Signal{
		ID:          "SpecFileCreatedRule",
		Description: "Somebody has put a spec into the bucket for specs: as if it had been sent",
		Pattern:     put,
	}
}

// pattern matches all events of a kind, as the contract table has it.
func pattern(kind events.Kind) map[string]any {
	pattern := make(map[string]any)
	for field, values := range contract(kind).Pattern() {
		pattern[field] = values
	}
	return pattern
}

func contract(kind events.Kind) events.Contract {
	contract, ok := events.ContractOf(kind)
	if !ok {
		panic(fmt.Sprintf("no contract for %s", kind))
	}
	return contract
}

// sweepInput is the message that a schedule sends: an event like any other, with what Scheduler knows of it.
func sweepInput(kind events.Kind) string {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // Scheduler looks for its attributes in angle brackets, not in \u003c
	if err := encoder.Encode(struct {
		Version    string   `json:"version"`
		ID         string   `json:"id"`
		DetailType string   `json:"detail-type"`
		Source     string   `json:"source"`
		Time       string   `json:"time"`
		Resources  []string `json:"resources"`
		Detail     struct{} `json:"detail"`
	}{
		Version: "0", ID: "<aws.scheduler.execution-id>", DetailType: contract(kind).DetailTypes[0],
		Source: events.SourceEkspedite, Time: "<aws.scheduler.scheduled-time>", Resources: []string{},
	}); err != nil {
		panic(err) // strings only
	}
	return string(bytes.TrimSpace(body.Bytes()))
}

func output(stack awscdk.Stack, id, description string, value *string) {
	props := &awscdk.CfnOutputProps{Value: value}
	if description != "" {
		props.Description = jsii.String(description)
	}
	awscdk.NewCfnOutput(stack, jsii.String(id), props)
}
