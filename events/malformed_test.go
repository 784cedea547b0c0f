package events_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
)

func TestMalformed(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, test := range map[string]struct {
		body  []byte
		field string // of the error
		want  string // in its message
	}{
		"nothing":                  {[]byte(""), "", "empty"},
		"white space":              {[]byte(" \n"), "", "empty"},
		"no JSON":                  {[]byte("hello"), "", "not JSON"},
		"cut off":                  {samples.Body("SpotInterruption")[:200], "", "cut off"},
		"two bodies":               {[]byte("{}{}"), "", "not JSON"},
		"an array":                 {[]byte("[]"), "", "an array, not an object"},
		"a number":                 {[]byte("12"), "", "a number"},
		"null":                     {[]byte("null"), "", "null"},
		"an empty object":          {[]byte("{}"), "", "neither"},
		"another object":           {[]byte(`{"Records":[]}`), "", "neither"},
		"too deep":                 {[]byte(`{"detail":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"), "", "too deeply"},
		"too long":                 {[]byte(`{"detail":"` + strings.Repeat("x", events.MaxBody) + `"}`), "", "more than a message"},
		"too many fields":          {manyFields(2000), "", "1000"},
		"no source":                {edit(t, "SpotInterruption", "source", nil), "source", "missing"},
		"no detail-type":           {edit(t, "SpotInterruption", "detail-type", nil), "detail-type", "missing"},
		"no id":                    {edit(t, "SpotInterruption", "id", nil), "id", "missing"},
		"no time":                  {edit(t, "SpotInterruption", "time", nil), "time", "missing"},
		"an empty time":            {edit(t, "SpotInterruption", "time", ""), "time", "missing"},
		"no detail":                {edit(t, "SpotInterruption", "detail", nil), "detail", "missing"},
		"detail a string":          {edit(t, "SpotInterruption", "detail", "{}"), "detail", "want an object, got a string"},
		"detail an array":          {edit(t, "SpotInterruption", "detail", []any{}), "detail", "want an object, got an array"},
		"source a number":          {edit(t, "SpotInterruption", "source", 12), "source", "want a string, got a number"},
		"account a number":         {edit(t, "SpotInterruption", "account", 123456789012), "account", "want a string, got a number"},
		"detail_type a list":       {edit(t, "CapacityBlockDelivered", "detail_type", []any{}), "detail_type", "want a string, got an array"},
		"time a number":            {edit(t, "SpotInterruption", "time", 1772503452), "time", "want a string"},
		"time not a time":          {edit(t, "SpotInterruption", "time", "Tuesday"), "time", `"Tuesday"`},
		"time not substituted":     {edit(t, "ClusterSweepRequested", "time", "<aws.scheduler.scheduled-time>"), "time", "context attribute"},
		"RFC 1123 in another zone": {edit(t, "SpotInterruption", "time", "Thu, 26 Jan 2023 19:01:55 EST"), "time", "not a time"},
		"before year 0":            {edit(t, "SpotInterruption", "time", "0000-01-01T00:00:00+23:59"), "time", "not a time"},
		"after year 9999":          {edit(t, "SpotInterruption", "time", "9999-12-31T23:59:59-23:59"), "time", "not a time"},
		"resources a number":       {edit(t, "SpotInterruption", "resources", 1), "resources", "not a list"},
		"resources with a null":    {edit(t, "SpotInterruption", "resources", []any{"a", json.RawMessage("null")}), "resources", "not a list"},
		"no instance":              {edit(t, "SpotInterruption", "detail/instance-id", nil), "detail.instance-id", "missing"},
		"an empty instance":        {edit(t, "RebalanceRecommendation", "detail/instance-id", ""), "detail.instance-id", "missing"},
		"instance a number":        {edit(t, "SpotInterruption", "detail/instance-id", 7), "detail.instance-id", "want string, got number"},
		"instance in capitals":     {edit(t, "SpotInterruption", "detail/instance-id", "i-0B662EF9931388BA0"), "detail.instance-id", "not an EC2 instance id"},
		"instance too short":       {edit(t, "SpotInterruption", "detail/instance-id", "i-1234567"), "detail.instance-id", "i-1234567"},
		"instance too long":        {edit(t, "SpotInterruption", "detail/instance-id", "i-012345678901234567"), "detail.instance-id", "not an"},
		"instance very long":       {edit(t, "SpotInterruption", "detail/instance-id", long), "detail.instance-id", "…"},
		"instance with a newline":  {edit(t, "SpotInterruption", "detail/instance-id", "i-12345678\n"), "detail.instance-id", `\n`},
		"no action":                {edit(t, "SpotInterruption", "detail/instance-action", nil), "detail.instance-action", "missing"},
		"no state":                 {edit(t, "InstanceStateChange", "detail/state", ""), "detail.state", "missing"},
		"state a boolean":          {edit(t, "InstanceStateChange", "detail/state", true), "detail.state", "want string, got bool"},
		"termination time odd":     {edit(t, "CapacityReservationInterruption", "detail/instance-termination-time", "soon"), "detail.instance-termination-time", `not a time: "soon"`},
		"reservation odd":          {edit(t, "CapacityBlockExpiration", "detail/capacity-reservation-id", "i-0b662ef9931388ba0"), "detail.capacity-reservation-id", "Capacity Reservation id"},
		"no end":                   {edit(t, "CapacityBlockExpiration", "detail/end-date", nil), "detail.end-date", "missing"},
		"end a number":             {edit(t, "CapacityBlockDelivered", "detail/end-date", 5), "detail.end-date", "want a string, got a number"},
		"count a fraction":         {edit(t, "CapacityReservationReclaimed", "detail/TotalInstanceCount", 1.5), "detail.TotalInstanceCount", "not a whole number"},
		"no hook":                  {edit(t, "LifecycleAction-terminate", "detail/LifecycleHookName", nil), "detail.LifecycleHookName", "missing"},
		"no group":                 {edit(t, "LifecycleAction-launch", "detail/AutoScalingGroupName", nil), "detail.AutoScalingGroupName", "missing"},
		"odd transition":           {edit(t, "LifecycleAction-launch", "detail/LifecycleTransition", "autoscaling:NAP"), "detail.LifecycleTransition", "neither"},
		"transition against type":  {edit(t, "LifecycleAction-launch", "detail/LifecycleTransition", events.TransitionTerminating), "detail.LifecycleTransition", "contradicts"},
		"direct, no instance":      {edit(t, "LifecycleAction-direct", "EC2InstanceId", nil), "EC2InstanceId", "missing"},
		"direct, odd transition":   {edit(t, "LifecycleAction-direct", "LifecycleTransition", "autoscaling:NAP"), "LifecycleTransition", "neither"},
		"direct, no time":          {edit(t, "LifecycleAction-direct", "Time", nil), "Time", "missing"},
		"direct, odd time":         {edit(t, "LifecycleAction-direct", "Time", "x"), "Time", "not a time"},
		"direct, no id":            {edit(t, "LifecycleAction-direct", "RequestId", nil, "LifecycleActionToken", nil), "RequestId", "missing"},
		"direct, group a number":   {edit(t, "LifecycleAction-direct", "AutoScalingGroupName", 1), "AutoScalingGroupName", "want string"},
		"S3's test event":          {[]byte(`{"Service":"Amazon S3","Event":"s3:TestEvent"}`), "Event", "not a notification of Auto Scaling"},
		"wrapper of an object":     {[]byte(`{"Message":{"a":1}}`), "Message", "want a JSON text as a string, got an object"},
		"wrapper of prose":         {[]byte(`{"Message":"hello"}`), "", "inside Message: the body is not JSON"},
		"wrapper of nothing":       {[]byte(`{"Message":""}`), "", "inside Message: the body is empty"},
		"wrapper of a wrapper":     {[]byte(`{"Message":"{\"Message\":\"{}\"}"}`), "Message", "another wrapper"},
		"wrapper of a job":         {[]byte(`{"Message":"{\"CodePipeline.job\":{}}"}`), "Message", "must not wrap a CodePipeline job"},
		"health without an ARN":    {edit(t, "AWSHealthEvent-ec2", "detail/eventArn", nil), "detail.eventArn", "missing"},
		"health at an odd time":    {edit(t, "AWSHealthEvent-ec2", "detail/startTime", "26/01/2023"), "detail.startTime", "not a time"},
		"health on an odd page":    {edit(t, "AWSHealthEvent-ec2", "detail/page", "one"), "detail.page", "not a whole number"},
		"health entity's time":     {edit(t, "AWSHealthEvent-ec2", "detail/affectedEntities", []any{map[string]any{"entityValue": "x", "lastUpdatedTime": "x"}}), "detail.affectedEntities.lastUpdatedTime", "not a time"},
		"health entity nameless":   {edit(t, "AWSHealthEvent-ec2", "detail/affectedEntities", []any{map[string]any{}}), "detail.affectedEntities.entityValue", "missing"},
		"health tags a list":       {edit(t, "AWSHealthEvent-ec2", "detail/eventMetadata", []any{}), "detail.eventMetadata", "not an object"},
		"ECS instance odd":         {edit(t, "ECSContainerInstanceStateChange", "detail/ec2InstanceId", "x"), "detail.ec2InstanceId", "not an EC2"},
		"ECS agent a string":       {edit(t, "ECSContainerInstanceStateChange", "detail/agentConnected", "yes"), "detail.agentConnected", "want bool"},
		"ECS task nameless":        {edit(t, "ECSTaskStateChange", "detail/taskArn", nil), "detail.taskArn", "missing"},
		"Fargate without a time":   {edit(t, "FargatePodTermination", "detail/scheduledTerminationTime", ""), "detail.scheduledTerminationTime", "missing"},
		"job without an id":        {edit(t, "CodePipelineJob", "CodePipeline.job/id", nil), "CodePipeline.job.id", "missing"},
		"job a string":             {[]byte(`{"CodePipeline.job":"x"}`), "CodePipeline.job", "want an object"},
		"job data a string":        {[]byte(`{"CodePipeline.job":{"data":"x"}}`), "CodePipeline.job.data", "want struct"},
		"request without a spec":   {edit(t, "ClusterApplyRequested", "detail/spec", ""), "detail.spec", "missing"},
		"continuation's start odd": {edit(t, "ClusterContinuation", "detail/startedAt", "x"), "detail.startedAt", "not a time"},
		"spec not repeated":        {edit(t, "ClusterApplyRequested", "detail/spec", map[string]any{"kind": "x"}), "detail.spec", "want string, got object"},
		"continuation negative":    {edit(t, "ClusterContinuation", "detail/attempt", -1), "detail.attempt", "negative"},
		"attempt a fraction":       {edit(t, "ClusterContinuation", "detail/attempt", 1.5), "detail.attempt", "want int"},
		"drain of no instance":     {edit(t, "DrainContinuation", "detail/instanceId", nil), "detail.instanceId", "missing"},
		"drain of a broken hook":   {edit(t, "DrainContinuation-hook", "detail/hook/lifecycleHookName", nil), "detail.hook.lifecycleHookName", "missing"},
		"a bell of no cluster":     {edit(t, "ScalingRequested", "detail/cluster", nil), "detail.cluster", "missing"},
		"a bell at no time":        {edit(t, "ScalingRequested", "detail/seenAt", nil), "detail.seenAt", "missing"},
		"scaling negative":         {edit(t, "ScalingContinuation", "detail/attempt", -1), "detail.attempt", "negative"},
		"alarm without a state":    {edit(t, "AlarmStateChange", "detail/state/value", nil), "detail.state.value", "missing"},
		"removal of no uid":        {edit(t, "NodeRemovalRequested", "detail/nodeUid", nil), "detail.nodeUid", "missing"},
		"removal without a reason": {edit(t, "NodeRemovalRequested", "detail/reason", "Boredom"), "detail.reason", "none of"},
		"removal in the past":      {edit(t, "NodeRemovalRequested", "detail/patienceSeconds", -1), "detail.patienceSeconds", "between"},
		"removal without an end":   {edit(t, "DrainContinuation-removal", "detail/removal/until", nil), "detail.removal.until", "missing"},
		"run without an end":       {edit(t, "RunFinished", "detail/finishedAt", nil), "detail.finishedAt", "missing"},
		"step without a time":      {edit(t, "RunProgressed", "detail/at", nil), "detail.at", "missing"},
	} {
		bad := malformed(t, test.body)
		if bad.Field != test.field || !strings.Contains(bad.Error(), test.want) {
			t.Errorf("%s: field %q, %q; want field %q and %q", name, bad.Field, bad.Error(), test.field, test.want)
		}
		if strings.Contains(bad.Error(), strings.Repeat("x", 70)) {
			t.Errorf("%s: the error repeats the input: %s", name, bad)
		}
	}
}

func manyFields(n int) []byte {
	body := []byte(`{"source":"aws.ec2"`)
	for range n {
		body = append(body, `,"a":1`...)
	}
	return append(body, '}')
}

func TestMalformedErrorNamesTheEvent(t *testing.T) {
	bad := malformed(t, edit(t, "SpotInterruption", "detail/instance-id", "x"))
	want := &events.MalformedError{
		Reason: `detail.instance-id: not an EC2 instance id: "x"`, Field: "detail.instance-id", Kind: events.KindSpotInterruption,
		ID: "12345678-1234-1234-1234-123456789012", DetailType: "EC2 Spot Instance Interruption Warning",
	}
	if *bad != *want {
		t.Errorf("%#v", bad)
	}
	if bad.Error() != `malformed SpotInterruption event: `+want.Reason {
		t.Error(bad)
	}
}

// Each trap that AWS's pages and other projects' bug reports tell of.
func TestTraps(t *testing.T) {
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	health := func(sample string, changes ...any) *events.HealthEvent {
		return decode(t, edit(t, sample, changes...)).Payload.(*events.HealthEvent)
	}
	action := func(sample string, changes ...any) *events.LifecycleAction {
		return decode(t, edit(t, sample, changes...)).Payload.(*events.LifecycleAction)
	}
	block := decode(t, samples.Body("CapacityBlockExpiration"))
	direct := decode(t, samples.Body("LifecycleAction-direct"))
	wrapped := decode(t, samples.Body("LifecycleAction-wrapped"))
	fargate := decode(t, samples.Body("FargatePodTermination")).Payload.(*events.FargatePodTermination)
	addon := decode(t, samples.Body("AddonEvent-health-degraded")).Payload.(*events.AddonEvent)
	oddAddon := decode(t, edit(t, "AddonEvent-update-succeeded", "detail/addonName", 5)).Payload.(*events.AddonEvent)
	failed := decode(t, samples.Body("AutoScalingResult-launch-failed")).Payload.(*events.AutoScalingResult)
	interruption := decode(t, samples.Body("CapacityReservationInterruption"))
	noTime := decode(t, edit(t, "CapacityReservationInterruption", "detail/instance-termination-time", nil))
	sweep := decode(t, samples.Body("ClusterSweepRequested-scheduler"))
	testNotification := decode(t, samples.Body("AutoScalingTestNotification-wrapped"))
	both := decode(t, edit(t, "CapacityBlockDelivered", "detail-type", "Capacity Block Expiration Warning", "id", "real"))
	alarm := decode(t, samples.Body("AlarmStateChange")).Payload.(*events.AlarmStateChange)
	foreign := decode(t, edit(t, "AlarmStateChange", "detail/configuration", nil)).Payload.(*events.AlarmStateChange)
	ec2 := health("AWSHealthEvent-ec2")
	older := `{"entityValue":"i-0b662ef9931388ba0","lastupdatedTime":"Wed, 29 Nov 2023 08:20:00 GMT","statusCode":"RESOLVED"}`

	for name, test := range map[string]struct{ got, want any }{
		"resources as a string":           {interruption.Resources, events.StringList{"arn:aws:ec2:us-east-1:123456789012:instance/i-0b662ef9931388ba0"}},
		"no version":                      {decode(t, edit(t, "SpotInterruption", "version", nil)).Version, ""},
		"customer_event_id":               {block.ID, "cr-0a1b2c3d4e5f67890-approaching-expiry"},
		"detail_type":                     {block.DetailType, "Capacity Block Expiration Warning"},
		"both spellings, the usual wins":  {string(both.Kind) + " " + both.ID, "CapacityBlockExpiration real"},
		"no Region":                       {block.Region, ""},
		"no termination time":             {noTime.Payload.(*events.CapacityReservationInterruption).InstanceTerminationTime.IsZero(), true},
		"a new action is passed on":       {decode(t, edit(t, "SpotInterruption", "detail/instance-action", "nap")).Payload, &events.SpotInterruption{InstanceID: "i-0b662ef9931388ba0", InstanceAction: "nap"}},
		"health: RFC 1123":                {ec2.StartTime.Time, at("2026-03-17T19:00:00Z")},
		"health: RFC 3339 after all":      {health("AWSHealthEvent-ec2", "detail/startTime", "2026-03-17T19:00:00Z").StartTime.Time, at("2026-03-17T19:00:00Z")},
		"health: empty end":               {ec2.EndTime.IsZero(), true},
		"health: pages as strings":        {[]events.LooseInt{ec2.Page, ec2.TotalPages}, []events.LooseInt{1, 10}},
		"health: pages as numbers":        {health("AWSHealthEvent-ec2", "detail/page", 2).Page, events.LooseInt(2)},
		"health: entity status":           {ec2.AffectedEntities[1].Status, events.EntityResolved},
		"health: entity statusCode":       {health("AWSHealthEvent-ec2", "detail/affectedEntities", []any{json.RawMessage(older)}).AffectedEntities[0].Status, events.EntityResolved},
		"health: metadata no string":      {health("AWSHealthEvent-eks", "detail/eventMetadata", map[string]any{"n": []any{1}}).EventMetadata["n"], "[1]"},
		"health: cluster":                 {health("AWSHealthEvent-eks").AffectedEntities[0].EntityValue, "arn:aws:eks:ap-southeast-2:123456789012:cluster/blue"},
		"alarm: the cluster":              {alarm.Cluster(), "blue"},
		"alarm: of something else":        {foreign.Cluster(), ""},
		"Auto Scaling: fraction":          {decode(t, samples.Body("LifecycleAction-warmpool")).Time, at("2026-03-03T00:12:37.214Z")},
		"Auto Scaling: to the warm pool":  {action("LifecycleAction-warmpool").ToWarmPool(), true},
		"Auto Scaling: account":           {action("LifecycleAction-terminate").AccountID, "123456789012"},
		"Auto Scaling: no token":          {action("LifecycleAction-terminate", "detail/LifecycleActionToken", nil).LifecycleActionToken, ""},
		"Auto Scaling: failed, no id":     {failed.EC2InstanceID, ""},
		"direct: time":                    {direct.Time, at("2026-03-03T22:39:45.555Z")},
		"direct: id":                      {direct.ID, "5d858daa-5692-135e-98ca-ef04118c2ab5"},
		"direct: id without a request":    {decode(t, edit(t, "LifecycleAction-direct", "RequestId", nil)).ID, "87654321-4321-4321-4321-210987654321"},
		"direct: detail-type":             {direct.DetailType, "EC2 Instance-terminate Lifecycle Action"},
		"direct: launching":               {decode(t, edit(t, "LifecycleAction-direct", "LifecycleTransition", events.TransitionLaunching)).DetailType, "EC2 Instance-launch Lifecycle Action"},
		"direct: white space":             {string(decode(t, []byte(" \n"+string(samples.Body("LifecycleAction-direct")))).Detail[0]), "{"},
		"wrapped: kind":                   {wrapped.Kind, events.KindLifecycleAction},
		"wrapped: account":                {wrapped.Account, "123456789012"},
		"wrapped: an envelope":            {decode(t, render(t, map[string]any{"Message": string(samples.Body("SpotInterruption"))})).Kind, events.KindSpotInterruption},
		"test notification: wrapped":      {testNotification.Kind, events.KindAutoScalingTestNotification},
		"test notification: Region":       {testNotification.Region, "us-west-2"},
		"test notification: minimal":      {decode(t, []byte(`{"LifecycleTransition":"autoscaling:TEST_NOTIFICATION"}`)).Kind, events.KindAutoScalingTestNotification},
		"Fargate: [UTC]":                  {fargate.ScheduledTerminationTime.Time, at("2026-03-05T12:52:44.832Z")},
		"add-on: from the ARN":            {*addon, events.AddonEvent{Subject: "Health", Outcome: "Degraded", ClusterName: "my-cluster", AddonName: "vpc-cni"}},
		"add-on: odd payload":             {oddAddon.AddonName, "vpc-cni"},
		"ECS: external instance":          {decode(t, edit(t, "ECSContainerInstanceStateChange", "detail/ec2InstanceId", "mi-030")).Kind, events.KindECSContainerInstanceStateChange},
		"Scheduler: no account or Region": {sweep.Account + sweep.Region + sweep.ID, "d32c5kddcf5bb8c3"},
		"Scheduler: time":                 {sweep.Time, at("2026-03-03T02:00:00Z")},
		"escaped names":                   {decode(t, []byte(strings.Replace(string(samples.Body("SpotInterruption")), `"detail-type"`, `"detail\u002dtype"`, 1))).Kind, events.KindSpotInterruption},
		"a name said twice, last wins":    {decode(t, []byte(strings.Replace(string(samples.Body("SpotInterruption")), `"id"`, `"id": "first", "id"`, 1))).ID, "12345678-1234-1234-1234-123456789012"},
	} {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("%s: got %#v, want %#v", name, test.got, test.want)
		}
	}
}

func TestLargeAndDeepBodiesAreRead(t *testing.T) {
	large := edit(t, "AWSHealthEvent-ec2", "detail/eventMetadata", map[string]any{"x": strings.Repeat("x", 256<<10)})
	if event := decode(t, large); len(encode(t, event)) < 256<<10 {
		t.Error("lost something")
	}
	deep := edit(t, "SpotInterruption", "detail/x", json.RawMessage(strings.Repeat("[", 5000)+strings.Repeat("]", 5000)))
	if event := decode(t, deep); !reflect.DeepEqual(parse(t, encode(t, event)), parse(t, deep)) {
		t.Error("lost something")
	}
	began := time.Now()
	malformed(t, []byte(strings.Repeat(`{"detail":`, 25_000)))
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
}
