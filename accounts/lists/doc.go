// Package lists is the LIST module: it sends mail that comes to a group to the group's members. Mailing
// lists have a place here too.
//
// The members are found when the message is delivered to the group. What goes to them is one new
// message in the queue, a copy with the members as recipients; accounts of this server get hard links of its
// file. The copy is sent once, whenever the server is killed (queue.Item.Pass). It is written from file to
// file, so that memory holds the header and the members only.
//
// # Who gets it
//
// Each member is routed, so that names of one account, such as its aliases, are known as one: nobody
// is in the envelope twice. With Expand, groups among the members stand for their members (members.go).
// Programs are reached only if a record of the Router Table leads to them.
//
// # Loops
//
// The copy has the trace field Delivered-To with the address of the group (RFC 9228). A group does not
// send a message again that has it. When the message came by way of another group it ends there without a word, as it
// has been sent to the members; from anybody else it is refused.
//
// # Reports
//
// The copy has the return-path of the message. With FinalDelivery the group is the end: the sender hears
// that the group has it, and of no member. Without it the wishes for reports (RFC 3461) go on to the
// members, and the sender hears of each as he asked.
package lists
