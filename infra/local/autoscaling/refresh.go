package autoscaling

import "github.com/ekspedite/ekspedite/infra/local/wire"

type describeRefreshesIn struct {
	AutoScalingGroupName string
	InstanceRefreshIDs   []string `query:"InstanceRefreshIds"`
	MaxRecords           *int
	NextToken            string
}

// refreshesOut has no refreshes: StartInstanceRefresh is not implemented here, so that there never are any.
type refreshesOut struct {
	InstanceRefreshes []struct{} `xml:"InstanceRefreshes>member"`
}

func (s *Service) refreshOps() []wire.Op {
	return []wire.Op{handle(s, "DescribeInstanceRefreshes", nil, s.describeRefreshes)}
}

func (s *Service) describeRefreshes(in *describeRefreshesIn) (*refreshesOut, error) {
	if _, err := s.find(in.AutoScalingGroupName); err != nil {
		return nil, err
	}
	return &refreshesOut{}, nil
}
