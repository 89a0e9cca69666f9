package helper

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/program/commandline"
	"gatepost/server/settings"
)

// Settings are those of one helper. In a file they are a dictionary:
//
//	{Enabled=YES;LogLevel=3;Name=ClamSpam;ProgramName="/var/gatepost/cgpav -f x";Timeout=2m;RestartPause=15s;}
type Settings struct {
	Enabled      settings.Flag   `key:"Enabled" default:"NO" level:"basic" since:"0.2" help:"whether the program runs"`
	Name         string          `key:"Name" level:"basic" since:"0.2" help:"name of a filter in the rule action ExternalFilter"`
	LogLevel     int             `key:"LogLevel" default:"3" level:"basic" since:"0.2" help:"records that are written, 0 to 5; 5 has every line in and out"`
	ProgramName  string          `key:"ProgramName" level:"basic" since:"0.2" help:"program and arguments, those with blanks in quotes; relative to the base directory, with $ to that of the server's program"`
	Timeout      settings.Period `key:"Timeout" default:"2m" level:"basic" since:"0.2" help:"how long an answer may take, 10s to 10m; then the program is ended"`
	RestartPause settings.Period `key:"RestartPause" default:"15s" level:"basic" since:"0.2" help:"pause before a program that has ended is started again; never: until the settings are given again"`
	OnFailure    string          `key:"OnFailure" default:"accept" values:"accept|tempfail" level:"basic" since:"0.2" help:"what becomes of a message when its filter fails: it goes on, or is tried again later"`
	Concurrent   int             `key:"Concurrent" default:"0" level:"advanced" since:"0.2" help:"commands that are open at once; 0 for no limit"`
	QueueFile    settings.Flag   `key:"QueueFile" default:"NO" level:"advanced" since:"0.2" help:"the filter gets the queue file itself, with CRLF line ends, and no view of it"`

	// given is the dictionary as it was written: it may have keys of other servers.
	given dataformat.Dict
}

// What an answer may take, as scripts and pages set it.
const (
	minTimeout = 10 * time.Second
	maxTimeout = 10 * time.Minute
)

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.LogLevel < 0 || s.LogLevel > 5 {
		return settings.BadValue("LogLevel", "%d is not 0 to 5", s.LogLevel)
	}
	if d := s.Timeout.Duration(); d < minTimeout || d > maxTimeout {
		return settings.BadValue("Timeout", "%s is not 10s to 10m", s.Timeout)
	}
	if s.Concurrent < 0 {
		return settings.BadValue("Concurrent", "a negative number of commands")
	}
	words, err := commandline.Split(s.ProgramName)
	switch {
	case err != nil:
		return settings.BadValue("ProgramName", "%v", err)
	case bool(s.Enabled) && len(words) == 0:
		return settings.BadValue("ProgramName", "a helper that is enabled needs a program")
	case strings.ContainsAny(s.Name, "\r\n"):
		return settings.BadValue("Name", "a name has one line")
	}
	return nil
}

// SetValue reads the dictionary. No helper is an empty string or dictionary.
func (s *Settings) SetValue(v dataformat.Value) error {
	if text, ok := dataformat.Text(v); ok && text == "" {
		v = dataformat.Dict{}
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("a dictionary {Enabled; LogLevel; ProgramName; Timeout; RestartPause} is expected")
	}
	var n Settings
	if err := settings.Load(&n, d); err != nil {
		return errors.New(fault.Text(err))
	}
	n.given = d
	*s = n
	return nil
}

// DataValue is the dictionary as it was given.
func (s Settings) DataValue() dataformat.Value {
	if s.given == nil {
		return dataformat.Dict{}
	}
	return s.given
}

// same reports whether two helpers are one process.
func (s *Settings) same(other *Settings) bool {
	return s.Enabled == other.Enabled && s.ProgramName == other.ProgramName
}

// Filters are the External Filters: an array of dictionaries with different names.
type Filters []Settings

// SetValue reads the array; one dictionary stands for an array of one.
func (f *Filters) SetValue(v dataformat.Value) error {
	if text, ok := dataformat.Text(v); ok && text == "" {
		v = dataformat.Array{}
	}
	if d, ok := v.(dataformat.Dict); ok {
		v = dataformat.Array{d}
	}
	list, ok := v.(dataformat.Array)
	if !ok {
		return errors.New("an array of dictionaries {Enabled; Name; ProgramName; ...} is expected")
	}
	out := make(Filters, len(list))
	for i, e := range list {
		if err := out[i].SetValue(e); err != nil {
			return fmt.Errorf("filter %d: %w", i+1, err)
		}
		if out[i].Name == "" {
			return fmt.Errorf("filter %d: it has no Name", i+1)
		}
		if slices.ContainsFunc(out[:i], func(s Settings) bool { return strings.EqualFold(s.Name, out[i].Name) }) {
			return fmt.Errorf("filter %d: there are two with the name %s", i+1, out[i].Name)
		}
	}
	*f = out
	return nil
}

// DataValue is the array.
func (f Filters) DataValue() dataformat.Value {
	list := make(dataformat.Array, len(f))
	for i := range f {
		list[i] = f[i].DataValue()
	}
	return list
}

// find returns the settings of a filter, or nil.
func (f Filters) find(name string) *Settings {
	for i := range f {
		if strings.EqualFold(f[i].Name, name) {
			return &f[i]
		}
	}
	return nil
}

// LogLevel is the highest level of the helpers that are enabled, or -1.
func (f Filters) LogLevel() int {
	level := -1
	for i := range f {
		if f[i].Enabled {
			level = max(level, f[i].LogLevel)
		}
	}
	return level
}
