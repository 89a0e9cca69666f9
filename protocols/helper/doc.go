// Package helper speaks with programs that the administrator has written or installed: External Filters look
// at messages, the External Authentication program knows passwords and accounts. They were written for
// other servers of this kind, and run unchanged.
//
// # The protocol
//
// A helper is a child process. The server writes commands to its standard input, the helper answers on its
// standard output, one line each:
//
//	1 INTF 4                         1 INTF 3
//	2 FILE Filter/5500123.msg        * scanning 5500123
//	                                 2 ADDHEADER "X-Junk-Score: 92 [XXXXXXXXX]" OK
//	3 QUIT                           3 OK
//
// An answer has the number of its command. Many may be open; answers come in any order. A line that
// begins with * is for the log, and so is each line of the standard error. Lines with an unknown
// number, or none, are logged and mean nothing. A line of more than 4096 bytes ends the helper.
//
// INTF comes first; its answer says which version the helper speaks. Whatever it is, or if
// there is none within five seconds, the work begins. Each command is one write: some helpers read with a
// buffer and look at its first line only. If nothing comes for two seconds while commands are open, INTF is
// sent again, which wakes such helpers.
//
// # Life
//
// A helper that is enabled runs from the start of the server, or from the change of its setting. When it
// ends, or does not answer a command within Timeout and is therefore ended, it is started again
// after RestartPause, and all commands that are open are sent again. The pause doubles, up to five
// minutes, while it ends again and again without having answered. A command with which the helper has ended three
// times has failed: it may be what ends it. A command that has waited for Timeout while there was no helper
// is to be tried later. With RestartPause=never the open commands, and all later ones, have
// failed until the settings are given again.
//
// QUIT and the end of the input ask a helper to end; three seconds later it is ended.
//
// # External Filters
//
// FILE names the message relative to the base directory. The file is a view, Filter/ID.msg: the envelope lines of
// the queue file, an empty line, and the message with LF line ends, as filters were written for them. With
// QueueFile=YES it is the queue file itself, whose message has CRLF. Answers:
//
//	OK                       the message goes on
//	ADDHEADER "text"         the lines are added to the header; a verdict may follow, else it is OK
//	MIRRORTO "address"       the address gets a copy; the same
//	ADDROUTE "address"       the address gets the message too; the same
//	DISCARD                  nobody gets it, nobody is told
//	ERROR text               it is refused
//	REJECTED text            it cannot be looked at now: it stays in the queue and is offered again
//	FAILURE text             the filter does not work on it; so does any other answer
//
// What follows from a failure is the setting OnFailure: the message goes on, or is tried again later.
//
// # External Authentication
//
//	VRFY (service) user@domain password    OK, ERROR: wrong, FAILURE: cannot tell
//	NEW user@domain                        OK: look again, ERROR: unknown, FAILURE: cannot tell
//	PASSWD user@domain password            OK, ERROR, FAILURE
//	READPLAIN user@domain                  PLAIN "password", or anything else
//
// A password with blanks, quotes, backslashes or characters outside of ASCII is a quoted string, in which a
// byte may be \ and three decimal digits.
//
// # Who owns what
//
// The goroutine of a client owns its helper, its commands and its times. Others send it requests and
// settings, and read a snapshot of the statistics. No lock is held while a helper is asked.
package helper
