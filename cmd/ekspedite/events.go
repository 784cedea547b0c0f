package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
)

func eventsCommand() *cobra.Command {
	c := &cobra.Command{Use: "events", Short: "Events, as EventBridge carries them"}
	c.AddCommand(eventsSend())
	return c
}

func eventsSend() *cobra.Command {
	var bus string
	c := &cobra.Command{
		Use:   "send FILE",
		Short: "Check an event and put it on the bus (- reads standard input)",
		Long: `Check an event and put it on the bus (- reads standard input).

ekspedite's own events go to its bus by PutEvents, on AWS and on the embedded cloud alike. AWS's own events (source
aws.…) cannot be put by customers on AWS; the embedded cloud emits them on its default bus.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := read(cmd.InOrStdin(), args[0])
			if err != nil {
				return usageError{err}
			}
			e, err := events.Decode(body)
			if err != nil {
				return usageError{fmt.Errorf("%s: %w", args[0], err)}
			}
			if e.Kind == events.KindUnknown {
				return usageError{fmt.Errorf("%s: no contract for source %q, detail-type %q", args[0], e.Source, e.DetailType)}
			}
			if e.Source != events.SourceEkspedite {
				if os.Getenv("AWS_ENDPOINT_URL") == "" {
					return usageError{errors.New("AWS accepts events of its own sources from nobody else: set AWS_ENDPOINT_URL to an embedded cloud")}
				}
				if err := admin(cmd.Context(), io.Discard, http.MethodPost, "/events", body); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is on the embedded cloud's default bus\n", e.Kind)
				return nil
			}
			cfg, err := awscloud.Load(cmd.Context())
			if err != nil {
				return err
			}
			if err := awscloud.NewBus(cfg, bus).Publish(cmd.Context(), e); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is on bus %s\n", e.Kind, bus)
			return nil
		},
	}
	c.Flags().StringVar(&bus, "bus", string(events.BusEkspedite), "name of ekspedite's bus")
	return c
}

func read(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}
