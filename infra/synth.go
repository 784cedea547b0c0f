package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/cxapi"
)

// synth writes an app's cloud assembly to its directory. What the CDK finds wrong becomes an error that says it; the CDK
// itself would panic with the name of a file.
func synth(app awscdk.App, outdir string) (assembly cxapi.CloudAssembly, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("synthesis: %v", failure)
			if violations := violations(filepath.Join(outdir, "validation-report.json")); violations != "" {
				err = fmt.Errorf("synthesis:\n%s", violations)
			}
		}
	}()
	return app.Synth(nil), nil
}

// violations lays out the CDK's validation report; "" if there is none, or nothing in it.
func violations(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	var report struct {
		PluginReports []struct {
			Violations []struct {
				Description, RuleName string
				ViolatingConstructs   []struct{ ConstructPath string }
			}
		}
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return ""
	}
	var text strings.Builder
	for _, plugin := range report.PluginReports {
		for _, violation := range plugin.Violations {
			fmt.Fprintf(&text, "%s: %s\n", violation.RuleName, strings.TrimSpace(violation.Description))
			for _, construct := range violation.ViolatingConstructs {
				fmt.Fprintf(&text, "\tin %s\n", construct.ConstructPath)
			}
		}
	}
	return strings.TrimSpace(text.String())
}
