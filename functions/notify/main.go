// The notify function tells people of runs: by SNS, Slack, Teams and webhooks.
package main

import (
	"github.com/ekspedite/ekspedite/shared/awscloud"
	decide "github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/webhook"
	"github.com/ekspedite/ekspedite/shared/work/notify"
)

func main() {
	start.Batched("notify", func(f start.Function) handler.BatchWork {
		w := &notify.Work{
			Policies: f.Ledger, Ledger: f.Ledger, Secrets: awscloud.NewSecrets(f.Config), Topics: awscloud.NewTopics(f.Config),
			Hooks:  webhook.New(fleet.NotifyTimeout, f.Loopback),
			Links:  decide.Links{Region: f.Region, LogGroups: f.LogGroups, Dashboard: f.Dashboard},
			Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		return w.Handle
	})
}
