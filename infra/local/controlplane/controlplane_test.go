package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shortDir is a temporary folder whose path leaves room for unix sockets; t.TempDir's does not on macOS.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func testNode(name string) Node {
	return Node{
		Name: name, ProviderID: "aws:///us-east-1a/i-" + name, InternalIP: "10.0.1.17",
		Labels:   map[string]string{"eks.amazonaws.com/nodegroup": "blue"},
		Taints:   []Taint{{Key: "dedicated", Value: "test", Effect: "PreferNoSchedule"}},
		Capacity: map[string]string{"cpu": "2", "memory": "8Gi", "pods": "29", "ephemeral-storage": "80Gi"},
	}
}

// eventually polls until check returns an empty string.
func eventually(t *testing.T, within time.Duration, check func() string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		problem := check()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", within, problem)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// reviewer is a token webhook that knows one token.
func reviewer(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review map[string]any
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		spec, _ := review["spec"].(map[string]any)
		if spec["token"] == "let-me-in" {
			review["status"] = map[string]any{"authenticated": true, "user": map[string]any{
				"username": "arn:aws:sts::111122223333:assumed-role/x", "groups": []string{"system:masters"},
			}}
		} else {
			review["status"] = map[string]any{"authenticated": false}
		}
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestControlPlane(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the Kubernetes binary")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	binary, err := Binary(ctx, filepath.Join("..", "..", ".."), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	c, err := Start(ctx, Options{Binary: binary, Dir: dir, Version: "1.36", TokenWebhook: reviewer(t), SystemAddons: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Stop(context.Background()) }()

	get := getter(t, c)
	if code, body := get("/version", ""); code != 200 || !strings.Contains(body, `"gitVersion": "v1.36.`) {
		t.Errorf("/version: %d %s", code, body)
	}
	if code, _ := get("/api/v1/nodes", "let-me-in"); code != 200 {
		t.Errorf("a token that the webhook accepts got %d", code)
	}
	if code, _ := get("/api/v1/nodes", "wrong"); code != 401 {
		t.Errorf("a token that the webhook refuses got %d, want 401", code)
	}

	if err := c.PutNode(ctx, testNode("Not A Name")); err == nil || !strings.Contains(err.Error(), "RFC 1123") {
		t.Errorf("a name that no Node can have: %v", err)
	}
	for _, name := range []string{"one", "two"} {
		if err := c.PutNode(ctx, testNode(name)); err != nil {
			t.Fatal(err)
		}
	}
	state := func() string {
		nodes, err := c.Nodes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, n := range nodes {
			s = append(s, n.Name+" "+n.State)
		}
		return strings.Join(s, ", ")
	}
	awaitState := func(want string) {
		t.Helper()
		eventually(t, 15*time.Second, func() string {
			if got := state(); got != want {
				return "nodes are " + got + ", want " + want
			}
			return ""
		})
	}
	awaitState("one running, two running")
	if err := c.StopNode(ctx, "two"); err != nil {
		t.Fatal(err)
	}
	if err := c.StopNode(ctx, "three"); err == nil {
		t.Error("a machine that does not exist was stopped")
	}

	endpoint := c.Endpoint()
	if err := c.Upgrade(ctx, "1.99"); err == nil || !strings.Contains(err.Error(), "1.99") {
		t.Errorf("upgrade to a version that does not exist: %v", err)
	}
	if code, body := get("/version", ""); code != 200 || !strings.Contains(body, `"gitVersion": "v1.36.`) {
		t.Errorf("after a failed upgrade, /version: %d %s", code, body)
	}
	if err := c.Upgrade(ctx, "1.37"); err != nil {
		t.Fatal(err)
	}
	if code, body := get("/version", ""); code != 200 || !strings.Contains(body, `"gitVersion": "v1.37.`) || c.Endpoint() != endpoint {
		t.Errorf("after the upgrade, %s/version: %d %s", c.Endpoint(), code, body)
	}
	awaitState("one running, two stopped") // The machines are told again.
	if err := c.StartNode(ctx, "two"); err != nil {
		t.Fatal(err)
	}
	awaitState("one running, two running")
	if err := c.DeleteNode(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if code, _ := get("/api/v1/nodes/one", "let-me-in"); code != 404 {
		t.Errorf("the Node of a machine that is gone: %d, want 404", code)
	}

	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if err := c.Err(); err != nil {
		t.Errorf("Err after Stop: %v", err)
	}
	if err := c.PutNode(ctx, testNode("three")); err == nil {
		t.Error("a stopped control plane took a node")
	}
}

func TestAControlPlaneThatDiesSaysWhy(t *testing.T) {
	// A stand-in for the program: it becomes ready, writes its log and falls over.
	dir := shortDir(t)
	program := filepath.Join(dir, "program")
	write(t, program, "#!/bin/sh\n"+`echo '{"endpoint":"https://127.0.0.1:1","control":"/nowhere"}'`+"\necho 'etcd: disk full' >> \"$2/log\"\nexit 3\n")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := Start(t.Context(), Options{Binary: program, Dir: filepath.Join(dir, "data"), Version: "1.36"})
	if err != nil {
		// The end may be seen before the ready line; it is the same failure.
		if !strings.Contains(err.Error(), "disk full") {
			t.Error(err)
		}
		return
	}
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("its end was not noticed")
	}
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "disk full") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want the end of the log and the exit status", err)
	}
}

// getter reads a path of the API server, verifying its certificate with the control plane's own authority.
func getter(t *testing.T, c *ControlPlane) func(path, token string) (int, string) {
	t.Helper()
	ca, err := base64.StdEncoding.DecodeString(c.CAData())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("caData holds no certificate")
	}
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
	}
	return func(path, token string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "GET", c.Endpoint()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
}
