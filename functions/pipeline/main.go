// The pipeline function lets stages of CodePipeline ask for clusters and upgrades, and wait for them.
package main

import (
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/work/pipeline"
)

func main() {
	start.Invoked("pipeline", func(f start.Function) start.Work {
		w := &pipeline.Work{
			Jobs: awscloud.NewJobs(f.Config), Approvals: awscloud.NewApprovals(f.Config), Files: awscloud.NewObjects(f.Config), Bus: f.Bus, Ledger: f.Ledger,
			Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		return w.Handle
	})
}
