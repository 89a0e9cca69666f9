package settings

import (
	"maps"
	"slices"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Names are the names of declared settings. People write them in any case; files and
// programs use the declared spelling.
type Names struct {
	declared []Setting
	byFold   map[string]int // lower-case name → index in declared
}

// NamesOf collects the names of lists of settings. Where two lists have a name, the first counts.
func NamesOf(lists ...[]Setting) *Names {
	n := &Names{byFold: map[string]int{}}
	for _, list := range lists {
		for _, s := range list {
			if _, ok := n.byFold[strings.ToLower(s.Key)]; ok {
				continue
			}
			n.byFold[strings.ToLower(s.Key)] = len(n.declared)
			n.declared = append(n.declared, s)
		}
	}
	return n
}

// All lists the declared settings, in the order of their declaration.
func (n *Names) All() []Setting { return slices.Clone(n.declared) }

// Find returns the setting with a name in any case.
func (n *Names) Find(name string) (Setting, bool) {
	i, ok := n.byFold[strings.ToLower(name)]
	if !ok {
		return Setting{}, false
	}
	return n.declared[i], true
}

// Spell returns a name as it is declared; a name that is not declared comes back as it is.
func (n *Names) Spell(name string) string {
	if s, ok := n.Find(name); ok {
		return s.Key
	}
	return name
}

// Respell returns a copy of what somebody gives, under the declared names. Errors:
// Invalid for a setting that is given twice.
func (n *Names) Respell(given dataformat.Dict) (dataformat.Dict, error) {
	out := make(dataformat.Dict, len(given))
	for name, v := range given {
		key := n.Spell(name)
		if _, twice := out[key]; twice {
			return nil, fault.Newf("settings.Respell", fault.Invalid, "%s: the setting is given twice", key)
		}
		out[key] = v
	}
	return out, nil
}

// Unknown returns the keys of d that are not declared in this spelling, in order.
func (n *Names) Unknown(d dataformat.Dict) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d)), func(key string) bool {
		s, ok := n.Find(key)
		return ok && s.Key == key
	})
}

// Likely returns the declared name that was most likely meant by an unknown one:
// the same in another case, or with up to two letters wrong, missing or too many;
// "" if there is none.
func (n *Names) Likely(unknown string) string {
	const maxKey, most = 100, 2
	if len(unknown) > maxKey {
		return ""
	}
	likely, least := "", most+1
	for _, s := range n.declared {
		d := distance(strings.ToLower(unknown), strings.ToLower(s.Key))
		if d < least && d < len(s.Key)/2 {
			likely, least = s.Key, d
		}
	}
	return likely
}

// distance counts the bytes to change, insert or remove to make b of a
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // distance from the prefix of a that was read to each prefix of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Secret reports whether a setting holds a secret: the declaration says so, or for a
// name that is not declared, its words.
func (n *Names) Secret(name string) bool {
	if s, ok := n.Find(name); ok {
		return s.Secret
	}
	return LooksSecret(name)
}

// secretWords are words in the names of settings that hold secrets.
var secretWords = []string{"passw", "passphrase", "pwd", "kennwort", "secret", "privatekey", "privatesecurekey"}

// LooksSecret reports whether an undeclared name seems to be that of a secret.
func LooksSecret(name string) bool {
	name = strings.ToLower(name)
	return name == "pass" || name == "pw" || slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(name, w) })
}
