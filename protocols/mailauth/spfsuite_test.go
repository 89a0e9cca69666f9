package mailauth

import (
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// spfScenario is a document of the openspf test suite for RFC 7208, which comes with the SPF library.
type spfScenario struct {
	Description string
	Tests       map[string]struct {
		HELO   string `yaml:"helo"`
		Host   string
		From   string `yaml:"mailfrom"`
		Result oneOrMore
		Skip   string // why the library's authors leave it out
	}
	Zone map[string][]yaml.Node `yaml:"zonedata"`
}

// oneOrMore is a text or a list of texts.
type oneOrMore []string

func (l *oneOrMore) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = oneOrMore{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

// spfZone makes a Resolver of the zone of a scenario.
func spfZone(t *testing.T, zone map[string][]yaml.Node) names {
	t.Helper()
	n, cnames := names{}, map[string]string{}
	for owner, records := range zone {
		owner = strings.ToLower(strings.TrimSuffix(owner, "."))
		where := owner
		if ip, ok := reverseName(owner); ok {
			where = ip
		}
		var old []string // records of the type SPF, which stand for TXT where there is none
		none := false
		for _, r := range records {
			if r.Kind == yaml.ScalarNode { // TIMEOUT
				for _, kind := range []string{"TXT ", "MX ", "A ", "PTR "} {
					if len(n[kind+where]) == 0 {
						n[kind+where] = []string{"!"}
					}
				}
				continue
			}
			for i := 0; i+1 < len(r.Content); i += 2 {
				var list oneOrMore
				if err := r.Content[i+1].Decode(&list); err != nil {
					t.Fatal(err)
				}
				switch kind := r.Content[i].Value; kind {
				case "SPF":
					old = append(old, strings.Join(list, ""))
				case "TXT":
					if text := strings.Join(list, ""); text == "NONE" {
						none = true
					} else {
						n["TXT "+where] = append(n["TXT "+where], text)
					}
				case "A", "AAAA":
					n["A "+where] = append(n["A "+where], list...)
				case "MX":
					n["MX "+where] = append(n["MX "+where], list[1])
				case "PTR":
					n["PTR "+where] = append(n["PTR "+where], strings.TrimSuffix(list[0], ".")+".")
				case "CNAME":
					cnames[where] = strings.ToLower(strings.TrimSuffix(list[0], "."))
				case "TIMEOUT":
					for _, kind := range []string{"TXT ", "MX ", "A ", "PTR "} {
						n[kind+where] = []string{"!"}
					}
				}
			}
		}
		if len(n["TXT "+where]) == 0 && len(old) > 0 && !none {
			n["TXT "+where] = old
		}
	}
	for from, to := range cnames {
		for range 8 {
			if next, more := cnames[to]; more {
				to = next
			}
		}
		for _, kind := range []string{"TXT ", "MX ", "A ", "PTR "} {
			if list := n[kind+to]; len(list) > 0 {
				n[kind+from] = list
			}
		}
	}
	return n
}

// reverseName is the address of a name below in-addr.arpa or ip6.arpa.
func reverseName(name string) (string, bool) {
	v4, is4 := strings.CutSuffix(name, ".in-addr.arpa")
	v6, is6 := strings.CutSuffix(name, ".ip6.arpa")
	switch {
	case is4:
		labels := strings.Split(v4, ".")
		slices.Reverse(labels)
		return strings.Join(labels, "."), true
	case is6:
		labels := strings.Split(v6, ".")
		slices.Reverse(labels)
		var b strings.Builder
		for i, l := range labels {
			if i > 0 && i%4 == 0 {
				b.WriteByte(':')
			}
			b.WriteString(l)
		}
		ip, err := netip.ParseAddr(b.String())
		return ip.String(), err == nil
	}
	return "", false
}

// TestOpenSPFSuite runs the openspf test suite over our use of the library: RFC 7208 with its limits of look-ups, macros,
// and errors (class 12).
func TestOpenSPFSuite(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "testdata", "rfc7208-tests.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ran, skipped := 0, 0
	for d := yaml.NewDecoder(f); ; {
		var s spfScenario
		if err := d.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		v := &Verifier{Resolver: spfZone(t, s.Zone)}
		for name, c := range s.Tests {
			if c.Skip != "" {
				skipped++
				continue
			}
			ran++
			r := v.spf(t.Context(), &Message{Client: netip.MustParseAddr(c.Host), HELO: c.HELO, ReturnPath: c.From})
			if !slices.Contains(c.Result, string(r.Result)) {
				t.Errorf("%s, %s: %s (%s), want %v", s.Description, name, r.Result, r.Reason, c.Result)
			}
		}
	}
	t.Logf("%d cases, %d left out by the library's authors", ran, skipped)
	if ran < 150 || skipped > 31 {
		t.Errorf("%d cases, %d left out", ran, skipped)
	}
}
