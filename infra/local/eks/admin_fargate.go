package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	fargateScheduler = "fargate-scheduler"
	profileLabel     = "eks.amazonaws.com/fargate-profile"
	admissionAPI     = "/apis/admissionregistration.k8s.io/v1/"
)

// settleTime is how long Fargate's scheduler waits for further news before it looks at all pods again.
const settleTime = 100 * time.Millisecond

type fargatePodObject struct {
	Metadata struct {
		Name, Namespace, UID string
		Labels               map[string]string
		DeletionTimestamp    *string
		OwnerReferences      []struct{ Kind string }
	}
	Spec struct {
		NodeName, SchedulerName string
		Containers              []struct {
			Resources struct{ Requests map[string]string }
		}
	}
	Status struct{ Phase string }
}

// Fargate implements Workbench. EKS's webhook gives matching pods to Fargate's scheduler when they are created; here an
// admission policy does. Kubernetes before 1.36 has none: there, pods that no scheduler has bound yet are taken, and the
// default scheduler may be faster where it has a node that fits.
func (a *admin) Fargate(ctx context.Context, rules []FargateRules, machines FargateMachines) error {
	admitted, err := a.admitFargate(ctx, rules)
	if err != nil {
		return err
	}
	if err := a.keepDaemonsOff(ctx); err != nil {
		return err
	}
	news := make(chan struct{}, 1)
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	version, next, err := a.fargateRound(ctx, rules, machines, admitted)
	if err != nil {
		return err
	}
	go func() { ended <- a.watchPods(watching, version, news) }()
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	for {
		switch next {
		case idle: // the last profile and its pods are gone
			cancel()
			<-ctx.Done()
			return ctx.Err()
		case onNews:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case err := <-ended:
				return errors.Join(errors.New("the watch of pods has ended"), err)
			case <-news:
			case <-machines.Changed():
			}
		}
		timer.Reset(settleTime)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if _, next, err = a.fargateRound(ctx, rules, machines, admitted); err != nil {
			return err
		}
	}
}

// When Fargate's scheduler looks at the pods again.
const (
	soon   = iota // a Node is about to register
	onNews        // of a pod or machine
	idle          // never: another set of profiles comes with another call
)

// fargateRound looks at all pods, does what is to be done now, and says when to look again.
func (a *admin) fargateRound(ctx context.Context, rules []FargateRules, machines FargateMachines, admitted bool) (version string, next int, err error) {
	next = onNews
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []fargatePodObject
	}
	if err := a.do(ctx, "GET", "/api/v1/pods", plainJSON, nil, &list); err != nil {
		return "", next, err
	}
	keep := map[string]bool{}
	var errs []error
	for _, o := range list.Items {
		p, mine := o.pod(), o.Metadata.Labels[profileLabel]
		finished := o.Status.Phase == "Succeeded" || o.Status.Phase == "Failed"
		profile := ""
		for _, r := range rules {
			if mine == r.Profile || mine == "" && r.match(p) {
				profile = r.Profile
				break
			}
		}
		bound := o.Spec.NodeName != ""
		switch {
		case finished || !bound && o.Metadata.DeletionTimestamp != nil:
		case bound:
			if mine != "" {
				keep[p.UID] = true
			}
			if mine != "" && profile == "" && o.Metadata.DeletionTimestamp == nil { // its profile is gone
				errs = append(errs, a.do(ctx, "DELETE", o.path(), plainJSON, nil, nil))
			}
		case profile == "" || o.isDaemon() || admitted && o.Spec.SchedulerName != fargateScheduler:
		default:
			keep[p.UID] = true
			if node, ready := machines.Want(p, profile); ready {
				there, err := a.bindFargate(ctx, o, node, profile)
				if err == nil && !there {
					next = soon
				}
				errs = append(errs, err)
			}
		}
	}
	machines.Keep(keep)
	if len(rules) == 0 && len(keep) == 0 {
		next = idle
	}
	return list.Metadata.ResourceVersion, next, errors.Join(errs...)
}

func (o fargatePodObject) isDaemon() bool {
	return len(o.Metadata.OwnerReferences) > 0 && o.Metadata.OwnerReferences[0].Kind == "DaemonSet"
}

func (o fargatePodObject) path() string {
	return "/api/v1/namespaces/" + url.PathEscape(o.Metadata.Namespace) + "/pods/" + url.PathEscape(o.Metadata.Name)
}

func (o fargatePodObject) pod() FargatePod {
	p := FargatePod{UID: o.Metadata.UID, Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, Labels: o.Metadata.Labels}
	for _, c := range o.Spec.Containers {
		p.CPU += quantity(c.Resources.Requests["cpu"])
		p.Memory += quantity(c.Resources.Requests["memory"]) / (1 << 30)
	}
	return p
}

var quantities = map[string]float64{
	"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

// quantity reads what the API server has checked already.
func quantity(text string) float64 {
	number := strings.TrimRight(text, "kmKMGTi")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	return n * quantities[text[len(number):]]
}

// bindFargate gives a pod its Node. It is false when the Node has not registered yet: a pod on none would be collected.
func (a *admin) bindFargate(ctx context.Context, o fargatePodObject, node, profile string) (bool, error) {
	if err := a.do(ctx, "GET", nodePath(node), plainJSON, nil, nil); err != nil {
		if isStatus(err, http.StatusNotFound) {
			return false, nil
		}
		return false, err
	}
	err := a.do(ctx, "PATCH", o.path(), mergePatch, map[string]any{"metadata": map[string]any{"labels": map[string]string{profileLabel: profile}}}, nil)
	if err == nil {
		err = a.do(ctx, "POST", o.path()+"/binding", plainJSON, map[string]any{
			"apiVersion": "v1", "kind": "Binding", "metadata": map[string]string{"name": o.Metadata.Name, "namespace": o.Metadata.Namespace},
			"target": map[string]string{"apiVersion": "v1", "kind": "Node", "name": node},
		}, nil)
	}
	if isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusConflict) {
		err = nil // it is gone, or somebody else's by now: the next round sees
	}
	return true, err
}

// watchPods tells of news about pods until the server ends the watch.
func (a *admin) watchPods(ctx context.Context, version string, news chan<- struct{}) error {
	req, err := http.NewRequestWithContext(ctx, "GET", a.server+"/api/v1/pods?watch=1&resourceVersion="+url.QueryEscape(version), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", fargateScheduler)
	resp, err := (&http.Client{Transport: a.http.Transport}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode != http.StatusOK {
		return &statusError{code: resp.StatusCode, text: "watching pods"}
	}
	for events := json.NewDecoder(resp.Body); ; {
		var e struct{ Type string }
		if err := events.Decode(&e); err != nil {
			return err
		}
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

// admitFargate makes an admission policy for each profile and removes those of former ones. It is false where Kubernetes
// has no such policies.
func (a *admin) admitFargate(ctx context.Context, rules []FargateRules) (bool, error) {
	wanted := map[string]bool{}
	for _, r := range rules {
		name := "eks-fargate-" + strings.ToLower(strings.ReplaceAll(r.Profile, "_", "-"))
		wanted[name] = true
		meta := map[string]any{"name": name, "labels": map[string]string{fargateLabel: "fargate"}}
		for _, o := range []Object{
			{admissionAPI + "mutatingadmissionpolicies/" + name, map[string]any{
				"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": meta, "spec": map[string]any{
					"failurePolicy": "Ignore", "reinvocationPolicy": "Never",
					"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "resources": []string{"pods"}, "operations": []string{"CREATE"}}}},
					"matchConditions":  []any{map[string]string{"name": "profile", "expression": r.expression()}},
					"mutations":        []any{map[string]any{"patchType": "JSONPatch", "jsonPatch": map[string]string{"expression": `[JSONPatch{op: "add", path: "/spec/schedulerName", value: "` + fargateScheduler + `"}]`}}},
				},
			}},
			{admissionAPI + "mutatingadmissionpolicybindings/" + name, map[string]any{
				"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": meta, "spec": map[string]any{"policyName": name},
			}},
		} {
			err := a.do(ctx, "PATCH", o.Path+"?fieldManager=eks&force=true", applyPatch, o.Manifest, nil)
			if isStatus(err, http.StatusNotFound) {
				return false, nil
			}
			if err != nil {
				return false, fmt.Errorf("%s: %w", o.Path, err)
			}
		}
	}
	for _, kind := range []string{"mutatingadmissionpolicybindings", "mutatingadmissionpolicies"} {
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if err := a.do(ctx, "GET", admissionAPI+kind+"?labelSelector="+url.QueryEscape(fargateLabel+"=fargate"), plainJSON, nil, &list); err != nil {
			if isStatus(err, http.StatusNotFound) {
				return false, nil
			}
			return false, err
		}
		for _, o := range list.Items {
			if wanted[o.Metadata.Name] {
				continue
			}
			if err := a.do(ctx, "DELETE", admissionAPI+kind+"/"+url.PathEscape(o.Metadata.Name), plainJSON, nil, nil); err != nil && !isStatus(err, http.StatusNotFound) {
				return false, err
			}
		}
	}
	return true, nil
}

// expression is the profile's selectors in the Common Expression Language. DaemonSets' pods cannot run on Fargate.
func (r FargateRules) expression() string {
	matches := func(pattern string) string {
		q := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		return ".matches(" + strconv.Quote("^"+q+"$") + ")"
	}
	var any []string
	for _, s := range r.Selectors {
		all := []string{"request.namespace" + matches(s.Namespace)}
		for _, k := range sortedKeys(s.Labels) {
			key := strconv.Quote(k)
			all = append(all, "has(object.metadata.labels) && "+key+" in object.metadata.labels && object.metadata.labels["+key+"]"+matches(s.Labels[k]))
		}
		any = append(any, "("+strings.Join(all, " && ")+")")
	}
	return `object.spec.schedulerName == "default-scheduler" && (!has(object.metadata.ownerReferences) || !object.metadata.ownerReferences.exists(o, o.kind == "DaemonSet")) && (` + strings.Join(any, " || ") + ")"
}

// awayFromFargate is what EKS's own DaemonSets say of Fargate's nodes, whose taint they tolerate.
func awayFromFargate() map[string]any {
	return map[string]any{"nodeAffinity": map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{"nodeSelectorTerms": []any{
		map[string]any{"matchExpressions": []any{map[string]any{"key": fargateLabel, "operator": "NotIn", "values": []string{"fargate", "hybrid", "auto"}}}},
	}}}}
}

// keepDaemonsOff completes aws-node and kube-proxy as the control plane has installed them.
func (a *admin) keepDaemonsOff(ctx context.Context) error {
	for _, name := range []string{"aws-node", "kube-proxy"} {
		p := "/apis/apps/v1/namespaces/kube-system/daemonsets/" + name
		if err := a.do(ctx, "GET", p, plainJSON, nil, nil); err != nil {
			if isStatus(err, http.StatusNotFound) {
				continue
			}
			return err
		}
		err := a.do(ctx, "PATCH", p+"?fieldManager=eks-fargate&force=true", applyPatch, map[string]any{
			"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": map[string]string{"name": name, "namespace": "kube-system"},
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"affinity": awayFromFargate()}}},
		}, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}
