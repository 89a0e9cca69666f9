// Package scheduling invites people to events and takes their answers: implicit scheduling of CalDAV (RFC 6638), its
// messages (iTIP, RFC 5546) and their way by mail (iMIP, RFC 6047).
//
// # Words
//
// An object is a calendar object of one UID: the component that repeats (the main one) and overrides for instances. A view is
// what one attendee is to know of it: the components that name him. A message is an iTIP text with a METHOD, and its mail.
// The owner of a calendar is its organizer or one of its attendees; whoever changes it for him is the user.
//
// # Out
//
//	service.go     Put and Delete of an item: whose object it is, what is sent, what is stored
//	organizer.go   what changed for each attendee: REQUEST, CANCEL, of the whole or of instances
//	attendee.go    what an attendee may change, and REPLY
//	imip.go        the mail; texts.go its words, English and Russian
//
// All messages go through the queue, to accounts of this server too. They are held by the queue, then the item is committed with a
// record that names them, then they are published: a crash between the steps neither loses a message nor sends one twice, and
// an item that is stored has been announced. A change that meets another one is computed anew.
//
// # In
//
//	incoming.go    called by LOCAL for each message with a calendar part, after the rules
//	sender.go      who has sent a message, and whether that is proved
//	request.go     REQUEST and ADD; rooms.go answers for rooms and resources
//	reply.go       REPLY, REFRESH
//	cancel.go      CANCEL
//
// Each of them may be done twice: a delivery that is repeated after a crash finds what it has done, and answers the same.
// What cannot be taken over stays what it is, a message in INBOX.
//
// # Who may change what
//
// A message of an account of this server is proved by its login, or by its tag if this package has sent it. A message from elsewhere is proved if
// DMARC, or DKIM or SPF of the author's own domain, passed when it was received. A REPLY counts for its sender
// alone, who must be an attendee of the stored object. A REQUEST or CANCEL changes a stored object only if it comes from the
// organizer of that object. What is older than what is stored, by SEQUENCE and DTSTAMP, changes nothing. An invitation that
// is not proved, or is from somebody unknown, is not put into a calendar unless the account wants that (AddInvitations).
//
// # Bounds
//
// object.bounded has those of one object; instances are asked for within one budget (icalendar.Report).
package scheduling
