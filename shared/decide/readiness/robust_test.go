package readiness

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestSeveralFaultsAtOnce: faults do not hide one another's cluster from the gate, nothing panics, and what is said does not hang
// on the order of anything.
func TestSeveralFaultsAtOnce(t *testing.T) {
	all := slices.Concat(controlPlaneFaults, apiFaults, nodeFaults, addonFaults, workloadFaults, told)
	const seeds = 300
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 3))
		c := base(seed % 7)
		var names []string
		for range 1 + r.IntN(6) {
			f := all[r.IntN(len(all))]
			names = append(names, f.id+" "+f.name)
			apply(f, c)
		}
		first := Check(testNow, c.o, c.p)
		shuffle(r, &c.o)
		if second := Check(testNow, c.o, c.p); !reflect.DeepEqual(first, second) {
			for i := range first.Findings {
				if !reflect.DeepEqual(first.Findings[i], second.Findings[i]) {
					t.Errorf("seed %d, %q: in another order\n%+v\nis\n%+v", seed, names, first.Findings[i], second.Findings[i])
					break
				}
			}
		}
	}
}

// apply puts a fault into a cluster that other faults may have changed so that it has no place for it.
func apply(f fault, c *cluster) {
	defer func() { _ = recover() }()
	f.do(c)
}

func shuffle(r *rand.Rand, o *Observation) {
	r.Shuffle(len(o.Pods), reflect.Swapper(o.Pods))
	r.Shuffle(len(o.Budgets), reflect.Swapper(o.Budgets))
	r.Shuffle(len(o.EKS.Nodes), reflect.Swapper(o.EKS.Nodes))
	r.Shuffle(len(o.EKS.Groups), reflect.Swapper(o.EKS.Groups))
	r.Shuffle(len(o.EKS.Addons), reflect.Swapper(o.EKS.Addons))
	r.Shuffle(len(o.Workloads), reflect.Swapper(o.Workloads))
	r.Shuffle(len(o.Subnets), reflect.Swapper(o.Subnets))
}

// TestNothingAtAll: an empty observation is no reason to panic, and nothing is ready by it.
func TestNothingAtAll(t *testing.T) {
	for _, p := range []fleet.UpgradePolicy{{}, fleet.DefaultUpgradePolicy()} {
		if r := Check(testNow, Observation{}, p); r.Ready() || len(r.Findings) != len(catalogue) {
			t.Errorf("%+v", r)
		}
	}
}

// TestObservationKeeps: an observation that was written and read again leads to the same report.
func TestObservationKeeps(t *testing.T) {
	for seed := range uint64(20) {
		c := randomCluster(seed)
		text, err := json.Marshal(c.o)
		if err != nil {
			t.Fatal(err)
		}
		var back Observation
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(Check(testNow, c.o, c.p), Check(testNow, back, c.p)) {
			t.Errorf("seed %d: another report", seed)
		}
	}
}

// TestSelects: label selectors, by https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/.
func TestSelects(t *testing.T) {
	labels := map[string]string{"app": "web", "empty": ""}
	one := func(key, operator string, values ...string) *fleet.Selector {
		return &fleet.Selector{Requirements: []fleet.Requirement{{Key: key, Operator: operator, Values: values}}}
	}
	for i, x := range []struct {
		s    *fleet.Selector
		want bool
	}{
		{nil, false}, {&fleet.Selector{}, true},
		{&fleet.Selector{Labels: map[string]string{"app": "web"}}, true}, {&fleet.Selector{Labels: map[string]string{"app": "db"}}, false},
		{&fleet.Selector{Labels: map[string]string{"none": ""}}, false}, {&fleet.Selector{Labels: map[string]string{"empty": ""}}, true},
		{one("app", "In", "db", "web"), true}, {one("app", "In", "db"), false}, {one("none", "In", ""), false},
		{one("app", "NotIn", "db"), true}, {one("app", "NotIn", "web"), false}, {one("none", "NotIn", "web"), true},
		{one("app", "Exists"), true}, {one("none", "Exists"), false}, {one("app", "DoesNotExist"), false}, {one("none", "DoesNotExist"), true},
		{one("app", "Gt", "1"), false},
		{&fleet.Selector{Labels: map[string]string{"app": "web"}, Requirements: []fleet.Requirement{{Key: "app", Operator: "NotIn", Values: []string{"web"}}}}, false},
	} {
		if got := selects(x.s, labels); got != x.want {
			t.Errorf("%d: %+v: %t", i, x.s, got)
		}
	}
}

func TestResourceNames(t *testing.T) {
	for kind, want := range map[string]string{
		"PodSecurityPolicy": "podsecuritypolicies", "NetworkPolicy": "networkpolicies", "Ingress": "ingresses", "IngressClass": "ingressclasses", "CSIStorageCapacity": "csistoragecapacities",
		"StorageClass": "storageclasses", "EndpointSlice": "endpointslices", "IPAddress": "ipaddresses", "ServiceCIDR": "servicecidrs", "HorizontalPodAutoscaler": "horizontalpodautoscalers",
		"ValidatingAdmissionPolicy": "validatingadmissionpolicies", "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings", "FlowSchema": "flowschemas",
		"PriorityLevelConfiguration": "prioritylevelconfigurations", "VolumeAttributesClass": "volumeattributesclasses", "PodDisruptionBudget": "poddisruptionbudgets", "CronJob": "cronjobs",
		"DeviceTaintRule": "devicetaintrules", "ClusterTrustBundle": "clustertrustbundles", "PriorityClass": "priorityclasses", "APIService": "apiservices", "ResourceSlice": "resourceslices",
	} {
		if got := resourceOf(kind); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}
