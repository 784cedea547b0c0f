package kube

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// WatchPods calls each with every pod of a namespace ("" for all) as it is and then as it changes, in order, until ctx
// ends, which is no error. deleted is true when the pod has gone for good.
func (c *Client) WatchPods(ctx context.Context, namespace string, each func(deleted bool, p fleet.Pod)) error {
	path := "/api/v1/pods"
	if namespace != "" {
		path = "/api/v1/namespaces/" + namespace + "/pods"
	}
	return watchAll(ctx, c, "watch pods", path, func(deleted bool, p *corev1.Pod) { each(deleted, pod(p)) })
}

// WatchNodes does for nodes what WatchPods does for pods.
func (c *Client) WatchNodes(ctx context.Context, each func(deleted bool, n fleet.Node)) error {
	return watchAll(ctx, c, "watch nodes", "/api/v1/nodes", func(deleted bool, n *corev1.Node) { each(deleted, node(*n)) })
}

// watchAll watches from the beginning: the server sends what there is as additions. A connection that ends is made anew,
// so that objects may be told twice; what vanished meanwhile is told as deleted. A server that is out of reach for a while, as
// while its version changes, is tried again.
func watchAll[T any, P interface {
	*T
	metav1.Object
}](ctx context.Context, c *Client, op, path string, each func(deleted bool, object P)) error {
	known := map[string]P{}
	var lost time.Time // since when the server has not answered
	for {
		seen := map[string]bool{}
		err := watchOnce(ctx, c, op, path, func(deleted bool, o P) {
			lost = time.Time{}
			id := o.GetNamespace() + "/" + o.GetName()
			seen[id] = true
			if known[id] = o; deleted {
				delete(known, id)
			}
			each(deleted, o)
		}, func() { // the first picture is complete
			for id, o := range known {
				if !seen[id] {
					delete(known, id)
					each(true, o)
				}
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err == nil:
			lost = time.Time{}
		case !fault.Is(err, fault.Transient) || !lost.IsZero() && time.Since(lost) > outOfReach:
			return err
		default:
			if lost.IsZero() {
				lost = time.Now()
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// outOfReach is how long a server may fail to answer a watch.
const outOfReach = time.Minute

func watchOnce[T any, P interface {
	*T
	metav1.Object
}](ctx context.Context, c *Client, op, path string, each func(deleted bool, object P), complete func()) error {
	opts := metav1.ListOptions{Watch: true, AllowWatchBookmarks: true, SendInitialEvents: new(bool), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	*opts.SendInitialEvents = true
	w, err := c.watch.Get().AbsPath(path).VersionedParams(&opts, metav1.ParameterCodec).MaxRetries(0).Watch(ctx)
	if err != nil {
		return classify(op, err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		switch e.Type {
		case watch.Bookmark:
			complete()
			complete = func() {}
		case watch.Error:
			if s, ok := e.Object.(*metav1.Status); ok && s.Reason == metav1.StatusReasonExpired {
				return nil // start anew
			} else if ok {
				return fault.New(fault.Transient, "%s: %s", op, s.Message)
			}
		default:
			if o, ok := e.Object.(P); ok {
				each(e.Type == watch.Deleted, o)
			}
		}
	}
	return nil
}
