package mailauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"gatepost/server/fault"
)

// SRS rewrites the return-path of mail that is passed on, so that SPF of this server's domain
// holds for it and reports come back here (the Sender Rewriting Scheme). An address that it made
// says where a report is to go, for whom, and until when; its tag keeps strangers from making others, which
// would have the server relay for them.
type SRS struct {
	// Secrets make and prove the tags. The first one makes them; the others are older.
	Secrets [][]byte
	// Now is the time; nil is time.Now.
	Now func() time.Time
}

const (
	// srsDays is how long an address leads back. Reports about mail that expired come after five days.
	srsDays = 21
	// srsTag is the length of a tag in characters of 5 bits.
	srsTag = 8
	// maxLocal is the longest local part (RFC 5321 section 4.5.3.1.1).
	maxLocal = 64
)

// srsText is base32 in lower case: mail servers may change the case of a local part.
var srsText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Forward returns the local part that stands for an address in a domain of this server. It reports
// false when the address is too long to be put into one: the return-path stays as it is then.
func (s *SRS) Forward(local, domain string) (string, bool) {
	rest := domain + "=" + local
	if host, tail, ok := srsParts(local); ok {
		// Somebody else has rewritten the address. Reports go straight to him (SRS1), who knows what
		// the rest means.
		rest = host(domain) + "=" + tail
		return s.made("SRS1=", "", rest)
	}
	return s.made("SRS0=", s.day(), rest)
}

// srsParts takes an address of the scheme apart: whom to name in an SRS1 address, and the rest.
func srsParts(local string) (host func(domain string) string, tail string, ok bool) {
	switch scheme := strings.ToUpper(local[:min(4, len(local))]); {
	case len(local) < 6 || !strings.ContainsRune("=+-", rune(local[4])):
		return nil, "", false
	case scheme == "SRS0":
		return func(domain string) string { return domain }, local[4:], true
	case scheme == "SRS1":
		// SRS1=tag=host=rest: the tag is that of the server that sent it, and host stays.
		_, after, _ := strings.Cut(local[5:], "=")
		first, rest, found := strings.Cut(after, "=")
		return func(string) string { return first }, rest, found && normal(first) != ""
	}
	return nil, "", false
}

// made is a local part with its tag.
func (s *SRS) made(scheme, day, rest string) (string, bool) {
	if len(s.Secrets) == 0 {
		return "", false
	}
	if day != "" {
		rest = day + "=" + rest
	}
	local := scheme + tag(s.Secrets[0], scheme+rest) + "=" + rest
	return local, len(local) <= maxLocal && len(rest) > 0 && !strings.ContainsAny(local, " \t\r\n\"\\<>@,;:()[]")
}

// IsSRS reports whether a local part has the form of the scheme.
func IsSRS(local string) bool {
	_, _, ok := srsParts(local)
	return ok
}

// Reverse returns the address that a local part stands for. The error says why there is none:
// the tag is not ours, or the time is over.
func (s *SRS) Reverse(local string) (address string, err error) {
	const op = "mailauth.Reverse"
	scheme, after := local[:min(5, len(local))], local[min(5, len(local)):]
	scheme = strings.ToUpper(scheme)
	given, rest, ok := strings.Cut(after, "=")
	if !ok || scheme != "SRS0=" && scheme != "SRS1=" || !s.proves(given, scheme+rest) {
		return "", fault.New(op, fault.NotFound, "not an address that this server made")
	}
	if scheme == "SRS1=" {
		host, tail, ok := strings.Cut(rest, "=")
		if !ok {
			return "", fault.New(op, fault.NotFound, "not an address that this server made")
		}
		return "SRS0" + tail + "@" + host, nil
	}
	day, rest, _ := strings.Cut(rest, "=")
	domain, user, ok := strings.Cut(rest, "=")
	if !ok || user == "" || domain == "" {
		return "", fault.New(op, fault.NotFound, "not an address that this server made")
	}
	if !s.fresh(day) {
		return "", fault.New(op, fault.NotFound, "the address is too old")
	}
	return user + "@" + domain, nil
}

// proves reports whether a tag is that of a text, whatever the case of either.
func (s *SRS) proves(given, text string) bool {
	given = strings.ToLower(given)
	for _, secret := range s.Secrets {
		if hmac.Equal([]byte(given), []byte(tag(secret, text))) {
			return true
		}
	}
	return false
}

// tag proves that the server has made a text.
func tag(secret []byte, text string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(strings.ToLower(text)))
	return srsText.EncodeToString(mac.Sum(nil))[:srsTag]
}

// daysCycle is after how many days the two characters of a day come again.
const daysCycle = 32 * 32

func (s *SRS) today() int {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	return int(now().Unix()/86400) % daysCycle
}

const dayDigits = "abcdefghijklmnopqrstuvwxyz234567"

// day is today in two characters.
func (s *SRS) day() string {
	d := s.today()
	return string([]byte{dayDigits[d/32], dayDigits[d%32]})
}

// fresh reports whether a day is not longer ago than addresses live.
func (s *SRS) fresh(day string) bool {
	day = strings.ToLower(day)
	if len(day) != 2 {
		return false
	}
	high, low := strings.IndexByte(dayDigits, day[0]), strings.IndexByte(dayDigits, day[1])
	if high < 0 || low < 0 {
		return false
	}
	age := (s.today() - (high*32 + low) + daysCycle) % daysCycle
	return age <= srsDays || age == daysCycle-1 // made a moment before midnight by another clock
}
