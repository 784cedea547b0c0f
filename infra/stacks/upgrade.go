package stacks

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/constructs"
)

// newUpgrade makes the function that upgrades and patches clusters, and has it hear of everything that may ask for it.
func newUpgrade(stack awscdk.Stack, bus awsevents.EventBus, code func(string) awslambda.Code, network *constructs.Network, environment map[string]*string) *constructs.Worker {
	w := constructs.NewWorker(stack, constructs.WorkerProps{
		FunctionProps: constructs.FunctionProps{
			Name:        upgrade,
			Description: "Takes clusters from version to version, and keeps them patched, in their maintenance windows",
			Code:        code(upgrade),
			// The longest look is the one before an upgrade: it lists a cluster's objects for the readiness checks. What EKS
			// works on is not waited for.
			Timeout: 2 * time.Minute,
			// One vCPU. The objects of a cluster with 5,000 pods are some 200 MiB while they are read.
			Memory:      1769,
			Environment: environment,
			Network:     network,
		},
		// As long as the lease of an invocation that died keeps others away from its cluster, as with the cluster function.
		Visibility:  150 * time.Second,
		Concurrency: concurrency,
		// Requests are somebody's will and do not grow stale; see the cluster function.
		Retention: 4 * 24 * time.Hour,
		// A continuation may lawfully be delayed for 15 minutes. Later than six sweeps, upgrades stand still.
		Late: 30 * time.Minute,
	})
	w.Listen(bus, 24*time.Hour, upgradeRequests()...) // EventBridge's longest: a request is not to be lost
	w.Listen(nil, time.Hour, upgradeSignals()...)     // dates decide, and the sweep knows them
	return w
}

// upgradeRequests are on ekspedite's own bus.
func upgradeRequests() []constructs.Signal {
	return []constructs.Signal{{
		ID:          "UpgradeRequestedRule",
		Description: "Somebody, or a rollout, wants a cluster to be brought to a version, or patched",
		Pattern:     pattern(events.KindUpgradeRequested),
	}, {
		ID:          "UpgradeControlRequestedRule",
		Description: "Somebody wants an upgrade halted, resumed or rolled back, or the fleet frozen",
		Pattern:     pattern(events.KindUpgradeControlRequested),
	}, {
		ID:          "RolloutRequestedRule",
		Description: "Somebody wants the fleet, or one ring of it, brought to a version",
		Pattern:     pattern(events.KindRolloutRequested),
	}}
}

// upgradeSignals are what AWS says about versions and add-ons, on the account's default bus.
func upgradeSignals() []constructs.Signal {
	lifecycle := pattern(events.KindHealthEvent)
	// Health says everything of every service in one kind. The rest is for others.
	lifecycle["detail"] = map[string]any{"service": []string{"EKS"}}
	return []constructs.Signal{{
		ID:          "ClusterLifecycleRule",
		Description: "AWS Health says that a version leaves support, or that something is the matter with clusters: look whether anything is due",
		Pattern:     lifecycle,
	}, {
		ID:          "AddonEventRule",
		Description: "An add-on was changed, could not be changed, or is not well: whoever waits for it goes on",
		Pattern:     pattern(events.KindAddonEvent),
	}}
}

// endedUpgradeSignal is an upgrade or a rollout that is over: an approval of a pipeline may wait for it.
func endedUpgradeSignal() constructs.Signal {
	ended := pattern(events.KindRunFinished)
	ended["detail"] = map[string]any{"function": []string{upgrade}}
	return constructs.Signal{
		ID:          "UpgradeFinishedRule",
		Description: "An upgrade or a rollout is over: approvals of pipelines that wait for it can be answered",
		Pattern:     ended,
	}
}

// everyUpgrade is the sweep.
func everyUpgrade(w *constructs.Worker) awsiam.Role {
	return w.Every(constructs.Timer{
		ID:          "UpgradeSweep",
		Description: "Has every cluster looked at whose maintenance may be due, and takes up upgrades whose messages were lost",
		Expression:  *awscdk.Fn_Ref(jsii.String(upgradeRate)),
		Patience:    5 * time.Minute, // then the next sweep is due
		Input:       sweepInput(events.KindUpgradeSweepRequested),
	})
}
