package access_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestAClusterIsDescribedOnceInAWhile(t *testing.T) {
	now, described := time.Now(), 0
	var fails error
	d := access.Directory{
		Describe: func(_ context.Context, name string) (fleet.Cluster, error) {
			described++
			return fleet.Cluster{Name: name, Endpoint: "https://127.0.0.1:1"}, fails
		},
		Token: func(context.Context, string) (string, error) { return "t", nil },
		Now:   func() time.Time { return now },
	}
	first, err := d.Client(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.Client(t.Context(), "demo"); err != nil || again != first || described != 1 {
		t.Errorf("described %d times, %v", described, err)
	}
	if other, err := d.Client(t.Context(), "other"); err != nil || other == first || described != 2 {
		t.Errorf("two clusters share a client, %v", err)
	}
	now = now.Add(6 * time.Minute)
	fails = errors.New("away")
	if _, err := d.Client(t.Context(), "demo"); !errors.Is(err, fails) {
		t.Errorf("an old description is trusted: %v", err)
	}
	fails = nil
	if fresh, err := d.Client(t.Context(), "demo"); err != nil || fresh == first {
		t.Errorf("an error was remembered: %v", err)
	}
}
