package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
)

// managedGroups have what a launch template is needed for, and what is asked of the group behind.
const managedGroups = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: groups, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
managedNodeGroups:
  - name: chosen
    instanceSelector: {vCPUs: 2, memory: 8GiB}
    minSize: 1
    maxSize: 3
    volumeSize: 80
    labels: {team: web}
    taints: [{key: a, value: "1", effect: NoSchedule}]
    propagateASGTags: true
    asgSuspendProcesses: [AZRebalance]
    ssh: {publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9Y7w0o0S6i2mO1u5b1v7n1a9o1m2n3b4v5c6x7z8l9 ops@example.com"}
    maxPodsPerNode: 30
    preBootstrapCommands: ['echo "${HOME}"']
    iam: {withAddonPolicies: {ebs: true}}
  - name: ubuntu
    amiFamily: Ubuntu2404
    instanceType: m5.large
    privateNetworking: true
    updateConfig: {maxUnavailable: 2}
  - name: rocket
    amiFamily: Bottlerocket
    instanceType: m7g.16xlarge
    efaEnabled: true
    availabilityZones: [us-east-1a]
    bottlerocket: {enableAdminContainer: true, settings: {motd: hello}}
    disablePodIMDS: true
`

const ownGroups = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: groups, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
nodeGroups:
  - name: plain
    instanceType: m5.large
    minSize: 1
    desiredCapacity: 2
    maxSize: 3
    volumeSize: 80
    labels: {team: web}
    asgSuspendProcesses: [AZRebalance]
    asgMetricsCollection: [{granularity: 1Minute, metrics: [GroupMinSize]}]
    maxInstanceLifetime: 604800
    ssh: {allow: true, publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9Y7w0o0S6i2mO1u5b1v7n1a9o1m2n3b4v5c6x7z8l9 ops@example.com"}
  - name: mixed
    instancesDistribution: {instanceTypes: [m5.large, m6i.large], onDemandBaseCapacity: 1, onDemandPercentageAboveBaseCapacity: 0, spotAllocationStrategy: price-capacity-optimized}
    privateNetworking: true
    iam: {withAddonPolicies: {autoScaler: true}}
    propagateASGTags: true
    taints: [{key: a, value: "1", effect: NoSchedule}]
  - name: rocket
    amiFamily: Bottlerocket
    instanceType: m7g.large
    minSize: 1
  - name: chosen
    instanceSelector: {vCPUs: 2, memory: 8GiB}
    minSize: 1
  - name: windows
    amiFamily: WindowsServer2022CoreContainer
    instanceType: m5.large
    minSize: 1
`

// TestGroups makes node groups of both kinds with all that they can have, changes them by the file, and sees that nothing is
// done when nothing has changed.
func TestGroups(t *testing.T) {
	for name, tc := range map[string]struct{ text, group string }{"managed": {managedGroups, "chosen"}, "self-managed": {ownGroups, "plain"}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quick, func(t *testing.T, r *rig) {
				r.under(t, parameters)
				defer r.allowed(t)
				n := 0
				apply := func(what, text string) {
					t.Helper()
					n++
					r.Forget(len(r.Bus()))
					r.Script.Writes = 0
					r.ask("request-"+string(rune('0'+n)), text)
					r.run()
					t.Logf("%s\n%s", what, r.Told())
					done := r.Finished()
					if len(done) != 1 || done[0].Outcome != events.OutcomeActive {
						t.Fatalf("%s: %s", what, r.Told())
					}
				}
				again := func(text string) {
					t.Helper()
					apply("again", text)
					if r.Script.Writes != 0 {
						t.Errorf("nothing has changed, and %s", r.Told())
					}
				}
				apply("make", tc.text)
				again(tc.text)
				text := strings.Replace(tc.text, "maxSize: 3", "maxSize: 4", 1)
				apply("size", text)
				again(text)
				text = strings.Replace(text, "volumeSize: 80", "volumeSize: 90", 1)
				apply("disk", text)
				if told := r.Told(); !strings.Contains(told, "make a new version of the launch template for "+tc.group) {
					t.Errorf("%s", told)
				}
				again(text)
				text = strings.Replace(text, "{team: web}", "{team: db}", 1)
				apply("labels", text)
				again(text)
			})
		})
	}
}

func init() {
	volatile = append(volatile, "autoScalingGroupARN", "createdTime", "instances", "instanceProfileId", "vPCZoneIdentifier", "userData", "keyPairId", "autoScalingGroupName", "suspensionReason",
		"launchTemplateName", "launchTemplateSpecification")
}

// TestGroupsAtManyCalls: the same at every so many calls as TestAtEveryCall does with the demo.
func TestGroupsAtManyCalls(t *testing.T) {
	if testing.Short() {
		t.Skip("dozens of creations")
	}
	for name, text := range map[string]string{"managed": managedGroups, "self-managed": ownGroups} {
		t.Run(name, func(t *testing.T) {
			want, calls := undisturbed(t, text)
			step := calls/6 + 1
			for i, e := range []cloudtest.Misfortune{cloudtest.FailsBefore, cloudtest.FailsAfter, cloudtest.KilledBefore, cloudtest.KilledAfter} {
				for n := 1 + i*step/4; n <= calls; n += step {
					what := ""
					inBubble(t, quick, func(t *testing.T, r *rig) {
						r.make(text, nil, func(call int, op string) cloudtest.Misfortune {
							if call == n {
								what = fmt.Sprintf("event %d at call %d (%s)", e, n, op)
								return e
							}
							return cloudtest.Nothing
						})
						r.complete(t, text, want, what)
					})
				}
			}
		})
	}
}
