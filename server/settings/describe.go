package settings

import (
	"reflect"
	"strings"

	"gatepost/server/dataformat"
)

// Setting describes one declared setting for documents, the CLI and forms.
type Setting struct {
	Key     string
	Type    string   // flag, number, string, size, period, rate, IP list, list, dictionary, listeners ...
	Values  []string // the words of an enumeration
	Unit    string
	Default string // as written in a file
	Level   string // basic, advanced or expert
	Help    string
	Since   string
	// Feature is what will use a setting that is kept and does nothing yet, or why
	// nothing ever will; "" for a setting that works.
	Feature string
	// Entries are the settings of each entry, of a dictionary of dictionaries.
	Entries []Setting
	// Secret says that the value is never shown.
	Secret bool
	// Value is the present value in the struct that was described.
	Value dataformat.Value
}

// DefaultValue is the default in the data format; nil if none is declared.
func (s Setting) DefaultValue() dataformat.Value {
	if s.Default == "" {
		return nil
	}
	v, err := parseDefault(s.Default)
	if err != nil {
		return nil // Check finds such a declaration
	}
	return v
}

// Describe lists the declared settings of src, a pointer to a settings struct,
// in the order of their declaration.
func Describe(src any) []Setting {
	v := reflect.ValueOf(src).Elem()
	fs, err := fields(v.Type())
	if err != nil {
		return nil
	}
	out := make([]Setting, len(fs))
	for i, f := range fs {
		out[i] = f.Setting
		out[i].Value = f.value(v.FieldByIndex(f.index))
	}
	return out
}

// Check reports what is wrong with the declaration of a settings struct: a
// default that its field does not take, a key twice, no help. Tests call it.
func Check(src any) error {
	fresh := reflect.New(reflect.TypeOf(src).Elem())
	fs, err := fields(fresh.Type().Elem())
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, f := range fs {
		switch {
		case seen[f.Key]:
			return declarationError(f.Key + " is declared twice")
		case f.Help == "":
			return declarationError(f.Key + " has no help")
		}
		seen[f.Key] = true
	}
	return load(fresh.Interface(), dataformat.Dict{})
}

type declarationError string

func (e declarationError) Error() string { return string(e) }

func typeName(t reflect.Type) string {
	switch reflect.New(t).Interface().(type) {
	case *Size:
		return "size"
	case *Period:
		return "period"
	case *Rate:
		return "rate"
	case *IPList:
		return "IP list"
	case *Listeners:
		return "listeners"
	case *Flag:
		return "flag"
	case *Free:
		return "any"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "flag"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "number"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "dictionary"
	case reflect.String:
		return "string"
	}
	return strings.ToLower(t.Name())
}

// KeptTable prints settings that are kept and do nothing yet: key, values, default, what
// will use it, meaning.
func KeptTable(list []Setting) string {
	var b strings.Builder
	b.WriteString("| setting | values | default | waits for | meaning |\n|---|---|---|---|---|\n")
	for _, s := range list {
		writeRow(&b, "`"+s.Key+"`", s.values(), s.def(), s.Feature, s.Help)
	}
	return b.String()
}

// Table prints settings as the rows of a table for a reference page, one row
// per setting: key, values, default, meaning.
func Table(list []Setting) string {
	var b strings.Builder
	b.WriteString("| setting | values | default | level | since | meaning |\n|---|---|---|---|---|---|\n")
	for _, s := range list {
		writeRow(&b, "`"+s.Key+"`", s.values(), s.def(), s.Level, s.Since, s.Help)
	}
	return b.String()
}

func (s Setting) values() string {
	values := s.Type
	if len(s.Values) > 0 {
		values = strings.Join(s.Values, ", ")
	}
	if s.Unit != "" {
		values += " (" + s.Unit + ")"
	}
	return values
}

func (s Setting) def() string {
	if s.Default == "" {
		return "–"
	}
	return "`" + s.Default + "`"
}

func writeRow(b *strings.Builder, cells ...string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(cell, "|", "\\|") + " ")
	}
	b.WriteString("|\n")
}
