package interruption

import (
	"context"
	"strings"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/handler"
)

// spotStopCode is the stop code of a task whose capacity AWS wants back.
const spotStopCode = "SpotInterruption"

// fargateSpot records and reports that AWS takes back the capacity under a Fargate task. There is nothing left to do: with this
// very event ECS takes the task's addresses out of its target groups, sends it its SIGTERM, and has the service's scheduler
// start another. The event is the same for both deliveries of one, so that they are one record.
func (w *Work) fargateSpot(ctx context.Context, d handler.Delivery, t *events.ECSTaskStateChange) handler.Outcome {
	if t.StopCode != spotStopCode || t.LastStatus != "RUNNING" {
		return w.nothing(ctx, d, "the task was not interrupted, or is on its way already")
	}
	now := w.Now()
	service, _ := strings.CutPrefix(t.Group, "service:")
	reason := "Fargate Spot takes back the capacity under a standalone task: nothing starts it again"
	if service != t.Group {
		reason = "Fargate Spot takes back the capacity under a task: ECS stops it, and the service's scheduler starts another where there is capacity"
	} else {
		service = ""
	}
	done := events.RunFinished{
		RunID: "fargate-" + t.TaskARN[strings.LastIndexByte(t.TaskARN, '/')+1:], Function: "interruption",
		Subject: events.Subject{Cluster: t.ClusterARN, Region: w.Region, Task: t.TaskARN, Service: service},
		Outcome: events.OutcomeReported, Reason: reason,
		EventID: d.Event.ID, EventTime: d.Event.Time, StartedAt: d.Event.Time, FinishedAt: now,
		Timings: map[string]int64{"eventToFinished": now.Sub(d.Event.Time).Milliseconds()},
	}
	if err := w.Ledger.SaveRun(ctx, done); err != nil {
		return handler.Failed(err)
	}
	e, err := events.New(&done, done.RunID, now, w.Account, w.Region)
	if err != nil {
		return handler.Failed(err)
	}
	if err := w.Bus.Publish(ctx, e); err != nil {
		return handler.Failed(err)
	}
	w.Metrics.Count("FargateSpotInterruptions", 1)
	return handler.Done()
}
