// Command ekspedite is the command line: the embedded cloud, the demo, the benchmark, and what an operator does by hand.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(exec(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes: 0 done, 1 failed, 2 the command line or a file was wrong, 3 it goes on and we stopped waiting, 130 interrupted.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitTimeout     = 3
	exitInterrupted = 130
)

// usageError is a mistake of the caller's: exit code 2.
type usageError struct{ error }

// exitError ends with a code; everything that there is to say was said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exec runs one command line.
func exec(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "ekspedite",
		Short:         "Runs fleets of Amazon EKS clusters from Lambda functions",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.AddCommand(clusterCommand(), runsCommand(), scaleCommand(), nodeCommand(), upgradeCommand(), notifyCommand(), demoCommand(), localCommand(), eventsCommand(), benchCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "interrupted")
		return exitInterrupted
	}
	var code exitError
	if errors.As(err, &code) {
		return int(code)
	}
	fmt.Fprintln(stderr, "error:", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(stderr, "see ekspedite --help")
		return exitUsage
	}
	return exitFailed
}
