package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var doomed = fleet.ClusterSpec{Name: "demo", Region: "us-east-1"}

// thereIs puts something into an observation.
func thereIs(o *Observation, id, physical, status string, p fleet.Props, tags ...string) {
	kind, name, _ := strings.Cut(id, "/")
	r := fleet.Resource{Ref: fleet.Ref{ID: id, Kind: kind}, Physical: physical, Status: status, Props: p, Tags: map[string]string{}}
	if slices.Contains([]string{"nodegroup", "fargate", "capability", "role", "profile", "asg", "cluster", "balancer", "classic"}, kind) {
		r.Name = name
	}
	if !slices.Contains(strange, kind) {
		r.Tags[fleet.TagCluster] = "demo"
	}
	if r.Props == nil {
		r.Props = fleet.Props{}
	}
	for i := 0; i < len(tags); i += 2 {
		r.Tags[tags[i]] = tags[i+1]
	}
	o.Found[id] = append(o.Found[id], r)
}

// all is a cluster with everything that ekspedite can have made.
func allThereIs() Observation {
	o := Observation{Depth: Full, Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}}
	thereIs(&o, "cluster", "demo", "ACTIVE", fleet.Props{"roleArn": "arn:aws:iam::1:role/ekspedite/us-east-1/demo/c", "resourcesVpcConfig": fleet.Props{"vpcId": "vpc-1", "clusterSecurityGroupId": "sg-eks"}})
	for _, g := range []string{"spot", "inside"} {
		thereIs(&o, "nodegroup/"+g, g, "ACTIVE", fleet.Props{"launchTemplate": fleet.Props{"id": "lt-" + g}, "nodeRole": "arn:aws:iam::1:role/ekspedite/us-east-1/demo/n"})
		thereIs(&o, "template/"+g, "lt-"+g, "", nil)
		thereIs(&o, "keypair/"+g, "key-"+g, "", nil)
	}
	for _, f := range []string{"a", "b", "c"} {
		thereIs(&o, "fargate/"+f, f, "ACTIVE", nil)
	}
	thereIs(&o, "capability/argocd", "argocd", "ACTIVE", nil)
	thereIs(&o, "asg/own", "ekspedite-demo-own", "ACTIVE", nil)
	thereIs(&o, "profile/ekspedite-own", "ekspedite-own", "", fleet.Props{"roles": []any{fleet.Props{"roleName": "ekspedite-node"}}})
	for _, r := range []string{"ekspedite-cluster", "ekspedite-node", "ekspedite-pod"} {
		thereIs(&o, "role/"+r, r, "", fleet.Props{"attachedPolicies": []any{"arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/B"}, "inlinePolicies": fleet.Props{"own": "{}"}})
	}
	thereIs(&o, "oidc", "arn:aws:iam::1:oidc-provider/x", "", nil)
	thereIs(&o, "loggroup/cluster", "/aws/eks/demo/cluster", "", nil)
	thereIs(&o, "vpc", "vpc-1", "available", fleet.Props{"vpcId": "vpc-1"})
	for _, z := range []string{"us-east-1a", "us-east-1b"} {
		thereIs(&o, "subnet/public/"+z, "subnet-pub-"+z, "available", nil)
		thereIs(&o, "subnet/private/"+z, "subnet-priv-"+z, "available", nil)
		thereIs(&o, "routes/private/"+z, "rtb-"+z, "", nil)
		thereIs(&o, "nat/"+z, "nat-"+z, "available", nil)
		thereIs(&o, "address/"+z, "eipalloc-"+z, "", nil)
	}
	thereIs(&o, "routes/public", "rtb-public", "", nil)
	thereIs(&o, "igw", "igw-1", "", fleet.Props{"attachments": []any{fleet.Props{"vpcId": "vpc-1"}}})
	thereIs(&o, "egress", "eigw-1", "", nil)
	thereIs(&o, "transit", "tgw-attach-1", "available", nil)
	thereIs(&o, "vpngateway/vgw-1", "vgw-1", "attached", fleet.Props{"vpcAttachments": []any{fleet.Props{"vpcId": "vpc-1", "state": "attached"}}})
	thereIs(&o, "endpoint/sts", "vpce-1", "available", nil)
	pair := func(id string) fleet.Props {
		return fleet.Props{"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "userIdGroupPairs": []any{fleet.Props{"groupId": id, "description": "x"}}}
	}
	thereIs(&o, "sg/controlplane", "sg-1", "", fleet.Props{"groupId": "sg-1", "ipPermissions": []any{pair("sg-2"), pair("sg-1")}})
	thereIs(&o, "sg/endpoints", "sg-2", "", fleet.Props{"groupId": "sg-2", "ipPermissions": []any{pair("sg-1")}, "ipPermissionsEgress": []any{pair("sg-1")}})
	return o
}

// litter is what Kubernetes leaves.
func litter(o *Observation) {
	thereIs(o, "balancer/k8s-web", "arn:lb", "", fleet.Props{"vpcId": "vpc-1"}, "elbv2.k8s.aws/cluster", "demo", "service.k8s.aws/stack", "shop/web")
	thereIs(o, "classic/a1b2", "a1b2", "", fleet.Props{"vpcId": "vpc-1"}, "kubernetes.io/cluster/demo", "owned", "kubernetes.io/service-name", "shop/old")
	thereIs(o, "kubesg/sg-3", "sg-3", "", fleet.Props{"groupId": "sg-3", "vpcId": "vpc-1", "groupName": "k8s-traffic",
		"ipPermissions": []any{fleet.Props{"ipProtocol": "-1", "userIdGroupPairs": []any{fleet.Props{"groupId": "sg-1"}}}}}, "elbv2.k8s.aws/cluster", "demo")
	thereIs(o, "kubesg/sg-eks", "sg-eks", "", fleet.Props{"groupId": "sg-eks", "vpcId": "vpc-1", "groupName": "eks-cluster-sg-demo"}, "aws:eks:cluster-name", "demo", "kubernetes.io/cluster/demo", "owned")
	thereIs(o, "kubesg/sg-default", "sg-default", "", fleet.Props{"groupId": "sg-default", "vpcId": "vpc-1", "groupName": "default"})
	thereIs(o, "instance/i-1", "i-1", "running", nil, "kubernetes.io/cluster/demo", "owned", "karpenter.sh/nodepool", "general")
	thereIs(o, "instance/i-2", "i-2", "running", nil, "kubernetes.io/cluster/demo", "owned", "aws:autoscaling:groupName", "eks-spot")
	thereIs(o, "volume/vol-1", "vol-1", "available", nil, "kubernetes.io/cluster/demo", "owned",
		"kubernetes.io/created-for/pvc/name", "data", "kubernetes.io/created-for/pvc/namespace", "shop")
	thereIs(o, "volume/vol-root", "vol-root", "in-use", fleet.Props{"attachments": []any{fleet.Props{"deleteOnTermination": true}}}, "kubernetes.io/cluster/demo", "owned")
	thereIs(o, "interface/eni-cp", "eni-cp", "in-use", fleet.Props{"vpcId": "vpc-1", "subnetId": "subnet-priv-us-east-1a", "description": "Amazon EKS demo"})
	thereIs(o, "interface/eni-node", "eni-node", "in-use", fleet.Props{"vpcId": "vpc-1", "subnetId": "subnet-priv-us-east-1a", "attachment": fleet.Props{"instanceId": "i-2"}})
	thereIs(o, "interface/eni-pod", "eni-pod", "available", fleet.Props{"vpcId": "vpc-1", "subnetId": "subnet-priv-us-east-1a"}, "cluster.k8s.amazonaws.com/name", "demo")
}

func TestNothingIsLeft(t *testing.T) {
	w := &doomedWorld{t: t, o: allThereIs()}
	p := w.end(1, false)
	if p.Outcome != OutcomeDeleted || len(w.o.Found) > 0 || !strings.Contains(p.Reason, "looked for") || !strings.Contains(p.Reason, "NAT gateways") {
		t.Errorf("%s\n%v", p, slices.Sorted(maps.Keys(w.o.Found)))
	}
	again, err := Remove(now, w.o, doomed, opt, false)
	if err != nil || again.Outcome != OutcomeDeleted || !again.Empty() {
		t.Errorf("%s %v", again, err)
	}
}

// TestAnySubsetGoes: wherever a creation or a removal has stopped, removal ends with nothing left, and AWS never has to
// refuse anything.
func TestAnySubsetGoes(t *testing.T) {
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 9))
		o := allThereIs()
		force := seed%3 == 0
		if force {
			litter(&o)
		}
		ids := slices.Sorted(maps.Keys(o.Found))
		share := random.IntN(100)
		for _, id := range ids {
			if random.IntN(100) < share {
				delete(o.Found, id)
			}
		}
		if o.Control() == nil { // what is in a cluster cannot be without it
			maps.DeleteFunc(o.Found, func(id string, list []fleet.Resource) bool {
				return InCluster(list[0].Kind) || strings.HasSuffix(id, "eni-cp") || strings.HasSuffix(id, "sg-eks")
			})
		}
		if len(o.Found["vpc"]) == 0 { // nor anything in a VPC
			maps.DeleteFunc(o.Found, func(id string, list []fleet.Resource) bool {
				return fleet.Text(list[0].Props, "vpcId") != "" || slices.Contains([]string{"transit", "vpngateway", "subnet", "routes", "igw", "egress", "nat", "endpoint", "sg", "cluster", "nodegroup", "fargate", "capability"}, list[0].Kind)
			})
		}
		if len(o.Found["instance/i-2"]) == 0 {
			delete(o.Found, "interface/eni-node")
		}
		if len(o.Found["nodegroup/spot"]) == 0 {
			for _, id := range []string{"instance/i-2", "interface/eni-node", "volume/vol-root"} {
				delete(o.Found, id)
			}
		}
		w := &doomedWorld{t: t, o: o, kept: []string{"kubesg/sg-default", "kubesg/sg-eks", "volume/vol-1"}}
		p := w.end(seed, force)
		for _, id := range w.kept {
			delete(w.o.Found, id)
		}
		if p.Outcome != OutcomeDeleted || len(w.o.Found) > 0 {
			t.Fatalf("seed %d: %s\nleft: %v\ncalls:\n%s", seed, p, slices.Sorted(maps.Keys(w.o.Found)), strings.Join(w.all, "\n"))
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(w.all, "\n"))
		}
	}
}

// TestWhatIsInTheWayIsNamedFirst: nothing is deleted before somebody has settled what Kubernetes and others have left.
func TestWhatIsInTheWayIsNamedFirst(t *testing.T) {
	const (
		asked = "delete what it is for (kubectl -n shop delete service web), or use --force"
	)
	for name, c := range map[string]struct {
		there func(o *Observation)
		says  string
		force string // what is said with force; "" when it goes on
	}{
		"a load balancer": {func(o *Observation) {
			thereIs(o, "balancer/k8s-web", "arn:lb", "", nil, "elbv2.k8s.aws/cluster", "demo", "service.k8s.aws/stack", "shop/web")
		}, "load balancer k8s-web was made by Kubernetes (Service shop/web): " + asked, ""},
		"of EKS Auto Mode": {func(o *Observation) {
			thereIs(o, "balancer/k8s-web", "arn:lb", "", nil, "eks:eks-cluster-name", "demo", "service.eks.amazonaws.com/stack", "shop/web")
		}, asked, ""},
		"whose cluster is gone": {func(o *Observation) {
			thereIs(o, "balancer/k8s-web", "arn:lb", "", nil, "elbv2.k8s.aws/cluster", "demo", "service.k8s.aws/stack", "shop/web")
			maps.DeleteFunc(o.Found, func(_ string, l []fleet.Resource) bool { return InCluster(l[0].Kind) || l[0].Kind == "cluster" })
		}, "aws elbv2 delete-load-balancer --load-balancer-arn arn:lb", ""},
		"a volume": {func(o *Observation) {
			thereIs(o, "volume/vol-1", "vol-1", "available", nil, "kubernetes.io/cluster/demo", "owned",
				"kubernetes.io/created-for/pvc/name", "data", "kubernetes.io/created-for/pvc/namespace", "shop")
		}, "volume vol-1 holds data (PersistentVolumeClaim shop/data): delete it (kubectl -n shop delete persistentvolumeclaim data), or let it stay by --force", ""},
		"a machine of Karpenter's": {func(o *Observation) {
			thereIs(o, "instance/i-1", "i-1", "running", nil, "kubernetes.io/cluster/demo", "owned", "karpenter.sh/nodepool", "general")
		}, "instance i-1 was launched from within the cluster (NodePool general): delete it (kubectl delete nodepool general), or use --force", ""},
		"somebody's machine": {func(o *Observation) {
			thereIs(o, "interface/eni-1", "eni-1", "in-use", fleet.Props{"vpcId": "vpc-1", "subnetId": "subnet-pub-us-east-1a", "attachment": fleet.Props{"instanceId": "i-9"}})
		}, "network interface eni-1 (of instance i-9) is in subnet subnet-pub-us-east-1a and not ekspedite's", "subnet/public/us-east-1a stays: network interface eni-1"},
		"somebody's security group": {func(o *Observation) {
			thereIs(o, "kubesg/sg-9", "sg-9", "", fleet.Props{"vpcId": "vpc-1", "groupName": "db"})
		}, "security group sg-9 (db) is in the cluster's VPC and not ekspedite's", "vpc stays: security group sg-9"},
		"protection": {func(o *Observation) { o.Found["cluster"][0].Props["deletionProtection"] = true },
			"cluster demo is protected against deletion", ""},
		"somebody's node group": {func(o *Observation) {
			thereIs(o, "nodegroup/other", "other", "ACTIVE", nil)
			o.Found["nodegroup/other"][0].Tags = nil
		}, "node group other is in the cluster and is not ekspedite's: delete it (aws eks delete-nodegroup)", "node group other is in the cluster"},
		"somebody's cluster": {func(o *Observation) {
			o.Found["cluster"][0].Tags = map[string]string{"alpha.eksctl.io/cluster-name": "demo"}
		},
			"cluster demo is not ekspedite's (no tag ekspedite.dev/cluster=demo)", "cluster demo is not ekspedite's"},
	} {
		o := allThereIs()
		c.there(&o)
		p, err := Remove(now, o, doomed, opt, false)
		if err != nil || p.Outcome != OutcomeFailed || !p.Empty() || !strings.Contains(p.Reason, c.says) || len(p.Failures) != 1 || p.Failures[0].Fix == "" {
			t.Errorf("%s: %v\n%s", name, err, p)
		}
		forecast, err := ForecastRemoval(now, o, doomed, opt, false)
		if err != nil || forecast.Outcome != OutcomeFailed || !strings.Contains(forecast.Reason, c.says) {
			t.Errorf("%s: forecast: %v\n%s", name, err, forecast)
		}
		w := &doomedWorld{t: t, o: o, kept: []string{"volume/vol-1"}}
		p = w.end(3, true)
		if c.force == "" && p.Outcome != OutcomeDeleted || c.force != "" && (p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, c.force)) {
			t.Errorf("%s, by force: %s", name, p)
		}
		if name == "a volume" && (len(w.o.Found) != 1 || !slices.Contains(p.Left, "volume vol-1 stays: it holds data (PersistentVolumeClaim shop/data)")) {
			t.Errorf("%s, by force: %s\n%v", name, p, w.o.Found)
		}
	}
}

// TestTheClustersOwnIsNotInTheWay: what belongs to nodes, EKS and Kubernetes' CNI goes with them.
func TestTheClustersOwnIsNotInTheWay(t *testing.T) {
	o := allThereIs()
	litter(&o)
	for _, id := range []string{"balancer/k8s-web", "classic/a1b2", "kubesg/sg-3", "instance/i-1", "volume/vol-1"} {
		delete(o.Found, id)
	}
	thereIs(&o, "interface/eni-lambda", "eni-lambda", "in-use", fleet.Props{"vpcId": "vpc-1", "subnetId": "subnet-pub-us-east-1a", "groups": []any{fleet.Props{"groupId": "sg-eks"}}})
	thereIs(&o, "balancer/theirs", "arn:theirs", "", fleet.Props{"vpcId": "vpc-other"})
	p, err := Remove(now, o, doomed, opt, false)
	if err != nil || p.Outcome != "" || p.Empty() {
		t.Errorf("%v\n%s", err, p)
	}
}

// TestGivenStays: what the file named by its id is somebody else's.
func TestGivenStays(t *testing.T) {
	o := Observation{Depth: Full, Found: map[string][]fleet.Resource{}}
	thereIs(&o, "cluster", "demo", "ACTIVE", fleet.Props{"roleArn": "arn:aws:iam::1:role/theirs", "resourcesVpcConfig": fleet.Props{"vpcId": "vpc-theirs"}})
	thereIs(&o, "nodegroup/a", "a", "ACTIVE", fleet.Props{"nodeRole": "arn:aws:iam::1:role/nodes", "launchTemplate": fleet.Props{"id": "lt-theirs"}})
	thereIs(&o, "loggroup/cluster", "/aws/eks/demo/cluster", "", nil)
	o.Found["loggroup/cluster"][0].Tags = nil
	w := &doomedWorld{t: t, o: o}
	first, err := Remove(now, o, doomed, opt, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"VPC vpc-theirs stays", "role arn:aws:iam::1:role/theirs stays", "role arn:aws:iam::1:role/nodes stays", "launch template lt-theirs stays", "log group /aws/eks/demo/cluster stays"} {
		if !slices.ContainsFunc(first.Left, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("%q is not said: %v", want, first.Left)
		}
	}
	if p := w.end(1, false); p.Outcome != OutcomeDeleted || !slices.Equal(w.all, []string{"eks:DeleteNodegroup nodegroup/a", "eks:DeleteCluster cluster"}) {
		t.Errorf("%s\n%v", p, w.all)
	}
}

// TestPlannedMachinesGo: what the planner of nodes has launched goes with the cluster, and stands in nobody's way.
func TestPlannedMachinesGo(t *testing.T) {
	o := Observation{Depth: Full, Found: map[string][]fleet.Resource{}}
	thereIs(&o, "cluster", "demo", "ACTIVE", nil)
	thereIs(&o, "nodegroup/general-1", "general-1", "ACTIVE", nil, fleet.TagPool, "general")
	thereIs(&o, "instance/i-1", "i-1", "running", nil, "kubernetes.io/cluster/demo", "owned", fleet.TagPool, "burst")
	w := &doomedWorld{t: t, o: o}
	p := w.end(1, false)
	want := []string{"ec2:TerminateInstances instance/i-1", "eks:DeleteCluster cluster", "eks:DeleteNodegroup nodegroup/general-1"}
	if slices.Sort(w.all); p.Outcome != OutcomeDeleted || !slices.Equal(w.all, want) {
		t.Errorf("%s\n%v", p, w.all)
	}
}

func TestRemovalWaitsAndGivesUp(t *testing.T) {
	only := func(id, physical, status string, issues ...string) Observation {
		o := Observation{Depth: Full, Found: map[string][]fleet.Resource{}, Made: map[string]fleet.Making{}, Troubles: map[string]fleet.Trouble{}}
		thereIs(&o, "cluster", "demo", "ACTIVE", nil)
		delete(o.Found, id)
		thereIs(&o, id, physical, status, nil)
		o.Found[id][0].Issues = issues
		return o
	}
	for name, c := range map[string]struct {
		o                Observation
		outcome, reason  string
		calls            int
		made             fleet.Making
		trouble          *fleet.Trouble
		memory, wantNote string
	}{
		"a control plane that is being made":      {o: only("cluster", "demo", "CREATING"), reason: "control plane demo (CREATING)"},
		"a node group that is being made":         {o: only("nodegroup/a", "a", "CREATING"), reason: "node group a (CREATING)"},
		"one that could not be made":              {o: only("nodegroup/a", "a", "CREATE_FAILED"), calls: 1},
		"one that has failed to go before":        {o: only("nodegroup/a", "a", "DELETE_FAILED", "Ec2SecurityGroupDeletionFailure: in use"), calls: 1, wantNote: "Ec2SecurityGroupDeletionFailure: in use"},
		"one that failed to go and is told again": {o: only("nodegroup/a", "a", "DELETE_FAILED", "X: in use"), made: fleet.Making{At: now.Add(-time.Minute), Times: 1}, memory: "delete nodegroup/a", calls: 1},
		"one that has failed twice":               {o: only("nodegroup/a", "a", "DELETE_FAILED", "X: in use"), made: fleet.Making{At: now.Add(-time.Minute), Times: 2}, memory: "delete nodegroup/a", outcome: OutcomeFailed, reason: "X: in use"},
		"deleted a moment ago":                    {o: only("nodegroup/a", "a", "ACTIVE"), made: fleet.Making{At: now.Add(-time.Second), Times: 1}, memory: "delete nodegroup/a", reason: "nodegroup/a to be gone"},
		"deleted in vain":                         {o: only("nodegroup/a", "a", "ACTIVE"), made: fleet.Making{At: now.Add(-time.Minute), Times: 5}, memory: "delete nodegroup/a", outcome: OutcomeFailed, reason: "still there"},
		"in use":                                  {o: only("nodegroup/a", "a", "ACTIVE"), trouble: &fleet.Trouble{Since: now.Add(-time.Hour), Tries: 50, Text: "DependencyViolation: x", Class: "Blocked"}, calls: 1, wantNote: "DependencyViolation: x"},
		"in use for hours":                        {o: only("nodegroup/a", "a", "ACTIVE"), trouble: &fleet.Trouble{Since: now.Add(-2 * time.Hour), Tries: 50, Text: "DependencyViolation: x", Class: "Blocked"}, outcome: OutcomeFailed, reason: "DependencyViolation: x"},
		"not allowed":                             {o: only("nodegroup/a", "a", "ACTIVE"), trouble: &fleet.Trouble{Since: now, Tries: 1, Text: "no", Fatal: true}, outcome: OutcomeFailed, reason: "nodegroup/a: no"},
	} {
		if c.memory != "" {
			c.o.Made[c.memory] = c.made
		}
		if c.trouble != nil {
			c.o.Troubles["nodegroup/a"] = *c.trouble
		}
		p, err := Remove(now, c.o, doomed, opt, false)
		notes := strings.Join(p.Notes, "\n")
		if err != nil || p.Outcome != c.outcome || p.Len() != c.calls || !strings.Contains(p.Reason, c.reason) || !strings.Contains(notes, c.wantNote) {
			t.Errorf("%s: %v\n%s", name, err, p)
		}
	}
}

// TestWhatWasJustMadeIsWaitedFor: a creation that was overtaken may have made what nobody sees yet.
func TestWhatWasJustMadeIsWaitedFor(t *testing.T) {
	o := Observation{Depth: Full, Found: map[string][]fleet.Resource{}}
	for made, waits := range map[string]bool{"vpc": true, "nodegroup/a": true, "address/us-east-1a": true, "kubernetes/x": false, "access/arn": false, "change vpc": false, "vpc/dns": true} {
		o.Made = map[string]fleet.Making{made: {At: now.Add(-time.Minute)}}
		if p, _ := Remove(now, o, doomed, opt, false); (p.Outcome == "") != waits {
			t.Errorf("%s: %s", made, p)
		}
		if p, _ := Remove(now.Add(settle), o, doomed, opt, false); p.Outcome != OutcomeDeleted {
			t.Errorf("%s, later: %s", made, p)
		}
	}
	o.Made = map[string]fleet.Making{"vpc": {At: now.Add(-time.Minute)}, "delete vpc": {At: now.Add(-time.Second)}}
	if p, _ := Remove(now, o, doomed, opt, false); p.Outcome != OutcomeDeleted {
		t.Errorf("%s", p)
	}
}

// TestForecastRemoval: what is forecast is what is done.
func TestForecastRemoval(t *testing.T) {
	for _, force := range []bool{false, true} {
		o := allThereIs()
		if force {
			litter(&o)
			for _, id := range []string{"interface/eni-cp", "interface/eni-node", "kubesg/sg-eks"} {
				delete(o.Found, id)
			}
		}
		p, err := ForecastRemoval(now, o, doomed, opt, force)
		if err != nil || p.Outcome != OutcomeDeleted || !strings.Contains(p.Reason, "in about") {
			t.Fatal(err, p)
		}
		golden(t, fmt.Sprintf("remove-%v.txt", force), p.String())
		var forecast []string
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				forecast = append(forecast, a.Kind()+" "+a.(plan.Call).ID)
			}
		}
		w := &doomedWorld{t: t, o: o, kept: []string{"kubesg/sg-default", "volume/vol-1"}}
		w.end(2, force)
		slices.Sort(forecast)
		slices.Sort(w.all)
		if all := slices.Compact(w.all); !slices.Equal(forecast, all) {
			t.Errorf("forecast:\n%s\ndone:\n%s", strings.Join(forecast, "\n"), strings.Join(all, "\n"))
		}
	}
}

// TestRemovalsAreInOrder: the table itself is in an order in which everything can go.
func TestRemovalsAreInOrder(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range removals {
		for _, k := range r.after {
			if !seen[k] {
				t.Errorf("%s goes after %s, which is further down", r.kind, k)
			}
		}
		seen[r.kind] = true
	}
	for _, k := range append(TaggedKinds(), "cluster", "nodegroup", "fargate", "capability", "role", "profile", "oidc", "loggroup", "asg") {
		if !seen[k] {
			t.Errorf("nobody takes a %s away", k)
		}
	}
}
