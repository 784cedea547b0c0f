package awscloud

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Clusters reads how clusters are reached.
type Clusters struct{ eks *eks.Client }

// NewClusters makes a Clusters.
func NewClusters(cfg Config) *Clusters { return &Clusters{eks.NewFromConfig(cfg)} }

// Cluster reads how to reach a cluster. An unknown one is fault.NotFound.
func (c *Clusters) Cluster(ctx context.Context, name string) (fleet.Cluster, error) {
	out, err := c.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &name})
	if err != nil {
		return fleet.Cluster{}, classify("eks:DescribeCluster", err)
	}
	return reachable(*out.Cluster)
}

func reachable(c types.Cluster) (f fleet.Cluster, err error) {
	f.Name, f.ARN, f.Version, f.Status, f.Endpoint = deref(c.Name), deref(c.Arn), deref(c.Version), string(c.Status), deref(c.Endpoint)
	if parts := strings.Split(f.ARN, ":"); len(parts) > 5 { // arn:aws:eks:REGION:ACCOUNT:cluster/NAME
		f.Region, f.Account = parts[3], parts[4]
	}
	if c.CertificateAuthority != nil {
		if f.CAData, err = base64.StdEncoding.DecodeString(deref(c.CertificateAuthority.Data)); err != nil {
			return f, fault.New(fault.Transient, "eks:DescribeCluster: the certificate of %s is not base64: %v", f.Name, err)
		}
	}
	return f, nil
}
