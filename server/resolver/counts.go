package resolver

import "gatepost/server/counters"

// Counts are look-ups in the DNS.
type Counts struct {
	// Cached were answered from the cache; Asked were put to name servers, Failed are those of them without an answer.
	Cached, Asked, Failed counters.Counter
	// Took is the time until the answer of name servers.
	Took *counters.Histogram
}

// Counts has what is counted; nothing of a resolver over another source.
func (r *Resolver) Counts() *Counts {
	if n, ok := r.source.(*nameServers); ok {
		return &n.counts
	}
	return &Counts{Took: counters.Times()}
}
