package http

import (
	"time"

	"gatepost/server/settings"
)

// Config are the settings of a module: Settings for administrators, or UserSettings.
type Config interface {
	common() *Settings
	// access says who reaches a part: nobody, clients or everybody.
	access(part string) string
	// tag is the tag of a part's records in the log; empty for that of the module.
	tag(part string) string
}

// Settings are what an administrator can change of HTTPA and of HTTPU. Listeners and the log level
// are settings of every module, see package server.
type Settings struct {
	Channels       int             `key:"Channels" default:"1000" since:"0.1" help:"connections at a time; 0 for no limit"`
	Requests       int             `key:"Requests" default:"500" level:"advanced" since:"0.1" help:"requests that are carried out at a time; more are answered with 503; 0 for no limit"`
	RequestsPerIP  int             `key:"RequestsPerIP" default:"50" level:"advanced" since:"0.1" help:"requests of one address at a time that is not a Client IP; more are answered with 429; 0 for no limit"`
	RequestSize    settings.Size   `key:"HTTPRequestSizeLimit" default:"10M" unit:"bytes" since:"0.1" help:"largest body of a request, where the part that answers it has no limit of its own"`
	HeaderSize     settings.Size   `key:"HeaderSizeLimit" default:"32K" unit:"bytes" level:"expert" since:"0.1" help:"largest header of a request, 4K to 1M"`
	KeepAlive      settings.Flag   `key:"SupportKeepAlive" default:"YES" level:"advanced" since:"0.1" help:"a connection serves more than one request"`
	HeaderTimeout  settings.Period `key:"HeaderTimeout" default:"20s" level:"expert" since:"0.1" help:"how long the header of a request may take"`
	BodyTimeout    settings.Period `key:"BodyTimeout" default:"1m" level:"expert" since:"0.1" help:"how long a client may pause while it sends a body, and a sixth of the time after which it must have sent 100 bytes a second"`
	WriteTimeout   settings.Period `key:"WriteTimeout" default:"2m" level:"expert" since:"0.1" help:"how long a client may take for each piece of an answer"`
	IdleTimeout    settings.Period `key:"IdleTimeout" default:"2m" level:"expert" since:"0.1" help:"time between requests after which a connection is closed"`
	TrustedProxies settings.IPList `key:"TrustedProxies" level:"advanced" since:"0.1" help:"addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"`
	ProxyProtocol  settings.Flag   `key:"ProxyProtocol" default:"NO" level:"advanced" since:"0.2" help:"connections of trusted proxies begin with a PROXY header, which names the client; those without one are closed"`
	CLIAccess      string          `key:"CLIAccess" default:"nobody" values:"nobody|clients|everybody" since:"0.1" help:"who reaches the command line at /CLI/: nobody, Client IPs, or everybody; each with name and password"`
}

// Validate checks the values that a type alone does not bound.
func (s *Settings) Validate() error {
	switch {
	case s.Channels < 0:
		return settings.BadValue("Channels", "must not be negative")
	case s.Requests < 0:
		return settings.BadValue("Requests", "must not be negative")
	case s.RequestsPerIP < 0:
		return settings.BadValue("RequestsPerIP", "must not be negative")
	case s.HeaderSize < 4<<10 || s.HeaderSize > 1<<20:
		return settings.BadValue("HeaderSizeLimit", "must be 4K to 1M")
	}
	for key, period := range map[string]settings.Period{
		"HeaderTimeout": s.HeaderTimeout, "BodyTimeout": s.BodyTimeout, "WriteTimeout": s.WriteTimeout, "IdleTimeout": s.IdleTimeout,
	} {
		if period <= 0 || period.Duration() > 24*time.Hour {
			return settings.BadValue(key, "must be more than 0 and not more than 1d")
		}
	}
	return nil
}

func (s *Settings) common() *Settings { return s }

// access: administrators' pages have their own rights.
func (s *Settings) access(part string) string {
	if part == PartCLI {
		return s.CLIAccess
	}
	return accessAll
}

func (s *Settings) tag(string) string { return "" }

// Words of the access to a part.
const (
	accessNobody  = "nobody"
	accessClients = "clients"
	accessAll     = "everybody"
)

// Parts of HTTPU that have an access and a log level of their own. The names are their tags in the log.
const (
	PartCLI        = "CLI"
	PartRoot       = "RootDAV"
	PartPrincipals = "UserDAV"
	PartCalendars  = "CALDAV"
	PartContacts   = "CARDDAV"
	PartFiles      = "FILEDAV"
	PartLists      = "LISTPAGES"
	PartAutoconfig = "AUTOCONFIG"
)

// UserSettings are what an administrator can change of HTTPU.
type UserSettings struct {
	Settings

	PublicPort       int    `key:"PublicPort" default:"0" since:"0.2" help:"port of https by which clients reach this module, where a proxy or a firewall maps it, such as 443; 0 for that of the first listener with TLS"`
	RootDAVAccess    string `key:"RootDAVAccess" default:"everybody" values:"nobody|clients|everybody" level:"advanced" since:"0.2" help:"who finds calendars and contacts by the root and /.well-known/: nobody, Client IPs, or everybody"`
	RootDAVLog       int    `key:"RootDAVLog" default:"-1" level:"advanced" since:"0.2" help:"records of the root for WebDAV that are written, 0 to 5; -1 for the module's level"`
	UserDAVAccess    string `key:"UserDAVAccess" default:"everybody" values:"nobody|clients|everybody" level:"advanced" since:"0.2" help:"who reaches principals at /UserDAV/, which calendar programs need"`
	UserDAVLog       int    `key:"UserDAVLog" default:"-1" level:"advanced" since:"0.2" help:"records of principals that are written, 0 to 5; -1 for the module's level"`
	CALDAVAccess     string `key:"CALDAVAccess" default:"everybody" values:"nobody|clients|everybody" since:"0.2" help:"who reaches calendars and tasks at /CalDAV/; each with name and password, and the service WebCAL"`
	CALDAVLog        int    `key:"CALDAVLog" default:"-1" level:"advanced" since:"0.2" help:"records of CalDAV that are written, 0 to 5; -1 for the module's level"`
	CARDDAVAccess    string `key:"CARDDAVAccess" default:"everybody" values:"nobody|clients|everybody" since:"0.2" help:"who reaches contacts at /CardDAV/; each with name and password, and the service WebCAL"`
	CARDDAVLog       int    `key:"CARDDAVLog" default:"-1" level:"advanced" since:"0.2" help:"records of CardDAV that are written, 0 to 5; -1 for the module's level"`
	FILEDAVAccess    string `key:"FILEDAVAccess" default:"everybody" values:"nobody|clients|everybody" since:"0.2" help:"who reaches file storage at /WebDAV/; each with name and password, and the service WebSite"`
	FILEDAVLog       int    `key:"FILEDAVLog" default:"-1" level:"advanced" since:"0.2" help:"records of file storage that are written, 0 to 5; -1 for the module's level"`
	ListsAccess      string `key:"ListsAccess" default:"everybody" values:"nobody|clients|everybody" since:"0.2" help:"who reaches the pages of mailing lists at /Lists/"`
	ListsLog         int    `key:"ListsLog" default:"-1" level:"advanced" since:"0.2" help:"records of the pages of mailing lists that are written, 0 to 5; -1 for the module's level"`
	AutoconfigAccess string `key:"AutoconfigAccess" default:"everybody" values:"nobody|clients|everybody" level:"advanced" since:"0.2" help:"who is told the settings for mail programs"`
	AutoconfigLog    int    `key:"AutoconfigLog" default:"-1" level:"advanced" since:"0.2" help:"records of these settings that are written, 0 to 5; -1 for the module's level"`
	CLILog           int    `key:"CLILog" default:"-1" level:"advanced" since:"0.2" help:"records of the command line that are written, 0 to 5; -1 for the module's level"`
}

// Validate checks the values that a type alone does not bound.
func (s *UserSettings) Validate() error {
	if s.PublicPort < 0 || s.PublicPort > 65535 {
		return settings.BadValue("PublicPort", "must be 0 to 65535")
	}
	for part, level := range s.LogLevels() {
		if level < -1 || level > 5 {
			return settings.BadValue(logKeys[part], "must be -1 to 5")
		}
	}
	return s.Settings.Validate()
}

// logKeys are the settings of the parts' log levels.
var logKeys = map[string]string{
	PartCLI: "CLILog", PartRoot: "RootDAVLog", PartPrincipals: "UserDAVLog", PartCalendars: "CALDAVLog",
	PartContacts: "CARDDAVLog", PartFiles: "FILEDAVLog", PartLists: "ListsLog", PartAutoconfig: "AutoconfigLog",
}

func (s *UserSettings) access(part string) string {
	switch part {
	case PartCLI:
		return s.CLIAccess
	case PartRoot:
		return s.RootDAVAccess
	case PartPrincipals:
		return s.UserDAVAccess
	case PartCalendars:
		return s.CALDAVAccess
	case PartContacts:
		return s.CARDDAVAccess
	case PartFiles:
		return s.FILEDAVAccess
	case PartLists:
		return s.ListsAccess
	case PartAutoconfig:
		return s.AutoconfigAccess
	}
	return accessAll
}

func (s *UserSettings) tag(part string) string { return part }

// LogLevels are the levels of the parts by their tags; -1 is that of the module.
func (s *UserSettings) LogLevels() map[string]int {
	return map[string]int{
		PartCLI: s.CLILog, PartRoot: s.RootDAVLog, PartPrincipals: s.UserDAVLog, PartCalendars: s.CALDAVLog,
		PartContacts: s.CARDDAVLog, PartFiles: s.FILEDAVLog, PartLists: s.ListsLog, PartAutoconfig: s.AutoconfigLog,
	}
}
