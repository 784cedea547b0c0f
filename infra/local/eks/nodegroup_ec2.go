package eks

import "github.com/ekspedite/ekspedite/infra/local/ec2"

// images tells of AWS's public images: those of a real EC2 change with time.
type images interface {
	NewestImage(amiType, minor string) (ec2.Image, bool)
	ReleasedImage(amiType, minor, release string) (ec2.Image, bool)
	NodeImage(id string) (ec2.Image, bool)
}

// catalogue is what AWS's images are when a cloud starts, for an EC2 that has none of its own.
type catalogue struct{}

func (catalogue) NewestImage(amiType, minor string) (ec2.Image, bool) {
	return ec2.FindImage(amiType, minor)
}

func (catalogue) ReleasedImage(amiType, minor, release string) (ec2.Image, bool) {
	i, ok := ec2.FindImage(amiType, minor)
	return i, ok && i.Release == release
}

func (catalogue) NodeImage(id string) (ec2.Image, bool) {
	for _, i := range ec2.Images() {
		if i.ID == id {
			return i, true
		}
	}
	return ec2.Image{}, false
}

func (e onEC2) NewestImage(amiType, minor string) (ec2.Image, bool) {
	return e.svc.NewestImage(amiType, minor)
}

func (e onEC2) ReleasedImage(amiType, minor, release string) (ec2.Image, bool) {
	return e.svc.ReleasedImage(amiType, minor, release)
}

func (e onEC2) NodeImage(id string) (ec2.Image, bool) { return e.svc.NodeImage(id) }

func (s *Service) images() images {
	if have, ok := s.opt.EC2.(images); ok {
		return have
	}
	return catalogue{}
}

// imageMinor is the Kubernetes minor of a custom image. Of an image that is not one of AWS's, nobody but its maker knows;
// who makes a new one for a node group makes it for the cluster as it is.
func (s *Service) imageMinor(c *cluster, id string) string {
	if i, ok := s.images().NodeImage(id); ok && supportedVersion(i.Minor) {
		return i.Minor
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
