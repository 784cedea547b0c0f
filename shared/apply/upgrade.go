package apply

import (
	"context"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Calls is a Do that makes calls as they are: what exists already, or is gone, is an error like others, since a call that
// changes something has to have found it.
func Calls(call func(ctx context.Context, c plan.Call) (fleet.Update, error)) Do {
	return func(ctx context.Context, a plan.Action) (fleet.Update, error) {
		c, ok := a.(plan.Call)
		if !ok {
			return fleet.Update{}, unknown(a)
		}
		return call(ctx, c)
	}
}
