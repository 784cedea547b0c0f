package awscloud

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
)

// recently is how many activities are read: the last try of a group that fails in three zones is three of them.
const recently = 30

// troubles are the launches of an Auto Scaling group that failed since the last one that did not, the newest first.
func (n *NodeGroups) troubles(ctx context.Context, group string) (out []scaling.GroupTrouble, err error) {
	list, err := n.asg.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &group, MaxRecords: aws.Int32(recently)})
	if err != nil {
		return nil, classify("autoscaling:DescribeScalingActivities", err)
	}
	for _, a := range list.Activities {
		if !strings.HasPrefix(deref(a.Description), "Launching") {
			continue
		}
		if a.StatusCode == astypes.ScalingActivityStatusCodeSuccessful {
			break
		}
		if a.StatusCode == astypes.ScalingActivityStatusCodeFailed || a.StatusCode == astypes.ScalingActivityStatusCodeCancelled {
			out = append(out, trouble(a))
		}
	}
	return out, nil
}

// trouble reads what a failed launch says of its reason.
func trouble(a astypes.Activity) scaling.GroupTrouble {
	text := deref(a.StatusMessage)
	t := scaling.GroupTrouble{At: deref(a.EndTime), Text: text, Code: launchCode(text), Type: launchType(text)}
	if t.At.IsZero() {
		t.At = deref(a.StartTime)
	}
	var details map[string]string
	if json.Unmarshal([]byte(deref(a.Details)), &details) == nil {
		t.Zone = details["Availability Zone"]
	}
	return t
}

var (
	// spotCode: "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill …"
	spotCode = regexp.MustCompile(`Could not launch [A-Za-z-]+ Instances\. ([A-Za-z.]+) - `)
	// namedType: "… sufficient m5.large capacity in the Availability Zone …", "… instance type (m5.large) is not supported …"
	namedType = regexp.MustCompile(`\b([a-z][a-z0-9-]*[0-9][a-z0-9-]*\.(?:[0-9]*x?large|metal[a-z0-9-]*|nano|micro|small|medium))\b`)
)

// launchTexts are EC2's codes by what Auto Scaling writes instead of them, in its activities' status messages:
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-instancelaunchfailure.html
var launchTexts = []struct{ text, code string }{
	{"capacity in the Availability Zone you requested", "InsufficientInstanceCapacity"},
	{"no Spot capacity available", "InsufficientInstanceCapacity"},
	{"Insufficient capacity", "InsufficientInstanceCapacity"},
	{"vCPU limit", "VcpuLimitExceeded"},
	{"more vCPU capacity than your current", "VcpuLimitExceeded"},
	{"more instances", "InstanceLimitExceeded"},
	{"Max spot instance count exceeded", "MaxSpotInstanceCountExceeded"},
	{"not enough free addresses in subnet", "InsufficientFreeAddressesInSubnet"},
	{"insufficient free addresses", "InsufficientFreeAddressesInSubnet"},
	{"requested configuration is currently not supported", "Unsupported"},
	{"is not supported in your requested Availability Zone", "Unsupported"},
	{"Your Spot request price", "SpotMaxPriceTooLow"},
}

// launchCode is EC2's code of a failed launch: Auto Scaling has it in a text only. One that is not recognised is
// "LaunchFailed": a fault of the group's own, which other types would not mend.
func launchCode(text string) string {
	if found := spotCode.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	for _, t := range launchTexts {
		if strings.Contains(strings.ToLower(text), strings.ToLower(t.text)) {
			return t.code
		}
	}
	return "LaunchFailed"
}

func launchType(text string) string {
	if found := namedType.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}
