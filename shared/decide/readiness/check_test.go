package readiness

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestWhatCouldNotBeReadIsNoPass takes away each part: the checks that need it are Unknown, and those that block, block.
func TestWhatCouldNotBeReadIsNoPass(t *testing.T) {
	needed := map[Part]bool{}
	for _, c := range catalogue {
		for _, p := range c.parts {
			needed[p] = true
		}
	}
	for p := range needed {
		c := base(1)
		c.to(36)
		c.o.Process = &Process{WindowOpen: true, RingReady: true}
		c.o.EKS.AutoMode = true
		before := Check(testNow, c.o, c.p)
		c.o.Unread = map[Part]string{p: "access denied"}
		r := Check(testNow, c.o, c.p)
		for _, k := range catalogue {
			f, was := finding(r, k.id), finding(before, k.id)
			applies := was.Text != "does not apply"
			switch uses := slices.Contains(k.parts, p); {
			case uses && applies && f.Status != Unknown:
				t.Errorf("%s could not be read, and %s is %s: %s", p, k.id, f.Status, f.Text)
			case uses && applies && !strings.Contains(f.Text, "access denied"):
				t.Errorf("%s does not say why it is not known: %s", k.id, f.Text)
			case uses && applies && f.Blocks() != (k.severity == Block && !k.optional):
				t.Errorf("%s without %s: blocks %t", k.id, p, f.Blocks())
			case !uses && f.Status == Unknown:
				t.Errorf("%s does not need %s, and is unknown: %s", k.id, p, f.Text)
			}
		}
	}
}

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Catalogue() {
		if seen[c.ID] || c.Title == "" || c.Read == "" || c.Severity == "" {
			t.Errorf("%+v", c)
		}
		seen[c.ID] = true
	}
	blocking := 0
	for _, c := range catalogue {
		if c.severity == Block {
			blocking++
		}
	}
	t.Logf("%d checks, %d of which can block", len(catalogue), blocking)
}

func TestWaivers(t *testing.T) {
	c := base(1)
	c.pod(Pod{Name: "a"})
	c.pod(Pod{Name: "b"})
	check := func(want Status, evidence int, waivers ...fleet.Waiver) Finding {
		t.Helper()
		c.p.Checks.Waivers = waivers
		f := finding(Check(testNow, c.o, c.p), "WL07")
		if f.Status != want || len(f.Evidence) != evidence {
			t.Errorf("%v: %s, %q", waivers, f.Status, f.Evidence)
		}
		return f
	}
	later, before := testNow.Add(time.Second), testNow
	check(Fail, 2)
	check(Waived, 2, fleet.Waiver{Check: "WL07", Until: later})
	check(Fail, 2, fleet.Waiver{Check: "WL07", Until: before})
	check(Fail, 2, fleet.Waiver{Check: "WL08", Until: later})
	f := check(Fail, 1, fleet.Waiver{Check: "WL07", Object: "shop/a", Until: later, Reason: "it may go"})
	if f.Evidence[0] != "shop/b" || !strings.Contains(f.Waiver, "shop/a") || !strings.Contains(f.Waiver, "it may go") || strings.Contains(f.Remedy, "-n shop a ") {
		t.Errorf("%+v", f)
	}
	check(Waived, 2, fleet.Waiver{Check: "WL07", Object: "shop/a", Until: later}, fleet.Waiver{Check: "WL07", Object: "shop/b", Until: later})

	c.o.Unread = map[Part]string{PartPods: "denied"}
	check(Unknown, 0, fleet.Waiver{Check: "WL07", Object: "shop/a", Until: later}) // what is not seen cannot be waived by name
	check(Waived, 0, fleet.Waiver{Check: "WL07", Until: later})
}

func TestOrderAndEvidence(t *testing.T) {
	c := base(2)
	for i := range 40 {
		c.pod(Pod{Name: fmt.Sprintf("bare-%02d", 39-i)})
	}
	c.o.Unread = map[Part]string{PartKey: "denied", PartTokens: "denied"}
	r := Check(testNow, c.o, c.p)
	f := finding(r, "WL07")
	if len(f.Evidence) != most+1 || f.Evidence[0] != "shop/bare-00" || f.Evidence[most] != "and 15 more" || !strings.HasPrefix(f.Text, "40 pods") {
		t.Errorf("%q %q", f.Text, f.Evidence)
	}
	if len(strings.Split(f.Remedy, "\n")) != remedies {
		t.Errorf("%q", f.Remedy)
	}
	if r.Findings[0].ID != "WL07" || r.Findings[1].ID != "CP13" {
		t.Errorf("%s and %s come first", r.Findings[0].ID, r.Findings[1].ID)
	}
	for range 5 {
		if again := Check(testNow, c.o, c.p); !reflect.DeepEqual(again, r) {
			t.Fatal("the same cluster has two reports")
		}
	}
}

// TestSkew: https://kubernetes.io/releases/version-skew-policy/, for every combination.
func TestSkew(t *testing.T) {
	for from := fleet.Minor(23); from <= 36; from++ {
		for to := from; to <= 36; to++ {
			for kubelet := fleet.Minor(20); kubelet <= 37; kubelet++ {
				for _, mode := range []fleet.SkewMode{fleet.SkewN3, fleet.SkewStrict} {
					c := &cluster{p: fleet.DefaultUpgradePolicy()}
					c.p.Skew = mode
					c.o.Target, c.o.EKS.Version = to, from
					c.o.EKS.Nodes = []upgradepath.Node{{Name: "n", Kubelet: kubelet, Ready: true, Kind: upgradepath.NodeManaged}}
					next := min(to, from+1)
					may := 3
					if kubelet < 25 {
						may = 2
					}
					ok := kubelet <= next && int(next-kubelet) <= may
					if mode == fleet.SkewStrict && to > from {
						ok = ok && kubelet >= from
					}
					if got := len(skew(newLook(testNow, c.o, c.p)).items) == 0; got != ok {
						t.Errorf("from %s to %s, kubelet %s, %s: passes %t, want %t", from, to, kubelet, mode, got, ok)
					}
				}
			}
		}
	}
}

// TestKubeProxySkew: kube-proxy is not newer than the API server, and at most three minors older (two before 1.25), nor more
// than three minors from the kubelet beside it.
func TestKubeProxySkew(t *testing.T) {
	for from := fleet.Minor(23); from <= 36; from++ {
		for proxy := from - 5; proxy <= from+2; proxy++ {
			for kubelet := from - 3; kubelet <= from; kubelet++ {
				c := &cluster{p: fleet.DefaultUpgradePolicy()}
				c.o.Target, c.o.EKS.Version = from+1, from
				c.o.EKS.Addons = []upgradepath.Addon{{Name: "kube-proxy", Version: "v" + proxy.String() + ".3-eksbuild.2"}}
				c.o.EKS.Nodes = []upgradepath.Node{{Name: "n", Kubelet: kubelet, Kind: upgradepath.NodeManaged}, {Name: "f", Kubelet: 20, Kind: upgradepath.NodeFargate}}
				may := fleet.Minor(3)
				if proxy < 25 {
					may = 2
				}
				ok := proxy <= from+1 && from+1-proxy <= may && kubelet-proxy <= 3 && proxy-kubelet <= 3
				if got := len(kubeProxySkew(newLook(testNow, c.o, c.p)).items) == 0; got != ok {
					t.Errorf("%s at %s with kubelets of %s: passes %t, want %t", proxy, from, kubelet, got, ok)
				}
			}
		}
	}
}

func TestSupport(t *testing.T) {
	c := build(1, traits{from: 33, to: 34})
	c.o.EKS.CreatedAt = testNow.AddDate(-2, 0, 0)
	s := Check(testNow, c.o, c.p).Support
	ends := time.Date(2026, 7, 29, 0, 0, 0, 0, time.UTC)
	paid := testNow.Sub(ends).Hours() * 0.5
	if s.Status != fleet.ExtendedSupport || s.StandardEnds != ends || !near(s.PaidSoFar, paid) || !near(s.ExtendedPerMonth, 365) {
		t.Errorf("%+v, want %.2f", s, paid)
	}
	if week := s.Extended(testNow, testNow.AddDate(0, 0, 7)); !near(week, 84) {
		t.Errorf("a week costs %.2f", week)
	}
	c.o.EKS.CreatedAt = testNow.Add(-10 * time.Hour)
	if s := Check(testNow, c.o, c.p).Support; !near(s.PaidSoFar, 5) {
		t.Errorf("a cluster of ten hours has paid %.2f", s.PaidSoFar)
	}
	c = build(1, traits{from: 34, to: 35})
	s = Check(testNow, c.o, c.p).Support
	// Standard support of 1.34 ends on 2 December at midnight, 204 hours from now.
	if s.PaidSoFar != 0 || s.Extended(testNow, testNow.AddDate(0, 0, 7)) != 0 || !near(s.Extended(testNow, testNow.Add(205*time.Hour)), 0.5) {
		t.Errorf("%+v", s)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 0.005 }

// TestWebhooksThatDoNotMatter: what is asked for nothing that moves does not block, dead or not.
func TestWebhooksThatDoNotMatter(t *testing.T) {
	for name, do := range map[string]func(*Webhook){
		"other resources":             func(w *Webhook) { w.Rules[0].Resources = []string{"configmaps"} },
		"another group":               func(w *Webhook) { w.Rules[0].Groups = []string{"example.com"} },
		"updates":                     func(w *Webhook) { w.Rules[0].Operations = []string{"UPDATE"} },
		"of the cluster alone":        func(w *Webhook) { w.Rules[0].Scope = "Cluster" },
		"fails open":                  func(w *Webhook) { w.Fail = false },
		"a namespace of nobody":       func(w *Webhook) { w.NamespaceSelector = &fleet.Selector{Labels: map[string]string{"inject": "yes"}} },
		"pods with a label of nobody": func(w *Webhook) { w.ObjectSelector = &fleet.Selector{Labels: map[string]string{"inject": "yes"}} },
	} {
		c := base(1)
		c.hook(0)
		do(&c.o.Webhooks[len(c.o.Webhooks)-1])
		if f := finding(Check(testNow, c.o, c.p), "WL14"); f.Blocks() {
			t.Errorf("%s: %q", name, f.Evidence)
		}
	}
}

func TestSchema(t *testing.T) {
	for value, want := range map[string]int{
		`{}`: 0, `{"env":{}}`: 0, `{"env":{"WARM_ENI_TARGET":"2","ENABLE_PREFIX_DELEGATION":"true"}}`: 0, `{"replicas":3,"tolerations":[]}`: 0,
		`{"env":{"X":"1"}}`: 1, `{"env":[]}`: 1, `{"replicas":1.5}`: 1, `{"tolerations":["a"]}`: 1, `{"a":1,"b":2}`: 2, `[]`: 1, `not JSON`: 1,
	} {
		c := base(1)
		c.o.Addons[0].Configuration = value
		if f := finding(Check(testNow, c.o, c.p), "ADD05"); len(f.Evidence) != want {
			t.Errorf("%s: %q", value, f.Evidence)
		}
	}
}

func TestSchemaWords(t *testing.T) {
	for schema, values := range map[string]map[string]bool{
		`{"required":["a","b"]}`:                                                {`{"a":1,"b":2}`: true, `{"a":1}`: false, `{}`: false},
		`{"anyOf":[{"type":"string"},{"type":"integer"}]}`:                      {`"x"`: true, `3`: true, `3.5`: false, `null`: false},
		`{"oneOf":[{"const":"auto"},{"type":"number"}]}`:                        {`"auto"`: true, `1.5`: true, `"x"`: false},
		`{"allOf":[{"minimum":2},{"maximum":4}]}`:                               {`2`: true, `4`: true, `1`: false, `5`: false},
		`{"type":["string","null"]}`:                                            {`null`: true, `"x"`: true, `1`: false},
		`{"type":"array","minItems":1,"maxItems":2}`:                            {`[]`: false, `[1]`: true, `[1,2]`: true, `[1,2,3]`: false},
		`{"pattern":"^a+$"}`:                                                    {`"aa"`: true, `"ab"`: false, `7`: true},
		`{"additionalProperties":{"type":"boolean"}}`:                           {`{"x":true}`: true, `{"x":1}`: false},
		`{"properties":{"a":true},"additionalProperties":false}`:                {`{"a":1}`: true, `{"b":1}`: false},
		`{"patternProperties":{"^x":{}},"additionalProperties":false}`:          {`{"xy":1}`: true},
		`{"$ref":"#/definitions/a~1b","definitions":{"a/b":{"type":"string"}}}`: {`"x"`: true, `1`: false},
		`{"$ref":"https://example.com/x"}`:                                      {`1`: true},
		`{"$ref":"#"}`:                                                          {`1`: true}, // it is its own reference, and ends
		`{"enum":[1,"a",null]}`:                                                 {`1`: true, `"a"`: true, `null`: true, `2`: false},
	} {
		var s map[string]any
		if err := json.Unmarshal([]byte(schema), &s); err != nil {
			t.Fatal(err)
		}
		for text, want := range values {
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			if got := validate(s, s, v, "", 0); (len(got) == 0) != want {
				t.Errorf("%s against %s: %q", text, schema, got)
			}
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, size := range []struct{ groups, nodes, workloads int }{{2, 5, 20}, {6, 50, 1100}} {
		c := build(1, traits{from: 33, to: 36, groups: size.groups, nodes: size.nodes, workloads: size.workloads, webhooks: true, helm: true, daemons: true, prefix: true})
		b.Run(fmt.Sprintf("nodes=%d/pods=%d", len(c.o.EKS.Nodes), len(c.o.Pods)), func(b *testing.B) {
			for b.Loop() {
				Check(testNow, c.o, c.p)
			}
		})
	}
}
