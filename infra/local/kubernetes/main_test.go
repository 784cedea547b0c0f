package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// asProgram makes this test binary be the program, so that the tests run what was just compiled.
const asProgram = "EKSPEDITE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// cluster is a running program.
type cluster struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	ready  ready
	client kubernetes.Interface
	http   *http.Client
	ended  chan error
}

// shortDir leaves room for the unix sockets' paths.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ek")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func startCluster(t *testing.T, dir string, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, ended: make(chan error, 1)}
	c.cmd = exec.Command(os.Args[0], append([]string{"--data", dir}, args...)...)
	c.cmd.Env = append(os.Environ(), asProgram+"=1")
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		lines <- line
		c.ended <- c.cmd.Wait()
	}()
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	select {
	case line := <-lines:
		if err := json.Unmarshal([]byte(line), &c.ready); err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("ready line %q: %v\n%s", line, err, log[max(0, len(log)-4000):])
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("not ready after two minutes")
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.ready.AdminKubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	c.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.ready.Control)
	}}}
	return c
}

// close lets standard input end, as when the parent is killed, and checks that the program follows soon.
func (c *cluster) close() {
	c.t.Helper()
	start := time.Now()
	_ = c.stdin.Close()
	select {
	case err := <-c.ended:
		if err != nil {
			c.t.Errorf("the program ended with %v", err)
		}
		c.t.Logf("ended %s after its standard input", time.Since(start).Round(time.Millisecond))
	case <-time.After(10 * time.Second):
		c.t.Error("the program outlived its standard input by ten seconds")
	}
}

func (c *cluster) control(method, path string, body any) (int, string) {
	c.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, "http://control"+path, bytes.NewReader(encoded))
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

func (c *cluster) must(method, path string, body any) {
	c.t.Helper()
	if code, answer := c.control(method, path, body); code >= 300 {
		c.t.Fatalf("%s %s: %d %s", method, path, code, answer)
	}
}

func (c *cluster) putNode(name string) {
	c.t.Helper()
	c.must("PUT", "/nodes/"+name, map[string]any{
		"name": name, "providerID": "aws:///us-east-1a/i-" + name, "internalIP": "10.0.1.17",
		"labels":   map[string]string{"eks.amazonaws.com/nodegroup": "blue"},
		"capacity": map[string]string{"cpu": "4", "memory": "8Gi", "pods": "29", "ephemeral-storage": "80Gi"},
	})
}

// eventually polls until check finds no problem, which it describes by a non-empty string.
func (c *cluster) eventually(within time.Duration, what string, check func(ctx context.Context) string) {
	c.t.Helper()
	start := time.Now()
	for {
		problem := check(c.t.Context())
		if problem == "" {
			c.t.Logf("%s: after %s", what, time.Since(start).Round(10*time.Millisecond))
			return
		}
		if time.Since(start) > within {
			c.t.Fatalf("%s: not within %s: %s", what, within, problem)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, test := range []struct{ name, args, want string }{
		{"nothing", "", "--data is required"},
		{"no version", "--data d", "--version"},
		{"old version", "--data d --version 1.20", "not among 1.34 to 1.37"},
		{"public address", "--data d --version 1.36 --listen 0.0.0.0:0", "not on 127.0.0.1"},
		{"bad range", "--data d --version 1.36 --service-cidr 10.0.0.0", "--service-cidr"},
		{"deep directory", "--version 1.36 --data /" + strings.Repeat("deep/", 30), "too deep"},
		{"stray argument", "--data d --version 1.36 up", `unexpected argument "up"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parse(strings.Fields(test.args), io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	s, err := parse(strings.Fields("--data d --version v1.36"), io.Discard)
	if err != nil || s.version.String() != "1.36" || !s.systemAddons || s.serviceCIDR.String() != "172.20.0.0/16" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestOneProcessForOneDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path); err == nil || !strings.Contains(err.Error(), "another control plane") {
		t.Errorf("the second lock: %v", err)
	}
	release()
	if release, err = lock(path); err != nil {
		t.Fatal(fmt.Errorf("after the first has gone: %w", err))
	}
	release()
}
