// Package settings is how every part of the server declares, reads and prints
// what an administrator can change.
//
// # Declaring
//
// A part has one struct. A field with a "key" tag is one setting:
//
//	type Settings struct {
//		MaxMessageSize settings.Size `key:"MaxMessageSize" default:"50M" unit:"bytes" level:"basic" since:"0.1" help:"largest message that is accepted"`
//	}
//
// The key is the word of the settings file and of the CLI. The default is
// written as in a file. level says whom a setting is for (basic, advanced,
// expert), values lists the words of an enumeration separated by "|", secret:"yes" hides
// the value. A setting that is kept for scripts and other servers and does nothing yet is
// declared in a struct of its own, with the feature that will use it. That one
// declaration feeds the file, the CLI, the administrator's pages and the
// reference page, see Describe.
//
// # Files
//
// A settings file is a dictionary of the data format. It holds explicit values
// only; what it does not name has its default. Unknown keys are kept, so that
// an older server can use the file of a newer one. Names finds
// them: a misspelt key in a file is logged, and one in a command is refused. Commands
// may give names in any case; files have them as they are declared. A value that cannot be read is an error that names the key and the reason; the
// part keeps the settings it has.
//
// # Values
//
// Size, Period, Rate, IPList, Flag and Listener read the forms of the data
// format; numbers are accepted as 5, "5", #5 and "#5". A field of another type
// takes part by the two methods of Value.
//
// A running part sees an immutable snapshot through Live.
package settings

import (
	"fmt"
	"sync/atomic"

	"gatepost/server/dataformat"
)

// Value is a type that can be the field of a settings struct.
type Value interface {
	// SetValue reads what a file or a command gave. The error is a reason
	// without the key: `"12X" is not a size`.
	SetValue(v dataformat.Value) error
	// DataValue is what a file gets.
	DataValue() dataformat.Value
}

// Validator is a settings struct that checks its values together once they are loaded.
type Validator interface{ Validate() error }

// BadValue is what Validate returns for a value that a setting cannot have.
func BadValue(key, format string, args ...any) error {
	return fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...))
}

// Live is the current snapshot of a part's settings. A snapshot is never
// changed once it is set; readers keep the one they got for as long as they need
// one consistent view.
type Live[T any] struct{ p atomic.Pointer[T] }

// NewLive returns a Live that holds v.
func NewLive[T any](v *T) *Live[T] {
	l := new(Live[T])
	l.p.Store(v)
	return l
}

// Get returns the current snapshot.
func (l *Live[T]) Get() *T { return l.p.Load() }

// Set replaces the snapshot.
func (l *Live[T]) Set(v *T) { l.p.Store(v) }
