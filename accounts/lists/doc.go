// Package lists is the LIST module: it sends mail that comes to a group to the group's members, and runs the mailing
// lists: postings, requests by mail, moderation, reports of failures, digests.
//
// What goes to many people is one new message in the queue, a copy with them as recipients; accounts of this server get hard
// links of its file. The copy is sent once, whenever the server is killed (queue.Item.Pass). It is written from file to
// file, so that memory holds the header and the addresses only.
//
// # Groups
//
// The members are found when the message is delivered to the group. Each member is routed, so that names of one account, such
// as its aliases, are known as one: nobody is in the envelope twice. With Expand, groups among the members stand for their members
// (members.go). Programs are reached only if a record of the Router Table leads to them.
//
// The copy has the return-path of the message. With FinalDelivery the group is the end: the sender hears
// that the group has it, and of no member. Without it the wishes for reports (RFC 3461) go on to the
// members, and the sender hears of each as he asked.
//
// # Postings of mailing lists
//
// posting.go decides who may post and what: the posting is sent, waits for the owner, or is refused with a report to its
// sender; nothing is dropped. distribute.go writes the copy. Its header is that of spec objects.md 10.5 with the fields of RFC 2369, RFC 2919
// and RFC 8058. Each subscriber has a secret of 80 bits. It stands in the return-path of his message (name-report+SECRET@domain), so
// that a report tells whose it is, and in his links to leave. The archive is one more recipient of the copy: name#owner@domain
// without a token, which LOCAL stores in that mailbox whatever rules the owner has.
//
// # Requests
//
// Manager has what mail, web pages and the command line do: Subscribe, Unsubscribe, SetMode, SetName, Confirm, Approve, Reject,
// Waiting, Pending, Change, ProcessBounce. command.go reads the requests that come by mail:
//
//	name-on name-subscribe       subscribe in the mode that the list has for new subscribers
//	name-off name-unsubscribe    leave; name-off+SECRET at once
//	name-feed -digest -index -null    subscribe in that mode, or change to it
//	name-confirm+TOKEN           answers a question; the token may be in the subject as well
//	name-confirm+reject-TOKEN    the owner rejects; the subject is the reason
//	name-request                 subjects of one word: help, subscribe, unsubscribe, the modes, "confirm TOKEN"; the rest goes to the owner
//	name-admin                   the owner
//	name-report+SECRET           reports of failures
//
// Whoever is not known to read the mail of an address, by his login or by a token, is asked there first, if the list has
// Confirmation. An address has one question of a kind at a time, however often somebody asks in its name. Automatic messages
// are not obeyed. Questions are done first and removed then; all of them may be done twice.
//
// # Pages
//
// Options.Pages is the address of the pages of lists. Below it messages name, with the list's name: NAME/confirm/TOKEN for a question (Manager.Confirm), NAME/unsubscribe/SECRET for the link of RFC 8058 (a POST is Manager.SetMode with the mode
// None).
//
// # Moderation
//
// A posting that waits is a question to the owner and one message with the posting in it, in his INBOX and in the mailbox
// NAME/approval. Approve submits the posting again with the token in its address; the list sends it if the question is still there, and
// then removes question and message. So it is sent once, however often it is approved.
//
// # Reports
//
// Reports of our own queue about messages of lists come without a token and name the recipients, which are believed, as nobody
// outside can set their submit tag. Reports about other messages have another tag: a stranger who writes the report address of a list as
// his return-path, and an address of a subscriber as the original recipient, has our queue make one. Of any other report only the secret counts. Only reports of failed delivery in the form of RFC 3464 count (bounce.go).
//
// # Loops
//
// The copy has the trace field Delivered-To with the address of the group or list (RFC 9228). Neither sends a message again that
// has it. When the message came to a group by way of another group it ends there without a word, as it has been sent to the
// members; from anybody else it is refused. A list refuses what has its own List-Id, too, and what programs answer (RFC 3834):
// such reports go to the report address and count for the subscriber who leads back to the list.
//
// Postings of one author are counted against PostingFlow: programs that answer without saying so end there.
//
// # Upkeep
//
// schedule.go says when a list is looked at: when a digest or a cleaning is due, after a posting or a change of a mode, and every
// quarter of an hour.
//
// # Texts
//
// texts.go has the texts that lists send, in English and Russian. These symbols in the texts of a list stand for values:
//
//	^N name    ^A address    ^D domain    ^E name in addresses    ^S address to subscribe    ^U address to leave    ^O address of the owner
//	^M address of the reader    ^T mode    ^X who or what the text is about    ^F author
//	^C address that confirms    ^J address that rejects    ^K the token    ^P page that confirms    ^R reason
//	^# number of a digest    ^I number of a posting in it    ^^ the character ^
package lists
