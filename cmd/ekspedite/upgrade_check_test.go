package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

// complete is an API server that has all that the checks read: nodes, one pod, one PodDisruptionBudget, and nothing else.
type complete struct{ *answering }

func newComplete(t *testing.T) *answering {
	a := &answering{pods: []string{`{"metadata":{"namespace":"shop","name":"web-1","uid":"u","labels":{"app":"web"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":"web","uid":"s","controller":true}]},"spec":{"nodeName":"n","containers":[{"name":"a","image":"web:1"}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`}}
	a.Server = httptest.NewTLSServer(complete{a})
	t.Cleanup(a.Close)
	return a
}

func (c complete) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	typed := map[string]string{
		"/apis/apps/v1/deployments": "DeploymentList", "/apis/apps/v1/statefulsets": "StatefulSetList", "/api/v1/services": "ServiceList", "/api/v1/persistentvolumes": "PersistentVolumeList",
		"/apis/storage.k8s.io/v1/storageclasses": "StorageClassList",
	}
	version := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path[:max(strings.LastIndexByte(r.URL.Path, '/'), 0)], "/apis/"), "/api/")
	w.Header().Set("Content-Type", "application/json")
	switch path := r.URL.Path; {
	case path == "/apis":
		fmt.Fprint(w, `{"kind":"APIGroupDiscoveryList","items":[]}`)
	case path == "/metrics":
	case path == "/apis/policy/v1/poddisruptionbudgets":
		fmt.Fprint(w, `{"kind":"PodDisruptionBudgetList","apiVersion":"policy/v1","items":[{"metadata":{"name":"stuck","namespace":"shop"},"spec":{"maxUnavailable":0,"selector":{"matchLabels":{"app":"web"}}},
			"status":{"expectedPods":1,"currentHealthy":1,"desiredHealthy":1,"disruptionsAllowed":0}}]}`)
	case typed[path] != "":
		fmt.Fprintf(w, `{"kind":%q,"apiVersion":%q,"items":[]}`, typed[path], version)
	case path == "/version" || path == "/api/v1/nodes" || path == "/api/v1/pods" || path == "/apis/apps/v1/daemonsets" || strings.Contains(path, "configmaps"):
		c.answering.ServeHTTP(w, r)
	default:
		fmt.Fprint(w, `{"items":[]}`)
	}
}

// A check reads AWS and the cluster over the wire, says what blocks and what to do, and changes nothing.
func TestUpgradeCheck(t *testing.T) {
	inside := newComplete(t)
	r := newRigWith(t, inside)
	want(t, 0, []string{"Active"}, "", "cluster", "apply", "-f", write(t, strings.Replace(small, `"1.36"`, `"1.35"`, 1)))
	r.stop()
	before, written := len(calls(t)), len(inside.writes)

	page := filepath.Join(t.TempDir(), "page.html")
	want(t, exitFailed, []string{"NOT READY", "small", "1.35", "1.36", "shop/stuck", "WL02", page}, "", "upgrade", "check", "--cluster", "small", "--html", page)
	v := wantJSON[struct {
		Ready    bool
		Findings []readiness.Finding
	}](t, exitFailed, "", "upgrade", "check", "--cluster", "small", "--to", "1.36", "--refresh")
	stuck := slices.IndexFunc(v.Findings, func(f readiness.Finding) bool { return f.ID == "WL02" })
	if v.Ready || stuck < 0 || v.Findings[stuck].Status != readiness.Fail || !strings.Contains(v.Findings[stuck].Remedy, "kubectl") {
		t.Errorf("%+v", v)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "shop/stuck") {
		t.Errorf("the page: %v", err)
	}
	for format, begins := range map[string]string{"sarif": `{"$schema":`, "html": "<!doctype html>"} {
		p := want(t, exitFailed, nil, "", "upgrade", "check", "--cluster", "small", "-o", format, "--wait", "0")
		if got := strings.ToLower(strings.Join(strings.Fields(p.out), " ")); !strings.HasPrefix(strings.ReplaceAll(got, `{ "`, `{"`), begins) {
			t.Errorf("-o %s begins with %.60q", format, p.out)
		}
	}
	if len(inside.writes) != written {
		t.Errorf("the cluster was written to: %v", inside.writes[written:])
	}
	read := regexp.MustCompile(`^(Describe|Get|List|Query|AssumeRole)`)
	refreshes := 0
	for _, name := range calls(t)[before:] {
		if name == "StartInsightsRefresh" {
			refreshes++
		} else if !read.MatchString(name) {
			t.Errorf("%s was called", name)
		}
	}
	if refreshes != 1 {
		t.Errorf("EKS was asked %d times to look again, once by --refresh", refreshes)
	}
}

// A cluster that the ledger does not know is checked by the default policy; one that is not there is an error.
func TestUpgradeCheckOfStrangers(t *testing.T) {
	newRig(t)
	want(t, exitFailed, []string{"limits are the defaults", "there is no cluster other in us-east-1", "--region"}, "", "upgrade", "check", "--cluster", "other")
	for _, args := range [][]string{{}, {"--cluster", "a", "-o", "yaml"}, {"--cluster", "a", "--to", "2.1"}, {"--cluster", "a", "--fail-on", "never"}, {"--cluster", "a", "--refresh", "--wait", "0"}, {"a"}} {
		want(t, exitUsage, []string{"error:"}, "", append([]string{"upgrade", "check"}, args...)...)
	}
}
