package eks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// admin is the little of a Kubernetes client that EKS's own drain needs. The embedded cloud links no client-go.
type admin struct {
	server string
	http   *http.Client
}

// newAdmin reads the kubeconfig that the control plane has written: YAML of which every value wanted is on a line of its
// own, once.
func newAdmin(kubeconfig string) (*admin, error) {
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			values[strings.TrimPrefix(k, "- ")] = strings.Trim(v, `"`)
		}
	}
	pems := map[string][]byte{}
	for _, k := range []string{"certificate-authority-data", "client-certificate-data", "client-key-data"} {
		if pems[k], err = base64.StdEncoding.DecodeString(values[k]); err != nil || len(pems[k]) == 0 {
			return nil, fmt.Errorf("kubeconfig %s: %s is missing or not base64", kubeconfig, k)
		}
	}
	pair, err := tls.X509KeyPair(pems["client-certificate-data"], pems["client-key-data"])
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pems["certificate-authority-data"]) || values["server"] == "" {
		return nil, fmt.Errorf("kubeconfig %s has no server or no usable certificate authority", kubeconfig)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	return &admin{server: values["server"], http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}, nil
}

// statusError is an answer of the API server other than success.
type statusError struct {
	code   int
	text   string
	causes []cause
}

func (e *statusError) Error() string { return fmt.Sprintf("API server: %d %s", e.code, e.text) }

func isStatus(err error, code int) bool {
	var e *statusError
	return errors.As(err, &e) && e.code == code
}

func (a *admin) do(ctx context.Context, method, path, contentType string, body, out any) error {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.server+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "eks-nodegroup")
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var s struct {
			Message string
			Details struct{ Causes []cause }
		}
		_ = json.Unmarshal(answer, &s) // what is no Status has no message to show
		return &statusError{resp.StatusCode, s.Message, s.Details.Causes}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

const (
	plainJSON  = "application/json"
	mergePatch = "application/merge-patch+json"
)

func nodePath(name string) string { return "/api/v1/nodes/" + url.PathEscape(name) }

// Cordon implements Drainer.
func (a *admin) Cordon(ctx context.Context, node string) error {
	err := a.do(ctx, "PATCH", nodePath(node), mergePatch, map[string]any{
		"spec":     map[string]any{"unschedulable": true},
		"metadata": map[string]any{"labels": map[string]string{"node.kubernetes.io/exclude-from-external-load-balancers": "true"}},
	}, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// Uncordon implements Restorer.
func (a *admin) Uncordon(ctx context.Context, node string) error {
	err := a.do(ctx, "PATCH", nodePath(node), mergePatch, map[string]any{
		"spec":     map[string]any{"unschedulable": nil},
		"metadata": map[string]any{"labels": map[string]any{"node.kubernetes.io/exclude-from-external-load-balancers": nil}},
	}, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

type pod struct {
	Metadata struct {
		Name, Namespace, UID string
		Annotations          map[string]string
		DeletionTimestamp    *string
		OwnerReferences      []struct {
			Kind       string
			Controller bool
		}
	}
	Status struct{ Phase string }
}

// stays tells whether a drain leaves the pod alone.
func (p pod) stays() bool {
	_, mirror := p.Metadata.Annotations["kubernetes.io/config.mirror"]
	return mirror || p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" ||
		len(p.Metadata.OwnerReferences) > 0 && p.Metadata.OwnerReferences[0].Kind == "DaemonSet"
}

// Evict implements Drainer.
func (a *admin) Evict(ctx context.Context, node string, force bool) (left int, err error) {
	var list struct{ Items []pod }
	query := "/api/v1/pods?fieldSelector=" + url.QueryEscape("spec.nodeName="+node)
	if err := a.do(ctx, "GET", query, plainJSON, nil, &list); err != nil {
		return 0, err
	}
	var errs []error
	for _, p := range list.Items {
		if p.stays() {
			continue
		}
		left++
		if p.Metadata.DeletionTimestamp != nil {
			continue
		}
		err := a.remove(ctx, p, force)
		switch {
		case isStatus(err, http.StatusNotFound), isStatus(err, http.StatusConflict):
			// It is gone, or another pod of that name is there: the next round sees.
		case isStatus(err, http.StatusTooManyRequests):
			// Its budget does not allow it now.
		case err != nil:
			errs = append(errs, fmt.Errorf("pod %s/%s: %w", p.Metadata.Namespace, p.Metadata.Name, err))
		}
	}
	return left, errors.Join(errs...)
}

func (a *admin) remove(ctx context.Context, p pod, force bool) error {
	path := "/api/v1/namespaces/" + url.PathEscape(p.Metadata.Namespace) + "/pods/" + url.PathEscape(p.Metadata.Name)
	same := map[string]any{"preconditions": map[string]string{"uid": p.Metadata.UID}}
	if force {
		return a.do(ctx, "DELETE", path, plainJSON, same, nil)
	}
	return a.do(ctx, "POST", path+"/eviction", plainJSON, map[string]any{
		"apiVersion": "policy/v1", "kind": "Eviction", "deleteOptions": same,
		"metadata": map[string]string{"name": p.Metadata.Name, "namespace": p.Metadata.Namespace},
	}, nil)
}

// Relabel implements Drainer. The taints are one list to the API server: its resource version keeps a concurrent change
// from being lost.
func (a *admin) Relabel(ctx context.Context, node string, change NodeChange) error {
	for {
		var n struct {
			Metadata struct{ ResourceVersion string }
			Spec     struct{ Taints []map[string]any }
		}
		if err := a.do(ctx, "GET", nodePath(node), plainJSON, nil, &n); err != nil {
			if isStatus(err, http.StatusNotFound) {
				return nil
			}
			return err
		}
		labels := map[string]any{}
		for k, v := range change.SetLabels {
			labels[k] = v
		}
		for _, k := range change.RemoveLabels {
			labels[k] = nil
		}
		taints := slices.DeleteFunc(n.Spec.Taints, func(t map[string]any) bool {
			return slices.ContainsFunc(slices.Concat(change.SetTaints, change.RemoveTaints), func(c NodeTaint) bool {
				return t["key"] == c.Key && t["effect"] == c.Effect
			})
		})
		all := []any{}
		for _, t := range taints {
			all = append(all, t)
		}
		for _, t := range change.SetTaints {
			all = append(all, t)
		}
		err := a.do(ctx, "PATCH", nodePath(node), mergePatch, map[string]any{
			"metadata": map[string]any{"labels": labels, "resourceVersion": n.Metadata.ResourceVersion},
			"spec":     map[string]any{"taints": all},
		}, nil)
		if !isStatus(err, http.StatusConflict) {
			return err
		}
	}
}
