// Package delivery is the last hop of local mail: it takes what waits in the
// LOCAL queue of an account and puts it into the account's mailboxes.
//
// # Words
//
// A batch is what waits for one account: many messages, one commit of the store.
// Messages of different accounts that are under way at the same time share the
// commits of the index, so the module runs many batches at once.
//
// # Steps
//
// The account is looked up once per batch. Its Mail service, the flow limit and
// the size limits are checked; each message is read once, whatever the number of
// its local recipients, to make its message.Summary; then
// the store links the queue file and commits a record (mailbox.Account.Deliver).
// The body is never copied.
//
// Mail to all@domain does not come this way: the queue asks AllAccounts when such
// a message arrives, and its accounts are recipients like others.
//
// # Rules
//
// Rules decide what becomes of a message in an account before it is stored (rules.go): copies in
// mailboxes, also of other accounts, flags and header fields, messages that are sent on, an end
// without INBOX. They are asked once for each message and account, about its copy for INBOX; mail
// that names a mailbox itself is not theirs. What they say is carried out once, whatever
// crashes (apply.go). What goes wrong with an action never loses the message nor refuses it: then
// it is in INBOX, and the log says why. ENVELOPE shows a message as it came: fields that rules put
// before it are seen where the header is read. A header that rules change (SetHeader) costs a
// copy of the message, and is what ENVELOPE shows.
//
// # What is added
//
// A prefix in the record, which every reader of the message sees before it:
//
//	Return-Path: <sender>                  RFC 5321 section 4.4
//	X-Real-To: <address as it was routed>  one for each recipient in the account
//	Delivered-To: account@domain           RFC 9228
//
// # Loops
//
// What comes back to us again and again has one more Received field each time, and
// the queue refuses it beyond the HopLimit before anything is accepted (RFC 5321
// section 6.3): that ends a loop, and whoever sends it to us tells the sender.
//
// A Delivered-To field that came with a message proves no loop. Anybody can write
// it: a stranger, to have us send a report with his text to a victim; and the
// server of the same name from which an account moved here, whose mail a fetching
// program gives to us. It is not looked at. Until the HopLimit ends it, an account
// may so get some copies; of mail to all@domain, which would multiply, there is
// only one, as the receiver refuses what carries its mark (queue.Submission).
//
// # Promises
//
// Delivery may be tried again at any time, also after a crash: the store knows
// the queue ID of what it has and makes no second copy. What was delivered is
// durable when the record is; the link becomes durable before the queue removes
// its file, see Transport.Sync.
//
// A message that does not fit now (account full, Mail service off, too many
// messages) stays in the queue, and with it the whole queue of the account
// unless the settings say that only the message waits. Unless it were too many, it
// is tried again when space is freed in the account or its settings change
// (waiting.go); and now and then in any case.
//
// An account may be renamed or removed while its mail waits or is being delivered. A
// delivery that is under way goes to the account under its new name. What finds no
// account is routed again at once: an alias that went with the account
// leads to its new name, and it is the router that knows what becomes of mail for
// somebody unknown.
package delivery
