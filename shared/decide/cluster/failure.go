package cluster

import (
	"regexp"

	"github.com/ekspedite/ekspedite/shared/plan"
)

// remedy is what can be done about an error code.
type remedy struct {
	whose plan.Whose
	fix   string
}

// Fixes that several codes share.
const (
	fixFile     = "put it right in the file and apply it again"
	fixWait     = "nothing is to be done: apply the file again later, or wait for the next sweep"
	fixRole     = "check that the role exists and trusts the service, then apply the file again"
	fixKey      = "make the key usable again (enabled, not to be deleted, its policy allowing the cluster's role), then apply the file again"
	fixQuota    = "ask for more in Service Quotas, or delete what is not used, then apply the file again"
	fixSubnet   = "name subnets that exist and have free addresses, or let ekspedite make them"
	fixCapacity = "add instance types or availability zones, or take on-demand capacity, then apply the file again"
	fixAccess   = "allow it to ekspedite's cluster function: infra/stacks/permissions.go has all that it may do"
	fixNodes    = "look at the instances' console output and at their way to the API server: role, security groups, route, DNS"
)

// remedies are the codes of EKS's health issues and update errors (facts: the API's enums), and of the calls that make a
// cluster. A code that is not here is explained by its class.
var remedies = map[string]remedy{
	// EKS: cluster, node group, add-on, Fargate, capability.
	"AccessDenied":                             {plan.Users, "EKS was refused something by IAM or by the cluster's RBAC: " + fixRole},
	"AddonPermissionFailure":                   {plan.Users, "give the add-on's role what it needs (its documentation has the policy), then apply the file again"},
	"AddonSubscriptionNeeded":                  {plan.Users, "subscribe to the add-on in AWS Marketplace, then apply the file again"},
	"AdmissionRequestDenied":                   {plan.Users, "an admission webhook of the cluster refused it: change the webhook or exempt kube-system"},
	"AmiIdNotFound":                            {plan.Users, "name an image that exists in the Region and that the account may use"},
	"AsgInstanceLaunchFailures":                {plan.Capacity, fixCapacity},
	"AutoScalingGroupInstanceRefreshActive":    {plan.Users, "end the instance refresh of the Auto Scaling group: EKS rolls its nodes itself"},
	"AutoScalingGroupInvalidConfiguration":     {plan.Users, "undo what was changed in the Auto Scaling group: only EKS may change it"},
	"AutoScalingGroupNotFound":                 {plan.Users, "somebody deleted the Auto Scaling group: delete the node group and apply the file again"},
	"AutoScalingGroupOptInRequired":            {plan.Users, "sign up for Auto Scaling in this account"},
	"AutoScalingGroupRateLimitExceeded":        {plan.Quota, fixWait},
	"ClusterUnreachable":                       {plan.Users, "EKS does not reach the API server: check the cluster's subnets, security groups and authentication mode"},
	"ConfigurationConflict":                    {plan.Users, "somebody else manages fields of the add-on: set resolveConflicts to overwrite or preserve"},
	"Ec2InstanceTypeDoesNotExist":              {plan.Users, "name an instance type that the Region has"},
	"Ec2LaunchTemplateDeletionFailure":         {plan.Users, "somebody uses or has deleted EKS's launch template: look at it in EC2"},
	"Ec2LaunchTemplateInvalidConfiguration":    {plan.Users, fixFile},
	"Ec2LaunchTemplateMaxLimitExceeded":        {plan.Quota, fixQuota},
	"Ec2LaunchTemplateNotFound":                {plan.Users, "somebody deleted the launch template: make it again, or another node group"},
	"Ec2LaunchTemplateVersionMaxLimitExceeded": {plan.Quota, "delete old versions of the launch template"},
	"Ec2LaunchTemplateVersionMismatch":         {plan.Users, "put the launch template's version back: only EKS may change it"},
	"Ec2SecurityGroupDeletionFailure":          {plan.Users, "something still uses the security group: delete that"},
	"Ec2SecurityGroupNotFound":                 {plan.Users, "name security groups that exist in the VPC"},
	"Ec2ServiceNotSubscribed":                  {plan.Users, "sign up for EC2 in this account"},
	"Ec2SubnetInvalidConfiguration":            {plan.Users, "let the subnets give public addresses to instances, or use private networking"},
	"Ec2SubnetListTooLong":                     {plan.Users, "name fewer subnets"},
	"Ec2SubnetMissingIpv6Assignment":           {plan.Users, "let the subnets assign IPv6 addresses"},
	"Ec2SubnetNotFound":                        {plan.Users, fixSubnet},
	"EniLimitReached":                          {plan.Quota, fixQuota},
	"IamInstanceProfileNotFound":               {plan.Users, "somebody deleted the instance profile: delete the node group and apply the file again"},
	"IamLimitExceeded":                         {plan.Quota, fixQuota},
	"IamNodeRoleNotFound":                      {plan.Users, fixRole},
	"IamRoleNotFound":                          {plan.Users, fixRole},
	"IamThrottling":                            {plan.Quota, fixWait},
	"InstanceLimitExceeded":                    {plan.Quota, fixQuota},
	"InsufficientFreeAddresses":                {plan.Capacity, fixSubnet},
	"InsufficientNumberOfReplicas":             {plan.Users, "the add-on's pods do not run: look at their events; nodes may be missing or tainted"},
	"InternalFailure":                          {plan.AWS, fixWait},
	"IpNotAvailable":                           {plan.Capacity, fixSubnet},
	"K8sResourceNotFound":                      {plan.Users, "somebody deleted objects of the add-on: apply the file again, or delete the add-on first"},
	"KmsGrantRevoked":                          {plan.Users, fixKey},
	"KmsKeyDisabled":                           {plan.Users, fixKey},
	"KmsKeyMarkedForDeletion":                  {plan.Users, fixKey},
	"KmsKeyNotFound":                           {plan.Users, fixKey},
	"KubernetesLabelInvalid":                   {plan.Users, fixFile},
	"NodeCreationFailure":                      {plan.Users, fixNodes},
	"NodeTerminationFailure":                   {plan.AWS, fixWait},
	"OperationNotPermitted":                    {plan.Users, fixRole},
	"PodEvictionFailure":                       {plan.Users, "a PodDisruptionBudget or a pod that does not end holds its node: look at both"},
	"PodExecutionRoleAlreadyInUse":             {plan.Users, "name another pod execution role: nodes use this one"},
	"ResourceLimitExceeded":                    {plan.Quota, fixQuota},
	"SecurityGroupNotFound":                    {plan.Users, "name security groups that exist in the VPC"},
	"SourceEc2LaunchTemplateNotFound":          {plan.Users, "somebody deleted the launch template: make it again, or another node group"},
	"StsRegionalEndpointDisabled":              {plan.Users, "enable the Region's STS endpoint in the account settings"},
	"SubnetNotFound":                           {plan.Users, fixSubnet},
	"UnsupportedAddonModification":             {plan.Users, "undo what was changed by hand in the add-on, or set resolveConflicts to overwrite"},
	"UnsupportedVersion":                       {plan.Users, "name a version that EKS offers"},
	"VpcIdNotFound":                            {plan.Users, "somebody deleted the cluster's VPC: delete the cluster"},
	"VpcNotFound":                              {plan.Users, "somebody deleted the cluster's VPC: delete the cluster"},

	// Calls.
	"AccessDeniedException":                {plan.Ours, fixAccess},
	"UnauthorizedOperation":                {plan.Ours, fixAccess},
	"AddressLimitExceeded":                 {plan.Quota, fixQuota + "; NAT Single takes one address instead of one in each zone"},
	"VpcLimitExceeded":                     {plan.Quota, fixQuota},
	"SubnetLimitExceeded":                  {plan.Quota, fixQuota},
	"InternetGatewayLimitExceeded":         {plan.Quota, fixQuota},
	"NatGatewayLimitExceeded":              {plan.Quota, fixQuota},
	"RouteTableLimitExceeded":              {plan.Quota, fixQuota},
	"SecurityGroupLimitExceeded":           {plan.Quota, fixQuota},
	"VpcEndpointLimitExceeded":             {plan.Quota, fixQuota},
	"LimitExceeded":                        {plan.Quota, fixQuota},
	"LimitExceededException":               {plan.Quota, fixQuota},
	"ResourceLimitExceededException":       {plan.Quota, fixQuota},
	"VcpuLimitExceeded":                    {plan.Quota, fixQuota},
	"MaxSpotInstanceCountExceeded":         {plan.Quota, fixQuota},
	"InsufficientInstanceCapacity":         {plan.Capacity, fixCapacity},
	"InsufficientCapacityException":        {plan.Capacity, fixCapacity},
	"UnfulfillableCapacity":                {plan.Capacity, fixCapacity},
	"UnsupportedAvailabilityZoneException": {plan.Users, "name other availability zones: EKS has no control planes in this one"},
	"InvalidParameterException":            {plan.Users, fixFile},
	"InvalidRequestException":              {plan.Users, fixFile},
	"InvalidParameterValue":                {plan.Users, fixFile},
	"InvalidVpc.Range":                     {plan.Users, fixFile},
	"InvalidSubnet.Range":                  {plan.Users, fixFile},
	"InvalidSubnet.Conflict":               {plan.Users, "another subnet of the VPC has these addresses"},
	"MalformedPolicyDocument":              {plan.Users, fixFile},
	"DependencyViolation":                  {plan.Users, "something still uses it: delete that first"},
	"ResourceInUseException":               {plan.AWS, fixWait},
	"ServerException":                      {plan.AWS, fixWait},
	"ServiceUnavailableException":          {plan.AWS, fixWait},
	"ServiceUnavailable":                   {plan.AWS, fixWait},
	"InternalError":                        {plan.AWS, fixWait},
	"ThrottlingException":                  {plan.Quota, fixWait},
	"RequestLimitExceeded":                 {plan.Quota, fixWait},
	"Throttling":                           {plan.Quota, fixWait},
}

var codes = regexp.MustCompile(`[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]`)

// explain says whose a failure is and what to do, by the code in its text: the last known one, since the cause of a cause
// comes last.
func explain(resource, text string) plan.Failure {
	f := plan.Failure{Resource: resource, Whose: plan.Users, Text: text, Fix: "see the text, then apply the file again"}
	for _, word := range codes.FindAllString(text, -1) {
		if r, ok := remedies[word]; ok {
			f.Code, f.Whose, f.Fix = word, r.whose, r.fix
		}
	}
	return f
}
