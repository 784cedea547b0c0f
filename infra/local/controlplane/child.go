package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// startTimeout is for a machine under heavy load; a start takes two seconds.
	startTimeout = 2 * time.Minute
	// stopTimeout is after the control plane's own limit of little more than a second.
	stopTimeout = 5 * time.Second
	logTail     = 15
)

// Taint of a node.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// Node is a machine that joins the cluster; it is the body of the control API's PUT /nodes/{name}.
type Node struct {
	// Name of the Node: on EKS the instance's private DNS name.
	Name string `json:"name"`
	// ProviderID joins Node and instance, aws:///us-east-1a/i-0abc.
	ProviderID string `json:"providerID"`
	// Labels and Taints that the Node registers with.
	Labels map[string]string `json:"labels,omitempty"`
	Taints []Taint           `json:"taints,omitempty"`
	// Capacity by resource name, as quantities: cpu, memory, pods, ephemeral-storage. Allocatable is the same if empty.
	Capacity    map[string]string `json:"capacity"`
	Allocatable map[string]string `json:"allocatable,omitempty"`
	InternalIP  string            `json:"internalIP"`
	// KubeletVersion is the control plane's own when empty.
	KubeletVersion string `json:"kubeletVersion,omitempty"`
	// OSImage, KernelVersion and ContainerRuntimeVersion are what the Node says of its image; those of a stand-in when empty.
	OSImage                 string `json:"osImage,omitempty"`
	KernelVersion           string `json:"kernelVersion,omitempty"`
	ContainerRuntimeVersion string `json:"containerRuntimeVersion,omitempty"`
	// Devices are extended resources, as quantities, that the Node offers from when their device plugin's pod is ready on it.
	Devices map[string]string `json:"devices,omitempty"`
	// RegisterDelayMillis is how long the machine takes until its kubelet registers.
	RegisterDelayMillis int64 `json:"registerDelayMillis,omitempty"`
}

// NodeStatus is a machine as the control plane knows it.
type NodeStatus struct {
	Name       string `json:"name"`
	ProviderID string `json:"providerID"`
	// State is registering, running or stopped.
	State string `json:"state"`
	// Error is why the last attempt to register failed.
	Error string `json:"error,omitempty"`
}

func nodePath(name string) string { return "/nodes/" + url.PathEscape(name) }

// child is one process.
type child struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	log     string
	logFrom int64 // how much an earlier process had written to the log
	http    *http.Client
	ready   struct {
		Endpoint, CAData, Control, AdminKubeconfig, Version string
	}
	stderr tailBuffer

	expected atomic.Bool   // that it ends
	exited   chan struct{} // closed after its end; err is set by then
	err      error
}

// launch starts the process and waits for its ready line.
func launch(ctx context.Context, o Options) (*child, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	args := []string{"--data", o.Dir, "--version", o.Version, "--listen", o.Listen, fmt.Sprintf("--system-addons=%t", o.SystemAddons)}
	for _, optional := range [][2]string{{"--service-cidr", o.ServiceCIDR}, {"--token-webhook", o.TokenWebhook}} {
		if optional[1] != "" {
			args = append(args, optional[0], optional[1])
		}
	}
	if o.NodeMonitorGracePeriod != 0 {
		args = append(args, "--node-monitor-grace-period", o.NodeMonitorGracePeriod.String())
	}
	c := &child{
		cmd: exec.Command(o.Binary, args...), log: filepath.Join(o.Dir, "log"),
		exited: make(chan struct{}),
	}
	if info, err := os.Stat(c.log); err == nil {
		c.logFrom = info.Size()
	}
	if o.CertificateFile != "" { // takes the place of the machine's file, not of its folders
		c.cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+o.CertificateFile)
	}
	c.cmd.SysProcAttr = ownGroup()
	c.cmd.Stderr = &c.stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the Kubernetes control plane: %w", err)
	}
	lines := make(chan []byte, 1)
	go func() {
		reader := bufio.NewReader(stdout)
		if line, err := reader.ReadBytes('\n'); err == nil {
			lines <- line
		}
		_, _ = io.Copy(io.Discard, reader)
		// Wait closes the pipe, so it comes after the last read.
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	select {
	case line := <-lines:
		if err := json.Unmarshal(line, &c.ready); err != nil {
			c.kill()
			return nil, fmt.Errorf("the Kubernetes control plane's ready line %q: %w", line, err)
		}
	case <-c.exited:
		return nil, c.failure("did not start")
	case <-ctx.Done():
		c.kill()
		return nil, errors.Join(fmt.Errorf("start the Kubernetes control plane: %w", ctx.Err()), c.failure("was not ready"))
	}
	c.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.ready.Control)
	}}}
	return c, nil
}

// stop asks the process to end and waits for that. It is killed when it takes too long or ctx ends.
func (c *child) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	_ = terminate(c.cmd.Process) // It fails when the process has ended already.
	_ = c.stdin.Close()
	c.http.CloseIdleConnections()
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		// Its data survive that: what clients were told to be stored is in the kernel's hands.
		c.kill()
		return nil
	}
}

func (c *child) kill() {
	c.expected.Store(true)
	_ = c.cmd.Process.Kill()
	<-c.exited
}

// failure describes the end of the process with what it said last.
func (c *child) failure(what string) error {
	var said []string
	if s := strings.TrimSpace(c.stderr.String()); s != "" {
		said = append(said, s)
	}
	if tail := lastLines(c.log, c.logFrom, logTail); tail != "" {
		said = append(said, fmt.Sprintf("the end of %s:\n%s", c.log, tail))
	}
	state := ""
	if c.err != nil {
		state = " (" + c.err.Error() + ")"
	}
	return fmt.Errorf("the Kubernetes control plane %s%s: %s", what, state, strings.Join(said, "\n"))
}

// call is one request to the control API. A nil body or answer is none.
func (c *child) call(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://control"+path, content)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // only read
	if response.StatusCode >= 300 {
		var failure struct{ Error string }
		if err := json.NewDecoder(response.Body).Decode(&failure); err != nil || failure.Error == "" {
			return errors.New(response.Status)
		}
		return errors.New(failure.Error)
	}
	if answer != nil {
		return json.NewDecoder(response.Body).Decode(answer)
	}
	_, err = io.Copy(io.Discard, response.Body) // Read to the end, the connection is used again.
	return err
}

// lastLines of what a file holds after an offset, without reading more than its end.
func lastLines(path string, offset int64, n int) string {
	const most = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err == nil {
		offset = max(offset, info.Size()-most)
	}
	content, err := io.ReadAll(io.NewSectionReader(f, offset, most))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// tailBuffer keeps the last 4 KiB that were written to it.
type tailBuffer struct {
	mu      sync.Mutex
	content []byte
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	const most = 4 << 10
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content = append(b.content, p...)
	b.content = b.content[max(0, len(b.content)-most):]
	return len(p), nil
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.content)
}
