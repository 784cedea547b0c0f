package main

import (
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/deployment"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/kubeconfig"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
)

func clusterKubeconfig() *cobra.Command {
	var flags accountFlags
	var region, file, name string
	var use bool
	c := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Let kubectl reach a cluster",
		Long: `Let kubectl reach a cluster: write it into a kubeconfig file, with this program as the source of tokens; the AWS CLI is not
needed. The file is the first one of KUBECONFIG, or ~/.kube/config. Everything else in it stays, it is replaced at once, and
what it was before is kept beside it as *.before-ekspedite. The current context stays, too, unless there is none or --use
asks for it. Who may come in is said by the cluster's access entries.` + exits("1 there is no such cluster, or the file cannot be written", "2 the command line is wrong"),
		Example: `  ekspedite cluster kubeconfig demo
  ekspedite cluster kubeconfig demo --region eu-west-1 --use
  ekspedite cluster kubeconfig demo --file -             # to standard output`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		d, err := flags.open(ctx)
		if err != nil {
			return err
		}
		in := region
		if in == "" {
			l, err := d.Ledger(ctx)
			if err != nil {
				return err
			}
			id, err := resolve(ctx, l, args[0], "")
			if err != nil {
				return err
			}
			in = id.Region
		}
		cluster, err := awscloud.NewClusters(d.In(in)).Cluster(ctx, args[0])
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "EKS has no cluster %s in %s", args[0], in)
		}
		if err != nil {
			return err
		}
		if cluster.Endpoint == "" {
			return fmt.Errorf("cluster %s has no endpoint yet: it is %s", args[0], cluster.Status)
		}
		a := kubeconfig.Access{
			Cluster: cluster, Context: name, Command: self(), Args: []string{"cluster", "token", args[0], "--region", in}, Env: environment(d),
		}
		if file == "-" {
			text, err := kubeconfig.Merge(nil, a, true)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		}
		path := file
		if path == "" {
			if path, err = kubeconfig.Path(os.Getenv, os.UserHomeDir); err != nil {
				return err
			}
		}
		backup, err := kubeconfig.Write(path, a, use)
		if err != nil {
			return err
		}
		context := cluster.ARN
		if name != "" {
			context = name
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s has cluster %s; try: kubectl --context %s get nodes\n", path, args[0], context)
		if backup != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "what it was before is in %s\n", backup)
		}
		return nil
	}
	flags.output = "text"
	flags.addAccount(c)
	c.Flags().StringVar(&flags.Table, "table", "", "the ledger's table (default: EKSPEDITE_TABLE, or what CloudFormation says)")
	c.Flags().StringVar(&region, "region", "", "the cluster's Region (default: what the ledger says)")
	c.Flags().StringVar(&file, "file", "", "the kubeconfig file; - is standard output (default: KUBECONFIG, or ~/.kube/config)")
	c.Flags().StringVar(&name, "context", "", "name of the context (default: the cluster's ARN)")
	c.Flags().BoolVar(&use, "use", false, "make it the current context")
	return c
}

// self is this program, as kubectl is to find it: by name where that leads here.
func self() string {
	me, err := os.Executable()
	if err != nil {
		return "ekspedite"
	}
	if found, err := osexec.LookPath("ekspedite"); err == nil && same(found, me) {
		return "ekspedite"
	}
	return me
}

func same(a, b string) bool {
	a, errA := filepath.EvalSymlinks(a)
	b, errB := filepath.EvalSymlinks(b)
	return errA == nil && errB == nil && a == b
}

// environment is what a token needs and kubectl may not have when it is called: whose credentials, and where.
func environment(d *deployment.Deployment) map[string]string {
	env := map[string]string{}
	if profile := os.Getenv("AWS_PROFILE"); profile != "" {
		env["AWS_PROFILE"] = profile
	}
	if d.Endpoint != "" {
		env["AWS_ENDPOINT_URL"] = d.Endpoint
	}
	return env
}

// credential is client-go's answer of an exec plugin.
type credential struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Spec       map[string]any `json:"spec"`
	Status     struct {
		ExpirationTimestamp time.Time `json:"expirationTimestamp"`
		Token               string    `json:"token"`
	} `json:"status"`
}

// tokenLife is how long kubectl may use a token. EKS takes it for 15 minutes.
const tokenLife = 14 * time.Minute

func clusterToken() *cobra.Command {
	var flags accountFlags
	var region string
	c := &cobra.Command{
		Use:   "token NAME --region REGION",
		Short: "Print a token for a cluster, as kubectl wants it of an exec plugin",
		Long: `Print a token for a cluster as a client.authentication.k8s.io/v1 ExecCredential, made of your AWS credentials without a
call. ` + "`ekspedite cluster kubeconfig`" + ` writes this command into kubeconfig files. A token is as good as the credentials for 15
minutes: do not print it where others read.` + exits("1 there are no credentials", "2 the command line is wrong"),
		Example: `  ekspedite cluster token demo --region us-east-1 | jq -r .status.token`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := deployment.Open(cmd.Context(), flags.Options)
			if err != nil {
				return err
			}
			if region == "" {
				region = d.Region
			}
			if region == "" {
				return usageError{errors.New("name the cluster's Region by --region")}
			}
			token, err := awscloud.NewTokens(d.In(region), time.Now).Token(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			out := credential{APIVersion: "client.authentication.k8s.io/v1", Kind: "ExecCredential", Spec: map[string]any{"interactive": false}}
			out.Status.ExpirationTimestamp, out.Status.Token = time.Now().Add(tokenLife).UTC().Truncate(time.Second), token
			return clusterview.JSON(cmd.OutOrStdout(), out)
		},
	}
	flags.addAccount(c)
	c.Flags().StringVar(&region, "region", "", "the cluster's Region (default: AWS_REGION, or your profile's)")
	return c
}
