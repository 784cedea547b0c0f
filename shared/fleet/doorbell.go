package fleet

// Names of what has a cluster ring when pods find no node.
const (
	// DoorbellName is the webhook's and the log subscription's.
	DoorbellName = "ekspedite-doorbell"
	// PendingPodsAlarms is where the names of the alarms on pending pods begin.
	PendingPodsAlarms = "ekspedite-pending-pods-"
)

// PendingPodsAlarm is the name of a cluster's alarm on pending pods. It is unique in the cluster's Region.
func PendingPodsAlarm(cluster string) string { return PendingPodsAlarms + cluster }
