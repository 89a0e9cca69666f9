package groupware

import (
	"context"
	"encoding/xml"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/icalendar"
)

// The properties that say in which time zone days and floating times of a calendar are: a calendar text with a VTIMEZONE
// (RFC 4791 section 5.2.2), or the name of a zone (RFC 7809 section 5.3.2). Both are kept as the source of XML.
const (
	TimezoneProperty   = "urn:ietf:params:xml:ns:caldav calendar-timezone"
	TimezoneIDProperty = "urn:ietf:params:xml:ns:caldav calendar-timezone-id"
)

// Zone returns the time zone of days and floating times of the collection: what its properties say, else that of the
// owner's account. Errors: NoMailbox.
func (c *Collection) Zone(ctx context.Context) (*icalendar.Zone, error) {
	if c.zone != nil {
		return c.zone, nil
	}
	all, err := c.Properties(ctx)
	if err != nil {
		return nil, err
	}
	zone := icalendar.KnownZone(strings.TrimSpace(unescaped(all[TimezoneIDProperty])))
	if zone == nil && all[TimezoneProperty] != "" {
		zone = icalendar.DefinedZone([]byte(strings.TrimSpace(unescaped(all[TimezoneProperty])) + "\r\n"))
	}
	if zone == nil {
		zone = ZoneOf(c.Owner.Account)
	}
	c.zone = zone
	return zone, nil
}

// ZoneOf returns the time zone of an account: its preference TimeZone, else that of the server.
func ZoneOf(a *accounts.Account) *icalendar.Zone {
	if zone := icalendar.KnownZone(a.Preference("TimeZone")); zone != nil {
		return zone
	}
	return icalendar.LocalZone()
}

// unescaped returns the text of a source of XML. What is not XML is no text.
func unescaped(source string) string {
	if !strings.ContainsAny(source, "&<") {
		return source
	}
	var b strings.Builder
	d := xml.NewDecoder(strings.NewReader("<v>" + source + "</v>"))
	for {
		token, err := d.Token()
		if err != nil {
			return b.String()
		}
		if text, ok := token.(xml.CharData); ok {
			b.Write(text)
		}
	}
}

// PropertyText returns the text of a property of a collection, which is kept as the source of XML.
func PropertyText(source string) string { return unescaped(source) }
