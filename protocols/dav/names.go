package dav

import (
	"cmp"
	"encoding/xml"
	"maps"
	"slices"
)

// The namespaces, and the prefixes that answers have for them.
const (
	nsDAV    = "DAV:"
	nsCal    = "urn:ietf:params:xml:ns:caldav"
	nsCard   = "urn:ietf:params:xml:ns:carddav"
	nsServer = "http://calendarserver.org/ns/"
	nsApple  = "http://apple.com/ns/ical/"
)

var prefixes = map[string]string{nsDAV: "D", nsCal: "C", nsCard: "A", nsServer: "S", nsApple: "I"}

// declarations are the attributes of an answer's root element.
const declarations = ` xmlns:D="DAV:" xmlns:C="` + nsCal + `" xmlns:A="` + nsCard + `" xmlns:S="` + nsServer + `" xmlns:I="` + nsApple + `"`

func d(local string) xml.Name    { return xml.Name{Space: nsDAV, Local: local} }
func cal(local string) xml.Name  { return xml.Name{Space: nsCal, Local: local} }
func card(local string) xml.Name { return xml.Name{Space: nsCard, Local: local} }
func cs(local string) xml.Name   { return xml.Name{Space: nsServer, Local: local} }
func ical(local string) xml.Name { return xml.Name{Space: nsApple, Local: local} }

// sortedNames returns the names of a table in one order, so that answers are the same each time.
func sortedNames[V any](table map[xml.Name]V) []xml.Name {
	return slices.SortedFunc(maps.Keys(table), func(a, b xml.Name) int {
		return cmp.Or(cmp.Compare(a.Space, b.Space), cmp.Compare(a.Local, b.Local))
	})
}
