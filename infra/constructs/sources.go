package constructs

import (
	"cmp"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Signal is a kind of event that a worker listens to.
type Signal struct {
	// ID is the rule's logical id.
	ID string
	// Description says what the event means to the worker.
	Description string
	// Pattern is an EventBridge event pattern.
	Pattern map[string]any
	// Patience is how long what EventBridge cannot deliver is tried, where that is another time than for the other signals.
	Patience time.Duration
}

// Listen adds a rule for each signal on a bus, and lets these rules and no others put events on the worker's queue. What
// EventBridge cannot deliver within patience goes to the dead-letter queue. A nil bus is the account's default one. It
// is to be called once for each bus.
func (w *Worker) Listen(bus awsevents.EventBus, patience time.Duration, signals ...Signal) {
	to := target{scope: w.scope, id: *w.Queue.Node().Id(), arn: w.Queue.QueueArn(), deadLetters: w.DeadLetters}
	sid, rules := to.rules(bus, patience, signals)
	for _, queue := range []awssqs.Queue{w.Queue, w.DeadLetters} {
		letRulesSend(queue, sid, rules)
	}
}

// target is what rules and schedules bring events to: a queue, or a function.
type target struct {
	scope       constructs.Construct
	id          string
	arn         *string
	deadLetters awssqs.Queue
}

// rules adds a rule for each signal, and gives their ARNs with a name for what they may do.
func (t target) rules(bus awsevents.EventBus, patience time.Duration, signals []Signal) (sid string, arns []*string) {
	sid, busName := "RulesOfDefaultBus", any(nil)
	if bus != nil {
		sid, busName = "RulesOf"+*bus.Node().Id(), bus.EventBusName()
	}
	for _, signal := range signals {
		rule := awsevents.NewCfnRule(t.scope, jsii.String(signal.ID), &awsevents.CfnRuleProps{
			Description:  jsii.String(signal.Description),
			EventBusName: busName,
			EventPattern: signal.Pattern,
			State:        jsii.String("ENABLED"),
			Targets: []any{&awsevents.CfnRule_TargetProperty{
				Id:               jsii.String(t.id),
				Arn:              t.arn,
				DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: t.deadLetters.QueueArn()},
				RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{
					MaximumEventAgeInSeconds: jsii.Number(cmp.Or(signal.Patience, patience).Seconds()),
					MaximumRetryAttempts:     jsii.Number(185), // EventBridge's most; the age is what counts
				},
			}},
		})
		rule.OverrideLogicalId(jsii.String(signal.ID))
		arns = append(arns, rule.AttrArn())
	}
	return sid, arns
}

// letRulesSend lets these rules and no others put events on a queue.
func letRulesSend(queue awssqs.Queue, sid string, rules []*string) {
	queue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String(sid),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{queue.QueueArn()},
		Conditions: &map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": rules}},
	}))
}

// Timer is a message that a worker gets at regular times.
type Timer struct {
	// ID is the schedule's logical id, and the stem of its role's.
	ID string
	// Description says what the message is for.
	Description string
	// Expression is EventBridge Scheduler's, such as rate(15 minutes).
	Expression string
	// Patience is how long a message that cannot be delivered is worth trying.
	Patience time.Duration
	// Input is the message's body, with the context attributes that Scheduler fills in, such as
	// <aws.scheduler.execution-id>.
	Input string
}

// Every puts a message on the worker's queue at regular times. It returns the schedule's role.
func (w *Worker) Every(timer Timer) awsiam.Role {
	to := target{scope: w.scope, arn: w.Queue.QueueArn(), deadLetters: w.DeadLetters}
	return to.every(timer, awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:       jsii.String("SendOrBury"),
		Actions:   jsii.Strings("sqs:SendMessage"),
		Resources: &[]*string{w.Queue.QueueArn(), w.DeadLetters.QueueArn()},
	}))
}

// every adds a schedule whose role may do these things.
func (t target) every(timer Timer, may ...awsiam.PolicyStatement) awsiam.Role {
	role := awsiam.NewRole(t.scope, jsii.String(timer.ID+"Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			// Only schedules of this account and of the group that this one is in: no confused deputy.
			Conditions: &map[string]any{"StringEquals": map[string]any{
				"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID(),
				"aws:SourceArn": awscdk.Fn_Sub(
					jsii.String("arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule-group/default"), nil),
			}},
		}),
	})
	nameResource(role, timer.ID+"Role")
	policy := awsiam.NewPolicy(t.scope, jsii.String(timer.ID+"Policy"), &awsiam.PolicyProps{
		PolicyName: jsii.String(timer.ID + "Policy"),
		Roles:      &[]awsiam.IRole{role},
		Statements: &may,
	})
	nameResource(policy, timer.ID+"Policy")

	schedule := awsscheduler.NewCfnSchedule(t.scope, jsii.String(timer.ID), &awsscheduler.CfnScheduleProps{
		Description:        jsii.String(timer.Description),
		ScheduleExpression: jsii.String(timer.Expression),
		State:              jsii.String("ENABLED"),
		// A window would spread the load of many schedules; there is one.
		FlexibleTimeWindow: &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")},
		Target: &awsscheduler.CfnSchedule_TargetProperty{
			Arn:              t.arn,
			RoleArn:          role.RoleArn(),
			Input:            jsii.String(timer.Input),
			DeadLetterConfig: &awsscheduler.CfnSchedule_DeadLetterConfigProperty{Arn: t.deadLetters.QueueArn()},
			RetryPolicy: &awsscheduler.CfnSchedule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(timer.Patience.Seconds()),
				MaximumRetryAttempts:     jsii.Number(185),
			},
		},
	})
	schedule.OverrideLogicalId(jsii.String(timer.ID))
	schedule.Node().AddDependency(policy)
	return role
}
