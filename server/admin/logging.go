package admin

import (
	"context"
	"net/netip"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// maxRecord bounds the text of a record that an administrator writes.
const maxRecord = 1000

// WriteLog writes a record into the log, of a level from 0 to 5.
func (a Actor) WriteLog(ctx context.Context, level int, text string) error {
	return do(ctx, a, "WRITELOG", server, func(o *operation) error {
		if level < 0 || level > 5 || text == "" || len(text) > maxRecord {
			return fault.New("admin.WriteLog", fault.Invalid, "a level from 0 to 5 and a text are expected")
		}
		o.admin.server.WriteLog(o, level, text)
		return nil
	})
}

// LogAll has everything logged, whatever the levels are, or ends that. It does not outlive the process.
func (a Actor) LogAll(ctx context.Context, on bool) error {
	return do(ctx, a, "SETLOGALL", server, func(o *operation) error {
		o.admin.server.LogAll(o, on)
		o.new = dataformat.String(map[bool]string{true: "ON", false: "OFF"}[on])
		return nil
	})
}

// ReportFailedLogin counts a failed login from an address, which some other program has seen.
func (a Actor) ReportFailedLogin(ctx context.Context, address string) error {
	return do(ctx, a, "REPORTFAILEDLOGINADDRESS", named(address), func(o *operation) error {
		ip, err := netip.ParseAddr(strings.Trim(address, "[]"))
		if err != nil {
			return fault.New("admin.ReportFailedLogin", fault.Invalid, "an IP address is expected")
		}
		o.admin.acc.Logins().ReportFailure(o, ip.Unmap())
		return nil
	})
}
