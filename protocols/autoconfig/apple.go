package autoconfig

import (
	"crypto/sha1"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	gate "gatepost/protocols/http"
	"gatepost/server/fault"
)

// profileType is the media type by which Apple's systems offer to install a profile.
const profileType = "application/x-apple-aspen-config"

// profilePath is where the profile of an address is.
func profilePath(email string) string { return "/apple/" + url.PathEscape(email) + profileSuffix }

const profileSuffix = ".mobileconfig"

// apple answers with the profile of an address: mail, calendars and contacts. Passwords are asked for when it is installed.
func (p *Pages) apple(w http.ResponseWriter, r *http.Request) {
	const op = "autoconfig.Apple"
	q := gate.Of(r.Context())
	if len(q.Path) != 1 || !strings.HasSuffix(q.Path[0], profileSuffix) || len(q.Path[0]) == len(profileSuffix) {
		gate.Refuse(w, r, fault.New(op, fault.NotFound, ""))
		return
	}
	email := strings.TrimSuffix(q.Path[0], profileSuffix)
	o, err := p.offer(q, email)
	if err != nil {
		gate.Refuse(w, r, err)
		return
	}
	payloads := o.payloads(email, p.o.Port())
	if len(payloads) == 0 {
		gate.Refuse(w, r, fault.New(op, fault.Unavailable, "The server offers nothing that a profile can set up."))
		return
	}
	profile := dict{
		{"PayloadContent", payloads},
		{"PayloadDescription", "Mail, calendars and contacts of " + email},
		{"PayloadDisplayName", email},
		{"PayloadIdentifier", identifier(email, "")},
		{"PayloadOrganization", o.domain},
		{"PayloadRemovalDisallowed", false},
		{"PayloadType", "Configuration"},
		{"PayloadUUID", payloadUUID(email, "")},
		{"PayloadVersion", 1},
	}
	var b strings.Builder
	b.WriteString(xml.Header)
	b.WriteString(`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n<plist version=\"1.0\">\n")
	writePlist(&b, "", profile)
	b.WriteString("</plist>\n")
	h := w.Header()
	h.Set("Content-Type", profileType)
	h.Set("Content-Disposition", `attachment; filename="`+o.domain+profileSuffix+`"`)
	h.Set("Cache-Control", "no-store")
	// A client that is gone does not miss it.
	_, _ = w.Write([]byte(b.String()))
}

// payloads are the accounts of a profile.
func (o *offer) payloads(email string, port int) []dict {
	var list []dict
	add := func(kind, name, typ string, own dict) {
		list = append(list, append(own,
			entry{"PayloadDisplayName", name}, entry{"PayloadIdentifier", identifier(email, "."+kind)},
			entry{"PayloadType", typ}, entry{"PayloadUUID", payloadUUID(email, kind)}, entry{"PayloadVersion", 1}))
	}
	in, kind := MailService{}, ""
	if m, ok := o.best("imap"); ok {
		in, kind = m, "EmailTypeIMAP"
	} else if m, ok := o.best("pop3"); ok {
		in, kind = m, "EmailTypePOP"
	}
	if out, ok := o.best("smtp"); ok && kind != "" {
		add("mail", "Mail", "com.apple.mail.managed", dict{
			{"EmailAccountDescription", email}, {"EmailAccountType", kind}, {"EmailAddress", email},
			{"IncomingMailServerAuthentication", "EmailAuthPassword"}, {"IncomingMailServerHostName", o.host},
			{"IncomingMailServerPortNumber", in.Port}, {"IncomingMailServerUseSSL", true}, {"IncomingMailServerUsername", email},
			{"OutgoingMailServerAuthentication", "EmailAuthPassword"}, {"OutgoingMailServerHostName", o.host},
			{"OutgoingMailServerPortNumber", out.Port}, {"OutgoingMailServerUseSSL", true}, {"OutgoingMailServerUsername", email},
			{"OutgoingPasswordSameAsIncomingPassword", true},
		})
	}
	dav := func(prefix string) dict {
		return dict{
			{prefix + "AccountDescription", email}, {prefix + "HostName", o.host}, {prefix + "Port", port},
			{prefix + "PrincipalURL", "/UserDAV/" + url.PathEscape(email) + "/"}, {prefix + "UseSSL", true}, {prefix + "Username", email},
		}
	}
	if o.calendars {
		add("caldav", "Calendars", "com.apple.caldav.account", dav("CalDAV"))
	}
	if o.contacts {
		add("carddav", "Contacts", "com.apple.carddav.account", dav("CardDAV"))
	}
	return list
}

// identifier names a profile, or with a suffix a payload of it: a profile with the same identifier takes its place.
func identifier(email, suffix string) string {
	local, domain, _ := strings.Cut(email, "@")
	labels := strings.Split(domain, ".")
	var b strings.Builder
	for i := len(labels) - 1; i >= 0; i-- {
		b.WriteString(labels[i] + ".")
	}
	return b.String() + local + suffix
}

// payloadUUID is always the same for an address and a kind of payload (RFC 9562 section 5.5).
func payloadUUID(email, kind string) string {
	h := sha1.Sum([]byte("gatepost profile " + email + " " + kind))
	h[6], h[8] = h[6]&0x0f|0x50, h[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16]))
}

// dict is a dictionary of a property list, in order.
type dict []entry

type entry struct {
	key   string
	value any // a string, an int, a bool, a dict or a []dict
}

// writePlist writes a value of a property list.
func writePlist(b *strings.Builder, indent string, v any) {
	b.WriteString(indent)
	switch v := v.(type) {
	case string:
		b.WriteString("<string>")
		_ = xml.EscapeText(b, []byte(v)) // a strings.Builder takes everything
		b.WriteString("</string>\n")
	case int:
		b.WriteString("<integer>" + strconv.Itoa(v) + "</integer>\n")
	case bool:
		b.WriteString("<" + strconv.FormatBool(v) + "/>\n")
	case []dict:
		b.WriteString("<array>\n")
		for _, d := range v {
			writePlist(b, indent+"  ", d)
		}
		b.WriteString(indent + "</array>\n")
	case dict:
		b.WriteString("<dict>\n")
		for _, e := range v {
			b.WriteString(indent + "  <key>" + e.key + "</key>\n")
			writePlist(b, indent+"  ", e.value)
		}
		b.WriteString(indent + "</dict>\n")
	default:
		panic(fmt.Sprintf("autoconfig: a property list has no %T", v))
	}
}
