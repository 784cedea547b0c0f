package awscloud

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// operation is one operation of an API: it takes an input in the API's own names, and gives the SDK's output.
type operation func(ctx context.Context, api string, in fleet.Props) (any, error)

// op makes an operation of an SDK method.
func op[In, Out, Option any](call func(context.Context, *In, ...func(Option)) (*Out, error)) operation {
	return func(ctx context.Context, api string, in fleet.Props) (any, error) {
		var input In
		if err := fill(in, &input); err != nil {
			return nil, fault.New(fault.Invalid, "%s cannot be said this way: %v", api, err)
		}
		out, err := call(ctx, &input)
		if err != nil {
			return nil, creation(api, err)
		}
		return out, nil
	}
}

// unless makes an operation that has succeeded if the API refuses it with one of these texts: the state that is asked for
// is there, and the API has no code of its own for that.
func unless(o operation, texts ...string) operation {
	return func(ctx context.Context, api string, in fleet.Props) (any, error) {
		out, err := o(ctx, api, in)
		if err != nil && slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(err.Error(), t) }) {
			return nil, nil
		}
		return out, err
	}
}

// creation classes what EKS answers to a creation more finely than its codes do: it says the same "invalid parameter" of a
// role that does not exist and of one that it does not see yet.
func creation(op string, err error) error {
	err = classify(op, err)
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	text := f.Err.Error()
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	switch f.Code {
	case "ResourceInUseException":
		if says("already exists", "is already in use on this cluster") {
			f.Class = fault.Conflict
		}
	case "InvalidParameterException":
		switch {
		case says("could not be assumed", "trust relationships of nodeRole", "trusted entity", "Trust policy of the role", "Misconfigured PodExecutionRole"):
			f.Class = fault.Denied
		case says(".NotFound", "does not exist") && says("subnet"), says("not found", "NotFound", "not exist") && says("aunch template"):
			f.Class = fault.NotFound
		}
	case "InvalidRequestException":
		if says("is not in ACTIVE status", "currently") {
			f.Class = fault.Blocked
		}
	}
	return err
}
