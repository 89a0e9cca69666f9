// Package rules decides what automated rules do with a message.
//
// It is pure: it opens no file and no connection, and starts nothing. A Set is parsed from the
// array form of the data format; a Run applies one or two sets to a message and gives actions as Go
// values, one after the other, each with the rule that wants it. Who runs the rules carries the
// actions out. The actions do not know the language of the rules: another language can end in the
// same ones.
//
// # The language
//
//	rules     = ( rule, rule, ... )                           or the word Default: none
//	rule      = ( priority, name, ( condition, ... ), ( action, ... ) [, comment] )
//	condition = ( opcode [, operation [, parameter]] )
//	action    = ( opcode [, parameter] )
//
// A priority is 0 (the rule is kept and not applied) to 10. Rules run from the highest priority to
// the lowest, and those of one priority as they are stored, the domain's before the account's. All
// conditions of a rule have to hold; without any, it always applies. There is no other OR than that
// of lists. Opcodes, operations and words in parameters are read in any letter case. The parameter
// --- is what web pages send for none.
//
// A set is printed as it was given, down to what it says in a needless way; only white space and
// the form of numbers are made uniform. Parse refuses a set with anything wrong in it. Load takes
// one that is stored: a rule that it does not understand is kept, told of, and not applied.
//
// # Levels
//
//	Server    the enqueuer, once for each message with all its recipients
//	Domain    local delivery, for each account of the domain, with the rights of that account
//	Account   local delivery
//
// # Operations
//
//	is, is not               the value fits the picture, or does not
//	in, not in               the value fits one picture of the comma list, or none of them
//	less than, greater than  numbers and times
//
// In a picture, * stands for any characters, also none; everything else for itself, in any letter
// case. It fits whole values, so "contains" is *text*. The list #name is a dataset of the account,
// such as its address books; one that does not exist is empty, and server rules have none.
//
// A message without the value (no Cc field, no From address) differs from every value: is not and
// not in hold, is and in do not. Any conditions hold if the test holds for one of the values, Each
// conditions if it does for all; Header Field and Existing Mailbox hold for is if one fits, and for
// is not if none does.
//
// # Conditions
//
//	Time Of Day         h:mm or h:mm:ss, in the zone of Input.Now; in lists also h:mm-h:mm, without
//	                    its end, and perhaps over midnight
//	Current Date        DD Mon YYYY [hh:mm[:ss]], in the same zone; is with a day means all of it
//	Current Day         Sun to Sat, or 0 to 6
//	Preference          key:picture, of the account (not in server rules)
//	FreeBusy            Free, Busy, Tentative or Unavailable: what the account's calendars say of now (not in server rules)
//	From, Sender, Reply-To, To, Cc
//	                    user@domain, the first address of the first such field
//	Any To or Cc, Each To or Cc
//	                    the addresses of all To and Cc fields
//	'From' Name         the display name of the From address
//	Subject, Message-ID the field, decoded
//	Header Field        each field as one line, decoded: the name, a colon, a blank, the value
//	Human Generated     the return-path is not empty, and no field tells of a list, of bulk mail or
//	                    of a program
//	Security            S/MIME signed, S/MIME encrypted, PGP signed, PGP encrypted, or empty
//	Calendar Method     the iTIP method of the message's calendar part
//	Message Size        bytes, or with K, M, G
//	Return-Path         empty for reports
//	Any Recipient, Each Recipient
//	                    as they were given, before routing, or as their ORCPT is; at delivery those
//	                    that lead to the account
//	Any Route, Each Route
//	                    MODULE(queue)address (server rules)
//	Source              authenticated, trusted or empty
//	Submit Address      TAG [ip], as the S line of a queue file has it
//	Existing Mailbox    the mailboxes of the account (not in server rules)
//
// # Actions
//
//	Store in            a copy in Box, ~/Box, ~account/Box or ~account@domain/Box; server rules
//	                    name the account
//	Mark                the flags of copies that are stored later: Read, Unflagged, Junk, ...
//	Add Header          fields, one a line, at the end of the header; later conditions see them
//	Tag Subject         a text before the subject; later conditions see it
//	Reject with         ends the run, refuses the message with a text
//	Discard             ends the run, drops the message
//	Stop Processing     ends the run
//	Remember 'From' in  puts the From address into a dataset (not in server rules)
//	Redirect To         sends the message on, in the name of the account
//	Mirror to           sends the message on, with its return-path
//	Forward to          sends a new message that holds this one
//	Reply with, Reply to All with, React with
//	                    send a new message, see below
//	SendURL             makes an HTTP request (also Send URL, Execute URL)
//	Execute             runs a program: [FILE] [RETPATH] [RCPT] [ORCPT] [STDERR] program arguments
//	ExternalFilter      asks a filter (server rules)
//	Write To Log        writes a line
//	Accept Request, Accept Reply
//	                    have the calendar take over an invitation, or an answer (not in server rules)
//	Copy Attachments into
//	                    saves the attachments as files (not in server rules)
//	Store Encrypted in, FingerNotify,
//	SendIM (also Send IM), SendPush (also Send Push)
//	                    do nothing yet, and say so (Rule.Notes)
//
// # Texts
//
// ^S is the subject, ^s the subject as it stands in the header, ^F the From field, ^T the Date
// field, ^I the Message-ID, ^R the address of the account, ^^ a ^. The values are a stranger's:
// they are put on one line and cut; in a URL they are percent-encoded and cannot change the host;
// in a command they are part of one argument and cannot begin an option.
//
// The text of a reply is its body. One that begins with + begins with header fields, up to an empty
// line. [charset] before a text is taken and ignored: UTF-8 is sent. React with needs a field To.
//
// # Changes
//
// What is stored or sent after Add Header, Tag Subject or a filter has the change (Run.Changes);
// Changes.Apply makes the header that conditions have seen.
//
// # Loops
//
// What rules make carries X-Autogenerated and, if it is a new message, Auto-Submitted (RFC 3834);
// replies and reactions have the null return-path. Nobody gets a reply to what a program or a list
// has sent (NoReply). The rule #Vacation also answers only what is addressed to the account by
// name. An account sends a message on once, which the fields of the copy tell, and not to itself;
// rules of accounts send it on five times at most. Server rules make no message about one that
// server rules have made, which the submit tag SRULE tells. Any other loop ends at the hop limit of
// the queue. How much an account sends is bounded by whoever submits for it.
//
// # No mail is lost
//
// An action that is not done, for one of these reasons or since its object does not exist yet, is a
// Skipped in the run. If it would have taken the message elsewhere, the rule ends there, and a Discard of a rule
// after it is skipped: it would drop the only copy. When something cannot be read, the run ends with an error
// instead of a guess.
//
// # Bounds
//
// A set has at most MaxRules rules of MaxClauses conditions and actions each. A picture takes time
// linear in the value. Rules of accounts search at most maxWork characters in a message. Of a
// header, the first megabyte is looked at.
package rules
