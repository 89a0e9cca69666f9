package admin

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// maxRecorded bounds each of the old and the new value in a record, in bytes.
const maxRecorded = 4000

// hidden takes the place of a secret in a record.
const hidden = dataformat.String("hidden")

// end writes the record of an operation, and returns its error.
func (o *operation) end(err error) error {
	level := logs.LevelLowLevel
	switch kind := fault.KindOf(err); {
	case err == nil && o.rule.changes:
		level = logs.LevelMajor
	case err == nil:
	case kind == fault.Denied:
		level = logs.LevelProblem
	case kind == fault.Internal, kind == fault.Corrupt, kind == fault.NoSpace, kind == fault.Unavailable:
		level = logs.LevelFailure
	}
	log := o.from.Log
	if log == nil {
		log = o.admin.log
	}
	if log.Enabled(o, level) {
		log.LogAttrs(o, level, o.call, o.attrs(level, err)...)
	}
	return err
}

func (o *operation) attrs(level slog.Level, err error) []slog.Attr {
	var attrs []slog.Attr
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("target", o.target())
	if o.account != nil {
		add("by", o.account.Address())
	}
	if o.from.Log == nil { // else the tag of the session tells both
		add("service", o.from.Service)
		if o.from.IP.IsValid() {
			add(logs.AttrPeer, o.from.IP.String())
		}
	}
	if err == nil && o.rule.changes {
		add("old", recorded(o.old))
		add("new", recorded(o.new))
		add("without_effect", strings.Join(o.without, ", "))
	}
	switch {
	case err == nil:
	case level == logs.LevelFailure:
		attrs = append(attrs, slog.Any(logs.AttrError, err))
	default: // the text may repeat what was given
		add(logs.AttrError, fault.KindOf(err).String())
	}
	return attrs
}

// target names what the operation is about; "" for the server.
func (o *operation) target() string {
	switch {
	case o.object != "" && o.domain != "":
		return o.object + "@" + o.domain
	case o.object != "":
		return o.object
	case o.domain != "":
		return o.domain
	}
	return o.about
}

// recorded prints a value for the record.
func recorded(v dataformat.Value) string {
	if v == nil {
		return ""
	}
	text, simple := dataformat.Text(v)
	if !simple {
		text = dataformat.Compact(v)
	}
	if len(text) > maxRecorded {
		text = strings.ToValidUTF8(text[:maxRecorded], "") + "..."
	}
	return text
}

// texts prints a list for the record.
func texts(list []string) dataformat.Value {
	a := make(dataformat.Array, len(list))
	for i, s := range list {
		a[i] = dataformat.String(s)
	}
	return a
}

// settings writes given settings, and notes for the record what that has changed. read
// returns the explicit settings.
func (o *operation) settings(names *settings.Names, given dataformat.Dict, read func() (dataformat.Dict, error), write func() error) error {
	before, err := read()
	if err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	// The change is made. When it cannot be read back, the record has what was given.
	if after, err := read(); err == nil {
		o.old, o.new = differences(names, before, after)
	} else {
		o.new = withHidden(names, given)
	}
	o.tellKept(names, given)
	return nil
}

// tellKept tells of settings that were given and have no effect.
func (o *operation) tellKept(names *settings.Names, given dataformat.Dict) {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		s, ok := names.Find(key)
		if !ok || s.Feature == "" || settings.IsDefault(given[key]) {
			continue
		}
		o.without = append(o.without, s.Key)
		if why, never := strings.CutPrefix(s.Feature, "nothing: "); never {
			o.note(s.Key + " is kept and does nothing: " + why)
		} else {
			o.note(s.Key + " is kept and does nothing yet; it waits for " + s.Feature)
		}
	}
}

func (o *operation) note(text string) {
	if o.Note != nil {
		o.Note(text)
	}
}

// differences returns what differs between two dictionaries, as it was and as it is, without
// secrets.
func differences(names *settings.Names, old, now dataformat.Dict) (was, is dataformat.Dict) {
	was, is = dataformat.Dict{}, dataformat.Dict{}
	keys := maps.Clone(old)
	if keys == nil {
		keys = dataformat.Dict{}
	}
	maps.Copy(keys, now)
	for key := range keys {
		before, there := old[key]
		after, stays := now[key]
		if there && stays && dataformat.Compact(before) == dataformat.Compact(after) {
			continue
		}
		if there && stays && !names.Secret(key) {
			before, after = narrowed(names, before, after)
		}
		if there {
			was[key] = hide(names, key, before)
		}
		if stays {
			is[key] = hide(names, key, after)
		}
	}
	return was, is
}

// narrowed leaves of two values that differ what differs in them: keys of dictionaries, lines
// of texts.
func narrowed(names *settings.Names, old, now dataformat.Value) (was, is dataformat.Value) {
	before, isDict := old.(dataformat.Dict)
	after, both := now.(dataformat.Dict)
	if isDict && both {
		return differences(names, before, after)
	}
	from, isText := dataformat.Text(old)
	to, both := dataformat.Text(now)
	if isText && both && strings.Contains(from+to, "\n") {
		lines := func(text string, but string) dataformat.Value {
			there := strings.Split(but, "\n")
			return dataformat.String(strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool {
				return slices.Contains(there, l)
			}), "\n"))
		}
		return lines(from, to), lines(to, from)
	}
	return old, now
}

// withHidden copies a dictionary with its secrets hidden.
func withHidden(names *settings.Names, d dataformat.Dict) dataformat.Dict {
	out := make(dataformat.Dict, len(d))
	for key, v := range d {
		out[key] = hide(names, key, v)
	}
	return out
}

// hide returns the value of a setting for the record.
func hide(names *settings.Names, key string, v dataformat.Value) dataformat.Value {
	if names.Secret(key) {
		return hidden
	}
	switch v := v.(type) {
	case dataformat.Dict:
		return withHidden(names, v)
	case dataformat.Array:
		out := make(dataformat.Array, len(v))
		for i, e := range v {
			out[i] = hide(names, "", e)
		}
		return out
	}
	return v
}
