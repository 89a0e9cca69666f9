package junk

import (
	"cmp"
	"math"
	"slices"
)

const (
	// strongest is how many tokens are combined, those that tell most.
	strongest = 150
	// What is assumed of a token before it is seen, and how many messages that assumption is worth (Robinson's x and s).
	assumed  = 0.5
	strength = 0.45
	// telling is how far from 0.5 the probability of a token has to be.
	telling = 0.1
	// ownWeight is how many times the account's table counts against the domain's.
	ownWeight = 4
)

// evidence is what tables say of tokens.
type evidence struct {
	counts
	lookUp func(h uint64) (counts, error)
}

// together adds up the evidence of an account and of its domain.
func together(own, domain evidence) evidence {
	return evidence{
		counts: counts{ownWeight*own.junk + domain.junk, ownWeight*own.ham + domain.ham},
		lookUp: func(h uint64) (counts, error) {
			a, err := own.lookUp(h)
			if err != nil {
				return a, err
			}
			d, err := domain.lookUp(h)
			return counts{ownWeight*a.junk + d.junk, ownWeight*a.ham + d.ham}, err
		},
	}
}

// score combines what is known of the tokens of a message: 0 to 100.
func (e evidence) score(list []uint64) (int, error) {
	probabilities := make([]float64, 0, len(list))
	for _, h := range list {
		c, err := e.lookUp(h)
		if err != nil {
			return 0, err
		}
		n := float64(c.junk + c.ham)
		if n == 0 {
			continue
		}
		// The counts of a token can be above those of messages, after a crash.
		junk, ham := min(float64(c.junk)/float64(max(e.junk, 1)), 1), min(float64(c.ham)/float64(max(e.ham, 1)), 1)
		p := (strength*assumed + n*(junk/(junk+ham))) / (strength + n)
		if math.Abs(p-0.5) >= telling {
			probabilities = append(probabilities, p)
		}
	}
	if len(probabilities) > strongest {
		slices.SortFunc(probabilities, func(a, b float64) int { return cmp.Compare(math.Abs(b-0.5), math.Abs(a-0.5)) })
		probabilities = probabilities[:strongest]
	}
	return int(math.Round(100 * fisher(probabilities))), nil
}

// fisher is the indicator of Robinson's method: near 1 for junk, near 0 for ham, 0.5 when there is evidence for both or for none.
func fisher(probabilities []float64) float64 {
	n := len(probabilities)
	if n == 0 {
		return 0.5
	}
	var logP, logQ float64
	for _, p := range probabilities {
		p = min(max(p, 1e-6), 1-1e-6)
		logP += math.Log(p)
		logQ += math.Log(1 - p)
	}
	s := 1 - chi2Q(-2*logQ, 2*n) // how junky
	h := 1 - chi2Q(-2*logP, 2*n) // how hammy
	return (1 + s - h) / 2
}

// chi2Q is the probability that chi-squared with v degrees of freedom, an even number, is at least x.
func chi2Q(x float64, v int) float64 {
	m := x / 2
	term := math.Exp(-m)
	sum := term
	for i := 1; i < v/2; i++ {
		term *= m / float64(i)
		sum += term
	}
	return min(sum, 1)
}
