package awscloud

import (
	"errors"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// classes maps AWS's error codes to what can be done about them. It is the only such table. A code that is not here is
// Invalid if the SDK knows it as a client's fault, and else Transient: EC2, Auto Scaling and IAM model few of their errors.
var classes = map[string]fault.Class{
	"Throttling":                             fault.Throttled,
	"ThrottlingException":                    fault.Throttled,
	"RequestLimitExceeded":                   fault.Throttled,
	"RequestThrottled":                       fault.Throttled,
	"RequestThrottledException":              fault.Throttled,
	"ThrottledException":                     fault.Throttled,
	"EC2ThrottledException":                  fault.Throttled,
	"SlowDown":                               fault.Throttled,
	"TooManyRequestsException":               fault.Throttled,
	"ProvisionedThroughputExceededException": fault.Throttled,

	"ResourceNotFoundException":                        fault.NotFound,
	"NoSuchKey":                                        fault.NotFound, // S3
	"NoSuchVersion":                                    fault.NotFound,
	"NoSuchBucket":                                     fault.NotFound,
	"JobNotFoundException":                             fault.NotFound, // CodePipeline
	"InvalidJobStateException":                         fault.Conflict, // answered already, or out of time
	"PipelineNotFoundException":                        fault.NotFound,
	"StageNotFoundException":                           fault.NotFound,
	"ActionNotFoundException":                          fault.NotFound,
	"InvalidApprovalTokenException":                    fault.Conflict, // asked for again since
	"ApprovalAlreadyCompletedException":                fault.Conflict,
	"NoSuchEntity":                                     fault.NotFound,
	"InvalidInstanceID.NotFound":                       fault.NotFound,
	"InvalidVpcID.NotFound":                            fault.NotFound,
	"InvalidSubnetID.NotFound":                         fault.NotFound,
	"InvalidRouteTableID.NotFound":                     fault.NotFound,
	"InvalidInternetGatewayID.NotFound":                fault.NotFound,
	"InvalidGroup.NotFound":                            fault.NotFound,
	"InvalidGatewayID.NotFound":                        fault.NotFound,
	"InvalidNatGatewayID.NotFound":                     fault.NotFound,
	"InvalidRoute.NotFound":                            fault.NotFound,
	"InvalidVpnGatewayID.NotFound":                     fault.NotFound,
	"IncorrectState":                                   fault.Blocked, // a transit gateway, or its attachment, is being changed
	"InvalidVpcEndpoint.NotFound":                      fault.NotFound,
	"InvalidVpcEndpointId.NotFound":                    fault.NotFound,
	"InvalidSecurityGroupID.NotFound":                  fault.NotFound,
	"Gateway.NotAttached":                              fault.NotFound, // a route to a gateway that was attached a moment ago
	"InvalidAllocationID.NotFound":                     fault.NotFound,
	"NatGatewayNotFound":                               fault.NotFound,
	"InvalidNetworkInterfaceID.NotFound":               fault.NotFound,
	"InvalidKeyPair.NotFound":                          fault.NotFound,
	"InvalidEgressOnlyInternetGatewayId.NotFound":      fault.NotFound,
	"InvalidGatewayID.NotAttached":                     fault.NotFound,
	"InvalidVolume.NotFound":                           fault.NotFound,
	"LoadBalancerNotFound":                             fault.NotFound,
	"TargetGroupNotFound":                              fault.NotFound,
	"AccessPointNotFound":                              fault.NotFound, // the older API's for Classic Load Balancers
	"DependencyViolation":                              fault.Blocked,  // EC2: something still uses it
	"DeleteConflict":                                   fault.Blocked,  // IAM: the same
	"InvalidNetworkInterface.InUse":                    fault.Blocked,
	"OperationInProgress":                              fault.Blocked,
	"OperationAborted":                                 fault.Blocked,  // CloudWatch Logs
	"ClusterNotFoundException":                         fault.NotFound, // ECS
	"ConditionalCheckFailedException":                  fault.Conflict,
	"TransactionConflictException":                     fault.Conflict,
	"EntityAlreadyExists":                              fault.Conflict,
	"ResourceAlreadyExistsException":                   fault.Conflict, // log groups
	"Resource.AlreadyAssociated":                       fault.Conflict,
	"InvalidLaunchTemplateName.AlreadyExistsException": fault.Conflict,
	"NoSuchResourceException":                          fault.NotFound, // Service Quotas
	"NotFoundException":                                fault.NotFound, // KMS
	"InvalidLaunchTemplateId.VersionNotFound":          fault.NotFound,
	"InvalidLaunchTemplateId.NotFound":                 fault.NotFound,
	"RouteAlreadyExists":                               fault.Conflict,
	"AlreadyExists":                                    fault.Conflict, // Auto Scaling groups
	"InvalidKeyPair.Duplicate":                         fault.Conflict,
	"ParameterNotFound":                                fault.NotFound, // Systems Manager
	"InvalidSubnet.Conflict":                           fault.Blocked,  // its addresses are taken: by itself, not visible yet, or by another
	"ConcurrentModification":                           fault.Blocked,  // IAM: the role is being changed
	"ResourcePropagationDelayException":                fault.Denied,   // EKS does not see the role yet
	"ResourceInUseException":                           fault.Blocked,  // EKS: an update is in progress, or the name is taken
	"ConcurrentModificationException":                  fault.Blocked,
	"ResourceInUse":                                    fault.Blocked,
	"ScalingActivityInProgress":                        fault.Blocked,
	"AuthorizationError":                               fault.Denied, // SNS
	"AccessDenied":                                     fault.Denied,
	"AccessDeniedException":                            fault.Denied,
	"UnauthorizedOperation":                            fault.Denied,
	"UnrecognizedClientException":                      fault.Denied,
	"ExpiredTokenException":                            fault.Transient, // Lambda renews credentials with the next environment
	"InsufficientInstanceCapacity":                     fault.Blocked,
	"InsufficientHostCapacity":                         fault.Blocked,
	"InsufficientReservedInstanceCapacity":             fault.Blocked,
	"InsufficientCapacity":                             fault.Blocked,
	"UnfulfillableCapacity":                            fault.Blocked,
	"SpotMaxPriceTooLow":                               fault.Blocked,
	"MaxSpotInstanceCountExceeded":                     fault.Blocked, // machines go, too: there will be room
	"VcpuLimitExceeded":                                fault.Blocked,
	"InstanceLimitExceeded":                            fault.Blocked,
	"InsufficientFreeAddressesInSubnet":                fault.Blocked,
	"IdempotentParameterMismatch":                      fault.Invalid, // the token was used for another fleet
	"InvalidSubnetID.Malformed":                        fault.Invalid,
	"InvalidInstanceType":                              fault.Invalid,
	"InvalidLaunchTemplateConfig":                      fault.Invalid,
	"ServerException":                                  fault.Transient,
	"ServiceUnavailableException":                      fault.Transient,
	"InternalFailure":                                  fault.Transient,
	"InternalError":                                    fault.Transient,
	"UnsupportedAvailabilityZoneException":             fault.Invalid,
	"VpcLimitExceeded":                                 fault.Invalid, // quotas: somebody has to raise or free something
	"SubnetLimitExceeded":                              fault.Invalid,
	"InternetGatewayLimitExceeded":                     fault.Invalid,
	"RouteTableLimitExceeded":                          fault.Invalid,
	"NatGatewayLimitExceeded":                          fault.Invalid,
	"AddressLimitExceeded":                             fault.Invalid,
	"VpcEndpointLimitExceeded":                         fault.Invalid,
	"SecurityGroupLimitExceeded":                       fault.Invalid,
	"RulesPerSecurityGroupLimitExceeded":               fault.Invalid,
	"InvalidServiceName":                               fault.Invalid,
	"InvalidIPAddress.InUse":                           fault.Blocked, // the NAT gateway is not gone yet
	"LimitExceeded":                                    fault.Invalid,
	"ResourceLimitExceededException":                   fault.Invalid,
	"InvalidVpc.Range":                                 fault.Invalid,
	"InvalidSubnet.Range":                              fault.Invalid,
	"InvalidParameterValue":                            fault.Invalid,
	"InvalidInstanceID.Malformed":                      fault.Invalid,
}

// classify turns an SDK error into a classed one. op names what was tried: "ec2:DescribeInstances".
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	out := &fault.Error{Class: fault.Transient, Op: op, Err: err}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return out // timeouts, broken connections
	}
	out.Code = api.ErrorCode()
	if class, ok := classes[out.Code]; ok {
		out.Class = class
	} else if api.ErrorFault() == smithy.FaultClient {
		out.Class = fault.Invalid
	}
	// The SDK's own text repeats the operation, the endpoint and the attempt; the code and message are what people need.
	out.Err = errors.New(out.Code + ": " + strings.TrimSpace(api.ErrorMessage()))
	return out
}
