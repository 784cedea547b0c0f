package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// TestTheUpgradeFunctionIsLetIn: by an access entry of its own, with a role that reads and nothing else, and no secrets.
func TestTheUpgradeFunctionIsLetIn(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/upgrade"
	opt := Options{RunID: "run", Account: "123456789012", InterruptionRole: "arn:aws:iam::123456789012:role/interruption", ClusterRole: "arn:aws:iam::123456789012:role/cluster"}
	s := fleet.ClusterSpec{Name: "demo", Region: "us-east-1", Version: "1.36", AuthMode: "API", Network: fleet.NetworkSpec{CIDR: "10.0.0.0/16", NAT: fleet.NATDisable, PublicAccess: true, Zones: []string{"us-east-1a", "us-east-1b"}}}
	calls := func(opt Options) map[string]plan.Call {
		t.Helper()
		p, err := Forecast(time.Time{}, Observation{Depth: Full, Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}}, s, opt)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]plan.Call{}
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c := a.(plan.Call)
				out[c.API+" "+c.ID] = c
			}
		}
		return out
	}
	const clusterRole, binding, entry = "kubernetes:Apply kubernetes/clusterrole/ekspedite-upgrade", "kubernetes:Apply kubernetes/clusterrolebinding/ekspedite-upgrade", "eks:CreateAccessEntry access/" + role
	for name := range calls(opt) {
		if strings.Contains(name, "upgrade") {
			t.Errorf("nobody upgrades, and there is %s", name)
		}
	}
	opt.UpgradeRole = role
	all := calls(opt)
	if c := all[entry]; fleet.Text(c.Input, "principalArn") != role || !slices.Equal(fleet.Texts(c.Input, "kubernetesGroups"), []string{UpgradeGroup}) {
		t.Errorf("access entry: %+v", c)
	}
	if subjects := fleet.Items(all[binding].Input, "subjects"); len(subjects) != 1 || fleet.Text(subjects[0], "name") != UpgradeGroup || fleet.Text(all[binding].Input, "roleRef", "name") != upgradeName {
		t.Errorf("binding: %+v", all[binding])
	}
	rules := fleet.Items(all[clusterRole].Input, "rules")
	if len(rules) < 10 {
		t.Fatalf("rules: %+v", rules)
	}
	for _, r := range rules {
		if slices.ContainsFunc(fleet.Texts(r, "verbs"), func(v string) bool { return v != "list" && v != "get" }) {
			t.Errorf("%v writes", r)
		}
		if core := slices.Contains(fleet.Texts(r, "apiGroups"), ""); core && (slices.Contains(fleet.Texts(r, "resources"), "secrets") || slices.Contains(fleet.Texts(r, "resources"), "*")) {
			t.Errorf("%v reads secrets", r)
		}
		if slices.Contains(fleet.Texts(r, "resources"), "configmaps") && !slices.Equal(fleet.Texts(r, "resourceNames"), []string{"kube-proxy-config"}) {
			t.Errorf("%v reads all ConfigMaps", r)
		}
	}
}
