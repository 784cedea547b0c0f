package plan

import (
	"fmt"
	"strings"
)

// DeregisterTarget takes a machine out of a target group: no new connections come, and those there are go on for the group's
// deregistration delay. A target that is not registered is success.
type DeregisterTarget struct {
	TargetGroup string `json:"targetGroup"` // ARN
	InstanceID  string `json:"instanceId"`
	Port        int    `json:"port"`
}

// Kind is DeregisterTarget.
func (DeregisterTarget) Kind() string { return "DeregisterTarget" }

func (a DeregisterTarget) String() string {
	return fmt.Sprintf("deregister %s, port %d, from target group %s", a.InstanceID, a.Port, a.Group())
}

// Group is the target group's name.
func (a DeregisterTarget) Group() string {
	if parts := strings.Split(a.TargetGroup, "/"); len(parts) == 3 { // arn:…:targetgroup/name/id
		return parts[1]
	}
	return a.TargetGroup
}
