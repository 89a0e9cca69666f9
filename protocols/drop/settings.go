package drop

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// Settings are those of the module Drop.
type Settings struct {
	SweepPeriod settings.Period `key:"SweepPeriod" default:"1m" level:"advanced" since:"0.2" help:"how often drop folders and drop tables are read; folders also when the system tells of a new file"`
	Folders     Folders         `key:"Folders" level:"basic" since:"0.2" help:"drop folders by their names: directories where programs leave mail as XML"`
	Tables      Tables          `key:"Tables" level:"basic" since:"0.2" help:"drop tables by their names: tables of PostgreSQL databases where programs leave mail"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.SweepPeriod.Duration() < time.Second {
		return settings.BadValue("SweepPeriod", "it is 1s at least")
	}
	for folder := range s.Folders {
		for table := range s.Tables {
			if strings.EqualFold(folder, table) {
				return settings.BadValue("Tables", "%s is the name of a drop folder", table)
			}
		}
	}
	return nil
}

// FolderSettings are those of one drop folder.
type FolderSettings struct {
	Enabled       settings.Flag   `key:"Enabled" default:"YES" since:"0.2" help:"whether mail is taken from the folder"`
	Path          string          `key:"Path" since:"0.2" help:"the directory, a full path outside of the base directory; the server has to be allowed to write there"`
	Senders       Addresses       `key:"Senders" since:"0.2" help:"addresses and domains that may send from here; none for all accounts of this server and all senders of its gateways"`
	MaxFileSize   settings.Size   `key:"MaxFileSize" default:"10M" unit:"bytes" since:"0.2" help:"larger files are refused, up to 100M"`
	RetryInterval settings.Period `key:"RetryInterval" default:"1h" since:"0.2" help:"how often deferred mail is tried again"`
	MaxTries      int             `key:"MaxTries" default:"100" since:"0.2" help:"tries after which deferred mail is refused"`
	KeepSent      settings.Period `key:"KeepSent" default:"7d" since:"0.2" help:"how long files stay in sent"`
	KeepRefused   settings.Period `key:"KeepRefused" default:"7d" since:"0.2" help:"how long files stay in drop"`
}

// Validate checks the values together.
func (s *FolderSettings) Validate() error {
	switch {
	case !filepath.IsAbs(s.Path) || filepath.Clean(s.Path) == "/":
		return settings.BadValue("Path", "%q is not the full path of a directory", s.Path)
	case s.MaxFileSize < 1 || s.MaxFileSize > 100<<20:
		return settings.BadValue("MaxFileSize", "%s is not 1 to 100M", s.MaxFileSize)
	}
	s.Path = filepath.Clean(s.Path)
	return checkRetry(s.RetryInterval, s.MaxTries)
}

func checkRetry(interval settings.Period, tries int) error {
	switch {
	case interval.Duration() < time.Second:
		return settings.BadValue("RetryInterval", "it is 1s at least")
	case tries < 1:
		return settings.BadValue("MaxTries", "it is 1 at least")
	}
	return nil
}

// Folders are all drop folders by their names.
type Folders map[string]*FolderSettings

// EntrySettings describes one of them.
func (Folders) EntrySettings() []settings.Setting { return settings.Describe(new(FolderSettings)) }

// SetValue reads a dictionary of dictionaries.
func (m *Folders) SetValue(v dataformat.Value) error {
	out, err := readEntries(v, func(s *FolderSettings, d dataformat.Dict) error { return settings.Load(s, d) })
	if err != nil {
		return err
	}
	for _, a := range slices.Sorted(maps.Keys(out)) {
		for _, b := range slices.Sorted(maps.Keys(out)) {
			if a != b && isWithin(out[a].Path, out[b].Path) {
				return fmt.Errorf("the folders %s and %s are one, or one in the other", b, a)
			}
		}
	}
	*m = out
	return nil
}

// DataValue is the dictionary.
func (m Folders) DataValue() dataformat.Value { return entryValues(m) }

// SetValue reads a dictionary of dictionaries.
func (m *Tables) SetValue(v dataformat.Value) error {
	out, err := readEntries(v, func(s *TableSettings, d dataformat.Dict) error { return settings.Load(s, d) })
	if err == nil {
		*m = out
	}
	return err
}

// DataValue is the dictionary.
func (m Tables) DataValue() dataformat.Value { return entryValues(m) }

// isWithin reports whether a path is another one or below it.
func isWithin(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// maxSources bounds the drop folders, and the drop tables.
const maxSources = 100

func readEntries[T any](v dataformat.Value, load func(*T, dataformat.Dict) error) (map[string]*T, error) {
	out := map[string]*T{}
	if text, ok := dataformat.Text(v); ok && text == "" {
		return out, nil
	}
	all, ok := v.(dataformat.Dict)
	if !ok {
		return nil, errors.New("a dictionary of dictionaries is expected")
	}
	for name, e := range all {
		d, ok := e.(dataformat.Dict)
		switch {
		case !ok:
			return nil, fmt.Errorf("%s: a dictionary is expected", name)
		case !address.ValidName(name):
			return nil, fmt.Errorf("%.100q cannot be a name here: letters, digits, '-', '_' and dots can", name)
		case len(out) == maxSources:
			return nil, fmt.Errorf("there are more than %d", maxSources)
		}
		s := new(T)
		if err := load(s, d); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = s
	}
	seen := map[string]string{}
	for name := range out {
		key := strings.ToLower(name)
		if other, twice := seen[key]; twice {
			return nil, fmt.Errorf("%s and %s have the same name", other, name)
		}
		seen[key] = name
	}
	return out, nil
}

func entryValues[T any](m map[string]*T) dataformat.Value {
	out := dataformat.Dict{}
	for name, s := range m {
		out[name] = settings.Explicit(s)
	}
	return out
}

// Addresses are addresses, and domains for all of their addresses.
type Addresses []string

// SetValue reads an array, or a text with commas.
func (l *Addresses) SetValue(v dataformat.Value) error {
	var given []string
	if text, ok := dataformat.Text(v); ok {
		given = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	} else if array, ok := v.(dataformat.Array); ok {
		for _, e := range array {
			text, ok := dataformat.Text(e)
			if !ok {
				return errors.New("an array of addresses is expected")
			}
			given = append(given, text)
		}
	} else {
		return errors.New("an array of addresses is expected")
	}
	out := Addresses{}
	for _, text := range given {
		name, err := address.NormalizeDomain(text)
		if strings.Contains(text, "@") {
			var a address.Address
			a, err = address.Parse(text)
			if err == nil && a.Domain == "" {
				err = errors.New("no domain")
			}
			name = strings.ToLower(a.String())
		}
		if err != nil {
			return fmt.Errorf("%.200q is neither an address nor a domain", text)
		}
		out = append(out, name)
	}
	*l = out
	return nil
}

// DataValue is the array.
func (l Addresses) DataValue() dataformat.Value {
	out := make(dataformat.Array, len(l))
	for i, s := range l {
		out[i] = dataformat.String(s)
	}
	return out
}

func (l Addresses) has(a address.Address) bool {
	return slices.Contains(l, strings.ToLower(a.String())) || slices.Contains(l, a.Domain)
}
