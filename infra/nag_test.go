package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/cxapi"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"github.com/ekspedite/ekspedite/infra/stacks"
)

// What does not apply is suppressed beside the construct, with the reason.
func TestNagFindsNothing(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	outdir := t.TempDir()
	app, err := newTemplateApp(root, outdir)
	if err != nil {
		t.Fatal(err)
	}
	pack := &cdknag.NagPackProps{Verbose: jsii.Bool(true), Reports: jsii.Bool(false), LogIgnores: jsii.Bool(true)}
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(pack), nil)
	awscdk.Aspects_Of(app).Add(cdknag.NewServerlessChecks(pack), nil)
	assembly, err := synth(app, outdir)
	if err != nil {
		t.Fatal(err)
	}
	var suppressed int
	for _, name := range stacks.Names {
		for _, message := range *assembly.GetStackByName(jsii.String(name)).Messages() {
			if message.Level != cxapi.SynthesisMessageLevel_INFO {
				t.Errorf("%s %s: %v", message.Level, *message.Id, message.Entry.Data)
			} else if strings.Contains(fmt.Sprint(message.Entry.Data), "suppressed") {
				suppressed++
			}
		}
	}
	if suppressed == 0 {
		t.Error("cdk-nag found nothing to suppress: it did not run")
	}
	t.Logf("%d findings suppressed", suppressed)
}
