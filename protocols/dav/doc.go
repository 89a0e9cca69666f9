// Package dav is WebDAV for users, mounted on HTTPU: CalDAV below /CalDAV/, CardDAV below /CardDAV/, principals below
// /UserDAV/, and the root and /.well-known/ by which clients find these.
//
// # A request's life
//
//	package http     host, login (service WebCAL), limits; the decoded segments of the path
//	resource.go      what the path means: root, principal, home, collection or item
//	handler.go       the method: a function of a table
//	xmlread.go       the body as a tree of bounded depth and size
//	conditional.go   If-Match and its like; ifheader.go the If header; prefer.go what the client prefers
//	props.go         what PROPFIND and reports can ask of a resource: one line for each property
//	query.go         calendar-query and free-busy-query: filters, and parts of calendar objects
//	calendardata.go  /CalendarData/: a whole calendar by GET and PUT
//	link.go          secret links: a calendar by GET, without a login
//	acl.go           the method ACL; privileges.go what privileges are of rights to a mailbox or a directory
//	principalsearch.go  whom a user finds to share with
//	files.go         /WebDAV/: file storage; fileaccess.go who may do what there
//	cards.go         addressbook-query: filters, and parts and versions of cards
//	xmlwrite.go      the multistatus, streamed
//
// # Paths
//
// An own mailbox is /CalDAV/Box/Sub/, another account's /CalDAV/~user@domain/Box/. A path without the slash at its end, or with
// .ics after the mailbox, means the same collection, unless an item has exactly this path. GET of a collection
// is the whole of it as one text; GET of /CalDAV/ is the main calendar, while PROPFIND there is
// about the home that lists all calendars. Hrefs in answers have the spelling of the request: prefix and mailbox as the client wrote them,
// escaped in one way (href.go).
//
// # Sync tokens
//
// A token and the CTag are the validity of a mailbox and the ModSeq of its last changed item. Deletions are known for 90 days.
//
// # Failures
//
// A failure of package fault is told by http.Refuse. One that clients tell apart by an XML element has a precondition
// (precondition.go). In a multistatus, only what concerns one resource is told there; a failure of the server cuts the answer.
// A propstat of status 200 comes first, with the text "HTTP/1.1 200 OK" that Thunderbird looks for.
//
// # Bounds
//
// Bodies have 10 MB; XML has maxXML bytes, tags of maxToken, maxDepth levels and maxElements elements and attributes; a multiget has maxHrefs, an
// expand-property maxExpanded. Items are read one by one and written as they come; an answer is never whole in memory.
//
// RFC 3744, 4918 (locks for files alone), 4331, 4791, 5397, 5689, 6352, 6578, 6764, 7809, 8144.
package dav
