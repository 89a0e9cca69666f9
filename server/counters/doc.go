// Package counters counts what the parts of the server do, and keeps a day of it by the minute.
//
// # Who counts
//
// A part has its counters among its own fields: a [Counter] is ready as it is, costs one atomic addition,
// and knows no name. Where counts differ by a reason or a name, a [Labelled] has one Counter per value; it takes
// at most [MaxValues] of them, and counts the rest as [Other], so that no client can make it grow. A
// [Histogram] counts sizes or times in fixed steps.
//
// A [Wire] has what every module with connections counts.
//
// # Who reads
//
// The server names them: it adds one [Metric] for each to a [Registry]. What is a state and no event (sessions
// now, bytes free) is a Metric with a function, which is asked when somebody looks. Names and units are those of
// Prometheus; a metric may also be an element of the statistics that administrators know, by its name and OID
// (element.go).
//
// # History
//
// Registry.Run takes a sample of every series each minute: of counters what was added in it, of states what they
// were at its end. It keeps [Minutes] of them in a ring of four bytes each, which a series gets with its first value
// that is not zero, and at most [MaxSeries] series. Minutes in which the server did not run are known as such.
//
// # Over a restart
//
// Save writes history and totals as text (file.go), Load reads them. A total goes on from what was saved; after a
// crash the events since the last Save are missing, and nothing else. Prometheus would take that for a counter
// that began anew, and count all of it again: [Registry.Expose] therefore shows what was counted since the start of the
// process, which is what it expects.
package counters
