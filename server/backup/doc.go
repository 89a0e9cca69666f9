// Package backup makes backups of a base directory while its server runs, and restores them.
//
// # What a backup is
//
// A directory that is named by the time (UTC), such as 2026-12-01_03-00-00, with the files of a base directory as they would be after a crash at
// that moment, and the file MANIFEST: a line for each file with its SHA-256, size, time and name, in the order of their names, and a last line that says
// that it is whole. A backup that was cut short has the ending .partial, and no MANIFEST.
//
// Logs, temporary files and the search index, which is made again, are not in it.
//
// # How it is taken
//
// What was accepted before the backup began is in it:
//
//	1  no directory of an account moves, and no message file is removed, from here to 4 (accounts.Freeze)
//	2  the queue files are copied
//	3  the snapshots of the indexes begin: what was delivered since 2 is in them, and in the queue of the backup too
//	4  message files and stored files, which never change, are linked, others copied; new ones without a record are leftovers
//	5  the snapshots are written, sums are computed, everything is synced, MANIFEST is written, the directory gets its name
//
// If the backup is on another file system, links are made in the directory Backup of the base directory first, and copied from there: nobody waits
// for that. A file that is as it was in the backup before (name, size and time) is a link to that one: it costs no space.
//
// # Restoring
//
// All of it goes into an empty base directory (Restore), whose Main.settings comes last: before that no server takes it for one. Every
// file is compared with its sum; a damaged one is reported and left out, and the rest comes. Messages of the queue are put on hold, as they may have been
// delivered since. UIDs, change numbers and the numbers of messages go on far above those of the backup (mailbox.Account.Renew), as clients may
// have seen others since. One account or mailbox goes into a running server (see one.go), as new mailboxes.
package backup
