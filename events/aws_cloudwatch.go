package events

// KindAlarmStateChange is an alarm of CloudWatch.
const KindAlarmStateChange Kind = "AlarmStateChange"

// AlarmRaised is the value of an alarm's state that somebody has to do something about. The others are OK and
// INSUFFICIENT_DATA.
const AlarmRaised = "ALARM"

// AlarmStateChange says that an alarm went from one state to another. The rule for it leaves the alarms that the cluster
// function has made on EKS's metric of pending pods.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
type AlarmStateChange struct {
	AlarmName     string             `json:"alarmName"`
	State         AlarmState         `json:"state"`
	PreviousState AlarmState         `json:"previousState,omitzero"`
	Configuration AlarmConfiguration `json:"configuration,omitzero"`
}

// AlarmState is one state of an alarm.
type AlarmState struct {
	Value  string `json:"value"`
	Reason string `json:"reason,omitempty"`
}

// AlarmConfiguration is what an alarm watches.
type AlarmConfiguration struct {
	Metrics []AlarmMetric `json:"metrics,omitzero"`
}

// AlarmMetric is one metric of an alarm. Expressions have no MetricStat.
type AlarmMetric struct {
	ID         string `json:"id,omitempty"`
	MetricStat struct {
		Metric struct {
			Namespace  string    `json:"namespace,omitempty"`
			Name       string    `json:"name,omitempty"`
			Dimensions StringMap `json:"dimensions,omitzero"`
		} `json:"metric,omitzero"`
	} `json:"metricStat,omitzero"`
}

// Cluster is the EKS cluster whose metric the alarm watches, "" if it is none.
func (p *AlarmStateChange) Cluster() string {
	for _, m := range p.Configuration.Metrics {
		if metric := m.MetricStat.Metric; metric.Namespace == "AWS/EKS" {
			return metric.Dimensions["ClusterName"]
		}
	}
	return ""
}

func (p *AlarmStateChange) check(*Envelope) *fault {
	return required("alarmName", p.AlarmName, "state.value", p.State.Value)
}
