package preflight

import (
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// named are operations that take a name of which there can be one only, and what reads whether it is taken. What they make is
// found by its tag, so that nobody has looked for the name yet.
var named = []struct{ api, field, kind, what string }{
	{"ec2:CreateLaunchTemplate", "launchTemplateName", "templatename", "launch template"},
	{"ec2:ImportKeyPair", "keyName", "keypair", "EC2 key pair"},
}

func (a *asker) names() {
	for _, n := range named {
		for _, call := range a.made(n.api) {
			if name := fleet.Text(call.Input, n.field); name != "" {
				a.ask(n.kind, name)
			}
		}
	}
	for _, call := range a.made("ec2:CreateSecurityGroup") {
		if a.s.Network.VPC != "" { // a new VPC has none
			a.ask("groupname", a.s.Network.VPC+"/"+fleet.Text(call.Input, "groupName"))
		}
	}
	if a.logs() {
		a.ask("loggroup", a.logGroup())
	}
}

// logs tells whether EKS will write to a log group that it has not written to before.
func (c *check) logs() bool { return c.creates() && len(c.s.Logging) > 0 }

func (c *check) logGroup() string { return "/aws/eks/" + c.s.Name + "/cluster" }

// names finds what has the name of something that the plan makes.
func (c *check) names() {
	for _, n := range named {
		for _, call := range c.made(n.api) {
			c.taken(call, n.kind, fleet.Text(call.Input, n.field), n.what)
		}
	}
	for _, call := range c.made("ec2:CreateSecurityGroup") {
		name := fleet.Text(call.Input, "groupName")
		if p, read := c.fact("groupname", c.s.Network.VPC+"/"+name); read && p != nil {
			c.clash(call, "security group", name)
		}
	}
	p, read := c.fact("loggroup", c.logGroup())
	if !c.logs() || !read || p == nil {
		return
	}
	if c.s.LogRetentionDays > 0 && fleet.Int(p, "retentionInDays") != c.s.LogRetentionDays {
		c.say(Warning, "LogGroupExists", "loggroup/cluster", "", "log group %s exists, of another cluster of this name or of somebody else: it is used on, and what is older than %d days is deleted from it", c.logGroup(), c.s.LogRetentionDays)
	} else {
		c.say(Info, "LogGroupExists", "loggroup/cluster", "", "log group %s exists, of another cluster of this name or of somebody else: it is used on", c.logGroup())
	}
}

func (c *check) taken(call plan.Call, kind, name, what string) {
	if p, read := c.fact(kind, name); read && p != nil && name != "" {
		c.clash(call, what, name)
	}
}

// clash says that a name is taken. What is ours would have been found, and not be in the plan; only what cannot be found by
// the cluster's tag may be ours.
func (c *check) clash(call plan.Call, what, name string) {
	c.say(Error, "NameTaken", call.ID, "delete it, or choose another name", "there is a %s %s already, which ekspedite did not make for this cluster", what, name)
}
