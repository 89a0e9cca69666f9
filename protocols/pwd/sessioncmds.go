package pwd

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// sessionCommands are about sessions that have logged in, and about the log.
var loggedInCommands = []command{
	{"LISTACCOUNTSESSIONS", sessionSyntax, func(c *call) (dataformat.Value, error) {
		address, service, none := selected(c)
		list, err := c.actor.AccountSessions(c, c.name("acct"), address, service)
		out := dataformat.Array{}
		for i := range list {
			if !none {
				out = append(out, dataformat.String(strconv.FormatUint(list[i].Number, 10)))
			}
		}
		return out, err
	}},
	{"FINDACCOUNTSESSION", sessionSyntax, func(c *call) (dataformat.Value, error) {
		address, service, none := selected(c)
		s, err := c.actor.FindAccountSession(c, c.name("acct"), address, service)
		if err == nil && none {
			err = fault.New("pwd.FindSession", fault.NotFound, "there is no such session")
		}
		if err != nil {
			return nil, err
		}
		return dataformat.String(strconv.FormatUint(s.Number, 10)), nil
	}},
	{"GETSESSION", "id [DOMAIN domain]", func(c *call) (dataformat.Value, error) {
		s, err := c.actor.Session(c, c.args.word("id"))
		if err != nil {
			return nil, err
		}
		name, domain, _ := strings.Cut(s.Account, "@")
		return dataformat.Dict{
			"ID": dataformat.String(strconv.FormatUint(s.Number, 10)), "accountName": dataformat.String(name), "domainName": dataformat.String(domain),
			"protocol": dataformat.String(s.Service), "address": dataformat.String(s.IP.String()), "TLS": flagOf(s.TLS), "sessionStart": dataformat.Time{T: s.Since.UTC().Truncate(time.Second)},
		}, nil
	}},
	{"KILLSESSION", "id [DOMAIN domain]", func(c *call) (dataformat.Value, error) { return nil, c.actor.KillSession(c, c.args.word("id")) }},
	{"WRITELOG", "#level text...", func(c *call) (dataformat.Value, error) {
		level, _ := dataformat.Int(c.args.values["level"])
		text := c.args.word("text")
		if v, err := dataformat.Parse([]byte(text)); err == nil { // it may be in quotes
			if t, ok := dataformat.Text(v); ok {
				text = t
			}
		}
		return nil, c.actor.WriteLog(c, int(level), text)
	}},
	{"SETLOGALL", "state=ON|OFF", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.LogAll(c, strings.EqualFold(c.args.word("state"), "ON"))
	}},
	{"REPORTFAILEDLOGINADDRESS", "ip", func(c *call) (dataformat.Value, error) { return nil, c.actor.ReportFailedLogin(c, c.args.word("ip")) }},
}

const sessionSyntax = "acct [ADDRESS ip] [FOR proxied] [PROTOCOL protocol] [TRANSPORT transport] [CLIENT client]"

// selected reads which sessions are meant. None is of a client by its name, nor over another transport than that of its protocol.
func selected(c *call) (address, service string, none bool) {
	return strings.Trim(c.args.word("ip"), "[]"), c.args.word("protocol"), c.args.word("client") != "" || c.args.word("transport") != "" || c.args.word("proxied") != ""
}

// started is about when the process began.
var started = time.Now()

// systemInfo answers what stands for nothing that a stranger could use.
func systemInfo(c *call) (dataformat.Value, error) {
	switch strings.ToLower(c.args.word("what")) {
	case "version":
		return dataformat.String(c.admin.Version()), nil
	case "os":
		return dataformat.String(runtime.GOOS), nil
	case "cpu":
		return dataformat.String(runtime.GOARCH), nil
	case "numcpu":
		return dataformat.Number(runtime.NumCPU()), nil
	case "starttime":
		return dataformat.Time{T: started.UTC().Truncate(time.Second)}, nil
	}
	return nil, fault.New("pwd.SystemInfo", fault.Invalid, "version, os, cpu, numCPU or startTime is expected")
}
