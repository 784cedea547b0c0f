package awscloud_test

import (
	"log/slog"
	"net/http"
	"os"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/awscloud"
)

// embedded is the embedded cloud in memory, until the test ends, and a configuration for its root user. It is for synctest bubbles.
func embedded(t *testing.T) (*local.Cloud, awscloud.Config) {
	t.Helper()
	cloud, err := local.Start(t.Context(), local.Options{
		InMemory: true, Seed: 3, Faults: &faults.None, DataDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := awscloud.Static(cloud.Endpoint(), cloud.World.Region, cloud.AccessKey(), cloud.SecretKey())
	cfg.HTTPClient = &http.Client{Transport: cloud}
	return cloud, cfg
}
