package eks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// insight finds one by the beginning of its name.
func (r *rig) insight(category, version, name string) insightShape {
	r.t.Helper()
	r.Service.mu.Lock()
	defer r.Service.mu.Unlock()
	for _, i := range r.clusters["c"].found {
		if i.Category == category && i.KubernetesVersion == version && strings.HasPrefix(i.Name, name) {
			return i
		}
	}
	r.t.Fatalf("no insight %s %s %s", category, version, name)
	return insightShape{}
}

// refreshed asks for a new look and waits for it.
func (r *rig) refreshed() {
	r.t.Helper()
	if out, err := r.startInsightsRefresh(r.t.Context(), asAdmin(), &refreshIn{"c"}); err != nil || out.Status != "IN_PROGRESS" {
		r.t.Fatalf("%+v, %v", out, err)
	}
	r.until(func() bool { return r.clusters["c"].refresh.Status == "COMPLETED" })
}

func TestInsights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		in.Version = "1.34"
		if _, err := r.createCluster(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		r.mustNodegroup()
		list := func(change func(*listInsightsIn)) []insightSummary {
			t.Helper()
			in := &listInsightsIn{ClusterName: "c"}
			change(in)
			out, err := r.listInsights(t.Context(), asAdmin(), in)
			if err != nil {
				t.Fatal(err)
			}
			return out.Insights
		}
		all := list(func(*listInsightsIn) {})
		if len(all) != 8 { // skews and add-ons for two hops, health, and the APIs that 1.37 serves no more
			t.Errorf("%d insights of a new cluster: %+v", len(all), all)
		}
		for _, i := range all {
			if i.InsightStatus.Status != passing {
				t.Errorf("a new cluster: %+v", i)
			}
		}

		for _, to := range []string{"1.35", "1.36", "1.37"} {
			r.succeed(r.version(to, nil))
		}
		if _, err := r.createAddon(t.Context(), asAdmin(), &createAddonIn{ClusterName: "c", AddonName: "kube-proxy"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].addons["kube-proxy"].status == active })
		r.refreshed()
		if got := r.insight(rollbackReadiness, "1.36", "kube-proxy"); got.InsightStatus.Status != erring || len(got.Resources) != 1 {
			t.Errorf("a kube-proxy of 1.37: %+v", got)
		}
		if got := r.insight(rollbackReadiness, "1.36", "EKS add-on"); got.InsightStatus.Status != erring || got.Specifics.Addons[0].Name != "kube-proxy" || len(got.Specifics.Addons[0].CompatibleVersions) == 0 {
			t.Errorf("an add-on of 1.37 only: %+v", got)
		}
		if got := r.insight(rollbackReadiness, "1.36", "Kubelet"); got.InsightStatus.Status != passing {
			t.Errorf("kubelets of 1.34: %+v", got)
		}
		_, err := r.version("1.36", nil)
		wantError(t, err, "InvalidStateException", "EKS add-on version compatibility, kube-proxy version skew")
		r.succeed(r.version("1.36", func(in *updateVersionIn) { in.Force = true }))
		// Kubelets of 1.34 may be with 1.37. A strict EKS does not think so.
		if got := r.insight(upgradeReadiness, "1.37", "Kubelet"); got.InsightStatus.Status != passing {
			t.Errorf("three minors: %+v", got)
		}
		r.SetStrictSkew(true)
		r.refreshed()
		if got := r.insight(upgradeReadiness, "1.37", "Kubelet"); got.InsightStatus.Status != erring || len(got.Resources) != 2 || !strings.HasPrefix(got.Resources[0].KubernetesResourceURI, "/api/v1/nodes/ip-") {
			t.Errorf("three minors, strict: %+v", got)
		}
		if got := list(func(in *listInsightsIn) {
			in.Filter = &struct {
				Categories         []string `json:"categories"`
				KubernetesVersions []string `json:"kubernetesVersions"`
				Statuses           []string `json:"statuses"`
			}{[]string{upgradeReadiness}, []string{"1.37"}, []string{erring}}
		}); len(got) != 1 || got[0].Name != "Kubelet version skew" {
			t.Errorf("filtered: %+v", got)
		}
	})
}

func TestInsightsAgeAndAreLookedAtDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		call := DeprecatedCall{Group: "networking.k8s.io", Version: "v1beta1", Resource: "servicecidrs", Removed: "1.37", UserAgent: "old/1"}
		if err := r.PlantDeprecated("c", call); err != nil {
			t.Fatal(err)
		}
		status := func(want string) insightShape {
			t.Helper()
			i := r.insight(upgradeReadiness, "1.37", "Deprecated APIs removed in Kubernetes v1.37")
			if i.InsightStatus.Status != want {
				t.Errorf("%+v, want %s", i, want)
			}
			return i
		}
		i := status(warning) // two minors ahead
		d := i.Specifics.Deprecations[0]
		if d.Usage != "/apis/networking.k8s.io/v1beta1/servicecidrs" || d.ReplacedWith != "/apis/networking.k8s.io/v1/servicecidrs" || d.StopServing != "1.37" || d.StartServing != "1.33" || d.ClientStats[0].Requests != 1 {
			t.Errorf("%+v", d)
		}
		r.succeed(r.version("1.36", nil))
		status(erring)
		r.succeed(r.version("1.37", nil)) // the gate is off
		r.succeed(r.version("1.36", nil))

		_, err := r.version("1.38", nil)
		wantError(t, err, "InvalidParameterException", "Unsupported")
		r.SetInsightGate(true)
		_, err = r.version("1.37", nil)
		wantError(t, err, "InvalidStateException", "Deprecated APIs removed in Kubernetes v1.37")
		// A client that was mended today still shows for thirty days.
		time.Sleep(29 * 24 * time.Hour)
		status(erring)
		changed := time.Now()
		time.Sleep(2 * 24 * time.Hour)
		i = status(passing)
		if at := i.LastTransition.Time; at.Before(changed) || at.After(time.Now()) {
			t.Errorf("it changed at %s", at)
		}
		r.succeed(r.version("1.37", nil))
	})
}

// sawCalls is a control plane that has seen calls of a deprecated API.
type sawCalls struct {
	*fakePlane
	calls []DeprecatedCall
	err   error
}

func (s *sawCalls) Deprecated(context.Context) ([]DeprecatedCall, error) {
	calls := s.calls
	s.calls = nil
	return calls, s.err
}

func TestTheControlPlaneIsTheWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		c := r.clusters["c"]
		w := &sawCalls{fakePlane: r.plane(), err: errors.New("not now")}
		r.Service.mu.Lock()
		c.plane = w
		r.Service.mu.Unlock()
		r.refreshed() // it does not answer
		for n := range 3 {
			w.err = nil
			w.calls = []DeprecatedCall{{"storage.k8s.io", "v1beta1", "volumeattributesclasses", "1.37", "csi/1", n + 1, time.Now()}}
			r.refreshed()
		}
		stats := r.insight(upgradeReadiness, "1.37", "Deprecated").Specifics.Deprecations[0].ClientStats
		if len(stats) != 1 || stats[0].Requests != 6 || stats[0].UserAgent != "csi/1" {
			t.Errorf("%+v", stats)
		}
	})
}

func TestPlantedInsights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		for _, bad := range []Insight{{Category: misconfiguration, Status: erring}, {Name: "x", Category: "OTHER", Status: erring}, {Name: "x", Category: misconfiguration, Status: "BAD"}} {
			wantError(t, r.PlantInsight("c", bad), "InvalidParameterException", "")
		}
		for n := range 2 {
			if err := r.PlantInsight("c", Insight{"Hybrid node network", misconfiguration, "", erring, fmt.Sprint("reason ", n), []string{"/api/v1/nodes/x"}}); err != nil {
				t.Fatal(err)
			}
		}
		i := r.insight(misconfiguration, "", "Hybrid")
		if got, err := r.describeInsight(t.Context(), asAdmin(), &insightIn{"c", i.ID}); err != nil || got.Insight.InsightStatus.Reason != "reason 1" || len(got.Insight.Resources) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if err := r.DropInsights("c"); err != nil {
			t.Fatal(err)
		}
		_, err := r.describeInsight(t.Context(), asAdmin(), &insightIn{"c", i.ID})
		wantError(t, err, "ResourceNotFoundException", "No insight found for ID")
	})
}
