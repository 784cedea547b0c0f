package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/controlplane"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// cloudFlags are the flags of every command that starts the embedded cloud.
type cloudFlags struct {
	root, listen, profile, faults, data string
	seed                                uint64
}

func (f *cloudFlags) add(c *cobra.Command, defaultFaults string) {
	c.Flags().StringVar(&f.root, "root", ".", "the repository: template, binaries and examples are below it")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "loopback address of the embedded cloud")
	c.Flags().StringVar(&f.profile, "profile", "fast", "how long AWS takes: fast or real")
	c.Flags().StringVar(&f.faults, "faults", defaultFaults, "injected faults: none, hostile, or JSON with rates")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "seed of ids and faults")
	c.Flags().StringVar(&f.data, "data", "", "folder for logs and clusters' data (default: a new temporary one)")
}

// start starts the embedded cloud. close removes its data if the folder was ours.
func (f *cloudFlags) start(ctx context.Context, progress io.Writer) (cloud *local.Cloud, close func(), err error) {
	profile, err := world.ProfileByName(f.profile)
	if err != nil {
		return nil, nil, usageError{err}
	}
	injected, err := faults.Parse(f.faults)
	if err != nil {
		return nil, nil, usageError{err}
	}
	root, err := filepath.Abs(f.root)
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "infra", "template")); err != nil {
		return nil, nil, usageError{fmt.Errorf("%s is not the ekspedite repository (no infra/template): use --root", root)}
	}
	binary, err := controlplane.Binary(ctx, root, progress)
	if err != nil {
		return nil, nil, err
	}
	data, remove := f.data, func() {}
	if data == "" {
		if data, err = os.MkdirTemp("", "ekspedite-"); err != nil {
			return nil, nil, err
		}
		remove = func() { _ = os.RemoveAll(data) }
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, nil, err
	}
	logFile, err := os.Create(filepath.Join(data, "cloud.log"))
	if err != nil {
		return nil, nil, err
	}
	cloud, err = local.Start(ctx, local.Options{
		Listen: f.listen, Profile: profile, Seed: f.seed, Faults: &injected,
		TemplateDir: filepath.Join(root, "infra", "template"), BinDir: filepath.Join(root, "build", "local"), DataDir: data,
		KubernetesBinary: func(context.Context) (string, error) { return binary, nil },
		Log:              slog.New(slog.NewTextHandler(logFile, nil)),
	})
	if err != nil {
		_ = logFile.Close() // the error at hand says more
		return nil, nil, fmt.Errorf("the embedded cloud did not start (its log: %s): %w", logFile.Name(), err)
	}
	return cloud, func() {
		_ = cloud.Close() // what fails to close ends with the process, which is next
		_ = logFile.Close()
		remove()
	}, nil
}

// howToReach tells how to use the embedded cloud from another terminal.
func howToReach(w io.Writer, cloud *local.Cloud) {
	fmt.Fprintf(w, "\nReach it from another terminal:\n")
	fmt.Fprintf(w, "  export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\n",
		cloud.Endpoint(), cloud.World.Region, cloud.AccessKey(), cloud.SecretKey())
	// The AWS CLI 1.45 ignores AWS_ENDPOINT_URL for SQS and would ask AWS itself.
	fmt.Fprintf(w, "  alias aws='aws --endpoint-url %s'\n", cloud.Endpoint())
	fmt.Fprintf(w, "  aws eks list-clusters; aws ec2 describe-instances; aws sqs list-queues\n")
	for _, c := range cloud.Clusters() {
		fmt.Fprintf(w, "  kubectl --kubeconfig %s get nodes,pods -A    # cluster %s in %s\n", c.AdminKubeconfig, c.Name, c.Region)
	}
	fmt.Fprintf(w, "  build/ekspedite local interrupt --instance i-…; build/ekspedite local grants; build/ekspedite local calls\n")
}
