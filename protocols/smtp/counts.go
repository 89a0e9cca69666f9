package smtp

import (
	"errors"

	"gatepost/server/counters"
	"gatepost/server/fault"
)

// Counts are what sessions of SMTP and LMTP count.
type Counts struct {
	// Messages were accepted, Bytes in all, as clients sent them.
	Messages, Bytes counters.Counter
	// Refused are messages, senders and recipients that were answered no, by reason; Dropped are messages
	// that were answered yes and that nobody gets.
	Refused counters.Labelled
	Dropped counters.Counter
	// TurnedAway are sessions of addresses on the temporary blacklist, by its cause.
	TurnedAway counters.Labelled
}

// Counts has what is counted.
func (s *Server) Counts() *Counts { return &s.counts }

// refused counts what is answered no.
func (s *session) refused(err error, r *reply) {
	s.srv.counts.Refused.Inc(whyRefused(err, r))
}

// whyRefused is a refusal in one of a few words: the kind of the failure, or what the code is about.
func whyRefused(err error, r *reply) string {
	if _, own := errors.AsType[*reply](err); err != nil && !own {
		return fault.KindOf(err).String()
	}
	return [...]string{0: "other", 1: "address", 2: "mailbox", 3: "system", 4: "network", 5: "protocol", 6: "content", 7: "policy"}[r.enhanced[1]&7]
}
