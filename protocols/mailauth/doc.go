// Package mailauth says who answers for a message: it verifies SPF, DKIM, ARC and DMARC of
// what is received, and signs what is sent.
//
// # Words
//
// The author domain is that of the address in From. A domain is authenticated when SPF passes for it
// (it let the client send) or when a signature of it verifies. DMARC asks whether an authenticated
// domain is aligned with the author domain: the same, or of the same organisation.
//
// # Verify
//
// A Verifier reads a message twice at most: its header, and its body once for all DKIM signatures and once
// for ARC. Everything that a sender can make large is bounded: the header (maxHeader bytes, maxHeaderLines
// lines), the signatures (maxSignatures), the ARC sets (maxARCSets), the look-ups of SPF (RFC 7208 section
// 4.6.4) and of DMARC (8 for each tree walk), and the time (the caller's context). What exceeds a bound
// is a permanent error of that method, never a pass.
//
// A look-up that fails for now gives "temperror". The caller decides what follows: this package refuses
// nothing.
//
// # Sources
//
// RFC 7208 (SPF, by blitiri.com.ar/go/spf), 6376, 8301 and 8463 (DKIM, by go-msgauth), 7489 and RFC 9989
// (DMARC, tree walk), 8617 (ARC), 8601 (Authentication-Results), 8616 (internationalized names).
package mailauth
