package ec2

import (
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// There are no peerings of VPCs here, and none can be made: whoever asks for them is told so.

type describePeeringsIn struct {
	DryRun     bool
	IDs        []string `query:"VpcPeeringConnectionId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describePeeringsOut struct {
	Peerings []struct{} `xml:"vpcPeeringConnectionSet>item"`
}

func (s *Service) peeringOps() []wire.Op {
	return []wire.Op{handle("DescribeVpcPeeringConnections", nil, func(in *describePeeringsIn) (*describePeeringsOut, error) {
		for _, id := range in.IDs {
			return nil, wire.Errf("InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '%s' does not exist", id)
		}
		return &describePeeringsOut{}, nil
	})}
}
