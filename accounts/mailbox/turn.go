package mailbox

import (
	"context"

	"gatepost/server/fault"
)

// A session that changes many messages does so in commits of maxChange, so that other
// accounts of the shard don't wait for an emptied Trash. As requests that wait share a
// commit, one such session at a time has its turn in a shard: however many there are,
// a commit carries the large change of one, and only one holds in memory what it writes.
const (
	maxChange = 4000
	// maxContents is how many messages a commit takes that writes or removes their content.
	maxContents = 1000
	// fewMessages is up to how many messages a change needs no turn.
	fewMessages = 100
)

// turn waits until the account's shard takes a change of n messages; end ends the turn.
func (a *Account) turn(ctx context.Context, n int) (end func(), err error) {
	if n <= fewMessages {
		return func() {}, nil
	}
	return enter(ctx, a.store.turns[a.shard])
}

// enter fills a channel of capacity 1; end empties it.
func enter(ctx context.Context, turn chan struct{}) (end func(), err error) {
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, fault.Wrap("mailbox.turn", fault.Canceled, ctx.Err())
	}
}

// inParts passes a list to do, in parts. A part whose commit finds no space is made smaller: what removes records has to
// write the pages that they were in anew, and on a full disk the index has a reserve of some 100 pages for that.
func inParts[T any](list []T, size int, do func(part []T) error) error {
	for len(list) > 0 {
		n := min(len(list), size)
		err := do(list[:n])
		switch {
		case fault.Is(err, fault.NoSpace) && n > 1:
			size = max(n/8, 1)
		case err != nil:
			return err
		default:
			list = list[n:]
		}
	}
	return nil
}
