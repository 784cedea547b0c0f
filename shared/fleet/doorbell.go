package fleet

// Names of what has a cluster ring when pods find no node.
const (
	// DoorbellName is the webhook's and the log subscription's.
	DoorbellName = "ekspedite-doorbell"
	// NoFit is what kube-scheduler logs of a pod that fits on no node, whatever the reason (v1.37's schedule_one.go).
	NoFit = "Unable to schedule pod"
	// PendingPodsAlarms is where the names of the alarms on pending pods begin.
	PendingPodsAlarms = "ekspedite-pending-pods-"
)

// PendingPodsAlarm is the name of a cluster's alarm on pending pods. It is unique in the cluster's Region.
func PendingPodsAlarm(cluster string) string { return PendingPodsAlarms + cluster }
