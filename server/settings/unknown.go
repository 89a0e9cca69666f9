package settings

import (
	"maps"
	"slices"
	"strings"

	"gatepost/server/dataformat"
)

// Unknown returns the keys of d that none of the declared settings has, in order.
func Unknown(d dataformat.Dict, declared ...[]Setting) []string {
	unknown := slices.Sorted(maps.Keys(d))
	for _, list := range declared {
		for _, s := range list {
			unknown = slices.DeleteFunc(unknown, func(key string) bool { return key == s.Key })
		}
	}
	return unknown
}

// Likely returns the declared key that was most likely meant by an unknown one:
// the same in another case, or with up to two letters wrong, missing or too many;
// "" if there is none.
func Likely(unknown string, declared ...[]Setting) string {
	const maxKey, most = 100, 2
	if len(unknown) > maxKey {
		return ""
	}
	likely, least := "", most+1
	for _, list := range declared {
		for _, s := range list {
			n := distance(strings.ToLower(unknown), strings.ToLower(s.Key))
			if n < least && n < len(s.Key)/2 {
				likely, least = s.Key, n
			}
		}
	}
	return likely
}

// distance counts the bytes to change, insert or remove to make b of a
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // from what is read of a to each beginning of b
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
