package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Scaling is what decisions know of the scaling function: what the policy asks of it, and how a cluster rings.
type Scaling struct {
	fleet.ScalingPolicy
	// Role reads what nodes are planned from: an ARN. Without one nobody scales.
	Role string
	// Bell is the URL that this cluster calls, with a path that is a secret of its own. Unknown to who plans without writing:
	// then whatever is there is taken to be it.
	Bell string
	// Function is the ARN of the function behind it, for CloudWatch Logs to call; unknown like Bell, "" where the cluster is in
	// another Region.
	Function string
	// Had says that the cluster was scaled before: what is not wanted any more is looked for and taken away.
	Had bool
}

// On tells whether somebody plans the cluster's nodes.
func (s Scaling) On() bool {
	return s.Role != "" && s.Mode != "" && s.Mode != fleet.ScalingOff
}

// by tells whether the cluster rings this way.
func (s Scaling) by(d fleet.Doorbell) bool { return s.On() && s.Doorbell == d }

// ScalingGroup is the Kubernetes group of the function that plans nodes.
const ScalingGroup = "ekspedite:scaling"

const (
	scalingName  = "ekspedite-scaling"
	idRinging    = "subscription/cluster"
	idAlarm      = "alarm/pending-pods"
	scheduler    = "scheduler"
	areaDoorbell = "doorbell"
)

// scalingRules are all that planning nodes takes in a cluster: it reads what pods ask for, and what nodes give. Draining is
// the interruption function's.
func scalingRules() []any {
	rule := func(group string, resources ...string) any {
		return fleet.Props{"apiGroups": []any{group}, "resources": fleet.Strings(resources), "verbs": []any{"list"}}
	}
	return []any{
		rule("", "pods", "nodes", "namespaces", "persistentvolumeclaims", "persistentvolumes"),
		rule("apps", "daemonsets"),
		rule("policy", "poddisruptionbudgets"),
		rule("storage.k8s.io", "storageclasses", "csinodes"),
	}
}

// scaled is what the scaling function may see of the cluster, and how it hears of pods that found no node. Where the policy
// has changed, what was there for it goes.
func (b *builder) scaled() {
	on := b.opt.Scaling
	meta := fleet.Props{"name": scalingName, "labels": fleet.Props{"app.kubernetes.io/managed-by": "ekspedite"}}
	const group = "rbac.authorization.k8s.io"
	b.either(on.On(), fleet.Props{"apiVersion": group + "/v1", "kind": "ClusterRole", "metadata": meta, "rules": scalingRules()})
	b.either(on.On(), fleet.Props{
		"apiVersion": group + "/v1", "kind": "ClusterRoleBinding", "metadata": meta,
		"roleRef":  fleet.Props{"apiGroup": group, "kind": "ClusterRole", "name": scalingName},
		"subjects": []any{fleet.Props{"apiGroup": group, "kind": "Group", "name": ScalingGroup}},
	})
	if !on.On() && !slices.ContainsFunc(b.s.Access, func(a fleet.AccessSpec) bool { return a.Principal == on.Role }) {
		b.gone(fleet.Ref{ID: "access/" + on.Role, Kind: "access", Name: on.Role}, func() plan.Call {
			return b.child(plan.Delete, "access/"+on.Role, "eks:DeleteAccessEntry", "let "+last(on.Role)+" in no longer", fleet.Props{"principalArn": on.Role})
		})
	}
	b.either(on.by(fleet.DoorbellWebhook), b.webhook())
	b.ringByLogs()
	b.ringByAlarm()
	if on.by(fleet.DoorbellWebhook) {
		switch b.s.Network.EgressMode {
		case "CUSTOMER_ROUTED":
			b.notes = append(b.notes, "the doorbell is a webhook, and the control plane's way out leads through the VPC (CUSTOMER_ROUTED): its subnets need a way to the internet, "+
				"since a function URL has no VPC endpoint; without one use doorbell: Logs or Metrics in the policy. The sweep of every minute works in any case")
		case "CUSTOMER_ISOLATED":
			b.notes = append(b.notes, "the doorbell is a webhook, and the control plane has no way out (CUSTOMER_ISOLATED): it will not be heard; "+
				"use doorbell: Logs or Metrics in the policy. The sweep of every minute works in any case")
		}
	}
}

// webhook is the bell in the cluster. It is called when the scheduler has found for the first time that a pod fits on no node,
// and decides nothing: whatever comes of the call, the pod's status is written, a second later at worst.
func (b *builder) webhook() fleet.Props {
	const unschedulable = "has(%[1]s.status.conditions) && %[1]s.status.conditions.exists(c, c.type == 'PodScheduled' && c.status == 'False' && c.reason == 'Unschedulable')"
	o := fleet.Props{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
		"metadata": fleet.Props{"name": fleet.DoorbellName, "labels": fleet.Props{"app.kubernetes.io/managed-by": "ekspedite"}},
	}
	url := b.opt.Scaling.Bell
	if have := b.o.first(refOf(o).ID); have != nil && plan.IsUnknown(url) {
		for _, hook := range fleet.Items(have.Props, "webhooks") {
			url = fleet.Text(hook, "clientConfig", "url")
		}
	}
	o["webhooks"] = []any{
		fleet.Props{
			"name":         "doorbell.ekspedite.dev",
			"clientConfig": fleet.Props{"url": url},
			"rules": []any{fleet.Props{
				"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"UPDATE"}, "resources": []any{"pods/status"}, "scope": "Namespaced",
			}},
			// Every other status that is written costs an expression, and no call.
			"matchConditions": []any{
				fleet.Props{"name": "scheduler", "expression": "request.userInfo.username == 'system:kube-scheduler'"},
				fleet.Props{"name": "newly-unschedulable", "expression": fmt.Sprintf(unschedulable, "object") + " && !(" + fmt.Sprintf(unschedulable, "oldObject") + ")"},
			},
			"matchPolicy": "Exact", "failurePolicy": "Ignore", "sideEffects": "None", "timeoutSeconds": 1, "admissionReviewVersions": []any{"v1"},
		},
	}
	return o
}

// either has an object in the cluster, or has it not.
func (b *builder) either(wanted bool, o fleet.Props) {
	if wanted {
		b.object("access", o)
		return
	}
	ref := refOf(o)
	b.gone(ref, func() plan.Call {
		kind, name := strings.ToLower(fleet.Text(o, "kind")), fleet.Text(o, "metadata", "name")
		// Its name is all that is said: what it would be is nobody's business any more.
		return plan.Call{Of: plan.Of{Cluster: b.s.Name, ID: ref.ID}, Effect: plan.Delete, API: "kubernetes:Delete", Does: "take " + kind + " " + name + " away",
			Input: fleet.Props{"apiVersion": o["apiVersion"], "kind": o["kind"], "metadata": fleet.Props{"name": name}}}
	})
}

// gone is what was there for scaling and is not wanted any more. Whether it is there is only asked where it may be.
func (b *builder) gone(ref fleet.Ref, take func() plan.Call) {
	if !b.opt.Scaling.Had || ref.Name == "" {
		return
	}
	r := resource{Ref: ref, id: ref.ID, area: areaDoorbell, needs: []string{idCluster}, inside: ref.Kind == "kubernetes", state: ready}
	switch {
	case r.inside && b.o.Unreachable != "":
		r.notes = append(r.notes, "whether "+ref.ID+" is still there could not be seen: the API server does not answer")
	case b.o.first(ref.ID) != nil:
		r.state, r.do = differs, []plan.Call{take()}
	}
	b.at[ref.ID] = len(b.list)
	b.list = append(b.list, r)
}

// ringByLogs has CloudWatch Logs bring the doorbell what the scheduler says of pods that fit on no node.
func (b *builder) ringByLogs() {
	group := "/aws/eks/" + b.s.Name + "/cluster"
	ref := fleet.Ref{ID: idRinging, Kind: "subscription", Name: group}
	switch {
	case !b.opt.Scaling.by(fleet.DoorbellLogs):
		b.gone(ref, func() plan.Call {
			return b.call(plan.Delete, idRinging, "logs:DeleteSubscriptionFilter", "no longer ring by the scheduler's log", fleet.Props{"logGroupName": group, "filterName": fleet.DoorbellName})
		})
		return
	case b.opt.Scaling.Function == "":
		b.notes = append(b.notes, "the scheduler's log cannot ring: CloudWatch Logs calls functions of its own Region only, and ekspedite's is in another; use doorbell: Webhook in the policy")
		return
	case !slices.Contains(b.s.Logging, scheduler):
		b.notes = append(b.notes, "the scheduler's log cannot ring: it is not kept; add scheduler to cloudWatch.clusterLogging.enableTypes, or use doorbell: Webhook in the policy")
		return
	}
	want := fleet.Props{"logGroupName": group, "filterName": fleet.DoorbellName, "filterPattern": `"` + fleet.NoFit + `"`, "destinationArn": b.opt.Scaling.Function}
	if have := b.o.first(idRinging); have != nil && plan.IsUnknown(b.opt.Scaling.Function) {
		want["destinationArn"] = have.Props["destinationArn"]
	}
	needs := []string{idCluster} // which makes the group, unless it was made for its retention
	if _, made := b.at[idLogGroup]; made {
		needs = append(needs, idLogGroup)
	}
	put := func(effect plan.Effect) plan.Call {
		return b.call(effect, idRinging, "logs:PutSubscriptionFilter", "ring by the scheduler's log", want)
	}
	b.add(thing{
		Ref: ref, area: areaDoorbell, needs: needs,
		create: func() plan.Call { return put(plan.Create) },
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			if fleet.Covers(have.Props, want) {
				return nil, nil
			}
			return []plan.Call{put(plan.Change)}, nil
		},
	})
}

// ringByAlarm has CloudWatch say when EKS's metric of pods that fit on no node is above zero. The rule of the template brings
// it to the scaling function.
func (b *builder) ringByAlarm() {
	name := fleet.PendingPodsAlarm(b.s.Name)
	ref := fleet.Ref{ID: idAlarm, Kind: "alarm", Name: name}
	switch {
	case !b.opt.Scaling.by(fleet.DoorbellMetrics):
		b.gone(ref, func() plan.Call {
			return b.call(plan.Delete, idAlarm, "cloudwatch:DeleteAlarms", "no longer ring by the metric of pending pods", fleet.Props{"alarmNames": []any{name}})
		})
		return
	case b.opt.Scaling.Function == "":
		b.notes = append(b.notes, "the metric of pending pods cannot ring: alarms go to the event bus of their own Region, and ekspedite's is in another; use doorbell: Webhook in the policy")
		return
	}
	want := fleet.Props{
		"alarmName": name, "alarmDescription": "ekspedite: pods of the cluster " + b.s.Name + " find no node",
		"namespace": "AWS/EKS", "metricName": "scheduler_pending_pods_UNSCHEDULABLE", "dimensions": []any{fleet.Props{"name": "ClusterName", "value": b.s.Name}},
		"statistic": "Maximum", "period": 60, "evaluationPeriods": 1, "datapointsToAlarm": 1, "threshold": 0, "comparisonOperator": "GreaterThanThreshold",
		"treatMissingData": "notBreaching",
	}
	put := func(effect plan.Effect) plan.Call {
		return b.call(effect, idAlarm, "cloudwatch:PutMetricAlarm", "ring by the metric of pending pods", want)
	}
	b.add(thing{
		Ref: ref, area: areaDoorbell, needs: []string{idCluster},
		create: func() plan.Call { return put(plan.Create) },
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			if fleet.Covers(have.Props, want) {
				return nil, nil
			}
			return []plan.Call{put(plan.Change)}, nil
		},
	})
}
