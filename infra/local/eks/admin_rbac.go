package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// EKS enforces access policies with an authorizer of its own inside the API server, and leaves no trace of it in the
// cluster. Here they are RBAC: a ClusterRole a policy, and a binding a grant, in all namespaces that its scope names.
const (
	rbacAPI       = "/apis/rbac.authorization.k8s.io/v1/"
	policyLabel   = "eks.amazonaws.com/access-policy"
	policyObjects = "labelSelector=" + policyLabel
	applyPatch    = "application/apply-patch+yaml"
)

// Enforce implements Workbench.
func (a *admin) Enforce(ctx context.Context, grants []Grant) error {
	narrow := slices.ContainsFunc(grants, func(g Grant) bool { return len(g.Namespaces) > 0 })
	for {
		version, err := a.bind(ctx, grants)
		if err != nil {
			return err
		}
		if !narrow {
			<-ctx.Done()
			return ctx.Err()
		}
		if err := a.awaitNamespace(ctx, version); err != nil {
			return err
		}
	}
}

// bind makes the roles and bindings that grants ask for and removes all others of its own. It returns the version of the
// list of namespaces that it went by.
func (a *admin) bind(ctx context.Context, grants []Grant) (version string, err error) {
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []struct {
			Metadata struct{ Name string }
			Status   struct{ Phase string }
		}
	}
	if err := a.do(ctx, "GET", "/api/v1/namespaces", plainJSON, nil, &list); err != nil {
		return "", err
	}
	wanted := map[string]map[string]any{} // by path
	for _, g := range grants {
		wanted[rbacAPI+"clusterroles/"+url.PathEscape(roleOf(g.Policy))] = policyRole(g.Policy)
		name := roleOf(g.Policy) + ":" + g.Group[strings.LastIndexByte(g.Group, ':')+1:]
		if len(g.Namespaces) == 0 {
			wanted[rbacAPI+"clusterrolebindings/"+url.PathEscape(name)] = binding("ClusterRoleBinding", name, g)
			continue
		}
		for _, n := range list.Items {
			if n.Status.Phase != "Terminating" && slices.ContainsFunc(g.Namespaces, func(pattern string) bool { return inScope(pattern, n.Metadata.Name) }) {
				wanted[rbacAPI+"namespaces/"+n.Metadata.Name+"/rolebindings/"+url.PathEscape(name)] = binding("RoleBinding", name, g)
			}
		}
	}
	var errs []error
	for _, p := range sortedKeys(wanted) {
		// A namespace may be on its way out, or gone, by now.
		if err := a.do(ctx, "PATCH", p+"?fieldManager=eks&force=true", applyPatch, wanted[p], nil); err != nil && !isStatus(err, http.StatusNotFound) && !isStatus(err, http.StatusForbidden) {
			errs = append(errs, fmt.Errorf("%s: %w", p, err))
		}
	}
	return list.Metadata.ResourceVersion, errors.Join(append(errs, a.unbind(ctx, wanted))...)
}

// unbind removes the objects of former grants.
func (a *admin) unbind(ctx context.Context, wanted map[string]map[string]any) error {
	var errs []error
	for _, kind := range []string{"clusterrolebindings", "rolebindings", "clusterroles"} {
		var list struct {
			Items []struct {
				Metadata struct{ Name, Namespace string }
			}
		}
		if err := a.do(ctx, "GET", rbacAPI+kind+"?"+policyObjects, plainJSON, nil, &list); err != nil {
			errs = append(errs, err)
			continue
		}
		for _, o := range list.Items {
			p := rbacAPI + kind + "/" + url.PathEscape(o.Metadata.Name)
			if o.Metadata.Namespace != "" {
				p = rbacAPI + "namespaces/" + o.Metadata.Namespace + "/" + kind + "/" + url.PathEscape(o.Metadata.Name)
			}
			if wanted[p] != nil {
				continue
			}
			if err := a.do(ctx, "DELETE", p, plainJSON, nil, nil); err != nil && !isStatus(err, http.StatusNotFound) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func roleOf(policy string) string { return "eks:access-policy:" + policy }

// inScope matches a namespace against the pattern of an access scope; the only wildcard is "*".
func inScope(pattern, namespace string) bool {
	ok, err := path.Match(pattern, namespace)
	return err == nil && ok
}

func policyRole(policy string) map[string]any {
	var rules []map[string]any
	for _, r := range accessPolicies[policy].rules {
		rules = append(rules, r.manifest())
	}
	if policyPrefix+policy == clusterAdminPolicy {
		rules = append(rules, map[string]any{"nonResourceURLs": []string{"*"}, "verbs": []string{"*"}})
	}
	return map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": rules,
		"metadata": map[string]any{"name": roleOf(policy), "labels": map[string]string{policyLabel: policy}},
	}
}

func binding(kind, name string, g Grant) map[string]any {
	return map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
		"metadata": map[string]any{"name": name, "labels": map[string]string{policyLabel: g.Policy}},
		"roleRef":  map[string]string{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": roleOf(g.Policy)},
		"subjects": []map[string]string{{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": g.Group}},
	}
}

// awaitNamespace returns when there is a namespace that was not there at that version, or when it is time to look again.
func (a *admin) awaitNamespace(ctx context.Context, version string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", a.server+"/api/v1/namespaces?watch=1&timeoutSeconds=600&resourceVersion="+url.QueryEscape(version), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "eks-authorizer")
	stream := &http.Client{Transport: a.http.Transport} // without the time limit of single calls
	resp, err := stream.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode != http.StatusOK {
		return &statusError{code: resp.StatusCode, text: "watching namespaces"}
	}
	for events := json.NewDecoder(resp.Body); ; {
		var e struct{ Type string }
		if err := events.Decode(&e); err != nil {
			return ctx.Err() // the server ends every watch some time
		}
		switch e.Type {
		case "ADDED":
			return nil
		case "ERROR":
			return errors.New("the watch of namespaces was ended by an error")
		}
	}
}
