package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/jsii-runtime-go"
)

func main() {
	stderr := os.Stderr
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(stderr, "infra:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("infra", flag.ContinueOnError)
	template := flags.String("template", "", "write the templates to this `directory` instead of a cloud assembly")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	defer closeJSII()
	if *template != "" {
		return writeTemplates(root, *template)
	}
	// The CDK's command line sets where; cdk.json tells it the same place.
	return writeAssembly(root, cmp.Or(os.Getenv("CDK_OUTDIR"), filepath.Join(root, "build/cdk.out")))
}

// closeJSII ends jsii's node process. jsii waits for its end in two places and complains, at random, of the one that
// came second. Nothing is to be said after this that anybody would miss.
func closeJSII() {
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = null
	}
	jsii.Close()
}
