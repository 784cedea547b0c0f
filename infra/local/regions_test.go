package local_test

import (
	"context"
	"sync"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// TestRegionsAreMadeOnce: by whom of many ever, and never once the cloud has ended.
func TestRegionsAreMadeOnce(t *testing.T) {
	c, err := local.Start(context.Background(), local.Options{Region: "eu-central-1", Seed: 1, Faults: &faults.None})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]*local.Regional, 20)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			r, err := c.In("ap-southeast-2")
			if err != nil {
				t.Error(err)
			}
			got[i] = r
		})
	}
	wg.Wait()
	for _, r := range got {
		if r != got[0] || r == c.Regional {
			t.Fatal("there are several of one Region")
		}
	}
	if r, err := c.In("eu-central-1"); err != nil || r != c.Regional {
		t.Errorf("the home Region is another one: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.In("eu-west-1"); err == nil {
		t.Error("a Region is made after the end")
	}
}
