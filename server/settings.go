package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"gatepost/protocols/helper"
	"gatepost/protocols/milter"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Settings are those of the server as a whole, in Settings/Main.settings,
// beside the DomainName that the account directory keeps there.
type Settings struct {
	LogLevel          int             `key:"LogLevel" default:"3" level:"basic" since:"0.1" help:"records that are written: 0 crashes, 1 failures, 2 major, 3 problems, 4 low-level, 5 all; modules may have their own"`
	DeleteLeftoversIn settings.Period `key:"DeleteLeftoversIn" default:"never" level:"advanced" since:"0.1" help:"what crashes have left in the Leftovers of accounts is removed when it is older than this; never keeps it until 'gatepost check --tidy'"`
	IgnoreBindings    settings.Flag   `key:"IgnoreListenerErrors" default:"NO" level:"advanced" since:"0.1" help:"start although a listener cannot be bound"`
	TLSMinVersion     string          `key:"TLSMinVersion" default:"1.2" values:"1.2|1.3" level:"advanced" since:"0.3" help:"oldest version of TLS that clients may use; on port 25 it is 1.2, as other mail servers would else send in clear"`
	TLSTimeToLive     settings.Period `key:"TLSTimeToLive" default:"1d" level:"advanced" since:"0.3" help:"how long a client can take up an encrypted session again by its ticket, 1m to 7d"`
	ExternalFilters   helper.Filters  `key:"ExternalFilters" level:"basic" since:"0.2" help:"programs that look at messages, an array of dictionaries; the rule action ExternalFilter names them"`
	Milters           milter.List     `key:"Milters" level:"basic" since:"0.2" help:"mail filters that listen on a socket, an array of dictionaries; each message of SMTP clients is shown to them in that order"`
	SysPasswordVia    string          `key:"SysPasswordVia" default:"/usr/sbin/unix_chkpwd" level:"advanced" since:"0.2" help:"what knows the passwords of the operating system's users, for accounts with UseSysPassword: the path of a program that is called like unix_chkpwd, which needs a server that runs as root, or of the socket of saslauthd, such as /run/saslauthd/mux"`
	ExternalAuth      helper.Settings `key:"ExternalAUTH" level:"basic" since:"0.2" help:"the program that knows passwords and accounts, a dictionary"`
}

// Validate checks the log level, and that leftovers are not old at once.
func (s *Settings) Validate() error {
	if s.DeleteLeftoversIn == 0 {
		return fault.New("server.Settings", fault.Invalid, "DeleteLeftoversIn must be greater than 0, or never")
	}
	if !filepath.IsAbs(s.SysPasswordVia) {
		return fault.New("server.Settings", fault.Invalid, "SysPasswordVia must be a path from the root directory")
	}
	if err := checkTimeToLive(s.TLSTimeToLive); err != nil {
		return err
	}
	return checkLevel("LogLevel", s.LogLevel)
}

// LogSettings are those of the log files, in Settings/Logs.settings.
type LogSettings struct {
	MaxSize   settings.Size   `key:"MaxFileSize" default:"unlimited" unit:"bytes" level:"basic" since:"0.1" help:"a new log file is begun when the current one is larger"`
	Keep      settings.Period `key:"DeleteOldFilesIn" default:"30d" level:"basic" since:"0.1" help:"log files older than this are removed; never keeps them"`
	Dated     settings.Flag   `key:"DateInRecords" default:"NO" level:"basic" since:"0.1" help:"records begin with date, time and zone, as RFC 3339 has them, instead of the time alone"`
	Precision int             `key:"TimePrecision" default:"3" unit:"digits" level:"advanced" since:"0.1" help:"digits of the fraction of a second in a record, 0 to 6"`

	Syslog         string `key:"SyslogServer" level:"basic" since:"0.2" help:"a log server that gets records too, as syslog messages (RFC 5424): its IP address, with a port if that is not 514, or the path of a socket on this machine such as /dev/log; empty for none"`
	SyslogLevel    int    `key:"SyslogLevel" default:"3" level:"basic" since:"0.2" help:"records that the log server gets: 0 crashes, 1 failures, 2 major, 3 problems, 4 low-level, 5 all; at most those that go into the files"`
	SyslogFacility string `key:"SyslogFacility" default:"mail" values:"user|mail|daemon|local0|local1|local2|local3|local4|local5|local6|local7" level:"advanced" since:"0.2" help:"the facility of these messages"`
	SyslogSource   string `key:"SyslogSource" level:"advanced" since:"0.2" help:"the IP address that they come from; empty for any"`
}

// syslog says where records go besides the files; nil for nowhere.
func (s *LogSettings) syslog() *logs.SyslogOptions {
	if s.Syslog == "" {
		return nil
	}
	return &logs.SyslogOptions{Server: s.Syslog, Source: s.SyslogSource, Level: s.SyslogLevel, Facility: slices.Index(logs.Facilities, s.SyslogFacility)}
}

// Validate checks the precision, and that files are not old at once.
func (s *LogSettings) Validate() error {
	if s.Keep == 0 {
		return fault.New("server.LogSettings", fault.Invalid, "DeleteOldFilesIn must be greater than 0, or never")
	}
	if err := s.syslog().Validate(); err != nil {
		return fault.Newf("server.LogSettings", fault.Invalid, "SyslogServer: %v", err)
	}
	if err := checkLevel("SyslogLevel", s.SyslogLevel); err != nil {
		return err
	}
	if s.Precision < 0 || s.Precision > 6 {
		return fault.Newf("server.LogSettings", fault.Invalid, "TimePrecision must be 0 to 6, not %d", s.Precision)
	}
	return nil
}

func (s *LogSettings) files() *logs.FileOptions {
	o := &logs.FileOptions{Keep: s.Keep.Duration()}
	if s.MaxSize > 0 {
		o.MaxSize = int64(s.MaxSize)
	}
	if s.Keep == settings.Never || o.Keep > 100*365*24*time.Hour {
		o.Keep = 0
	}
	return o
}

func checkLevel(key string, n int) error {
	if n < 0 || n > 5 {
		return fault.Newf("server.Settings", fault.Invalid, "%s must be 0 to 5, not %d", key, n)
	}
	return nil
}

// readSettings reads a settings file; a missing one is empty. What is wrong in the
// file is Invalid, and told with its line.
func readSettings(path string) (dataformat.Dict, error) {
	const op = "server.ReadSettings"
	file := "Settings/" + filepath.Base(path)
	v, err := dataformat.ReadFile(path)
	if syntax := new(dataformat.SyntaxError); errors.As(err, &syntax) {
		return nil, fault.Newf(op, fault.Invalid, "%s: %v", file, syntax)
	}
	if err != nil {
		return nil, &fault.Error{Op: op, Kind: fault.KindOf(err), Text: file + " cannot be read", Err: err}
	}
	switch d := v.(type) {
	case nil:
		return dataformat.Dict{}, nil
	case dataformat.Dict:
		return d, nil
	}
	return nil, fault.Newf(op, fault.Invalid, "%s: a dictionary is expected", file)
}

// change replaces the settings of one module with what edit makes of the old ones
// and the given: checked as a whole, put in force, and written when all of it
// works. Nothing has changed when it returns an error: not even a port that could
// not be bound.
func (s *Server) change(ctx context.Context, m *module, given dataformat.Dict, edit func(old, given dataformat.Dict) dataformat.Dict) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	path := s.base.path("Settings", m.file)
	old, err := readSettings(path)
	if err != nil {
		return err
	}
	if given, err = m.respell(given, old); err != nil {
		return err
	}
	if m.keep != nil {
		if given, err = m.keep(given); err != nil {
			return err
		}
	}
	d := edit(old, given)
	apply, err := m.check(d)
	if err != nil {
		return err
	}
	err = s.force(ctx, apply)
	if err == nil {
		if err = dataformat.WriteFile(path, d, dataformat.StylePretty); err == nil {
			s.noteUnknown(m, d)
			return nil
		}
		err = fault.Wrap("server.Change", fault.Internal, err)
	}
	apply, back := m.check(old)
	if back == nil {
		back = s.force(ctx, apply)
	}
	if back != nil {
		s.log.Log(ctx, logs.LevelFailure, "the old settings could not be restored", "module", m.name, logs.AttrError, back)
	}
	return err
}

// force puts checked settings in force, listeners included.
func (s *Server) force(ctx context.Context, apply func()) error {
	apply()
	s.setLevels()
	s.shareDescriptors()
	return joinFaults(s.listeners.reconcile(ctx, s.modules))
}

// Reload reads all settings files again. A file with an error changes nothing: its part keeps
// the settings it has, and the error is returned with the others.
func (s *Server) Reload(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			s.log.Log(ctx, logs.LevelFailure, "reload: what is named here could not be read; the old state stays in force", logs.AttrError, err)
			return
		}
		s.log.Log(ctx, logs.LevelMajor, "reload: all settings and the certificate were read")
	}()
	s.changing.Lock()
	defer s.changing.Unlock()
	var faults []error
	for m := range s.configured() {
		if err := s.load(m); err != nil {
			faults = append(faults, err)
		}
	}
	s.setLevels()
	s.shareDescriptors()
	if err := s.accounts.Reload(); err != nil {
		faults = append(faults, err)
	}
	if err := s.reloadCertificate(); err != nil {
		faults = append(faults, err)
	}
	s.keys.Forget() // the keys of domains are files too
	faults = append(faults, s.listeners.reconcile(ctx, s.modules)...)
	return joinFaults(faults)
}

func (s *Server) load(m *module) error {
	d, err := readSettings(s.base.path("Settings", m.file))
	if err != nil {
		return err
	}
	apply, err := m.check(d)
	if err != nil {
		return fault.Newf("server.Load", fault.Invalid, "Settings/%s: %s", m.file, fault.Text(err))
	}
	apply()
	s.noteUnknown(m, d)
	return nil
}

// noteUnknown tells of keys of a file that nothing reads: they are kept, and do nothing
// yet or are misspelt.
func (s *Server) noteUnknown(m *module, d dataformat.Dict) {
	names := settings.NamesOf(m.declared())
	for _, key := range names.Unknown(d) {
		if m.name == mainModule && key == "DomainName" {
			continue // package accounts reads it
		}
		file := "Settings/" + m.file
		if kept, ok := settings.NamesOf(m.kept).Find(key); ok && kept.Key == key {
			s.log.Log(context.Background(), logs.LevelProblem, "setting does nothing yet", "file", file, "key", key, "waits_for", kept.Feature)
			continue
		}
		hint := ""
		if likely := names.Likely(key); likely != "" {
			hint = " (is " + likely + " meant?)"
		}
		s.log.Log(context.Background(), logs.LevelProblem, "unknown setting", "file", file, "key", key)
		fmt.Fprintf(s.config.Messages, "%s: there is no setting %s%s; it is kept and does nothing\n", file, key, hint)
	}
}
