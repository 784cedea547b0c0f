package doorbell

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/obs"
)

const (
	// maxReview is the most that is read of an admission review: it has a pod twice, and a pod has 1.5 MiB at most in etcd.
	// Lambda takes 6 MB.
	maxReview = 4 << 20
	// maxLog is the most that is unpacked of a log subscription's lines. CloudWatch Logs packs up to 1 MB.
	maxLog = 16 << 20
)

// uids are what Kubernetes gives, and nothing that could be anything else in an answer.
var uids = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// reviewUID is the id that the answer to an admission review has to repeat.
func reviewUID(in invocation) (string, error) {
	body := []byte(in.Body)
	if len(body) > maxReview {
		return "", errors.New("the body is larger than an admission review can be")
	}
	if in.Base64 {
		var err error
		if body, err = base64.StdEncoding.DecodeString(in.Body); err != nil {
			return "", errors.New("the body is not base64")
		}
	}
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.Unmarshal(body, &review); err != nil || !uids.MatchString(review.Request.UID) {
		return "", errors.New("the body is not an admission review")
	}
	return review.Request.UID, nil
}

// logs rings for the cluster whose scheduler's log says that a pod found no node. That CloudWatch Logs sends it is for the
// function's policy to see to.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
func (w *Work) logs(ctx context.Context, packed []byte) error {
	unpack, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fault.New(fault.Invalid, "a log subscription's data is not gzip: %v", err)
	}
	text, err := io.ReadAll(io.LimitReader(unpack, maxLog+1))
	if err != nil || len(text) > maxLog {
		return fault.New(fault.Invalid, "a log subscription's data cannot be unpacked, or has more than %d bytes", maxLog)
	}
	var lines struct {
		Type   string `json:"messageType"`
		Group  string `json:"logGroup"`
		Stream string `json:"logStream"`
		Events []struct {
			Message string `json:"message"`
		} `json:"logEvents"`
	}
	if err := json.Unmarshal(text, &lines); err != nil {
		return fault.New(fault.Invalid, "a log subscription's data is not JSON: %v", err)
	}
	name, ok := strings.CutPrefix(lines.Group, "/aws/eks/")
	name, whole := strings.CutSuffix(name, "/cluster")
	switch {
	case lines.Type == "CONTROL_MESSAGE": // CloudWatch Logs sees whether somebody is there
		return nil
	case !ok || !whole || name == "" || strings.Contains(name, "/"):
		obs.Log(ctx).Warn("lines of a log that is no cluster's: no subscription of ekspedite's", "group", lines.Group)
		return nil
	case !slices.ContainsFunc(lines.Events, func(e struct {
		Message string `json:"message"`
	}) bool {
		return strings.Contains(e.Message, fleet.NoFit)
	}):
		return nil
	}
	return w.ring(ctx, fleet.ClusterID{Region: w.Region, Name: name}, events.ScalingSourceLogs)
}
