package mailauth

import (
	"slices"
	"strings"

	"gatepost/router/address"
)

// Result is what a method says (RFC 8601 section 2.7).
type Result string

const (
	None      Result = "none"      // there is nothing to verify
	Pass      Result = "pass"      // it holds
	Fail      Result = "fail"      // it does not hold
	SoftFail  Result = "softfail"  // SPF: probably not, says the domain
	Neutral   Result = "neutral"   // SPF: the domain says nothing
	Policy    Result = "policy"    // it holds, and is not good enough
	TempError Result = "temperror" // a look-up failed for now
	PermError Result = "permerror" // what there is cannot be understood
)

// Results are those of a message.
type Results struct {
	SPF     SPF
	DKIM    []DKIM // in the order of the header
	ARC     ARC
	DMARC   DMARC
	Authors []string // the author domains
	// Unclear says why a reader may see another author than the checks: the header is too large, there is more
	// than one From. It is empty if that is not so.
	Unclear string
}

// SPF is whether a domain lets the client send (RFC 7208).
type SPF struct {
	Result Result
	// Domain is that of the return-path; with HELO set it is the client's name, because the
	// return-path is empty.
	Domain string
	HELO   bool
	Reason string
}

// DKIM is the result of one signature (RFC 6376).
type DKIM struct {
	Result           Result
	Domain, Selector string
	Signature        string // the beginning of the tag b (RFC 6008)
	Reason           string
}

// ARC is the result of the chain of those who passed the message on (RFC 8617).
type ARC struct {
	Result Result
	Reason string
	Sets   []ARCSet // the oldest first; valid when Result is Pass
}

// ARCSet is what one of them says.
type ARCSet struct {
	Sealer  string // the domain that sealed it
	Results string // what it found when it received the message: a value of Authentication-Results
}

// DMARC is whether an authenticated domain is aligned with the author domain.
type DMARC struct {
	Result Result
	// Author is the author domain that the result is about, Record the domain whose record holds for it.
	Author, Record string
	// Policy is what the record asks for when nothing passes: "none", "quarantine" or "reject". A
	// record in its test time asks for one step less.
	Policy string
	// Reports are the addresses for aggregate reports (tag rua), as they stand in the record.
	Reports []string
	// SPF and DKIM tell which method passes aligned.
	SPF, DKIM bool
	Reason    string
}

// AuthenticationResults is the header field that tells the results (RFC 8601), with the name of the
// server that found them. It is complete, folded, and ends in CRLF.
func (r *Results) AuthenticationResults(name string) string {
	return "Authentication-Results: " + r.value(name) + "\r\n"
}

// value is the value of the field.
func (r *Results) value(name string) string {
	parts := []string{name}
	add := func(method string, result Result, reason string, props ...string) {
		s := method + "=" + string(result)
		if reason != "" {
			s += " (" + comment(reason) + ")"
		}
		for i := 0; i+1 < len(props); i += 2 {
			if props[i+1] != "" {
				s += " " + props[i] + "=" + props[i+1]
			}
		}
		parts = append(parts, s)
	}
	property := "smtp.mailfrom"
	if r.SPF.HELO {
		property = "smtp.helo"
	}
	add("spf", r.SPF.Result, r.SPF.Reason, property, shown(r.SPF.Domain))
	for _, d := range r.DKIM {
		add("dkim", d.Result, d.Reason, "header.d", shown(d.Domain), "header.s", shown(d.Selector), "header.b", quoted(d.Signature))
	}
	if len(r.DKIM) == 0 {
		add("dkim", None, "")
	}
	reason := r.DMARC.Reason
	if r.DMARC.Policy != "" {
		reason = strings.TrimSuffix("p="+r.DMARC.Policy+"; "+reason, "; ")
	}
	add("dmarc", r.DMARC.Result, reason, "header.from", shown(r.DMARC.Author))
	if r.ARC.Result != None {
		add("arc", r.ARC.Result, r.ARC.Reason)
	}
	return strings.Join(parts, ";\r\n\t")
}

// shown is a domain as the field shows it: nothing that could begin another property.
func shown(domain string) string {
	if domain == "" {
		return ""
	}
	for i := range len(domain) {
		c := domain[i]
		if c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return "invalid"
		}
	}
	return domain
}

// quoted is base64 as a value: the characters = and / ask for quotes.
func quoted(s string) string {
	if s == "" {
		return ""
	}
	return `"` + s + `"`
}

// comment is text inside of parentheses.
func comment(s string) string {
	return strings.NewReplacer("(", "[", ")", "]", `\`, "/", ";", ",").Replace(clean(s))
}

// Authenticated reports whether SPF or a signature passes for a domain or one below it.
func (r *Results) Authenticated(domain string) bool {
	if r.SPF.Result == Pass && within(r.SPF.Domain, domain) {
		return true
	}
	for _, d := range r.DKIM {
		if d.Result == Pass && within(d.Domain, domain) {
			return true
		}
	}
	return false
}

// Undecided reports whether a look-up failed for now that may have shown that a domain, or one below it,
// stands behind the message.
func (r *Results) Undecided(domain string) bool {
	if r.SPF.Result == TempError && within(r.SPF.Domain, domain) {
		return true
	}
	return slices.ContainsFunc(r.DKIM, func(d DKIM) bool { return d.Result == TempError && within(d.Domain, domain) })
}

// within reports whether a name is a domain or below it.
func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// normal is a domain in lower case and ASCII, or nothing if it is none that has DNS records.
func normal(domain string) string {
	d, err := address.NormalizeDomain(domain)
	if err != nil || strings.HasPrefix(d, "[") || strings.Contains(d, ":") {
		return ""
	}
	return d
}
