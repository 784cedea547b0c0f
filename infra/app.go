package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	_ "github.com/ekspedite/ekspedite/infra/internal/quietnode"
	"github.com/ekspedite/ekspedite/infra/stacks"
)

// packages is where `make package` puts the functions' zips, below the module's root.
const packages = "build/lambda"

// newApp makes the app with all its stacks, to be written to outdir.
func newApp(root, outdir string, code stacks.Code, synthesizer awscdk.IReusableStackSynthesizer) (awscdk.App, error) {
	flags, err := featureFlags(root)
	if err != nil {
		return nil, err
	}
	app := awscdk.NewApp(&awscdk.AppProps{
		Outdir:                  jsii.String(outdir),
		Context:                 &flags,
		DefaultStackSynthesizer: synthesizer,
		AnalyticsReporting:      jsii.Bool(false), // no CDKMetadata resource: a template holds what was asked for
		TreeMetadata:            jsii.Bool(false),
	})
	data := stacks.NewData(app)
	automation := stacks.NewAutomation(app, stacks.AutomationProps{Ledger: data.Ledger, Specs: data.Specs, Code: code})
	automation.Stack.AddStackDependency(data.Stack, nil)
	dropMetadata(app)
	return app, nil
}

// dropMetadata keeps cdk-nag's suppressions out of the templates, where they are a quarter of the text. They stand,
// with their reasons, beside the constructs, and cdk-nag finds them all the same. What tells cfn-lint something stays: it reads
// nothing but templates.
func dropMetadata(app awscdk.App) {
	for _, construct := range *app.Node().FindAll(constructs.ConstructOrder_PREORDER) {
		if resource, ok := construct.(awscdk.CfnResource); ok {
			drop := "Metadata"
			if resource.GetMetadata(jsii.String("cfn-lint")) != nil {
				drop = "Metadata.cdk_nag"
			}
			resource.AddDeletionOverride(jsii.String(drop))
		}
	}
}

// writeAssembly writes what the CDK's command line deploys.
func writeAssembly(root, outdir string) error {
	for _, name := range stacks.Functions {
		if _, err := os.Stat(filepath.Join(root, packages, name+".zip")); err != nil {
			return fmt.Errorf("the %s function is not packaged, run make package: %w", name, err)
		}
	}
	app, err := newApp(root, outdir, stacks.CodeFromPackages(filepath.Join(root, packages)), nil)
	if err != nil {
		return err
	}
	_, err = synth(app, outdir)
	return err
}

// writeTemplates writes the templates that are committed.
func writeTemplates(root, dir string) error {
	templates, err := templates(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, stack := range stacks.Names {
		if err := os.WriteFile(filepath.Join(dir, templateFile(stack)), templates[stack], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// templates synthesizes the templates that are committed, by stack.
func templates(root string) (map[string][]byte, error) {
	outdir, err := os.MkdirTemp("", "ekspedite-infra-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(outdir) }() // a leftover lies in the directory for temporary files
	app, err := newTemplateApp(root, outdir)
	if err != nil {
		return nil, err
	}
	if _, err := synth(app, outdir); err != nil {
		return nil, err
	}
	return readTemplates(outdir)
}

// newTemplateApp is the app as the committed templates have it: code from a bucket, nothing of the CDK's bootstrap.
func newTemplateApp(root, outdir string) (awscdk.App, error) {
	return newApp(root, outdir, stacks.CodeFromBucket, awscdk.NewBootstraplessSynthesizer(nil))
}

// readTemplates reads the templates of a cloud assembly, laid out for reading.
func readTemplates(outdir string) (map[string][]byte, error) {
	templates := make(map[string][]byte, len(stacks.Names))
	for _, stack := range stacks.Names {
		raw, err := os.ReadFile(filepath.Join(outdir, templateFile(stack)))
		if err != nil {
			return nil, err
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, bytes.TrimSpace(raw), "", "  "); err != nil {
			return nil, fmt.Errorf("template of %s: %w", stack, err)
		}
		pretty.WriteByte('\n')
		templates[stack] = pretty.Bytes()
	}
	return templates, nil
}

func templateFile(stack string) string { return stack + ".template.json" }

// featureFlags reads the CDK's feature flags from cdk.json. Its command line would pass them on; a plain go run and the
// tests do not go through it, and all three have to write the same.
func featureFlags(root string) (map[string]any, error) {
	raw, err := os.ReadFile(filepath.Join(root, "cdk.json"))
	if err != nil {
		return nil, err
	}
	var config struct {
		Context map[string]any `json:"context"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("cdk.json: %w", err)
	}
	return config.Context, nil
}

// moduleRoot finds the module's root at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "cdk.json")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no cdk.json here or above: run this inside ekspedite's checkout")
		}
		dir = parent
	}
}
