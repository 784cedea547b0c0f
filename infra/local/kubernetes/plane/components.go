package plane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/cache"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controlleroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// enabledControllers are those whose effects users of an EKS cluster see. Not among them is pod-garbage-collector: the
// kubelet stand-in's caller runs it with shorter periods. clusterrole-aggregation fills the view, edit and admin roles
// that access policies refer to.
var enabledControllers = []string{
	"clusterrole-aggregation-controller",
	"cronjob-controller",
	"daemonset-controller",
	"deployment-controller",
	"disruption-controller",
	"endpointslice-controller",
	"garbage-collector-controller",
	"job-controller",
	"namespace-controller",
	"node-lifecycle-controller",
	"replicaset-controller",
	"serviceaccount-controller",
	"statefulset-controller",
	"taint-eviction-controller",
	"ttl-after-finished-controller",
}

type prepared interface {
	Run(ctx context.Context) error
}

// newAPIServer follows what kube-apiserver's own Run does, to get at four things that no flag offers: the listener, the
// outer token cache, the reported version and who calls deprecated APIs.
func newAPIServer(ctx context.Context, cfg Config, f files, w *Witness) (prepared, error) {
	o := apiserveroptions.NewServerRunOptions()
	args := []string{
		"--etcd-servers=" + f.etcdURL,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		"--tls-cert-file=" + f.serverCert, "--tls-private-key-file=" + f.serverKey,
		"--client-ca-file=" + f.caFile,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + f.serviceAccountKey,
		"--service-account-signing-key-file=" + f.serviceAccountKey,
		"--service-cluster-ip-range=" + cfg.ServiceCIDR.String(),
		// Nothing runs in the pods, so nothing needs a token mounted, and they need not wait for one.
		"--disable-admission-plugins=ServiceAccount",
		"--endpoint-reconciler-type=none",
		// Nobody balances load over this one server: it can stop at once.
		"--shutdown-delay-duration=0s",
		"--emulated-version=" + cfg.Version.String(),
	}
	if apis := cfg.Version.betaAPIs(); apis != "" {
		args = append(args, "--runtime-config="+apis)
	}
	if f.tokenWebhookConfig != "" {
		args = append(args,
			"--authentication-token-webhook-config-file="+f.tokenWebhookConfig,
			"--authentication-token-webhook-version=v1",
			"--authentication-token-webhook-cache-ttl=2s")
	}
	if err := parse("kube-apiserver", o.Flags(), args); err != nil {
		return nil, err
	}
	o.SecureServing.Listener = cfg.Listener
	// A second cache, outside the webhook's, would hold a revoked access entry for ten seconds.
	o.Authentication.TokenSuccessCacheTTL = 2 * time.Second

	// The registry of versions and feature gates is the process's: set once, it holds for the other components too.
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	if err := logsapi.ValidateAndApply(o.Logs, nil); err != nil {
		return nil, err
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return nil, errors.Join(errs...)
	}
	if completed.InformerName, err = cache.NewInformerName("kube-apiserver"); err != nil {
		return nil, err
	}
	config, err := apiserver.NewConfig(completed)
	if err != nil {
		return nil, err
	}
	generic := config.KubeAPIs.ControlPlane.Generic
	generic.EffectiveVersion = reported{generic.EffectiveVersion, cfg.Version}
	aggregated := config.Aggregator.GenericConfig
	aggregated.EffectiveVersion = reported{aggregated.EffectiveVersion, cfg.Version}
	// Every request passes the aggregator's filters, whoever serves it.
	aggregated.AuditBackend, aggregated.AuditPolicyRuleEvaluator = w, w
	completedConfig, err := config.Complete()
	if err != nil {
		return nil, err
	}
	var server *aggregator.APIAggregator
	if server, err = apiserver.CreateServerChain(completedConfig); err != nil {
		return nil, err
	}
	return server.PrepareRun()
}

// startWorkers runs the scheduler and the controllers until ctx ends. That one of them ends earlier is a failure.
func (p *Plane) startWorkers(ctx context.Context, cfg Config, f files) error {
	so := scheduleroptions.NewOptions()
	common := []string{"--leader-elect=false", "--secure-port=0", "--kube-api-qps=2000", "--kube-api-burst=4000"}
	if err := parse("kube-scheduler", *so.Flags, append([]string{"--kubeconfig=" + f.schedulerConfig}, common...)); err != nil {
		return fmt.Errorf("kube-scheduler: %w", err)
	}
	var err error
	if so.InformerName, err = cache.NewInformerName("kube-scheduler"); err != nil {
		return fmt.Errorf("kube-scheduler: %w", err)
	}
	co, err := controlleroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("kube-controller-manager: %w", err)
	}
	known, disabled, aliases := controllers.KnownControllers(), controllers.ControllersDisabledByDefault(), controllers.ControllerAliases()
	flags := co.Flags(known, disabled, aliases)
	co.ParsedFlags = &flags
	if err := parse("kube-controller-manager", flags, append([]string{
		"--kubeconfig=" + f.controllersConfig,
		"--use-service-account-credentials=false",
		"--service-account-private-key-file=" + f.serviceAccountKey,
		"--controllers=" + strings.Join(enabledControllers, ","),
		"--node-monitor-grace-period=" + cfg.NodeGrace.String(),
		// A Node that has become ready stays tainted until the next look at it. The default is every 5 s.
		"--node-monitor-period=500ms",
		"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20",
	}, common...)); err != nil {
		return fmt.Errorf("kube-controller-manager: %w", err)
	}

	p.work(ctx, "kube-scheduler", func() error {
		config, instance, err := scheduler.Setup(ctx, so)
		if err != nil {
			return err
		}
		return scheduler.Run(ctx, config, instance)
	})
	p.work(ctx, "kube-controller-manager", func() error {
		config, err := co.Config(ctx, known, disabled, aliases)
		if err != nil {
			return err
		}
		return controllers.Run(ctx, config.Complete())
	})
	return nil
}

func (p *Plane) work(ctx context.Context, component string, run func() error) {
	go func() {
		err := run()
		if ctx.Err() != nil {
			return // It was told to stop, and how it reports that is of no interest.
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		p.fail(component, err)
	}()
}

func parse(component string, sets cliflag.NamedFlagSets, args []string) error {
	all := pflag.NewFlagSet(component, pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		all.AddFlagSet(set)
	}
	return all.Parse(args)
}
