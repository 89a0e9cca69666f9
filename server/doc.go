// Package server builds the parts into one server and owns their start, reload
// and stop.
//
// table.go is the drawing of docs/architecture.md as code: a list of modules, each with
// its settings, listeners, start and stop. What is not connected there is not connected.
// Nothing below imports this package; it knows no protocol words and no stored formats.
//
// # Start
//
// The base directory is locked, settings are read, the certificate is loaded or
// made, the stores open and recover, listeners are bound, and only when all
// accept is "ready" printed.
//
// # Settings
//
// Every module has a file Settings/<MODULE>.settings in the data format; the
// table in table.go says which part reads it. A change, by CLI or by hand and
// reload, is checked as a whole; a part sees the old snapshot or the new one,
// never a mixture, and a bad file leaves everything as it was.
//
// # Stop
//
// In this order, within stopLimit: listeners close, sessions say goodbye and
// end, deliveries under way end, the queue and the stores close. What was
// acknowledged is on the disk at any moment, so a stop that comes too late for
// this order (or a kill) loses nothing either.
package server
