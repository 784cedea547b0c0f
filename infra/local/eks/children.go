package eks

// children are what a cluster holds beside node groups, access entries and add-ons. Service.mu guards them.
type children struct {
	podIdentities map[string]*podIdentity    // by association id
	fargate       map[string]*fargateProfile // by name
	enforcement   *enforcement
	scheduling    *enforcement // of Fargate pods
	// fargateMachines are by the UID of their pod.
	fargateMachines map[string]*fargateMachine
}

// tagsOfChild finds the tags of what an ARN names.
func (c *children) tagsOfChild(arn string) *tags {
	for _, p := range c.podIdentities {
		if p.arn == arn {
			return &p.tags
		}
	}
	for _, f := range c.fargate {
		if f.arn == arn {
			return &f.tags
		}
	}
	return nil
}

// fargateProfiles lists the names of the Fargate profiles that are there, in whatever status. They keep their cluster
// from being deleted.
func (c *children) fargateProfiles() []string { return sortedKeys(c.fargate) }
