package fleet

// ScalingMode is how far the scaling function goes.
type ScalingMode string

// Scaling is off unless a policy asks for it: another autoscaler may be at work in the cluster.
const (
	ScalingOff  ScalingMode = "Off"
	ScalingPlan ScalingMode = "Plan" // it decides and reports, and changes nothing
	ScalingAct  ScalingMode = "Act"
)

// Doorbell is how the scaling function hears of pods that found no node, beside the sweep of every minute.
type Doorbell string

// The doorbells.
const (
	DoorbellWebhook Doorbell = "Webhook" // a ValidatingWebhookConfiguration in the cluster, which never refuses anything
	DoorbellLogs    Doorbell = "Logs"    // a subscription to the scheduler's log, which the cluster must write
	DoorbellMetrics Doorbell = "Metrics" // an alarm on EKS's metric of pending pods: a minute or three
	DoorbellNone    Doorbell = "None"    // the sweep alone
)

// ScalingPolicy says how a cluster's nodes are planned.
type ScalingPolicy struct {
	Mode     ScalingMode `json:"mode"`
	Doorbell Doorbell    `json:"doorbell"`
}

// DefaultScalingPolicy is safe in production: nothing is done.
func DefaultScalingPolicy() ScalingPolicy {
	return ScalingPolicy{Mode: ScalingOff, Doorbell: DoorbellWebhook}
}
