// Package reports has the aggregate reports of DMARC: those that others send about mail in our name are
// summed, and those that others ask for are made and sent.
//
// # Words
//
// A reporter is a server that tells what it has received in the name of a domain. A row is what it says of one source:
// an address, how many messages, whether SPF and DKIM passed aligned, and what became of them. The day of a report is
// that in which its period begins, in UTC.
//
// # In
//
// Names that nobody bears and that are the setting Name lead to the module REPORTS in every domain of the
// server. Mail to them is read when it is received (Inbox.Accepts, asked by package arriving), so that its sender learns what is
// wrong with it and nobody gets a bounce; Inbox is the queue.Transport that stores it.
//
// What is received comes from strangers. The compressed part, the text behind it, the number of rows and the
// length of each text are bounded, XML with a document type is refused, one zip has one report, and nothing
// in it is followed. A report counts once, by its reporter and number.
//
// # Out
//
// With SendReports, Outbox counts what strangers send in the name of domains that publish a record with rua, and
// sends each of these a report of every day that has ended (RFC 7489 section 7.2), through the queue, with an empty
// return-path. An address in another organisation has to agree (section 7.1). A report is sent once: it is held in the queue,
// its queue ID is noted, and then it is published; after a crash a held one that is not noted is dropped.
//
// # On disk
//
//	Reports/Received/<domain>/<day>.data   rows, and which reports are in them; kept for Days, at most maxRows and maxReports a day
//	Reports/Counted/<day>.data             what was received on a day; written every minute, so that a crash loses a minute
//	Reports/Counted/<day>.sent             the domains whose report is sent, each with its queue ID
//
// # Sources
//
// RFC 7489 section 7 and appendix C, and its successor for the format, RFC 9990, as far as it is compatible.
package reports
