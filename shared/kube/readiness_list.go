package kube

import (
	"context"
	"encoding/json"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// metadataOnly asks for objects without spec and status.
const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// query is a LIST.
type query struct {
	op, path       string
	fields, labels string // selectors
	accept         string // "" is JSON
	limit          int    // objects in a page; 0 is page
}

// each reads all pages of a LIST as JSON, for kinds that are not in our scheme, or of which only some fields matter: T has those.
func each[T any](ctx context.Context, c *Client, q query, do func(*T)) error {
	token := ""
	for {
		limit := page
		if q.limit > 0 {
			limit = q.limit
		}
		req := c.rest.Get().AbsPath(q.path).Param("limit", strconv.Itoa(limit)).MaxRetries(0)
		for name, value := range map[string]string{"fieldSelector": q.fields, "labelSelector": q.labels, "continue": token} {
			if value != "" {
				req = req.Param(name, value)
			}
		}
		accept := "application/json"
		if q.accept != "" {
			accept = q.accept
		}
		text, err := body(req.SetHeader("Accept", accept).Do(ctx))
		if err != nil {
			return classify(q.op, err)
		}
		var l struct {
			Metadata struct{ Continue string }
			Items    []T
		}
		if err := json.Unmarshal(text, &l); err != nil {
			return fault.New(fault.Transient, "%s: not what was asked for: %v", q.op, err)
		}
		for i := range l.Items {
			do(&l.Items[i])
		}
		if token = l.Metadata.Continue; token == "" {
			return nil
		}
	}
}

// eachMeta reads the metadata of all objects.
func eachMeta(ctx context.Context, c *Client, q query, do func(*metav1.PartialObjectMetadata)) error {
	q.accept = metadataOnly
	return each(ctx, c, q, do)
}

// optional is no error where the API server does not know the kind.
func optional(err error) error { return fault.Ignore(err, fault.NotFound) }

// id is namespace/name, or the name of what is in no namespace.
func id(m *metav1.ObjectMeta) string {
	if m.Namespace == "" {
		return m.Name
	}
	return m.Namespace + "/" + m.Name
}
