// The doorbell function hears that pods found no node, and has the scaling function look.
package main

import (
	"context"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/work/doorbell"
)

func main() {
	start.Called("doorbell", func(f start.Function) start.Call {
		w := &doorbell.Work{
			Ledger: f.Ledger, Queue: awscloud.NewQueue(f.Config, f.QueueURL, ""),
			Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		w.Warm(context.Background())
		return w.Handle
	})
}
