package main

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/calendar"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestCalendarShowsCertificateAuthorities: when one ends, when it is replaced, and when EKS would act.
func TestCalendarShowsCertificateAuthorities(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	in := func(days int) time.Time { return now.AddDate(0, 0, days) }
	policy := fleet.DefaultUpgradePolicy()
	list := []upgradepath.Authority{
		{ID: "ca-1", CreatedAt: in(-3000), Expires: in(250), Signing: "IN_USE"},
		{ID: "ca-2", CreatedAt: in(-400), Expires: in(1400), Signing: "NOT_USED", Distribution: "COMPLETE", First: in(68), Final: in(205)},
	}
	clusters := []calendar.Input{{Cluster: fleet.ClusterID{Region: "us-east-1", Name: "prod"}, Policy: policy, Expires: authorityDates(list, policy, now)}}
	found := map[string]time.Time{}
	for _, e := range calendar.Year(now, in(90), fleet.DefaultFleetPolicy(), clusters) {
		if e.Kind == calendar.KindExpiry {
			found[e.Title] = e.At
		}
	}
	want := map[string]time.Time{"ca-1 is to be replaced": now, "EKS activates certificate authority ca-2": in(68)}
	if len(found) != len(want) {
		t.Errorf("%v", found)
	}
	for text, at := range want {
		ok := false
		for title, when := range found {
			ok = ok || strings.Contains(title, text) && when.Equal(at)
		}
		if !ok {
			t.Errorf("no %q at %s: %v", text, at, found)
		}
	}
	policy.Patches.Renew = 0
	if dates := authorityDates(list, policy, now); len(dates) != 2 {
		t.Errorf("the policy leaves it to EKS: %v", dates)
	}
	if dates := authorityDates(nil, policy, now); len(dates) != 0 {
		t.Errorf("of nothing: %v", dates)
	}
}
