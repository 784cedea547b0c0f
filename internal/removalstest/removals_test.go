package removalstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

// elsewhere are rows of kinds that are not in k8s.io/api; they were taken from the deprecation guide by hand.
var elsewhere = map[kind]int{
	{"apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"}: 22,
	{"apiregistration.k8s.io/v1beta1", "APIService"}:             22,
}

// TestTableIsRight compares every kind that k8s.io/api has ever had since 1.20 with the table, both ways.
func TestTableIsRight(t *testing.T) {
	begun := time.Now()
	last, version := newest(t)
	var versions []string
	for n := oldest; n < last; n++ {
		versions = append(versions, fmt.Sprintf("v0.%d.0", n))
	}
	versions = append(versions, version)
	modules := map[int]module{}
	for i, dir := range download(t, versions) {
		modules[oldest+i] = read(t, dir)
	}
	truth := removed(modules, last)

	table := map[kind]int{}
	for _, r := range readiness.Removals() {
		k := kind{r.APIVersion, r.Kind}
		if _, twice := table[k]; twice {
			t.Errorf("%s stands in the table twice", k)
		}
		table[k] = int(r.Removed)
		if r.Replacement != "" {
			checkReplacement(t, r, modules, truth, last)
		}
	}
	gone, ahead := 0, 0
	for _, k := range sorted(truth) {
		switch have, want := table[k], truth[k]; {
		case want == 0 && have != 0:
			t.Errorf("%s: the table says that it is removed in 1.%d; k8s.io/api %s has it, and announces nothing", k, have, version)
		case want != have && have == 0:
			t.Errorf("%s is removed in 1.%d, and the table does not say so", k, want)
		case want != have:
			t.Errorf("%s is removed in 1.%d; the table says 1.%d", k, want, have)
		case want > last:
			ahead++
		case want > 0:
			gone++
		}
	}
	for _, k := range sorted(table) {
		if _, ok := truth[k]; ok {
			continue
		}
		if want, ok := elsewhere[k]; !ok || want != table[k] {
			t.Errorf("%s: no k8s.io/api from 1.%d to 1.%d has such a kind", k, oldest, last)
		}
	}
	if gone < 80 || len(truth) < 200 {
		t.Errorf("only %d kinds of %d are gone: the modules have not been read well", gone, len(truth))
	}
	t.Logf("%d kinds of k8s.io/api v0.%d.0 to %s: %d are gone, %d are announced, %d rows are of other modules; %v", len(truth), oldest, version, gone, ahead, len(elsewhere), time.Since(begun).Round(time.Millisecond))
}

// checkReplacement: what is to be used instead exists in the minor of the removal, or in the newest that we have, and outlives
// it. Kinds of other modules are not looked for.
func checkReplacement(t *testing.T, r readiness.Removal, modules map[int]module, truth map[kind]int, last int) {
	t.Helper()
	instead := kind{r.Replacement, r.Kind}
	if _, ok := elsewhere[kind{r.APIVersion, r.Kind}]; ok {
		return
	}
	if _, ok := modules[last][instead]; !ok {
		t.Errorf("%s %s: there is no %s to use instead in 1.%d", r.APIVersion, r.Kind, instead, last)
	}
	if goes := truth[instead]; goes != 0 && goes <= int(r.Removed) {
		t.Errorf("%s %s: %s goes in 1.%d itself", r.APIVersion, r.Kind, instead, goes)
	}
}

// TestReading holds the reading of the modules against cases that are known, so that an empty truth is no agreement.
func TestReading(t *testing.T) {
	old := module{{"a/v1beta1", "X"}: 25, {"a/v1alpha1", "Y"}: 37, {"a/v1", "Z"}: 0, {"a/v1beta1", "W"}: 24}
	mid := module{{"a/v1beta1", "X"}: 26, {"a/v1alpha1", "Y"}: 37, {"a/v1", "Z"}: 0}
	now := module{{"a/v1beta1", "X"}: 26, {"a/v1", "Z"}: 0, {"a/v1beta1", "N"}: 40}
	got := removed(map[int]module{20: old, 21: mid, 22: now}, 22)
	want := map[kind]int{{"a/v1beta1", "X"}: 26, {"a/v1alpha1", "Y"}: 22, {"a/v1", "Z"}: 0, {"a/v1beta1", "W"}: 21, {"a/v1beta1", "N"}: 40}
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: 1.%d, want 1.%d", k, got[k], n)
		}
	}
}
