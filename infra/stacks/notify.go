package stacks

import (
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/constructs"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// newNotify makes the function that tells people of runs. It hears of them on the bus, so that no drain waits for it.
func newNotify(stack awscdk.Stack, bus awsevents.EventBus, code func(string) awslambda.Code, environment map[string]*string) *constructs.Worker {
	w := constructs.NewWorker(stack, constructs.WorkerProps{
		FunctionProps: constructs.FunctionProps{
			Name:        notify,
			Description: "Tells people of runs: by SNS, Slack, Teams and webhooks, each moment of a run at most once",
			Code:        code(notify),
			// A target is waited for for five seconds, and once in a batch if it is dead; the rest is claims in the ledger.
			Timeout:     30 * time.Second,
			Memory:      256, // a batch is a megabyte of JSON
			Environment: environment,
			// It is attached to no network: Slack and Teams are on the internet, to which a network need not have a way.
		},
		// Nobody is in a hurry here. Six times the timeout, as AWS asks for.
		Visibility: 3 * time.Minute,
		// The least that Lambda takes. A reclaim of a zone comes as thousands of reports; fewer and larger batches make fewer
		// messages of them.
		Concurrency: 2,
		// What comes within five seconds, up to 500 reports, is told together: of 1,000 drains that begin in a second there are a
		// handful of messages, not 1,000. 500 reports of a few KB are a third of what Lambda takes in one invocation.
		Batch: 500, Window: 5 * time.Second,
		// News of four hours ago are none.
		Retention: 4 * time.Hour,
		// Whoever is to act on what a message says needs it by now.
		Late: 10 * time.Minute,
	})
	finished := pattern(events.KindRunFinished)
	// Looks at clusters of which nothing came are many, and nobody's news.
	finished["detail"] = map[string]any{"outcome": []any{map[string]any{"anything-but": []string{
		events.OutcomeNothingToDo, events.OutcomePlanned, events.OutcomeSuperseded,
	}}}}
	w.Listen(bus, time.Hour, constructs.Signal{
		ID:          "RunStartedRule",
		Description: "A run has begun to act: tell who wants to know",
		Pattern:     pattern(events.KindRunStarted),
	}, constructs.Signal{
		ID:          "RunFinishedRule",
		Description: "A run is over that has done something, or has failed: tell who wants to know",
		Pattern:     finished,
	}, constructs.Signal{
		ID:          "NotificationTestRequestedRule",
		Description: "Somebody tries who is told of runs, and how",
		Pattern:     pattern(events.KindNotificationTestRequested),
	})
	return w
}

// notifyGrants are what it takes to tell people: their topics, and the secrets that webhooks' addresses are.
func notifyGrants() []constructs.Grant {
	return []constructs.Grant{{
		Sid:       "PublishToTopics",
		Actions:   []string{"sns:Publish"},
		Resources: []string{"arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:" + fleet.TopicPrefix + "*"},
		Wide:      "Policies name the topics; the function may use those that are called ekspedite-… and no others.",
	}, {
		Sid:       "ReadWebhooks",
		Actions:   []string{"ssm:GetParameter"},
		Resources: []string{"arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter" + fleet.ParameterPrefix + "*"},
		Wide:      "Policies name the parameters; the function may read those below this path and no others.",
	}, {
		// Of a key of the user's own, which must let the account's policies decide; that of Systems Manager needs no grant.
		Sid:       "DecryptWebhooks",
		Actions:   []string{"kms:Decrypt"},
		Resources: []string{"arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*"},
		Wide:      "Which key a parameter is encrypted with is its owner's choice. The conditions allow no other use of a key than reading these parameters.",
		When: conditions{
			"StringEquals": {"kms:ViaService": []string{"ssm.${AWS::Region}.amazonaws.com"}},
			"StringLike": {"kms:EncryptionContext:PARAMETER_ARN": []string{
				"arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter" + fleet.ParameterPrefix + "*"}},
		},
	}}
}

// seeLogsOf tells a function the names of others' log groups, for links.
func seeLogsOf(w *constructs.Worker, functions map[string]*constructs.Function) {
	var parts []*string
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		parts = append(parts, awscdk.Fn_Join(jsii.String("="), &[]*string{jsii.String(name), functions[name].Logs.LogGroupName()}))
	}
	w.Tell("EKSPEDITE_LOG_GROUPS", awscdk.Fn_Join(jsii.String(","), &parts))
}
