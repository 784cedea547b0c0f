// Package addons creates what EKS installs into a new cluster by itself: aws-node, kube-proxy and coredns. They only
// look like EKS's: names, labels, priorities and tolerations are what drains and schedulers go by.
package addons

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

const namespace = metav1.NamespaceSystem

// Apply creates the add-ons that are absent. Those that are there are left as they are: users may have changed them, and
// EKS does not touch them in an upgrade of the control plane either. version is the control plane's, "1.36".
func Apply(ctx context.Context, client kubernetes.Interface, serviceCIDR *net.IPNet, version string) error {
	daemonSets, deployments := client.AppsV1().DaemonSets(namespace), client.AppsV1().Deployments(namespace)
	budgets, services := client.PolicyV1().PodDisruptionBudgets(namespace), client.CoreV1().Services(namespace)
	return errors.Join(
		ensure(ctx, awsNode(), daemonSets.Get, daemonSets.Create),
		ensure(ctx, kubeProxy(version), daemonSets.Get, daemonSets.Create),
		ensure(ctx, coreDNS(), deployments.Get, deployments.Create),
		ensure(ctx, coreDNSBudget(), budgets.Get, budgets.Create),
		ensure(ctx, kubeDNS(serviceCIDR), services.Get, services.Create),
	)
}

// ensure asks before it creates: creating a Service that exists fails on its address, before the name is looked at. It
// goes on for a while because right after its readiness the server may not know the namespace or the Service range yet.
func ensure[T metav1.Object](
	ctx context.Context, object T,
	get func(context.Context, string, metav1.GetOptions) (T, error),
	create func(context.Context, T, metav1.CreateOptions) (T, error),
) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		if _, last = get(ctx, object.GetName(), metav1.GetOptions{}); apierrors.IsNotFound(last) {
			_, last = create(ctx, object, metav1.CreateOptions{})
		}
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("create %T %s: %w", object, object.GetName(), cmp.Or(last, err))
	}
	return nil
}

func awsNode() *appsv1.DaemonSet {
	return nodeDaemon("aws-node", map[string]string{
		"app.kubernetes.io/name":     "aws-node",
		"app.kubernetes.io/instance": "aws-vpc-cni",
		"k8s-app":                    "aws-node",
	}, []corev1.Container{
		container("aws-node", "amazon-k8s-cni:v1.21.1-eksbuild.1", "25m", ""),
		container("aws-eks-nodeagent", "amazon/aws-network-policy-agent:v1.3.1-eksbuild.1", "25m", ""),
	})
}

func kubeProxy(version string) *appsv1.DaemonSet {
	return nodeDaemon("kube-proxy", map[string]string{"k8s-app": "kube-proxy"}, []corev1.Container{
		container("kube-proxy", "eks/kube-proxy:v"+version+".0-minimal-eksbuild.1", "100m", ""),
	})
}

// nodeDaemon is a DaemonSet on every node, whatever its taints, in the host's network.
func nodeDaemon(name string, labels map[string]string, containers []corev1.Container) *appsv1.DaemonSet {
	selector := map[string]string{"k8s-app": labels["k8s-app"]}
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: selector},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				Type:          appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: ptr.To(intstr.FromString("10%"))},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					HostNetwork:                   true,
					PriorityClassName:             "system-node-critical",
					Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
					TerminationGracePeriodSeconds: ptr.To(int64(10)),
					AutomountServiceAccountToken:  ptr.To(false),
					Containers:                    containers,
				},
			},
		},
	}
}

func coreDNS() *appsv1.Deployment {
	labels := map[string]string{"k8s-app": "kube-dns", "eks.amazonaws.com/component": "coredns"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "coredns", Namespace: namespace, Labels: map[string]string{
			"k8s-app": "kube-dns", "eks.amazonaws.com/component": "coredns", "kubernetes.io/name": "CoreDNS",
		}},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(2)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr.To(intstr.FromInt32(1)), MaxSurge: ptr.To(intstr.FromString("25%"))},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					PriorityClassName:            "system-cluster-critical",
					AutomountServiceAccountToken: ptr.To(false),
					Tolerations: []corev1.Toleration{
						{Key: "CriticalAddonsOnly", Operator: corev1.TolerationOpExists},
						{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule},
					},
					// Preferred only: with one node both replicas still run.
					Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
						PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
							Weight: 100,
							PodAffinityTerm: corev1.PodAffinityTerm{
								LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
								TopologyKey:   corev1.LabelHostname,
							},
						}},
					}},
					Containers: []corev1.Container{container("coredns", "eks/coredns:eksbuild.1", "100m", "70Mi")},
				},
			},
		},
	}
}

func coreDNSBudget() *policyv1.PodDisruptionBudget {
	labels := map[string]string{"k8s-app": "kube-dns", "eks.amazonaws.com/component": "coredns"}
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "coredns", Namespace: namespace, Labels: labels},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: labels},
		},
	}
}

// kubeDNS has the tenth address of the Service range, as on EKS.
func kubeDNS(serviceCIDR *net.IPNet) *corev1.Service {
	ip := append(net.IP(nil), serviceCIDR.IP...)
	ip[len(ip)-1] += 10
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-dns", Namespace: namespace, Labels: map[string]string{
			"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS", "kubernetes.io/cluster-service": "true",
		}},
		Spec: corev1.ServiceSpec{
			ClusterIP: ip.String(),
			Selector:  map[string]string{"k8s-app": "kube-dns"},
			Ports: []corev1.ServicePort{
				{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP},
				{Name: "dns-tcp", Port: 53, Protocol: corev1.ProtocolTCP},
			},
		},
	}
}

func container(name, image, cpu, memory string) corev1.Container {
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	if memory != "" {
		requests[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return corev1.Container{
		Name:      name,
		Image:     "602401143452.dkr.ecr.us-east-1.amazonaws.com/" + image,
		Resources: corev1.ResourceRequirements{Requests: requests},
	}
}
