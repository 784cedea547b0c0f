package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func localCommand() *cobra.Command {
	c := &cobra.Command{Use: "local", Short: "The embedded cloud"}
	c.AddCommand(localUp(), localInterrupt(), localCapacity(), localEKS(), localAlarm(),
		localHealth(), localImpair(), localCapacityBlock(), localFargateTermination(), localGet("calls", "Print the API calls that were served, one JSON line each"),
		localGet("grants", "Print what IAM granted and was used, what was never used, and what was denied"),
		localGet("lambda", "Print the functions' statistics"), localGet("clusters", "Print the clusters of all Regions with endpoint and kubeconfig"))
	return c
}

func localUp() *cobra.Command {
	var flags cloudFlags
	c := &cobra.Command{
		Use:   "up",
		Short: "Run the embedded cloud with the committed template until Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, stop, err := flags.start(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			defer stop()
			fmt.Fprintf(cmd.OutOrStdout(), "The embedded cloud is at %s. Running until Ctrl-C.\n", cloud.Endpoint())
			howToReach(cmd.OutOrStdout(), cloud)
			<-cmd.Context().Done()
			return nil
		},
	}
	flags.add(c, "hostile")
	return c
}

func localInterrupt() *cobra.Command {
	var instance, action string
	c := &cobra.Command{
		Use:   "interrupt --instance i-…",
		Short: "Have the embedded EC2 take a spot instance back",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := json.Marshal(map[string]string{"instanceId": instance, "action": action})
			if err != nil {
				return err
			}
			if err := admin(cmd.Context(), io.Discard, http.MethodPost, "/interrupt", body); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: interruption notice sent (%s)\n", instance, action)
			return nil
		},
	}
	c.Flags().StringVar(&instance, "instance", "", "the instance's id")
	c.Flags().StringVar(&action, "action", "terminate", "terminate, stop or hibernate")
	_ = c.MarkFlagRequired("instance")
	return c
}

func localCapacity() *cobra.Command {
	var instanceType, zone, market string
	var limit int
	c := &cobra.Command{
		Use:   "capacity --limit 0 [--type m5.large] [--zone us-east-1a] [--market spot]",
		Short: "Limit how many instances the embedded EC2 has at once, of a type, in a zone, on a market; without these, of all",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < -1 {
				return usageError{fmt.Errorf("--limit %d: 0 or more, or -1 for none", limit)}
			}
			if market != "" && market != "spot" && market != "on-demand" {
				return usageError{fmt.Errorf("--market is spot or on-demand, not %q", market)}
			}
			body, err := json.Marshal(map[string]any{"instanceType": instanceType, "az": zone, "market": market, "limit": limit})
			if err != nil {
				return err
			}
			if err := admin(cmd.Context(), io.Discard, http.MethodPost, "/capacity", body); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "type %s, zone %s, market %s: limit %d (-1 is none)\n", cmp.Or(instanceType, "any"), cmp.Or(zone, "any"), cmp.Or(market, "any"), limit)
			return nil
		},
	}
	c.Flags().StringVar(&instanceType, "type", "", "instance type")
	c.Flags().StringVar(&zone, "zone", "", "Availability Zone")
	c.Flags().StringVar(&market, "market", "", "spot or on-demand")
	c.Flags().IntVar(&limit, "limit", 0, "instances that may run at once; those that run stay; -1 ends the limit")
	_ = c.MarkFlagRequired("limit")
	return c
}

func localGet(what, short string) *cobra.Command {
	return &cobra.Command{
		Use: what, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return admin(cmd.Context(), cmd.OutOrStdout(), http.MethodGet, "/"+what, nil)
		},
	}
}

// admin calls the embedded cloud's own interface, at AWS_ENDPOINT_URL.
func admin(ctx context.Context, out io.Writer, method, path string, body []byte) error {
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	if endpoint == "" {
		return usageError{fmt.Errorf("AWS_ENDPOINT_URL is not set: copy the export line that `ekspedite local up` prints")}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(endpoint, "/")+"/_ekspedite"+path, bytes.NewReader(body))
	if err != nil {
		return usageError{err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no embedded cloud answers at %s: %w", endpoint, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("%s", strings.TrimSpace(string(text)))
	}
	_, err = io.Copy(out, resp.Body)
	return err
}
