package cluster

import (
	"testing"

	"github.com/ekspedite/ekspedite/shared/plan"
)

func TestFailuresAreExplained(t *testing.T) {
	for text, want := range map[string]struct {
		code  string
		whose plan.Whose
	}{
		"nodegroup spot is CREATE_FAILED: AsgInstanceLaunchFailures: Could not launch Spot Instances. UnfulfillableCapacity - no capacity (i-1)": {"UnfulfillableCapacity", plan.Capacity},
		"address/us-east-1a: ec2:AllocateAddress: AddressLimitExceeded: The maximum number of addresses has been reached.":                       {"AddressLimitExceeded", plan.Quota},
		"cluster: eks:CreateCluster: AccessDeniedException: User … is not authorized to perform: eks:CreateCluster":                              {"AccessDeniedException", plan.Ours},
		"cluster demo is FAILED: InternalFailure: try again":                                                                                     {"InternalFailure", plan.AWS},
		"cluster demo is FAILED: KmsKeyDisabled: the key is disabled":                                                                            {"KmsKeyDisabled", plan.Users},
		"vpc: something that nobody has seen before":                                                                                             {"", plan.Users},
	} {
		f := explain("x", text)
		if f.Code != want.code || f.Whose != want.whose || f.Fix == "" || f.Text != text {
			t.Errorf("%+v", f)
		}
	}
}
