package upgrade

import (
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// remedy is what can be done about a failed update: whose it is, what to do, how often the step is tried in all before the
// run halts, and how long is waited before each time.
type remedy struct {
	whose plan.Whose
	fix   string
	tries int
	pause time.Duration
}

const resumes = ", then resume the run: ekspedite upgrade resume --cluster "

// remedies are the error codes of EKS's updates (ErrorCode of the API, all 17), and those of the calls that begin them. What
// nobody can mend by waiting is tried once.
var remedies = map[string]remedy{
	// EKS itself goes on trying for 15 minutes and more (users saw 45: pulumi-eks#875).
	"PodEvictionFailure":           {plan.Users, "a PodDisruptionBudget or a pod that does not end holds its node: kubectl get poddisruptionbudgets -A; give it more replicas, or set nodes.force in the policy", 2, 10 * time.Minute},
	"NodeCreationFailure":          {plan.Users, "the new nodes do not join: look at the instances' console output and at their way to the API server (role, security groups, routes, user data)", 2, 5 * time.Minute},
	"InsufficientFreeAddresses":    {plan.Capacity, "the subnets have too few free addresses: free some, or add subnets to the cluster", 3, 15 * time.Minute},
	"IpNotAvailable":               {plan.Capacity, "the subnets have too few free addresses: free some, or add subnets to the cluster", 3, 15 * time.Minute},
	"EniLimitReached":              {plan.Quota, "ask for more network interfaces in Service Quotas, or delete what is not used", 3, 15 * time.Minute},
	"AsgInstanceLaunchFailures":    {plan.Capacity, "EC2 has no such machines: add instance types or zones, or use the strategy Minimal", 3, 15 * time.Minute},
	"ConfigurationConflict":        {plan.Users, "somebody else manages fields of the add-on: set addons.conflicts to PRESERVE or OVERWRITE in the policy, or give the fields back", 1, 0},
	"UnsupportedAddonModification": {plan.Users, "undo what was changed by hand in the add-on, or set addons.conflicts to OVERWRITE in the policy", 1, 0},
	"AdmissionRequestDenied":       {plan.Users, "an admission webhook of the cluster refused it: change the webhook, or exempt kube-system", 1, 0},
	"AccessDenied":                 {plan.Users, "IAM or the cluster's RBAC refused it to EKS: check the cluster's, the node group's or the add-on's role", 1, 0},
	"OperationNotPermitted":        {plan.Users, "the service-linked role of EKS lacks permissions, or a policy of the organization denies it", 1, 0},
	"SecurityGroupNotFound":        {plan.Users, "the cluster's security group was deleted: make it again, or name others in the cluster's file", 1, 0},
	"SubnetNotFound":               {plan.Users, "a subnet of the cluster was deleted: name others in the cluster's file", 1, 0},
	"VpcIdNotFound":                {plan.Users, "the cluster's VPC was deleted", 1, 0},
	"K8sResourceNotFound":          {plan.Users, "somebody deleted objects of the add-on: install it anew", 1, 0},
	"InsufficientNumberOfReplicas": {plan.Users, "the add-on's pods do not run: look at their events; nodes may be missing or tainted", 2, 5 * time.Minute},
	"ClusterUnreachable":           {plan.Users, "EKS does not reach the API server: check the cluster's subnets, security groups and webhooks", 2, 5 * time.Minute},
	"Unknown":                      {plan.AWS, "AWS says no more than that: look at the cluster in the console, or ask AWS's support", 2, 10 * time.Minute},
	"InternalFailure":              {plan.AWS, "the service was unwell: trying again later may do", 3, 10 * time.Minute},

	// Calls.
	"InvalidStateException":          {plan.Users, "EKS's insights forbid it: see ekspedite upgrade check, and mend what it names", 1, 0},
	"InvalidParameterException":      {plan.Users, "EKS refuses what is asked for, see the text", 1, 0},
	"InvalidRequestException":        {plan.Users, "EKS refuses what is asked for, see the text", 1, 0},
	"ResourceLimitExceededException": {plan.Quota, "ask for more in Service Quotas, or delete what is not used", 1, 0},
	"AccessDeniedException":          {plan.Ours, "allow it to ekspedite's upgrade function: infra/stacks/permissions.go has all that it may do", 3, 30 * time.Second},
	notEffective:                     {plan.AWS, "the update succeeded, and the cluster does not show it: look at it in the console", 2, time.Minute},
	cancelled:                        {plan.Users, "somebody cancelled the update", 1, 0},
	tooLong:                          {plan.AWS, "AWS has worked on it for a day: ask AWS's support", 1, 0},
}

// Codes of ours.
const (
	notEffective = "NotEffective"
	cancelled    = "Cancelled"
	tooLong      = "TooLong"
)

// explain says whose a failure is and what to do. text begins with the code, as "PodEvictionFailure: Reached max retries …".
func explain(s upgradepath.Step, cluster, text string) (plan.Failure, remedy) {
	code := ""
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == ' ' || r == ';' || r == ',' }) {
		if _, ok := remedies[word]; ok {
			code = word
			break
		}
	}
	r, known := remedies[code]
	if !known {
		code, _, _ = strings.Cut(text, ":")
		if strings.ContainsAny(code, " /") {
			code = ""
		}
		r = remedies["Unknown"]
	}
	return plan.Failure{Resource: resource(s), Code: code, Whose: r.whose, Text: text, Fix: r.fix + resumes + cluster}, r
}

// resource names what a step is about, as reports do.
func resource(s upgradepath.Step) string {
	switch s.Kind {
	case upgradepath.StepAddon:
		return "addon/" + s.Subject
	case upgradepath.StepNodeGroup:
		return "nodegroup/" + s.Subject
	case upgradepath.StepRestart:
		return "pods/" + s.Subject
	default:
		return "control-plane"
	}
}
