package dataformat

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Style is a printed form.
type Style uint8

// The styles.
const (
	StylePretty  Style = iota // as Pretty prints
	StyleOld                  // as PrettyOld prints
	StyleCompact              // as Compact prints
)

// Compact returns the single-line form, without any spaces between its parts.
func Compact(v Value) string { return string(AppendCompact(nil, v)) }

// Pretty returns the multi-line form of version 6, without a final line end.
// An array that fits into 80 columns stands on one line, any other has one
// element per line; a dictionary has one pair per line.
func Pretty(v Value) string { return string(appendPretty(nil, v, 0, 0)) }

// PrettyOld returns the multi-line form of version 5, without a final line
// end: one line per pair of the outermost dictionary.
func PrettyOld(v Value) string {
	d, ok := v.(Dict)
	if !ok || len(d) == 0 {
		return Compact(v)
	}
	dst := []byte("{\n")
	for _, key := range slices.Sorted(maps.Keys(d)) {
		dst = append(dst, ' ')
		dst = appendString(dst, key)
		dst = append(dst, " = "...)
		dst = AppendCompact(dst, d[key])
		dst = append(dst, ";\n"...)
	}
	return string(append(dst, '}'))
}

// AppendCompact appends what Compact returns.
func AppendCompact(dst []byte, v Value) []byte {
	switch v := v.(type) {
	case Array:
		dst = append(dst, '(')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendCompact(dst, e)
		}
		return append(dst, ')')
	case Dict:
		dst = append(dst, '{')
		for _, key := range slices.Sorted(maps.Keys(v)) {
			dst = appendString(dst, key)
			dst = append(dst, '=')
			dst = AppendCompact(dst, v[key])
			dst = append(dst, ';')
		}
		return append(dst, '}')
	}
	return appendAtomic(dst, v)
}

// appendAtomic appends an object without parts. A Go value that is none of the
// kinds of a Value appears as a string, so that it is seen and not lost.
func appendAtomic(dst []byte, v Value) []byte {
	switch v := v.(type) {
	case nil, Null:
		return append(dst, "#NULL#"...)
	case String:
		return appendString(dst, string(v))
	case Number:
		return strconv.AppendInt(append(dst, '#'), int64(v), 10)
	case Data:
		dst = append(dst, '[')
		dst = base64.StdEncoding.AppendEncode(dst, v)
		return append(dst, ']')
	case Time:
		return appendTime(dst, v)
	case IP:
		dst = append(dst, "#I["...)
		dst = v.Addr.WithZone("").AppendTo(dst)
		dst = append(dst, ']')
		if v.HasPort {
			dst = strconv.AppendUint(append(dst, ':'), uint64(v.Port), 10)
		}
		return dst
	case Opaque:
		dst = append(dst, "#("...)
		dst = append(dst, flattenOpaque(string(v))...)
		return append(dst, ')')
	case XML:
		p := parser{s: string(v)}
		if len(v) > 0 && v[0] == '<' {
			if end, err := p.xmlEnd(0, 0); err == nil && end == len(v) {
				return append(dst, flattenXML(string(v))...)
			}
		}
		return appendString(dst, string(v))
	}
	return appendString(dst, fmt.Sprint(v))
}

func appendTime(dst []byte, t Time) []byte {
	utc := t.T.UTC()
	switch year := utc.Year(); {
	case t.Kind == Past || t.Kind == Instant && year < 0:
		return append(dst, "#TPAST"...)
	case t.Kind == Future || year > 9999:
		return append(dst, "#TFUTURE"...)
	}
	return utc.AppendFormat(append(dst, "#T"...), timeLayout)
}

const (
	indent  = 2  // spaces per level
	columns = 80 // width that an array on one line keeps to, with what follows it
)

// appendPretty appends v as it stands at a level, where the line has reached a column.
func appendPretty(dst []byte, v Value, level, column int) []byte {
	switch v := v.(type) {
	case Array:
		if column+flatLen(v, columns)+len(";") <= columns {
			return appendFlat(dst, v)
		}
		dst = append(dst, "(\n"...)
		for i, e := range v {
			dst = appendIndent(dst, level+1)
			dst = appendPretty(dst, e, level+1, (level+1)*indent)
			if i < len(v)-1 {
				dst = append(dst, ',')
			}
			dst = append(dst, '\n')
		}
		return append(appendIndent(dst, level), ')')
	case Dict:
		if len(v) == 0 {
			return append(dst, "{}"...)
		}
		dst = append(dst, "{\n"...)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			start := len(dst)
			dst = appendIndent(dst, level+1)
			dst = appendString(dst, key)
			dst = append(dst, " =  "...)
			dst = appendPretty(dst, v[key], level+1, len(dst)-start)
			dst = append(dst, ";\n"...)
		}
		return append(appendIndent(dst, level), '}')
	}
	return appendAtomic(dst, v)
}

func appendIndent(dst []byte, level int) []byte {
	for range level * indent {
		dst = append(dst, ' ')
	}
	return dst
}

// appendFlat appends an array on one line.
func appendFlat(dst []byte, v Value) []byte {
	a, ok := v.(Array)
	if !ok {
		return appendPretty(dst, v, 0, 0)
	}
	dst = append(dst, '(')
	for i, e := range a {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendFlat(dst, e)
	}
	return append(dst, ')')
}

// flatLen returns how long v is on one line; above limit the answer is only
// known to be above it. A dictionary with pairs has no place on one line.
func flatLen(v Value, limit int) int {
	switch v := v.(type) {
	case Array:
		n := len("()")
		for i, e := range v {
			if i > 0 {
				n += len(", ")
			}
			if n > limit {
				break
			}
			n += flatLen(e, limit-n)
		}
		return n
	case Dict:
		if len(v) > 0 {
			return limit + 1
		}
		return len("{}")
	case String:
		if len(v) > limit {
			return len(v)
		}
	case Data:
		return len("[]") + base64.StdEncoding.EncodedLen(len(v))
	}
	var buf [columns]byte
	return len(appendAtomic(buf[:0], v))
}
