// Package sendmail is the programs sendmail and mail, which other programs of this machine start to send
// mail. Each message becomes a file in the folder Submitted of the base directory (protocols/pickup), from
// where the server takes it: at once when it runs, else after its start. An exit code of 0 means that
// the file is on the disk.
//
// The programs run as the user who sends. The server takes the sender's name from the owner of the file, so
// that nothing a user gives to these programs is trusted; docs/admin/programs.md says how
// the folder's mode decides who may send. They may be set-group-ID: then the base directory is the stock one,
// whatever the environment says.
//
// The options are those that sendmail(8) has had on all systems. What concerns the way
// of delivery (-o, -O, -h, -n, -X and others) is accepted and ignored: that is the server's business.
// Exit codes are those of sysexits.h.
package sendmail
