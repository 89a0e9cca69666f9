package queue

import (
	"slices"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/rate"
)

// A message of a stranger may have the return-path of a victim. Reports about such
// mail are bounded, for each return-path and over all of them, and none is made of a
// success: whoever sends the mail can ask for as many as he likes.

// vouched reports whether the return-path of a message is known to be its sender's
// own: an authenticated user, a Client IP or the server itself has sent it. A check
// that proves the same of others, such as SPF (RFC 7208 section 2.6.3), says so here.
func vouched(s *envelope.Source) bool { return s.Trusted || s.Account != "" }

// strangers counts reports about mail whose return-path nobody vouches for.
type strangers struct {
	all   *rate.Table[struct{}]
	paths *rate.Table[address.Address]
}

// maxPaths bounds the return-paths that are counted.
const maxPaths = 10000

func newStrangers() strangers {
	return strangers{rate.New[struct{}](1), rate.New[address.Address](maxPaths)}
}

// take counts one report to addresses, and returns those that may get it. The
// return-path has a limit of its own. undo takes the count back.
func (s *strangers) take(path address.Address, to []address.Address, set *Settings) (left []address.Address, undo func()) {
	own := func() {}
	if slices.Contains(to, path) {
		if s.paths.Take(path, set.ReportsFlow) == 0 {
			own = func() { s.paths.GiveBack(path) }
		} else {
			to = slices.DeleteFunc(slices.Clone(to), func(a address.Address) bool { return a == path })
		}
	}
	if len(to) == 0 || s.all.Take(struct{}{}, set.ReportsTotal) > 0 {
		own()
		return nil, func() {}
	}
	return to, func() {
		s.all.GiveBack(struct{}{})
		own()
	}
}
