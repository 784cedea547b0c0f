package kube

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
)

// webhooks reads who is asked before objects are written.
func (r *ready) webhooks() error {
	const group = "/apis/admissionregistration.k8s.io/v1/"
	err := each(r.ctx, r.Client, query{op: "list ValidatingWebhookConfigurations", path: group + "validatingwebhookconfigurations"}, func(c *admissionv1.ValidatingWebhookConfiguration) {
		for i := range c.Webhooks {
			h := &c.Webhooks[i]
			r.o.Webhooks = append(r.o.Webhooks, webhook("ValidatingWebhookConfiguration", c.Name, h.Name, h.FailurePolicy, h.ClientConfig, h.TimeoutSeconds, h.Rules, h.NamespaceSelector, h.ObjectSelector, h.MatchConditions))
		}
	})
	if err != nil {
		return err
	}
	return each(r.ctx, r.Client, query{op: "list MutatingWebhookConfigurations", path: group + "mutatingwebhookconfigurations"}, func(c *admissionv1.MutatingWebhookConfiguration) {
		for i := range c.Webhooks {
			h := &c.Webhooks[i]
			r.o.Webhooks = append(r.o.Webhooks, webhook("MutatingWebhookConfiguration", c.Name, h.Name, h.FailurePolicy, h.ClientConfig, h.TimeoutSeconds, h.Rules, h.NamespaceSelector, h.ObjectSelector, h.MatchConditions))
		}
	})
}

// webhookTimeout is what Kubernetes takes where nobody says.
const webhookTimeout = 10 * time.Second

func webhook(kind, configuration, name string, policy *admissionv1.FailurePolicyType, to admissionv1.WebhookClientConfig, timeout *int32, rules []admissionv1.RuleWithOperations,
	namespaces, objects *metav1.LabelSelector, conditions []admissionv1.MatchCondition) readiness.Webhook {
	w := readiness.Webhook{
		Kind: kind, Configuration: configuration, Name: name, Fail: policy == nil || *policy == admissionv1.Fail, Timeout: webhookTimeout, Conditions: len(conditions) > 0,
		NamespaceSelector: selector(namespaces, nil, nil, nil), ObjectSelector: selector(objects, nil, nil, nil),
	}
	if to.Service != nil {
		w.Service = to.Service.Namespace + "/" + to.Service.Name
	}
	if timeout != nil {
		w.Timeout = time.Duration(*timeout) * time.Second
	}
	for _, r := range rules {
		rule := readiness.WebhookRule{Groups: r.APIGroups, Resources: r.Resources}
		for _, o := range r.Operations {
			rule.Operations = append(rule.Operations, string(o))
		}
		if r.Scope != nil {
			rule.Scope = string(*r.Scope)
		}
		w.Rules = append(w.Rules, rule)
	}
	return w
}

// services reads services, and the addresses that people write into services and network policies.
func (r *ready) services() error {
	address := func(object string, texts ...string) {
		for _, t := range texts {
			if t != "" {
				r.o.Addresses = append(r.o.Addresses, readiness.Address{Object: object, Text: t})
			}
		}
	}
	err := items(r.ctx, r.Client, "list Services", "/api/v1/services", "", new(corev1.ServiceList), func(l *corev1.ServiceList) {
		for i := range l.Items {
			s := &l.Items[i]
			r.o.Services = append(r.o.Services, readiness.Service{Namespace: s.Namespace, Name: s.Name, Selector: s.Spec.Selector, ExternalIPs: s.Spec.ExternalIPs})
			object := "Service " + id(&s.ObjectMeta)
			address(object, s.Spec.ExternalIPs...)
			address(object, s.Spec.LoadBalancerSourceRanges...)
			address(object, s.Spec.LoadBalancerIP)
		}
	})
	if err != nil {
		return err
	}
	return each(r.ctx, r.Client, query{op: "list NetworkPolicies", path: "/apis/networking.k8s.io/v1/networkpolicies"}, func(p *networkingv1.NetworkPolicy) {
		var peers []networkingv1.NetworkPolicyPeer
		for _, in := range p.Spec.Ingress {
			peers = append(peers, in.From...)
		}
		for _, out := range p.Spec.Egress {
			peers = append(peers, out.To...)
		}
		for _, peer := range peers {
			if peer.IPBlock != nil {
				address("NetworkPolicy "+id(&p.ObjectMeta), append([]string{peer.IPBlock.CIDR}, peer.IPBlock.Except...)...)
			}
		}
	})
}

// definitionsPage is how many CustomResourceDefinitions are read at once: one may have a megabyte of schemas.
const definitionsPage = 25

func (r *ready) definitions() error {
	type definition struct {
		Metadata struct{ Name string }
		Spec     struct {
			Versions []readiness.DefinitionVersion
		}
		Status struct{ StoredVersions []string }
	}
	return each(r.ctx, r.Client, query{op: "list CustomResourceDefinitions", path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", limit: definitionsPage}, func(d *definition) {
		r.o.Definitions = append(r.o.Definitions, readiness.Definition{Name: d.Metadata.Name, Stored: d.Status.StoredVersions, Versions: d.Spec.Versions})
	})
}

func (r *ready) apiServices() error {
	type service struct {
		Metadata struct{ Name string }
		Spec     struct {
			Service *struct{ Namespace, Name string }
		}
		Status struct {
			Conditions []struct{ Type, Status, Reason, Message string }
		}
	}
	return each(r.ctx, r.Client, query{op: "list APIServices", path: "/apis/apiregistration.k8s.io/v1/apiservices"}, func(s *service) {
		if s.Spec.Service == nil {
			return // the API server's own
		}
		out := readiness.APIService{Name: s.Metadata.Name, Service: s.Spec.Service.Namespace + "/" + s.Spec.Service.Name}
		for _, c := range s.Status.Conditions {
			if c.Type == "Available" {
				out.Available, out.Why = c.Status == "True", strings.TrimPrefix(c.Reason+": "+c.Message, ": ")
			}
		}
		if out.Available {
			out.Why = ""
		}
		r.o.APIServices = append(r.o.APIServices, out)
	})
}

// kubeProxy reads the configuration that EKS gives to kube-proxy.
func (r *ready) kubeProxy() error {
	var m corev1.ConfigMap
	text, err := body(r.rest.Get().AbsPath("/api/v1/namespaces/kube-system/configmaps/kube-proxy-config").SetHeader("Accept", "application/json").MaxRetries(0).Do(r.ctx))
	if err := classify("get ConfigMap kube-system/kube-proxy-config", err); err != nil {
		return optional(err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fault.New(fault.Transient, "get ConfigMap kube-system/kube-proxy-config: %v", err)
	}
	var c struct{ Mode string }
	if err := yaml.Unmarshal([]byte(m.Data["config"]), &c); err != nil {
		return fault.New(fault.Invalid, "ConfigMap kube-system/kube-proxy-config: its config is not YAML: %v", err)
	}
	r.o.KubeProxy = readiness.KubeProxy{Found: true, Mode: c.Mode}
	return nil
}

// bindings reads what callers without a name may do.
func (r *ready) bindings() error {
	return each(r.ctx, r.Client, query{op: "list ClusterRoleBindings", path: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"}, func(b *rbacv1.ClusterRoleBinding) {
		if slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool {
			return s.Kind == rbacv1.UserKind && s.Name == "system:anonymous" || s.Kind == rbacv1.GroupKind && s.Name == "system:unauthenticated"
		}) {
			r.o.Anonymous = append(r.o.Anonymous, readiness.Named{Name: b.Name, Status: b.RoleRef.Name})
		}
	})
}

// tokens reads the names of service accounts' tokens that never end.
func (r *ready) tokens() error {
	return eachMeta(r.ctx, r.Client, query{op: "list Secrets", path: "/api/v1/secrets", fields: "type=" + string(corev1.SecretTypeServiceAccountToken)}, func(m *metav1.PartialObjectMetadata) {
		r.o.TokenSecrets = append(r.o.TokenSecrets, id(&m.ObjectMeta))
	})
}

// endpoints reads the Endpoints that the control plane does not write by itself.
func (r *ready) endpoints() error {
	own := []string{"kube-controller-manager", "kube-apiserver"}
	return eachMeta(r.ctx, r.Client, query{op: "list Endpoints", path: "/api/v1/endpoints"}, func(m *metav1.PartialObjectMetadata) {
		_, election := m.Annotations["control-plane.alpha.kubernetes.io/leader"]
		if election || m.Labels["endpoints.kubernetes.io/managed-by"] != "" || m.Namespace == "default" && m.Name == "kubernetes" {
			return
		}
		if slices.ContainsFunc(m.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return slices.Contains(own, f.Manager) }) {
			return
		}
		r.o.EndpointObjects = append(r.o.EndpointObjects, id(&m.ObjectMeta))
	})
}
