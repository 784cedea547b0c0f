package events

const (
	docsEC2    = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/"
	docsASG    = "https://docs.aws.amazon.com/autoscaling/ec2/"
	docsECS    = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/"
	docsEKS    = "https://docs.aws.amazon.com/eks/latest/userguide/"
	docsOwn    = "events/own.go"
	docsScale  = "events/scaling.go"
	docsDrain  = "events/interruption.go"
	docsUp     = "events/upgrade.go"
	docsNotify = "events/notify.go"
	byFleet    = "for the fleet's own subscribers; no function of ekspedite acts on single steps"
)

// table is the contract table. A new event is one entry here, its samples in events/samples and its schema in
// events/schemas.
func table() []Contract {
	return []Contract{
		// EC2
		contract[SpotInterruption](KindSpotInterruption, SourceEC2, "EC2 Spot Instance Interruption Warning").
			means("EC2 takes a spot instance back in two minutes", docsEC2+"spot-instance-termination-notices.html").
			samples("", "stop", "hibernate").to(HandlerInterruption, RouteRule),
		contract[RebalanceRecommendation](KindRebalanceRecommendation, SourceEC2, "EC2 Instance Rebalance Recommendation").
			means("a spot instance is at a higher risk than before", docsEC2+"rebalance-recommendations.html").
			samples("").to(HandlerInterruption, RouteRule),
		contract[InstanceStateChange](KindInstanceStateChange, SourceEC2, "EC2 Instance State-change Notification").
			means("an instance entered a state", docsEC2+"monitoring-instance-state-changes.html").
			samples("", "running").to(HandlerInterruption, RouteRule),
		contract[CapacityReservationInterruption](KindCapacityReservationInterruption, SourceEC2,
			"EC2 Capacity Reservation Instance Interruption Warning", "EC2 Interruptible Capacity Reservation Instance Interruption Warning").
			means("an instance loses its interruptible reservation or its Capacity Block", docsEC2+"monitor-interruptible-cr.html").
			samples("", "block", "older").to(HandlerInterruption, RouteRule),
		contract[CapacityReservationReclaimed](KindCapacityReservationReclaimed, SourceEC2,
			"EC2 Interruptible Capacity Reservation Allocation Reclamation Completed", "EC2 Capacity Reservation Interruptible Reclamation Complete").
			means("lent capacity came back to its owner; counted, since no cluster can be told from a reservation: the scaling function's sweep sees what can be launched",
				docsEC2+"monitor-interruptible-cr.html").
			samples("", "older").to(HandlerInterruption, RouteRule),
		contract[CapacityBlockDelivered](KindCapacityBlockDelivered, SourceEC2, "Capacity Block Delivered", "Capacity Block Reservation Delivered").
			means("a Capacity Block began; counted, since no cluster can be told from a reservation: the scaling function's sweep sees what can be launched",
				docsEC2+"capacity-blocks-monitor.html").
			samples("", "older").to(HandlerInterruption, RouteRule),
		contract[CapacityBlockExpiration](KindCapacityBlockExpiration, SourceEC2,
			"Capacity Block Expiration Warning", "Capacity Block Reservation Expiration Warning").
			means("a Capacity Block ends in 40 minutes, its instances from 10 minutes on", docsEC2+"capacity-blocks-monitor.html").
			samples("", "older").to(HandlerInterruption, RouteRule),

		// Auto Scaling
		contract[LifecycleAction](KindLifecycleAction, SourceAutoScaling, detailTypeTerminate, detailTypeLaunch).
			means("an instance waits in a lifecycle hook", docsASG+"userguide/ec2-auto-scaling-event-reference.html").
			samples("terminate", "launch", "warmpool", "direct", "wrapped").
			on(BusDefault, FormEnvelope, FormNotification).to(HandlerInterruption, RouteRule),
		contract[AutoScalingTestNotification](KindAutoScalingTestNotification, SourceAutoScaling, testNotification).
			means("a lifecycle hook's author wants to know that the queue is there", docsASG+"APIReference/API_PutLifecycleHook.html").
			samples("", "transition", "wrapped").on(BusNone, FormNotification).to(HandlerInterruption, RouteDirect),
		contract[AutoScalingResult](KindAutoScalingResult, SourceAutoScaling, "EC2 Instance Launch Successful", "EC2 Instance Terminate Successful",
			"EC2 Instance Launch Unsuccessful", "EC2 Instance Terminate Unsuccessful").
			means("a launch or a termination by Auto Scaling ended", docsASG+"userguide/ec2-auto-scaling-event-reference.html").
			samples("launch", "terminate", "launch-failed").to(HandlerScaling, RouteRule), // the failed launches

		// AWS Health
		contract[HealthEvent](KindHealthEvent, SourceHealth, "AWS Health Event").
			means("something happens to resources: an instance is retired, a version leaves support",
													"https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html").
			samples("ec2", "eks").to(HandlerUpgrade, RouteRule).also(HandlerInterruption), // EKS's, and EC2's

		// ECS and EKS
		contract[ECSContainerInstanceStateChange](KindECSContainerInstanceStateChange, SourceECS, "ECS Container Instance State Change").
			means("a machine of an ECS cluster changed", docsECS+"ecs_container_instance_events.html").
			samples("").unmatched("it comes with every task that starts or ends, and tells nothing that asking ECS once does not when a machine goes"),
		contract[ECSTaskStateChange](KindECSTaskStateChange, SourceECS, "ECS Task State Change").
			means("an ECS task moved on; the warning of Fargate Spot", docsECS+"ecs_task_events.html").
			samples("", "spot").to(HandlerInterruption, RouteRule), // the interrupted ones
		contract[FargatePodTermination](KindFargatePodTermination, SourceEKS, "EKS Fargate Pod Scheduled Termination").
			means("EKS will replace a Fargate pod to patch its machine", docsEKS+"fargate-pod-patching.html").
			samples("").to(HandlerInterruption, RouteRule),
		contract[AddonEvent](KindAddonEvent, SourceEKS,
			"EKS Addon Creation Succeeded", "EKS Addon Creation Failed", "EKS Addon Update Succeeded", "EKS Addon Update Failed",
			"EKS Addon Deletion Succeeded", "EKS Addon Deletion Failed", "EKS Addon Health Degraded", "EKS Addon Health Restored").
			means("an EKS add-on changed, or could not; the payload is undocumented", "https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-eks.html").
			samples("update-succeeded", "health-degraded").to(HandlerUpgrade, RouteRule),

		// CodePipeline
		contract[CodePipelineJob](KindCodePipelineJob, SourceCodePipeline, detailTypeJob).
			means("an action of a pipeline waits for a function's answer",
				"https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-invoke-lambda-function.html").
			samples("", "continued").on(BusNone, FormCodePipeline).to(HandlerPipeline, RouteInvoke),

		// S3
		contract[SpecFileCreated](KindSpecFileCreated, SourceS3, "Object Created").
			means("a file was put into the bucket for specs: it is asked for", "https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html").
			samples("").to(HandlerCluster, RouteRule),

		// CloudWatch
		contract[AlarmStateChange](KindAlarmStateChange, SourceCloudWatch, "CloudWatch Alarm State Change").
			means("an alarm went from one state to another: pods find no node, where that is how the scaling function hears of it",
				"https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html").
			samples("", "ok").to(HandlerScaling, RouteRule),

		// ekspedite
		contract[ClusterApplyRequested](KindClusterApplyRequested, SourceEkspedite, "Cluster Apply Requested").
			means("somebody wants clusters to be what a spec says", docsOwn).
			samples("").on(BusEkspedite).to(HandlerCluster, RouteRule),
		contract[ClusterDeleteRequested](KindClusterDeleteRequested, SourceEkspedite, "Cluster Delete Requested").
			means("somebody wants a cluster to end, with all that was made for it", docsOwn).
			samples("", "force").on(BusEkspedite).to(HandlerCluster, RouteRule),
		contract[ClusterSweepRequested](KindClusterSweepRequested, SourceEkspedite, "Cluster Sweep Requested").
			means("it is time to look at every cluster", docsOwn).
			samples("", "scheduler").on(BusNone).to(HandlerCluster, RouteSchedule),
		contract[ClusterContinuation](KindClusterContinuation, SourceEkspedite, "Cluster Continuation").
			means("the cluster function looks at a cluster again", docsOwn).
			samples("").on(BusNone).to(HandlerCluster, RouteDirect),
		contract[NodeRemovalRequested](KindNodeRemovalRequested, SourceEkspedite, "Node Removal Requested").
			means("somebody wants a node drained and its machine ended for good", docsOwn).
			samples("", "manual", "upgrade").on(BusEkspedite).to(HandlerInterruption, RouteRule),
		contract[DrainContinuation](KindDrainContinuation, SourceEkspedite, "Drain Continuation").
			means("the interruption function looks at a drain again", docsOwn).
			samples("", "hook", "removal", "container").on(BusNone).to(HandlerInterruption, RouteDirect),
		contract[MachineSignal](KindMachineSignal, SourceEkspedite, "Machine Signal").
			means("one message about several machines, or a sweep, says of one of them that it goes", docsDrain).
			samples("", "block").on(BusNone).to(HandlerInterruption, RouteDirect),
		contract[PlannedDrainDue](KindPlannedDrainDue, SourceEkspedite, "Planned Drain Due").
			means("the time has come to look at what is planned for a machine", docsDrain).
			samples("").on(BusNone).to(HandlerInterruption, RouteDirect),
		contract[InterruptionSweepRequested](KindInterruptionSweepRequested, SourceEkspedite, "Interruption Sweep Requested").
			means("it is time to look for planned drains that are due, and for machines that fail", docsDrain).
			samples("").on(BusNone).to(HandlerInterruption, RouteSchedule),
		contract[PodTerminationContinuation](KindPodTerminationContinuation, SourceEkspedite, "Pod Termination Continuation").
			means("the interruption function tries to evict a Fargate pod again", docsDrain).
			samples("").on(BusNone).to(HandlerInterruption, RouteDirect),
		contract[ScalingRequested](KindScalingRequested, SourceEkspedite, "Scaling Requested").
			means("a cluster may need other nodes than it has; the doorbell puts it on the queue itself", docsScale).
			samples("").on(BusEkspedite).to(HandlerScaling, RouteRule),
		contract[ScalingSweepRequested](KindScalingSweepRequested, SourceEkspedite, "Scaling Sweep Requested").
			means("it is time to look at the nodes of every cluster", docsScale).
			samples("").on(BusNone).to(HandlerScaling, RouteSchedule),
		contract[ScalingContinuation](KindScalingContinuation, SourceEkspedite, "Scaling Continuation").
			means("the scaling function looks at a cluster's nodes again", docsScale).
			samples("").on(BusNone).to(HandlerScaling, RouteDirect),
		contract[UpgradeRequested](KindUpgradeRequested, SourceEkspedite, "Upgrade Requested").
			means("somebody, or a rollout, wants a cluster to be brought to a version, or patched", docsUp).
			samples("", "patch").on(BusEkspedite).to(HandlerUpgrade, RouteRule),
		contract[UpgradeControlRequested](KindUpgradeControlRequested, SourceEkspedite, "Upgrade Control Requested").
			means("somebody wants an upgrade halted, resumed, rolled back …, or the fleet frozen", docsUp).
			samples("", "freeze", "skip").on(BusEkspedite).to(HandlerUpgrade, RouteRule),
		contract[UpgradeSweepRequested](KindUpgradeSweepRequested, SourceEkspedite, "Upgrade Sweep Requested").
			means("it is time to see whose maintenance is due", docsUp).
			samples("").on(BusNone).to(HandlerUpgrade, RouteSchedule),
		contract[UpgradeContinuation](KindUpgradeContinuation, SourceEkspedite, "Upgrade Continuation").
			means("the upgrade function looks at a cluster again", docsUp).
			samples("").on(BusNone).to(HandlerUpgrade, RouteDirect),
		contract[RolloutRequested](KindRolloutRequested, SourceEkspedite, "Rollout Requested").
			means("somebody wants the fleet, or one ring of it, brought to a version", docsUp).
			samples("", "ring").on(BusEkspedite).to(HandlerUpgrade, RouteRule),
		contract[RolloutContinuation](KindRolloutContinuation, SourceEkspedite, "Rollout Continuation").
			means("the upgrade function looks at a rollout again", docsUp).
			samples("").on(BusNone).to(HandlerUpgrade, RouteDirect),
		contract[PipelineSweepRequested](KindPipelineSweepRequested, SourceEkspedite, "Pipeline Sweep Requested").
			means("it is time to see whether an approval of a pipeline can be answered", "events/pipeline.go").
			samples("").on(BusNone).to(HandlerPipeline, RouteSchedule),
		contract[RunFinished](KindRunFinished, SourceEkspedite, "Run Finished").
			means("what came of a run; people are told, and approvals of pipelines may wait for an upgrade's", docsOwn).
			samples("", "failed", "upgraded", "partial", "container", "fargate").on(BusEkspedite).to(HandlerNotify, RouteRule).also(HandlerPipeline), // the upgrade function's
		contract[RunStarted](KindRunStarted, SourceEkspedite, "Run Started").
			means("a run has begun to act: people are told", docsNotify).
			samples("", "upgrade").on(BusEkspedite).to(HandlerNotify, RouteRule),
		contract[NotificationTestRequested](KindNotificationTestRequested, SourceEkspedite, "Notification Test Requested").
			means("somebody tries who is told of runs, and how", docsNotify).
			samples("", "fleet").on(BusEkspedite).to(HandlerNotify, RouteRule),
		contract[RunProgressed](KindRunProgressed, SourceEkspedite, "Run Progressed").
			means("one step of a run", docsOwn).
			samples("").on(BusEkspedite).unmatched(byFleet),
	}
}
