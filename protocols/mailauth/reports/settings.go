package reports

import (
	"gatepost/router/address"
	"gatepost/server/settings"
)

// Settings of reports.
type Settings struct {
	Name    string        `key:"ReportName" default:"dmarc-reports" level:"basic" since:"0.2" help:"the name in every domain to which others send aggregate reports of DMARC, unless somebody bears it; empty takes none"`
	SendTLS settings.Flag `key:"SendTLSReports" default:"NO" level:"basic" since:"0.3" help:"domains that ask for it (RFC 8460) get a daily report about how encrypted sessions with their mail servers went"`
	Send    settings.Flag `key:"SendReports" default:"NO" level:"basic" since:"0.2" help:"domains that ask for it get a daily report about the mail that strangers have sent here in their name"`
}

// Validate checks the name.
func (s *Settings) Validate() error {
	if s.Name != "" && !address.ValidName(s.Name) {
		return settings.BadValue("ReportName", "%q cannot be a name in a domain", s.Name)
	}
	return nil
}
