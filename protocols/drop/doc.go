// Package drop takes mail that programs of this site leave in folders or in tables of a database: the
// reminders of a library, the invoices of a billing program.
//
// # Words
//
// A drop folder is a directory, a drop table a table of a PostgreSQL database; both are sources, and each has
// a name of its own. An item is one mail in them: a time, a sender, an address, a subject, a text. An item is
// sent, deferred or refused. It is sent when the queue has it: what becomes of it then is the queue's
// business, and reports go to the sender. It is deferred while its sender may not send from here, which an
// administrator can change, and refused if nothing but another item helps, such as a wrong address.
//
// # A drop folder
//
//	NAME                    is taken: a list of items in XML (item.go)
//	.NAME, NAME.tmp         being written, and left alone
//	sent/NAME               sent; removed after KeepSent
//	defer/NAME, NAME.reason deferred; tried again every RetryInterval, MaxTries times, then refused
//	drop/NAME, NAME.reason  refused; removed after KeepRefused
//
// A program writes the file elsewhere or under one of the names that are left alone, and renames it. A file
// whose items fare differently is divided: each sub-folder gets a file with those that belong there.
//
// # Exactly once
//
// What a pass does with the items of a file, or of some rows, stands in a record, Drop/RANDOM.taken in the base
// directory, which is durable before anything follows from it. A folder is not trusted with it: programs
// write there, and it may be on another machine.
//
//	folder: hold each message   durable in the queue, and nobody's yet
//	        write the record    the queue IDs, and why other items are not sent
//	        publish each        they wait in the queue
//	        move the file       to its sub-folder, or divide it
//	        remove the record
//
//	table:  lock rows, write the record    the items, and the number of the transaction
//	        update their status, commit
//	        hold each, write the record    now the queue IDs
//	        publish each, remove the record
//
// The record of a folder tells its file, by inode and content, from another one that a program has put into its place
// meanwhile: that one is taken anew.
//
// A crash before the record of a folder is written has the messages dropped at the start, and the file taken
// anew. After it, Open publishes what the record names. A record with a transaction and no queue IDs is settled
// when the database answers: it tells whether that transaction was committed, so that rows are sent once
// even if the connection breaks in the commit, and if two servers work on one table.
//
// # Who owns what
//
//	the set of sources    Intake.mu; Run starts and stops them when the settings change
//	a source              its mutex: one pass at a time
//	records               their source's pass
package drop
