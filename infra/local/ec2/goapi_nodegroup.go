package ec2

// MapsPublicIPs tells whether machines that are launched into a subnet get a public address.
func (s *Service) MapsPublicIPs(subnetID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.byID[subnetID].(*subnet)
	return ok && n.mapPublic
}

// IngressGroup is a security group that lets TCP in at one port: from the sources, or from everywhere without any.
type IngressGroup struct {
	VPCID, Name, Description string
	Port                     int
	Sources                  []string
	Tags                     map[string]string
}

// CreateIngressGroupFor makes such a group for another service and returns its id.
func (s *Service) CreateIngressGroupFor(spec IngressGroup) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*vpc](s, kindVPC, spec.VPCID)
	if err != nil {
		return "", err
	}
	for _, source := range spec.Sources {
		if _, err := get[*securityGroup](s, kindGroup, source); err != nil {
			return "", err
		}
	}
	g := s.newSecurityGroup(v, spec.Name, spec.Description, spec.Tags)
	if len(spec.Sources) == 0 {
		s.addRule(g, allows{protocol: "tcp", from: spec.Port, to: spec.Port, cidr: "0.0.0.0/0"}, "", nil)
	}
	for _, source := range spec.Sources {
		s.addRule(g, allows{protocol: "tcp", from: spec.Port, to: spec.Port, peer: source}, "", nil)
	}
	return g.id, nil
}
