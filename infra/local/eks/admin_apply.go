package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// bootstrapper is the field manager that installs aws-node, kube-proxy and coredns into a new cluster: the control
// plane's own program, by its kubelet's client. EKS does that itself, so what it has set is no customer's.
const bootstrapper = `"ekspedite-kubelet"`

// Apply implements Workbench, by server-side apply.
func (a *admin) Apply(ctx context.Context, objects []Object, mode string) error {
	if mode == resolveNone {
		// Nothing is changed if there is a conflict anywhere.
		var all []string
		for _, o := range objects {
			foreign, err := a.conflicts(ctx, o)
			if err != nil && !isStatus(err, http.StatusNotFound) { // its namespace is yet to come
				return fmt.Errorf("%s: %w", o.Path, err)
			}
			for _, f := range foreign {
				all = append(all, fmt.Sprintf("%s %s - %s", o.Manifest["kind"], o.Path[strings.LastIndexByte(o.Path, '/')+1:], f))
			}
		}
		if len(all) > 0 {
			return &FieldConflict{all}
		}
	}
	for _, o := range objects {
		if mode == resolvePreserve {
			foreign, err := a.conflicts(ctx, o)
			if err != nil && !isStatus(err, http.StatusNotFound) {
				return fmt.Errorf("%s: %w", o.Path, err)
			}
			o.Manifest = without(o.Manifest, foreign)
		}
		if err := a.do(ctx, "PATCH", o.Path+"?fieldManager=eks&force=true", applyPatch, o.Manifest, nil); err != nil {
			return fmt.Errorf("%s: %w", o.Path, err)
		}
	}
	return nil
}

// conflicts tries what applying would do, and lists the fields that a customer has set to another value.
func (a *admin) conflicts(ctx context.Context, o Object) (customers []string, err error) {
	err = a.do(ctx, "PATCH", o.Path+"?fieldManager=eks&dryRun=All", applyPatch, o.Manifest, nil)
	var status *statusError
	if !errors.As(err, &status) || status.code != http.StatusConflict {
		return nil, err
	}
	for _, cause := range status.causes {
		if cause.Reason == "FieldManagerConflict" && !strings.Contains(cause.Message, bootstrapper) {
			customers = append(customers, cause.Field)
		}
	}
	return customers, nil
}

// cause is a part of why the API server has refused something.
type cause struct{ Reason, Message, Field string }

// Remove implements Workbench.
func (a *admin) Remove(ctx context.Context, objects []Object) error {
	var errs []error
	for _, o := range objects {
		err := a.do(ctx, "DELETE", o.Path, plainJSON, map[string]string{"propagationPolicy": "Background"}, nil)
		if err != nil && !isStatus(err, http.StatusNotFound) {
			errs = append(errs, fmt.Errorf("%s: %w", o.Path, err))
		}
	}
	return errors.Join(errs...)
}

// step is one step of a field's path: ".spec", ".containers[name=\"coredns\"]".
var step = regexp.MustCompile(`\.((?:[^.\[\\]|\\.)+)(?:\[([a-zA-Z]+)="([^"]*)"\])?`)

// without is a copy of a manifest that lacks fields, given by their paths.
func without(manifest map[string]any, fields []string) map[string]any {
	if len(fields) == 0 {
		return manifest
	}
	b, err := json.Marshal(manifest)
	if err != nil {
		panic(err) // made of strings, numbers, maps and lists
	}
	var plain map[string]any
	if err := json.Unmarshal(b, &plain); err != nil {
		panic(err)
	}
	for _, f := range fields {
		drop(plain, step.FindAllStringSubmatch(f, -1))
	}
	return plain
}

func drop(at map[string]any, path [][]string) {
	if len(path) == 0 {
		return
	}
	name, key, value := strings.ReplaceAll(path[0][1], `\`, ""), path[0][2], path[0][3]
	if key == "" {
		if len(path) == 1 {
			delete(at, name)
			return
		}
		if next, ok := at[name].(map[string]any); ok {
			drop(next, path[1:])
		}
		return
	}
	list, _ := at[name].([]any)
	for _, e := range list {
		if next, ok := e.(map[string]any); ok && next[key] == value {
			drop(next, path[1:])
		}
	}
}
