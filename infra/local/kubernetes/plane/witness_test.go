package plane

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func TestWitnessLooksAtUnstableVersionsOnly(t *testing.T) {
	w := &Witness{calls: map[callKey]*DeprecatedCall{}}
	for name, test := range map[string]struct {
		version, who string
		resource     bool
		want         auditinternal.Level
	}{
		"a customer, beta":      {"v1beta1", "kubernetes-admin", true, auditinternal.LevelMetadata},
		"a customer, alpha":     {"v1alpha2", "x", true, auditinternal.LevelMetadata},
		"a customer, stable":    {"v1", "kubernetes-admin", true, auditinternal.LevelNone},
		"the controllers, beta": {"v1beta1", "system:kube-controller-manager", true, auditinternal.LevelNone},
		"no resource":           {"v1beta1", "x", false, auditinternal.LevelNone},
	} {
		got := w.EvaluatePolicyRule(authorizer.AttributesRecord{APIVersion: test.version, User: &user.DefaultInfo{Name: test.who}, ResourceRequest: test.resource})
		if got.Level != test.want {
			t.Errorf("%s: %s, want %s", name, got.Level, test.want)
		}
	}
}

func TestWitnessCounts(t *testing.T) {
	w := &Witness{calls: map[callKey]*DeprecatedCall{}}
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	event := func(agent, removed string, minutes int) *auditinternal.Event {
		return &auditinternal.Event{UserAgent: agent, StageTimestamp: metav1.NewMicroTime(at.Add(time.Duration(minutes) * time.Minute)), Annotations: map[string]string{"k8s.io/removed-release": removed},
			ObjectRef: &auditinternal.ObjectReference{APIGroup: "networking.k8s.io", APIVersion: "v1beta1", Resource: "servicecidrs"}}
	}
	w.ProcessEvents(event("a", "1.37", 1), event("a", "1.37", 2), event("b", "1.37", 3), event("c", "", 4), &auditinternal.Event{Annotations: map[string]string{"k8s.io/removed-release": "1.37"}})
	got := w.Collect()
	want := []DeprecatedCall{
		{"networking.k8s.io", "v1beta1", "servicecidrs", "1.37", "a", 2, at.Add(2 * time.Minute)},
		{"networking.k8s.io", "v1beta1", "servicecidrs", "1.37", "b", 1, at.Add(3 * time.Minute)},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v", got)
	}
	if again := w.Collect(); len(again) != 0 {
		t.Errorf("counted twice: %+v", again)
	}
}
