// Package pickup takes in the messages that programs of this machine leave in folders.
//
// # The folder Submitted
//
// A program composes a message as Submitted/NAME.tmp and renames it to NAME.sub; the programs
// sendmail and mail (server/sendmail) do that through Create. The content is a message (RFC 5322)
// with the line ends of the system and no dots doubled. Fields of its header are the envelope:
//
//	Return-Path:      the return-path; else Sender, else From
//	Envelope-To:      the recipients; if there is one, To, Cc and Bcc name none
//	Envelope-Ignore:  addresses of To, Cc and Bcc that do not get it
//	Envelope-ID, Envelope-Ret, Envelope-Notify
//	                  ENVID, RET and NOTIFY of RFC 3461, in the form of its parameters
//
// All of them are removed, and Bcc and Resent-Bcc. If there are Resent-To, Resent-Cc or Resent-Bcc,
// they name the recipients instead of To, Cc and Bcc (RFC 5322 section 3.6.6). Date, Message-ID
// and From that are missing are added, and local parts without a domain get the Main Domain's in
// From, Sender, Reply-To, To and Cc.
//
// Who may write to the folder may send to any address: its mode decides. The owner of the file is
// the user who sent it; a Received field tells him. A user who is not in MaySetSender has the
// return-path USER@Main Domain, and a Sender field that says so if From is another address.
//
// # A file's life
//
//	NAME.tmp  N.held  NAME.sub  N.taken  N.msg    what it is, and what happens after a crash
//	yes       -       -         -        -        being written. Removed when it is a day old
//	-         -       yes       -        -        waits. It is taken
//	-         yes     yes       -        -        copied: N.held is removed, and the file is taken again
//	-         yes     -         yes      -        taken: N.held is published
//	-         -       -         yes      yes      in the queue: N.taken is removed
//
// NAME.sub is renamed to N.taken, N being the queue ID of the copy, and the rename is durable before
// the copy is published. So the message is sent once, whenever a crash comes. N.held and N.msg are in
// the directory of the queue, see queue.Submission.Hold.
//
// A file that cannot become a message (no recipient, too large, no regular file) becomes NAME.bad, and
// a log record says why. Recipients that lead nowhere are reported to the return-path: nobody waits
// for an answer. While the queue is full, or the disk, files wait where they are.
//
// # Bounds
//
// A pass reads the directory in parts of 200 names, and copies 4 files at once. Of a file the
// header is in memory, 1 MB at most.
package pickup
