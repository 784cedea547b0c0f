package autoscaling

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// groupMetrics are the metrics that a group can send to CloudWatch. Here only that they are wanted is kept.
var groupMetrics = []string{
	"GroupMinSize", "GroupMaxSize", "GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupStandbyInstances",
	"GroupTerminatingInstances", "GroupTotalInstances", "GroupInServiceCapacity", "GroupPendingCapacity", "GroupStandbyCapacity",
	"GroupTerminatingCapacity", "GroupTotalCapacity", "WarmPoolDesiredCapacity", "WarmPoolWarmedCapacity", "WarmPoolPendingCapacity",
	"WarmPoolTerminatingCapacity", "WarmPoolTotalCapacity", "GroupAndWarmPoolDesiredCapacity", "GroupAndWarmPoolTotalCapacity",
}

const granularity = "1Minute"

type metricsIn struct {
	AutoScalingGroupName string
	Granularity          string
	Metrics              []string
}

type enabledMetricXML struct {
	Metric, Granularity string
}

type metricTypesOut struct {
	Metrics       []metricXML      `xml:"Metrics>member"`
	Granularities []granularityXML `xml:"Granularities>member"`
}

type metricXML struct{ Metric string }

type granularityXML struct{ Granularity string }

func (s *Service) metricOps() []wire.Op {
	name := func(in *metricsIn) string { return in.AutoScalingGroupName }
	return []wire.Op{
		handle(s, "EnableMetricsCollection", needOn(s, "EnableMetricsCollection", name), s.enableMetrics),
		handle(s, "DisableMetricsCollection", needOn(s, "DisableMetricsCollection", name), s.disableMetrics),
		handle(s, "DescribeMetricCollectionTypes", nil, func(*none) (*metricTypesOut, error) {
			out := &metricTypesOut{Granularities: []granularityXML{{granularity}}}
			for _, m := range groupMetrics {
				out.Metrics = append(out.Metrics, metricXML{m})
			}
			return out, nil
		}),
	}
}

// chosenMetrics are those that a request names: all when it names none.
func (in *metricsIn) chosenMetrics() ([]string, error) {
	for _, m := range in.Metrics {
		if !slices.Contains(groupMetrics, m) {
			return nil, validation("Metric type %s is invalid", m)
		}
	}
	if len(in.Metrics) == 0 {
		return groupMetrics, nil
	}
	return in.Metrics, nil
}

func (s *Service) enableMetrics(in *metricsIn) (*none, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if in.Granularity != granularity {
		return nil, validation("Granularity %s is invalid: the only valid value is %s", in.Granularity, granularity)
	}
	chosen, err := in.chosenMetrics()
	if err != nil {
		return nil, err
	}
	for _, m := range chosen {
		if !slices.Contains(g.metrics, m) {
			g.metrics = append(g.metrics, m)
		}
	}
	return &none{}, nil
}

func (s *Service) disableMetrics(in *metricsIn) (*none, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	chosen, err := in.chosenMetrics()
	if err != nil {
		return nil, err
	}
	g.metrics = slices.DeleteFunc(g.metrics, func(m string) bool { return slices.Contains(chosen, m) })
	return &none{}, nil
}
