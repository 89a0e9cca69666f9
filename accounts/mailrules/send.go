package mailrules

import (
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"gatepost/accounts"
	"gatepost/queue/envelope"
)

// newFields are the fields that a new message needs besides what the rule gives: RFC 5322 section 3.6.
func newFields(domain string) []byte {
	b := time.Now().AppendFormat([]byte("Date: "), time.RFC1123Z)
	return append(append(append(append(b, "\r\nMessage-ID: <rule."...), rand.Text()...), "@"+domain...), ">\r\n"...)
}

// received is the trace field of a message that rules of the server send (RFC 5321 section 4.4). It counts
// as a hop.
func received(domain, by string, id envelope.QueueID) []byte {
	b := append([]byte("Received: by "), domain+" (Gatepost) ("+by+")\r\n  id "...)
	b = strconv.AppendUint(b, uint64(id), 10)
	return append(time.Now().AppendFormat(append(b, "; "...), time.RFC1123Z), "\r\n"...)
}

// zones are the time zones that accounts have named; there are some hundreds.
var zones sync.Map // name → *time.Location, nil for one that does not exist

// zoneOf is the time zone of an account, by its preference TimeZone: that of the server unless it is the
// name of another one.
func zoneOf(acc *accounts.Account) *time.Location {
	name := acc.Preference("TimeZone")
	if name == "" || name == "HostOS" {
		return time.Local
	}
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return time.Local
	}
	zones.Store(name, z)
	return z
}
