package eks

import "github.com/ekspedite/ekspedite/infra/local/ec2"

// publicImage finds AWS's newest image of an AMI type for a Kubernetes minor, in the catalogue that EC2 and Systems
// Manager's public parameters show.
func publicImage(amiType, minor string) (id, release string, ok bool) {
	i, ok := ec2.FindImage(amiType, minor)
	return i.ID, i.Release, ok
}

// imageMinor is the Kubernetes minor of a custom image. Of an image that is not one of AWS's, nobody but its maker knows;
// who makes a new one for a node group makes it for the cluster as it is.
func imageMinor(c *cluster, id string) string {
	for _, i := range ec2.Images() {
		if i.ID == id && supportedVersion(i.Minor) {
			return i.Minor
		}
	}
	return c.version
}

func (e onEC2) MapsPublicIPs(subnetID string) bool { return e.svc.MapsPublicIPs(subnetID) }

func (e onEC2) KeyPair(name string) bool { return e.svc.HasKeyPair(name) }

func (e onEC2) CreateRemoteAccessGroup(g RemoteAccessGroup) (string, error) {
	return e.svc.CreateIngressGroupFor(ec2.IngressGroup{
		VPCID: g.VPCID, Name: g.Name, Description: "Security group for all nodes in the nodeGroup to allow SSH access",
		Port: g.Port, Sources: g.Sources,
		Tags: map[string]string{"eks": g.Name, "eks:cluster-name": g.Cluster, "eks:nodegroup-name": g.Nodegroup},
	})
}
