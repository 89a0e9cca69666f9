package pwd

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// Each test here reads answers as one of the clients does that administrators'
// scripts are built on.

// raw sends a line with a client's line end and returns the answer as it came.
func (c *client) raw(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c, line); err != nil {
		c.t.Fatal(err)
	}
	return c.line()
}

// The Perl client: getline, /^(\d+)\s(.*)$/ and atoms of a small alphabet; the
// rest has to be quoted. Keys may come in any order, its own parser stops at
// anything unexpected.
func TestPerlClientReadsAnswers(t *testing.T) {
	s := newSite(t, true)
	c := newClient(t, s.dial(t))
	if m := regexp.MustCompile(`(\<.*\@*\>)`).FindString(c.line()); !strings.HasPrefix(m, "<") || strings.Count(m, "@") != 1 {
		t.Errorf("token %q", m)
	}
	c.raw("USER postmaster\n")
	c.raw("PASS secret\n")
	c.raw("INLINE\n")
	c.raw("CreateAccount u {RealName=\"x y\";\"Odd Key\"=(a,\"b+c\",\"-1\",{k=v;});Text=\"l1\\el2\";}\n")
	answer := regexp.MustCompile(`^(\d+)\s(.*)\r\n$`)
	for _, line := range []string{"GetAccountSettings u\n", "GetAccountEffectiveSettings u\n", "GetDomainEffectiveSettings\n", "ListMailboxes u\n", "GetAccountInfo u\n"} {
		m := answer.FindStringSubmatch(c.raw(line))
		if m == nil || m[1] != "201" {
			t.Fatalf("%s: %v", line, m)
		}
		if rest := perlObject(m[2]); rest != "" {
			t.Errorf("%sPerl stops at %.80q", line, rest)
		}
		if strings.Contains(m[2], `" "`) || strings.Contains(m[2], "#I[") {
			t.Errorf("%s%.200q", line, m[2])
		}
	}
}

var perlAtom = regexp.MustCompile(`^[-a-zA-Z0-9\x80-\xff_.@!#%:]+`)
var perlQuoted = regexp.MustCompile(`^"(?:[^"\\]|\\.)*"`)
var perlData = regexp.MustCompile(`^\[[A-Za-z0-9+/=]*\]`)

// perlObject reads one object and returns what is left, at the place where the
// Perl client would give up.
func perlObject(s string) string {
	list := func(s, shut string, one func(string) string) string {
		for s != "" && !strings.HasPrefix(s, shut) {
			before := s
			if s = one(s); s == before {
				return s
			}
		}
		return strings.TrimPrefix(s, shut)
	}
	switch {
	case strings.HasPrefix(s, "{"):
		return list(s[1:], "}", func(s string) string {
			rest := perlObject(s)
			if !strings.HasPrefix(rest, "=") {
				return s
			}
			if rest = perlObject(rest[1:]); !strings.HasPrefix(rest, ";") {
				return s
			}
			return rest[1:]
		})
	case strings.HasPrefix(s, "("):
		return list(s[1:], ")", func(s string) string { return strings.TrimPrefix(perlObject(s), ",") })
	}
	for _, form := range []*regexp.Regexp{perlQuoted, perlData, perlAtom} {
		if m := form.FindString(s); m != "" {
			return s[len(m):]
		}
	}
	return s
}

// A PHP client cuts "201 {" and "}\r\n" off and splits at ; and =.
func TestPHPClientCutsAnswers(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	c.raw("CreateAccount \"u1\"\n")
	got := c.raw("ListAccounts \"c.com\"\n")
	if cut := got[5 : len(got)-3]; cut != "postmaster=macnt;u1=macnt;" {
		t.Errorf("cut %q", cut)
	}
	codes := regexp.MustCompile(`^(\d{3}) (.+)\r\n$`)
	for _, line := range []string{"NOOP", "GetAccountAliases u1", "GetAccountOneSetting u1 RealName", "Foo", "VerifyAccountPassword u1 PASSWORD x", "USER x", "ListAccounts \"none.com\"", "CreateAccount u1"} {
		if got := c.raw(line + "\n"); !codes.MatchString(got) {
			t.Errorf("%s: %q", line, got)
		}
	}
}

// A Python client without INLINE reads four bytes, then up to CRLF, compares the
// text with "data follow", and reads the data up to CRLF: no CR may come before.
func TestPythonClientReadsTextForm(t *testing.T) {
	s := newSite(t, false)
	c := newClient(t, s.dial(t))
	c.line()
	c.say("USER postmaster")
	c.say("PASS secret")
	for _, line := range []string{"GetAccountEffectiveSettings postmaster", "ListAccounts", "MainDomainName", "ListDomains", "GetAccountAliases postmaster", "GetRouterTable"} {
		c.expect(line, "200 data follow")
		data := ""
		for !strings.HasSuffix(data, "\r\n") {
			data += c.line()
		}
		if strings.Count(data, "\r") != 1 {
			t.Errorf("%s: a CR inside of %q", line, data)
		}
		if _, err := dataformat.Parse([]byte(data)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	c.expect("NOOP", "200 OK")
}

// Answers come with keys in the order of their bytes.
func TestKeysAreSorted(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	got := c.say("GetDomainEffectiveSettings")
	var keys []string
	for _, m := range regexp.MustCompile(`[{;]([A-Za-z]+)=`).FindAllStringSubmatch(got, -1) {
		keys = append(keys, m[1])
	}
	if len(keys) < 20 || !slices.IsSorted(keys) {
		t.Errorf("%v", keys)
	}
}

// The Java client says everything in lower case and wants the codes 200 and 300.
func TestJavaClientLogsIn(t *testing.T) {
	s := newSite(t, false)
	c := newClient(t, s.dial(t))
	c.line()
	for _, d := range [][2]string{{"user postmaster\r\n", "300"}, {"pass secret\r\n", "200"}, {"inline\r\n", "200"}, {"listdomains\r\n", "201"}, {"quit\r\n", "200"}} {
		got := c.raw(d[0])
		if code, _, _ := strings.Cut(got, " "); code != d[1] {
			t.Errorf("%q: %q", d[0], got)
		}
	}
}
