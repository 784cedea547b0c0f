package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Object reads an object by a reference whose name is "apiVersion|kind|namespace|name". An absent one is fault.NotFound.
func (c *Client) Object(ctx context.Context, ref fleet.Ref) (fleet.Resource, error) {
	parts := strings.Split(ref.Name, "|")
	if len(parts) != 4 {
		return fleet.Resource{}, fault.New(fault.Invalid, "%q does not name an object", ref.Name)
	}
	path, err := at(parts[0], parts[1], parts[2], parts[3])
	if err != nil {
		return fleet.Resource{}, err
	}
	text, err := body(c.rest.Get().AbsPath(path).SetHeader("Accept", "application/json").MaxRetries(0).Do(ctx))
	if err != nil {
		return fleet.Resource{}, classify("get "+parts[1]+" "+parts[3], err)
	}
	var p fleet.Props
	if err := json.Unmarshal(text, &p); err != nil {
		return fleet.Resource{}, fault.New(fault.Transient, "get %s %s: not JSON: %v", parts[1], parts[3], err)
	}
	return fleet.Resource{Ref: ref, Physical: parts[3], Props: p}, nil
}

// ApplyObject makes an object what it says: what others have changed in its fields is put right, and twice is once.
func (c *Client) ApplyObject(ctx context.Context, object fleet.Props) error {
	text, err := json.Marshal(object)
	if err != nil {
		return fault.New(fault.Invalid, "not an object: %v", err)
	}
	return c.Apply(ctx, text)
}

// DeleteObject deletes an object, of which no more is read than its name. One that is gone is fault.NotFound.
func (c *Client) DeleteObject(ctx context.Context, object fleet.Props) error {
	kind, name := fleet.Text(object, "kind"), fleet.Text(object, "metadata", "name")
	path, err := at(fleet.Text(object, "apiVersion"), kind, fleet.Text(object, "metadata", "namespace"), name)
	if err != nil {
		return err
	}
	return classify(fmt.Sprintf("delete %s %s", kind, name), c.rest.Delete().AbsPath(path).MaxRetries(0).Do(ctx).Error())
}
