package settings

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gatepost/server/dataformat"
)

// text returns the words of a scalar: a String, or a Number in decimal.
func text(v dataformat.Value) (string, error) {
	if n, ok := dataformat.Int(v); ok {
		return strconv.FormatInt(n, 10), nil
	}
	s, ok := dataformat.Text(v)
	if !ok {
		return "", errors.New("a single value is expected")
	}
	return s, nil
}

// Integer reads a number in any form that clients send: 5, "5", #5, "#5".
func Integer(v dataformat.Value) (int64, error) {
	if n, ok := dataformat.Int(v); ok {
		return n, nil
	}
	s, err := text(v)
	if err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("%q is not a number", s)
}

// Free is a value of any form: that of a setting which nothing reads yet.
type Free struct{ value dataformat.Value }

// SetValue takes any value.
func (f *Free) SetValue(v dataformat.Value) error {
	f.value = v
	return nil
}

// DataValue is the value as it came; none is an empty string.
func (f Free) DataValue() dataformat.Value {
	if f.value == nil {
		return dataformat.String("")
	}
	return f.value
}

// Flag is YES or NO.
type Flag bool

// SetValue reads YES or NO in any case.
func (f *Flag) SetValue(v dataformat.Value) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	switch strings.ToUpper(s) {
	case "YES":
		*f = true
	case "NO":
		*f = false
	default:
		return fmt.Errorf("%q is neither YES nor NO", s)
	}
	return nil
}

// DataValue is YES or NO.
func (f Flag) DataValue() dataformat.Value { return dataformat.String(f.String()) }

func (f Flag) String() string {
	if f {
		return "YES"
	}
	return "NO"
}

// Size is a number of bytes; Unlimited is none.
type Size int64

// Unlimited is the size that nothing exceeds.
const Unlimited Size = -1

// ParseSize reads 1024, 3K, 10M, 30G, 2T, unlimited or -1.
func ParseSize(s string) (Size, error) {
	bad := fmt.Errorf("%q is not a size (such as 512K, 10M or unlimited)", s)
	t := strings.ToUpper(strings.TrimSpace(s))
	if t == "UNLIMITED" || t == "-1" {
		return Unlimited, nil
	}
	shift := 0
	if t != "" {
		switch t[len(t)-1] {
		case 'K':
			shift = 10
		case 'M':
			shift = 20
		case 'G':
			shift = 30
		case 'T':
			shift = 40
		}
	}
	if shift > 0 {
		t = t[:len(t)-1]
	}
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, bad
	}
	return Size(n << shift), nil
}

// String prints the largest unit that loses nothing: 10M, 1025, unlimited.
func (s Size) String() string {
	if s < 0 {
		return "unlimited"
	}
	n, unit := int64(s), ""
	for _, u := range []string{"K", "M", "G", "T"} {
		if n == 0 || n&1023 != 0 {
			break
		}
		n, unit = n>>10, u
	}
	return strconv.FormatInt(n, 10) + unit
}

// Exceeds reports whether n bytes are more than the size allows.
func (s Size) Exceeds(n int64) bool { return s >= 0 && n > int64(s) }

// SetValue reads a size.
func (s *Size) SetValue(v dataformat.Value) error {
	t, err := text(v)
	if err != nil {
		return err
	}
	n, err := ParseSize(t)
	if err == nil {
		*s = n
	}
	return err
}

// DataValue is the size as String prints it.
func (s Size) DataValue() dataformat.Value { return dataformat.String(s.String()) }

// Period is a length of time to the second; Never is none.
type Period time.Duration

// Never is a period that does not end.
const Never Period = -1

// ParsePeriod reads 15 (seconds), 15s, 1m, 2h, 5d, 1w or never.
func ParsePeriod(s string) (Period, error) {
	bad := fmt.Errorf("%q is not a period (such as 30s, 10m, 2h, 7d or never)", s)
	t := strings.ToLower(strings.TrimSpace(s))
	if t == "never" || t == "-1" {
		return Never, nil
	}
	unit := time.Second
	if t != "" {
		if u, ok := periodUnits[t[len(t)-1]]; ok {
			unit, t = u, t[:len(t)-1]
		}
	}
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, bad
	}
	return Period(time.Duration(n) * unit), nil
}

var periodUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

// Duration is the period for the time package; Never gives the longest one.
func (p Period) Duration() time.Duration {
	if p < 0 {
		return math.MaxInt64
	}
	return time.Duration(p)
}

// String prints the largest unit that loses nothing: 5d, 90s, 0, never.
func (p Period) String() string {
	if p < 0 {
		return "never"
	}
	d := time.Duration(p)
	switch {
	case d == 0:
		return "0"
	case d%(24*time.Hour) == 0:
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// SetValue reads a period.
func (p *Period) SetValue(v dataformat.Value) error {
	t, err := text(v)
	if err != nil {
		return err
	}
	n, err := ParsePeriod(t)
	if err == nil {
		*p = n
	}
	return err
}

// DataValue is the period as String prints it.
func (p Period) DataValue() dataformat.Value { return dataformat.String(p.String()) }

// Rate is a flow limit: so many in a period. A negative count is no limit.
type Rate struct {
	Count  int
	Period Period
}

// Unlimited reports whether the rate limits nothing.
func (r Rate) Unlimited() bool { return r.Count < 0 }

func (r Rate) String() string { return dataformat.Compact(r.DataValue()) }

// SetValue reads an array of a count and a period: (20, 15), ("-1", 1h).
func (r *Rate) SetValue(v dataformat.Value) error {
	a, ok := v.(dataformat.Array)
	if !ok || len(a) != 2 {
		return errors.New("a pair (count, period) is expected")
	}
	n, err := Integer(a[0])
	if err != nil {
		return err
	}
	if n < -1 || n > math.MaxInt32 {
		return fmt.Errorf("count %d is out of range", n)
	}
	var p Period
	if err := p.SetValue(a[1]); err != nil {
		return err
	}
	*r = Rate{Count: int(n), Period: p}
	return nil
}

// DataValue is the array. Seconds are a bare number there, as scripts compare them:
// ("-1", 15), (10, 1m).
func (r Rate) DataValue() dataformat.Value {
	period := strings.TrimSuffix(r.Period.String(), "s")
	return dataformat.Array{dataformat.String(strconv.Itoa(r.Count)), dataformat.String(period)}
}
