// Package pwd is the PWD wire on port 106: a password server (poppassd) with the
// administrator's command line, as scripts know it.
//
// # Lines
//
// A command is one line, ended by LF or CRLF; an answer is one line with CRLF and
// goes out in one write:
//
//	200 OK                   done
//	300 please send the PASS more is needed
//	201 {a=1;}               done, with data, after INLINE
//	200 data follow          done; the data comes as text over several lines,
//	                         with LF inside and CRLF at its very end
//	5xx text                 not done
//
// Administrators may send lines of megabytes, for lists and files. All long lines
// share a budget of memory; one for which there is none left is refused (lines.go).
//
// There is no line that ends data: a reader parses the object. Verbs and keywords
// are told apart without regard to case. Clients lean on details (exactly one
// <...@...> in the greeting, exactly "data follow", no blanks in inline data);
// quirks_test.go has them.
//
// # Commands
//
// The tables of accountcmds.go and its like name each command once, with its parameters and
// what carries it out. syntax.go reads the parameters as the table says, reply.go turns
// failures into codes. Nothing is decided here, and nobody's rights are compared: a
// command is a call of package admin, which writes the record of it too.
//
// # Sessions
//
// A session's goroutine owns the session. Before login lines are short and only
// the commands of login.go work. An account may log in when its service PWD is
// on. The control socket starts a session with all rights and without a login. One
// account gets a share of the module's sessions and not all (slots.go).
//
// Passwords stay out of the log: a command has its record from package admin, and none here.
package pwd
