package settings

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// field is one declared setting of a struct type.
type field struct {
	Setting
	index []int
	set   dataformat.Value // parsed default, or nil: the field's zero value
}

var declared sync.Map // reflect.Type → []field

// fields returns the declared settings of a struct type. A declaration that
// cannot be read is a bug of the program; Check finds it in a test.
func fields(t reflect.Type) ([]field, error) {
	if fs, ok := declared.Load(t); ok {
		return fs.([]field), nil
	}
	var fs []field
	for _, f := range reflect.VisibleFields(t) {
		key, ok := f.Tag.Lookup("key")
		if !ok || !f.IsExported() {
			continue
		}
		d := field{index: f.Index, Setting: Setting{
			Key: key, Type: typeName(f.Type), Unit: f.Tag.Get("unit"), Default: f.Tag.Get("default"),
			Level: f.Tag.Get("level"), Help: f.Tag.Get("help"), Since: f.Tag.Get("since"),
			Feature: f.Tag.Get("feature"), Secret: f.Tag.Get("secret") == "yes",
		}}
		if e, ok := reflect.New(f.Type).Interface().(entries); ok {
			d.Entries = e.EntrySettings()
		}
		if d.Level == "" {
			d.Level = "basic"
		}
		if v := f.Tag.Get("values"); v != "" {
			d.Values = strings.Split(v, "|")
		}
		if def, ok := f.Tag.Lookup("default"); ok {
			v, err := parseDefault(def)
			if err != nil {
				return nil, fmt.Errorf("%s: default of %s: %w", t, key, err)
			}
			d.set = v
		}
		fs = append(fs, d)
	}
	declared.Store(t, fs)
	return fs, nil
}

// entries is a dictionary of dictionaries, whose entries have declared settings.
type entries interface{ EntrySettings() []Setting }

// parseDefault reads a default: an object of the data format when it starts as
// one, else the string itself.
func parseDefault(s string) (dataformat.Value, error) {
	if s != "" && strings.IndexByte("({[", s[0]) >= 0 {
		return dataformat.Parse([]byte(s))
	}
	return dataformat.String(s), nil
}

// Load sets dst, a pointer to a settings struct, to its defaults and then to the
// explicit values of d. Keys that it does not know are ignored, see Unknown.
// The error, of kind fault.Invalid, names the key and the reason; dst is then as
// it was.
func Load(dst any, d dataformat.Dict) error {
	v := reflect.ValueOf(dst).Elem()
	fresh := reflect.New(v.Type())
	if err := load(fresh.Interface(), d); err != nil {
		return &fault.Error{Op: "settings.Load", Kind: fault.Invalid, Text: fault.Explain(err)}
	}
	v.Set(fresh.Elem())
	return nil
}

// load fills dst and checks it as a whole.
func load(dst any, d dataformat.Dict) error {
	if err := fill(dst, d); err != nil {
		return err
	}
	if c, ok := dst.(Validator); ok {
		return c.Validate()
	}
	return nil
}

// fill sets every field of dst.
func fill(dst any, d dataformat.Dict) error {
	v := reflect.ValueOf(dst).Elem()
	fs, err := fields(v.Type())
	if err != nil {
		return err
	}
	for _, f := range fs {
		given, explicit := d[f.Key]
		if !explicit {
			given = f.set
		}
		if given == nil {
			continue
		}
		if err := f.assign(v.FieldByIndex(f.index), given); err != nil {
			return fmt.Errorf("%s: %w", f.Key, err)
		}
	}
	return nil
}

// assign sets one field to a value of the data format.
func (f field) assign(v reflect.Value, given dataformat.Value) error {
	if s, ok := v.Addr().Interface().(Value); ok {
		return s.SetValue(given)
	}
	if len(f.Values) > 0 {
		word, err := f.word(given)
		if err != nil {
			return err
		}
		given = dataformat.String(word)
	}
	switch v.Kind() {
	case reflect.String:
		s, ok := dataformat.Text(given)
		if !ok {
			return errors.New("a string is expected")
		}
		v.SetString(s)
	case reflect.Bool:
		var b Flag
		if err := b.SetValue(given); err != nil {
			return err
		}
		v.SetBool(bool(b))
	case reflect.Int, reflect.Int64, reflect.Int32:
		n, err := Integer(given)
		if err != nil {
			return err
		}
		if v.OverflowInt(n) {
			return fmt.Errorf("%d is out of range", n)
		}
		v.SetInt(n)
	case reflect.Slice:
		return assignStrings(v, given)
	case reflect.Map:
		d, ok := given.(dataformat.Dict)
		if !ok {
			return errors.New("a dictionary is expected")
		}
		v.Set(reflect.ValueOf(d))
	default:
		return fmt.Errorf("a field of type %s cannot be a setting", v.Type())
	}
	return nil
}

// assignStrings sets a list of strings; one string stands for a list of one.
func assignStrings(v reflect.Value, given dataformat.Value) error {
	if v.Type().Elem().Kind() != reflect.String {
		return fmt.Errorf("a field of type %s cannot be a setting", v.Type())
	}
	a, ok := given.(dataformat.Array)
	if !ok {
		if s, one := dataformat.Text(given); one && s != "" {
			a = dataformat.Array{dataformat.String(s)}
		} else if !one {
			return errors.New("an array of strings is expected")
		}
	}
	out := reflect.MakeSlice(v.Type(), len(a), len(a))
	for i, e := range a {
		s, ok := dataformat.Text(e)
		if !ok {
			return errors.New("an array of strings is expected")
		}
		out.Index(i).SetString(s)
	}
	v.Set(out)
	return nil
}

// word finds an enumeration's value, whatever its case.
func (f field) word(given dataformat.Value) (string, error) {
	s, err := text(given)
	if err != nil {
		return "", err
	}
	for _, w := range f.Values {
		if strings.EqualFold(w, s) {
			return w, nil
		}
	}
	return "", fmt.Errorf("%q is not one of %s", s, strings.Join(f.Values, ", "))
}

// value prints one field.
func (f field) value(v reflect.Value) dataformat.Value {
	if s, ok := v.Addr().Interface().(Value); ok {
		return s.DataValue()
	}
	switch v.Kind() {
	case reflect.Bool:
		return Flag(v.Bool()).DataValue()
	case reflect.Int, reflect.Int64, reflect.Int32:
		return dataformat.String(strconv.FormatInt(v.Int(), 10))
	case reflect.Slice:
		a := make(dataformat.Array, v.Len())
		for i := range a {
			a[i] = dataformat.String(v.Index(i).String())
		}
		return a
	case reflect.Map:
		if v.IsNil() {
			return dataformat.Dict{}
		}
		return v.Interface().(dataformat.Dict)
	}
	return dataformat.String(v.String())
}

// Explicit returns what a file has to hold so that Load gives src, a pointer to
// a settings struct, again: what differs from the defaults.
func Explicit(src any) dataformat.Dict {
	v := reflect.ValueOf(src).Elem()
	fs, err := fields(v.Type())
	if err != nil {
		return nil
	}
	out := dataformat.Dict{}
	before := reflect.New(v.Type())
	if err := fill(before.Interface(), out); err != nil {
		return nil // a bad declaration, which Check tells
	}
	for _, f := range fs {
		now := f.value(v.FieldByIndex(f.index))
		if !equal(now, f.value(before.Elem().FieldByIndex(f.index))) {
			out[f.Key] = now
		}
	}
	return out
}

// Effective returns every setting of src, a pointer to a settings struct, with
// its present value.
func Effective(src any) dataformat.Dict {
	v := reflect.ValueOf(src).Elem()
	fs, err := fields(v.Type())
	if err != nil {
		return nil
	}
	out := dataformat.Dict{}
	for _, f := range fs {
		out[f.Key] = f.value(v.FieldByIndex(f.index))
	}
	return out
}

func equal(a, b dataformat.Value) bool { return dataformat.Compact(a) == dataformat.Compact(b) }

// Merge applies an update to explicit values as the UPDATE commands do: keys
// that the update does not name stay, the string "default" removes a key. A key of the
// update replaces one that differs only in case. Neither argument is changed.
func Merge(old, update dataformat.Dict) dataformat.Dict {
	out := make(dataformat.Dict, len(old)+len(update))
	for k, v := range old {
		if !gives(update, k) {
			out[k] = v
		}
	}
	for k, v := range update {
		if !IsDefault(v) {
			out[k] = v
		}
	}
	return out
}

// gives reports whether an update has a key, in any case.
func gives(update dataformat.Dict, key string) bool {
	if _, ok := update[key]; ok {
		return true
	}
	for k := range update {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

// IsDefault reports whether a value asks for the inherited one: the string
// "default" in any case.
func IsDefault(v dataformat.Value) bool {
	s, ok := v.(dataformat.String)
	return ok && strings.EqualFold(string(s), "default")
}

// LoadLayers sets dst from the first layer that names a key, else from its
// default: inheritance for a whole struct. A value that cannot be read is
// reported with its key, and the next layer is asked; so one bad value takes
// nothing else with it.
func LoadLayers(dst any, layers []dataformat.Dict, bad func(key string, reason error)) {
	v := reflect.ValueOf(dst).Elem()
	fs, err := fields(v.Type())
	if err != nil {
		bad("", err)
		return
	}
	for _, f := range fs {
		target := v.FieldByIndex(f.index)
		set := false
		for _, layer := range layers {
			given, ok := layer[f.Key]
			if !ok {
				continue
			}
			if err := f.assign(target, given); err != nil {
				bad(f.Key, err)
				continue
			}
			set = true
			break
		}
		if set || f.set == nil {
			continue
		}
		if err := f.assign(target, f.set); err != nil {
			bad(f.Key, err)
		}
	}
}
