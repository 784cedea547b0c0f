package local_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/controlplane"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// What BenchmarkScale asks of one cluster.
const (
	manyNodes = 100
	manyPods  = 1000
)

// BenchmarkScale has a managed node group grow from zero to a hundred nodes for a thousand pods that wait, with a real
// control plane, and shrink to zero again. It prints how long each step took:
//
//	go test -run '^$' -bench Scale -benchtime 1x ./infra/local
func BenchmarkScale(b *testing.B) {
	for b.Loop() {
		scale(b)
	}
}

// scaled is a cloud with one cluster and one empty node group.
type scaled struct {
	b      *testing.B
	kube   *kube
	groups *autoscaling.Client
	group  *string
}

func scale(b *testing.B) {
	c, err := local.Start(b.Context(), local.Options{
		Seed: 1, Faults: &faults.None, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		KubernetesBinary: func(ctx context.Context) (string, error) { return controlplane.Binary(ctx, "../..", os.Stderr) },
	})
	must(b, err)
	defer func() { must(b, c.Close()) }()
	c.EC2.SetQuota("L-1216C47A", 10000) // vCPUs of standard instances
	s := newScaled(b, c)

	s.watch("pods created", func() { s.createPods() }, nil)
	s.watch("pods found unschedulable", nil, func(pods []corev1.Pod) bool {
		return count(pods, func(p corev1.Pod) bool {
			return len(p.Status.Conditions) > 0 && p.Status.Conditions[0].Reason == corev1.PodReasonUnschedulable
		}) == manyPods
	})
	s.watch("pods running on new nodes", func() { s.resize(manyNodes) }, func(pods []corev1.Pod) bool {
		return count(pods, func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }) == manyPods
	})
	s.watch("nodes ready", nil, func([]corev1.Pod) bool { return s.ready() == manyNodes })
	s.watch("pods deleted", func() {
		s.kube.call("DELETE", workPods, nil, nil)
	}, func(pods []corev1.Pod) bool { return len(pods) == 0 })
	s.watch("nodes gone", func() { s.resize(0) }, func([]corev1.Pod) bool {
		var nodes corev1.NodeList
		s.kube.call("GET", "/api/v1/nodes", nil, &nodes)
		return len(nodes.Items) == 0
	})
}

// watch does something, waits until it shows in the pods, and reports how long that took.
func (s *scaled) watch(what string, do func(), done func([]corev1.Pod) bool) {
	s.b.Helper()
	start := time.Now()
	if do != nil {
		do()
	}
	ctx, cancel := context.WithTimeout(s.b.Context(), 2*time.Minute)
	defer cancel()
	for done != nil {
		// From the server's cache: a thousand pods read from etcd twice a second would be the slowest of all clients.
		var pods corev1.PodList
		s.kube.call("GET", workPods+"?resourceVersion=0", nil, &pods)
		if done(pods.Items) {
			break
		}
		select {
		case <-ctx.Done():
			s.b.Fatalf("%s: not after %s; nodes ready: %d; pods: %v", what, time.Since(start), s.ready(), states(pods.Items))
		case <-time.After(500 * time.Millisecond):
		}
	}
	s.b.ReportMetric(time.Since(start).Seconds(), "s:"+strings.ReplaceAll(what, " ", "-"))
	s.b.Logf("%6.1f s  %s", time.Since(start).Seconds(), what)
}

// states counts pods by what keeps them.
func states(pods []corev1.Pod) map[string]int {
	m := map[string]int{}
	for _, p := range pods {
		state := string(p.Status.Phase)
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status != corev1.ConditionTrue {
				state += ": " + c.Message
			}
		}
		m[state]++
	}
	return m
}

func count(pods []corev1.Pod, f func(corev1.Pod) bool) int {
	n := 0
	for _, p := range pods {
		if f(p) {
			n++
		}
	}
	return n
}

func (s *scaled) ready() int {
	var nodes corev1.NodeList
	s.kube.call("GET", "/api/v1/nodes?resourceVersion=0", nil, &nodes)
	n := 0
	for _, node := range nodes.Items {
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				n++
			}
		}
	}
	return n
}

func (s *scaled) resize(n int32) {
	_, err := s.groups.SetDesiredCapacity(s.b.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: s.group, DesiredCapacity: &n})
	must(s.b, err)
}

// createPods makes pods of which ten fit on a node beside its daemons and CoreDNS.
func (s *scaled) createPods() {
	for n := range manyPods {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("work-%04d", n), Labels: map[string]string{"app": "work"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "work", Image: "work:1", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("160m"), corev1.ResourceMemory: resource.MustParse("256Mi")},
			}}}},
		}
		s.kube.call("POST", workPods, pod, nil)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newScaled(b *testing.B, c *local.Cloud) *scaled {
	ctx := b.Context()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(c.World.Region), config.WithBaseEndpoint(c.Endpoint()),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKey(), c.SecretKey(), "")))
	must(b, err)
	clusters, cluster := eks.NewFromConfig(cfg), aws.String("scale")
	subnets := network(b, ec2.NewFromConfig(cfg))
	roles := iam.NewFromConfig(cfg)
	in := &eks.CreateClusterInput{
		Name: cluster, RoleArn: role(b, roles, "cluster", "eks.amazonaws.com"), ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: subnets},
		AccessConfig: &types.CreateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeApi},
	}
	node := role(b, roles, "node", "ec2.amazonaws.com")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) { // other services see a new role late
		_, err := clusters.CreateCluster(ctx, in)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
	must(b, eks.NewClusterActiveWaiter(clusters, func(o *eks.ClusterActiveWaiterOptions) { o.MinDelay = 200 * time.Millisecond }).
		Wait(ctx, &eks.DescribeClusterInput{Name: cluster}, 5*time.Minute))
	_, err = clusters.CreateNodegroup(ctx, &eks.CreateNodegroupInput{
		ClusterName: cluster, NodegroupName: aws.String("many"), NodeRole: node, Subnets: subnets, InstanceTypes: []string{"m5.large"},
		ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(0), MaxSize: aws.Int32(manyNodes), DesiredSize: aws.Int32(0)},
	})
	must(b, err)
	made, err := eks.NewNodegroupActiveWaiter(clusters, func(o *eks.NodegroupActiveWaiterOptions) { o.MinDelay = 200 * time.Millisecond }).
		WaitForOutput(ctx, &eks.DescribeNodegroupInput{ClusterName: cluster, NodegroupName: aws.String("many")}, 5*time.Minute)
	must(b, err)
	return &scaled{b: b, kube: newKube(b, c.Clusters()[0].AdminKubeconfig), groups: autoscaling.NewFromConfig(cfg), group: made.Nodegroup.Resources.AutoScalingGroups[0].Name}
}

// workPods is the path of the namespace's pods.
const workPods = "/api/v1/namespaces/default/pods"

// kube is a client of one API server that fails the benchmark.
type kube struct {
	b      *testing.B
	server string
	http   *http.Client
}

// newKube reads a kubeconfig of one cluster and one user.
func newKube(b *testing.B, kubeconfig string) *kube {
	text, err := os.ReadFile(kubeconfig)
	must(b, err)
	var k struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     []byte `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			}
		}
	}
	must(b, yaml.Unmarshal(text, &k))
	pair, err := tls.X509KeyPair(k.Users[0].User.Cert, k.Users[0].User.Key)
	must(b, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(k.Clusters[0].Cluster.CA) {
		b.Fatal("the kubeconfig has no certificate authority")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	b.Cleanup(transport.CloseIdleConnections)
	return &kube{b, k.Clusters[0].Cluster.Server, &http.Client{Transport: transport}}
}

func (k *kube) call(method, path string, in, out any) {
	k.b.Helper()
	body, err := json.Marshal(in)
	must(k.b, err)
	req, err := http.NewRequestWithContext(k.b.Context(), method, k.server+path, bytes.NewReader(body))
	must(k.b, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := k.http.Do(req)
	must(k.b, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(k.b, err)
	if resp.StatusCode/100 != 2 {
		k.b.Fatalf("%s %s: %s", method, path, answer)
	}
	if out != nil {
		must(k.b, json.Unmarshal(answer, out))
	}
}

func network(b *testing.B, c *ec2.Client) []string {
	vpc, err := c.CreateVpc(b.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	must(b, err)
	var subnets []string
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		out, err := c.CreateSubnet(b.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String(fmt.Sprintf("10.0.%d.0/24", i)), AvailabilityZone: &zone})
		must(b, err)
		subnets = append(subnets, *out.Subnet.SubnetId)
	}
	return subnets
}

func role(b *testing.B, c *iam.Client, name, service string) *string {
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"sts:AssumeRole"}]}`, service)
	out, err := c.CreateRole(b.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	must(b, err)
	return out.Role.Arn
}
