package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func duration(t *testing.T, o Observation, s fleet.ClusterSpec) (Timing, []string) {
	t.Helper()
	d, err := Duration(now, o, s, opt)
	if err != nil {
		t.Fatal(err)
	}
	var path []string
	sum := time.Duration(0)
	for _, p := range d.Path {
		path, sum = append(path, p.Resource), sum+p.Takes
	}
	if sum != d.Expected || d.Expected > d.Sequential {
		t.Errorf("a path of %s in %s of %s: %v", sum, d.Expected, d.Sequential, path)
	}
	return d, path
}

func TestDurationIsTheLongestChain(t *testing.T) {
	s := demo()
	d, path := duration(t, empty(), s)
	if d.Expected < 13*time.Minute || d.Expected > 14*time.Minute || path[len(path)-1] != "nodegroup/spot" || !slices.Contains(path, "cluster") {
		t.Errorf("%s by %v", d.Expected, path)
	}
	if d.Sequential < d.Expected+3*time.Minute { // the two node groups are made at the same time
		t.Errorf("%s one after the other", d.Sequential)
	}
	more := demo()
	for i := range 8 {
		more.NodeGroups = append(more.NodeGroups, group(fmt.Sprint("more", i), "m5.large"))
	}
	if e, _ := duration(t, empty(), more); e.Expected != d.Expected || e.Sequential < d.Sequential+24*time.Minute {
		t.Errorf("ten node groups: %s, %s one after the other", e.Expected, e.Sequential)
	}
	done := empty()
	simulate(t, s, &done)
	if e, _ := duration(t, done, s); e.Expected != 0 || e.Sequential != 0 {
		t.Errorf("nothing to do: %+v", e)
	}
	done.Found["cluster"][0].Status = "CREATING"
	if e, _ := duration(t, done, s); e.Expected != 10*time.Minute {
		t.Errorf("while the control plane is made: %+v", e)
	}
}

func TestFargateProfilesTakeTurns(t *testing.T) {
	s := private()
	s.NodeGroups = nil
	for _, name := range []string{"a", "b", "c"} {
		s.Fargate = append(s.Fargate, fleet.FargateSpec{Name: name, Selectors: []fleet.FargateSelector{{Namespace: name}}})
	}
	d, path := duration(t, empty(), s)
	if d.Expected < 19*time.Minute || len(path) < 3 || path[len(path)-1] != "fargate/c" {
		t.Errorf("%s by %v", d.Expected, path)
	}
}

// BenchmarkForecast1000 plans 1,000 clusters, each with its own network and three node groups: planning a fleet must take
// seconds. The budget is ten.
func BenchmarkForecast1000(b *testing.B) {
	var specs []fleet.ClusterSpec
	for i := range 1000 {
		s := private()
		s.Name = fmt.Sprint("cluster-", i)
		s.NodeGroups = append(s.NodeGroups, group("spot", "m5.large", "m6i.large"), group("on-demand", "m5.large"))
		specs = append(specs, s)
	}
	o := empty()
	for b.Loop() {
		for _, s := range specs {
			if p, err := Forecast(now, o, s, opt); err != nil || p.Empty() {
				b.Fatal(err, p)
			}
			if _, err := Duration(now, o, s, opt); err != nil {
				b.Fatal(err)
			}
		}
	}
}
