package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The modes of a policy.
const (
	None    = "none"    // as if there were no policy
	Testing = "testing" // mail is sent, and failures are reported
	Enforce = "enforce" // mail is not sent but as the policy says
)

// MaxAge is the longest time that a policy holds (RFC 8461 section 3.2).
const MaxAge = 31_557_600 * time.Second

// maxHosts bounds the patterns of a policy.
const maxHosts = 1000

// Policy is what a domain says about the way of its mail.
type Policy struct {
	Mode   string
	MX     []string // names of hosts in lower case, *.example.org for one more label before
	MaxAge time.Duration
}

// Parse reads a policy. Of a line that comes twice the first counts; lines of other names are passed over.
func Parse(text string) (*Policy, error) {
	p, seen := &Policy{}, map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		line = strings.TrimRight(line, "\r \t")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("%.60q is not a name with a value", line)
		}
		value = strings.TrimSpace(value)
		if name == "mx" {
			if len(p.MX) == maxHosts {
				return nil, errors.New("it names too many hosts")
			}
			p.MX = append(p.MX, strings.ToLower(strings.TrimSuffix(value, ".")))
			continue
		}
		if _, twice := seen[name]; !twice {
			seen[name] = value
		}
	}
	if seen["version"] != "STSv1" {
		return nil, errors.New("its version is not STSv1")
	}
	p.Mode = seen["mode"]
	if p.Mode != None && p.Mode != Testing && p.Mode != Enforce {
		return nil, fmt.Errorf("its mode %.20q is not enforce, testing or none", p.Mode)
	}
	seconds, err := strconv.ParseUint(seen["max_age"], 10, 40)
	if err != nil {
		return nil, fmt.Errorf("its max_age %.20q is not a number of seconds", seen["max_age"])
	}
	p.MaxAge = min(time.Duration(min(seconds, uint64(MaxAge/time.Second)))*time.Second, MaxAge)
	if len(p.MX) == 0 && p.Mode != None {
		return nil, errors.New("it names no host")
	}
	return p, nil
}

// Matches reports whether a host is one of the policy (RFC 8461 section 4.1).
func (p *Policy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, parent, _ := strings.Cut(host, ".")
	for _, mx := range p.MX {
		if suffix, wild := strings.CutPrefix(mx, "*."); mx == host || wild && suffix == parent && suffix != "" {
			return true
		}
	}
	return false
}

// Lines are the lines of the policy.
func (p *Policy) Lines() []string {
	lines := []string{"version: STSv1", "mode: " + p.Mode}
	for _, mx := range p.MX {
		lines = append(lines, "mx: "+mx)
	}
	return append(lines, "max_age: "+strconv.FormatInt(int64(p.MaxAge/time.Second), 10))
}

// String is the policy as it is fetched.
func (p *Policy) String() string { return strings.Join(p.Lines(), "\r\n") + "\r\n" }

// recordID returns the ID of the record among the texts of _mta-sts.DOMAIN. There is none, too, if several records
// begin as one (RFC 8461 section 3.1).
func recordID(texts []string) (string, error) {
	id, records := "", 0
	for _, text := range texts {
		first, rest, _ := strings.Cut(text, ";")
		if strings.TrimRight(first, " \t") != "v=STSv1" {
			continue
		}
		records++
		for field := range strings.SplitSeq(rest, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			if name == "id" && id == "" {
				id = value
			}
		}
	}
	switch {
	case records == 0:
		return "", nil
	case records > 1:
		return "", errors.New("there are several records")
	case !validID(id):
		return "", errors.New("the record has no id of letters and digits")
	}
	return id, nil
}

func validID(id string) bool {
	return id != "" && len(id) <= 32 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
