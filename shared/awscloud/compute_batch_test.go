package awscloud

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/ekspedite/ekspedite/shared/fault"
)

func TestWhatACallWasRefusedFor(t *testing.T) {
	ids := []string{"i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb", "i-0aaaaaaa", "nonsense"}
	for text, tc := range map[string]struct {
		code string
		want []string
	}{
		"The instance ID 'i-0aaaaaaaaaaaaaaaa' does not exist":                       {"InvalidInstanceID.NotFound", ids[:1]},
		"The instance IDs 'i-0aaaaaaaaaaaaaaaa, i-0bbbbbbbbbbbbbbbb' do not exist":   {"InvalidInstanceID.NotFound", ids[:2]},
		"The instance ID i-0aaaaaaa does not exist":                                  {"InvalidInstanceID.NotFound", ids[2:3]},
		`Invalid id: "nonsense" (expecting "i-...")`:                                 {"InvalidInstanceID.Malformed", ids[3:]},
		`Invalid id: "nonsense"`:                                                     {"InvalidInstanceID.Malformed", ids[3:]},
		"some instances do not exist":                                                {"InvalidInstanceID.NotFound", ids},
		"The instance ID 'i-0aaaaaaaaaaaaaaaa' is meant by an error of another kind": {"RequestLimitExceeded", nil},
	} {
		err := classify("ec2:DescribeInstances", &smithy.GenericAPIError{Code: tc.code, Message: text})
		if got := refusedIDs(err, ids); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", text, got, tc.want)
		}
	}
	err := of(classify("x", &smithy.GenericAPIError{Code: "InvalidInstanceID.NotFound", Message: fmt.Sprint(ids)}), ids[0])
	if !fault.Is(err, fault.NotFound) || err.Error() != "x: InvalidInstanceID.NotFound: instance "+ids[0] {
		t.Errorf("%v", err)
	}
}
