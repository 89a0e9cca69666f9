package listen

import (
	"context"
	"errors"
)

// endKey is where a session's context has the function that ends the session.
type endKey struct{}

// ended is the cause of a context whose session was ended for a reason.
type ended string

func (e ended) Error() string { return string(e) }

// End orders the session that Serve gave the context to end, as a stop of the
// server does, and does not wait for it. The first order of the two holds. A context
// that is not of such a session is left alone.
func End(ctx context.Context, reason string) {
	if cancel, ok := ctx.Value(endKey{}).(context.CancelCauseFunc); ok {
		cancel(ended(reason))
	}
}

// Ended returns the reason of End if that is what the session ends for.
func Ended(ctx context.Context) (reason string, ok bool) {
	var e ended
	ok = errors.As(context.Cause(ctx), &e)
	return string(e), ok
}
