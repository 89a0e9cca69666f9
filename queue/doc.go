// Package queue holds every message that the server has accepted and not yet
// passed on.
//
// # A message's life
//
//	state      N.tmp  N.msg  in memory             after a crash
//	arriving   yes    no     a Submission          N.tmp is removed at the start: nobody was promised anything
//	held       no     N.held Queue.held            what it was made of is behind it and it is published, or it is removed
//	promised   no     yes    waits in its queues   the enqueuer reads it again; recipients with state W are tried
//	judged     maybe  yes    as promised           N.tmp goes; without the mark RulesDone rules are asked again
//	attempted  no     yes    an Item of a Batch    the same; a Repeatable skips what it has (by queue ID)
//	handed     no     yes    an Item, begun         recipients with state P are not tried again: the sender is told (Item.Begin)
//	settled    no     yes    results in the file   recipients with state D, F or X are skipped; S, C and B are reported
//	finished   no     yes    with the remover      deliveries of a Repeatable are made again, and found to be there
//	gone       no     no     no                    nothing; the accounts may forget the queue ID
//	damaged    no     no     no                    N.bad, for the administrator; a log record says why
//
// A message that is on hold, or was rejected by an administrator, is promised, and its file says so: after
// a crash it waits for its release, or ends (hold.go, reject.go).
//
// A message of whose failure nobody could be told, as a bug has stopped its report
// again and again, is kept as N.bad as well.
//
// A file that is arriving is N.tmp. It gets the name N.msg after its content is
// durable. That name, made durable by a sync of the directory, is the promise:
// Submission.Commit returns nil after it and never before. Everything before it
// may be refused and leaves nothing.
// After it a message can be delivered twice to another server or program, if a crash
// comes before the transport has reported, and once to an account (RFC 5321 section
// 6.1), and is never lost. Mail to all@domain is no
// exception: the accounts are put into the envelope when it arrives, so that all
// their copies are one message with one queue ID in every state (expand.go).
//
// What moves a message on:
//
//	arriving → promised    Submission.Commit, in the goroutine of the session
//	arriving → held        Submission.Hold, Item.Pass: what a delivery, rules or a group send on (held.go)
//	held → promised        Queue.Publish, once the delivery has its record
//	promised → judged      if there are Rules: the source's call of Commit waits for them, or a worker
//	                       of RulesModule asks them; the changed file takes the place of N.msg
//	judged → attempted     a worker of the module, in the order of the queues' turns
//	attempted → settled    Item.Report: final results of a transport that is asked once are durable
//	                       in the file when it returns (with MayRepeat: written); others when the last
//	                       recipient has a result
//	settled → promised     the due list, when recipients still wait
//	settled → finished     when none waits and the sender was told what he has to hear
//	finished → gone        the remover, many at a time: Repeatables durable, unlink, names durable, forget
//
// # Rules
//
// Server rules and external filters are a Rules (rules.go, judge.go). They are asked when
// the message is durable and its recipients are routed, before it enters its first logical
// queue, by at most EnqueuerProcessors goroutines at once. Who calls Commit waits for what
// they say, for EnqueuerWait at most: a refusal reaches him as the error of Commit, and the
// file is gone for good before. After that, and for messages that are found at the start,
// a refusal becomes a report. What they change is written into a new file with the mark
// RulesDone, which is renamed over the old one. The mark is written before the message
// enters a logical queue, so that rules act once, also over a kill; it is synced where they change or send
// something. A crash between what they did themselves and the mark repeats it, and so may a power
// cut. Rules that say nothing cost no write: they are asked again after a restart.
//
// # Words
//
// The enqueuer routes the recipients of a message and puts it into logical
// queues, one for each remote host, account or program. A queue is ready, active
// (a batch of it is being delivered) or delayed. A queue-wide failure (the host
// does not answer, the account is full) delays the queue; any other delays the
// recipient alone while the queue goes on. The dequeuer collects results, has
// reports (DSN) written about them, and has finished messages removed.
// A destination is where batches of one or more queues go.
//
// The recipients of a message without rules are routed a thousand at a time, and those of LOCAL and SMTP
// enter their queues with their part (enqueueParts). What is held is routed when its envelope is written, and not
// again unless the server is started between.
//
// # Who is next
//
// A destination is where batches go (destination.go): of most modules each logical queue is
// one. SMTP has a reserve for hosts that answer (Policy.Silent), and its queues may share a
// destination, if they lead to the same hosts (Grouper).
//
//	destination  batches at once                                    its batches count against
//	not known    one, until it answers                              Policy.Silent
//	answers      five, one more for each batch that delivers        Policy.Workers
//	             something, at most Policy.PerQueue
//	refuses one  as many as it has beside the refused one; after    Policy.Workers
//	beside       a minute more again. The messages of the refused
//	others       one go back as they were
//	dead         none until the interval of Policy.Retry is over,   Policy.Silent
//	             then one
//
// It is dead after a failure of the whole queue when no other batch has an answer: its
// messages wait, age, expire and are warned about together. An answer makes it alive.
// Destinations take turns, those without a batch under way first, and a fifth of
// Policy.Workers is for these. When work waits for a worker,
//
//   - a batch that has had no answer for two seconds counts as silent, while half of Policy.Silent
//     is free, so that the worker's place is free for others;
//   - a batch that never had an answer is given up after 30 seconds, if all of Policy.Silent is taken;
//   - a batch ends after five seconds, with the message under way, and its destination
//     waits for its next turn.
//
// So a message to a host that answers waits for workers only as long as the hosts before it
// take for five seconds of work and the message then under way, and a host that is not known
// waits 30 seconds at most for each Policy.Silent of silent hosts before it. A host that
// greets and then falls silent keeps its place until the limit of the transport.
//
// What is known of a destination is forgotten ten minutes after its last message, and before
// when there are 10,000 of them.
//
// # On disk
//
// Queue/N.msg, N being the queue ID in decimal: an envelope of text lines and the
// message, see queue/envelope/codec.go for the format, version 1. Only the state
// letter and the warning counter of a recipient, the letter for RulesDone, and those for what an administrator has said, are ever
// overwritten in place; marks.go says when.
// Files of older servers are read, and rewritten in version 1. The counter file holds
// the mark below which IDs may have been used, see Counter.
//
// # Who owns what
//
//	Submission             the session's goroutine
//	logical queues, due    Queue.mu; touched in memory only, never held across a disk or network wait
//	  list, report list
//	Item                   the worker that runs its batch, until its last Report
//	queue files            the Submission, then nobody: they are read by all and unlinked by the remover
//	goroutines             Run: scheduler, workers, reporters, remover, and those that ask rules for
//	                       a source that waits; it returns when all have ended
//
// # Memory
//
// A waiting message costs some 300 bytes; its envelope stays in memory until the first
// attempt, for at most 20,000 messages, and is read from the file when it is needed
// later. Bodies are never in memory. At the start files are only listed; the
// enqueuer reads them while deliveries already run.
//
// # Reports
//
// RFC 3461 (NOTIFY, RET, ENVID, ORCPT), 3462/6522 (multipart/report), 3463, 3464, and
// 6533 for addresses outside of ASCII. A report has the return-path <> and asks for no
// reports; nothing is ever reported about a report.
package queue
