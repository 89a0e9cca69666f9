package rules

import (
	"gatepost/router/address"
)

// Kind is what an action does.
type Kind uint8

// The kinds, one for each opcode; actionWords has what each of them is.
const (
	KindStoreIn Kind = iota
	KindMark
	KindAddHeader
	KindTagSubject
	KindReject
	KindDiscard
	KindStop
	KindRemember
	KindAcceptRequest
	KindAcceptReply
	KindStoreEncrypted
	KindCopyAttachments
	KindRedirect
	KindForward
	KindMirror
	KindReply
	KindReplyAll
	KindReact
	KindSendIM
	KindSendPush
	KindSendURL
	KindFingerNotify
	KindExecute
	KindFilter
	KindWriteLog
)

// String is the opcode as it is documented.
func (k Kind) String() string { return findKind(k).name }

// Logged reports whether a failure of the action is written to the log and nothing more. The
// failure of any other action ends the run, and the delivery with it.
func (k Kind) Logged() bool { return findKind(k).logged }

// Action is one thing that the caller has to do.
type Action interface{ Kind() Kind }

// StoreIn puts a copy into a mailbox.
type StoreIn struct {
	// Owner is the account of the mailbox as the rule has it, an account of the recipient's domain
	// or account@domain; empty for the recipient. The recipient needs the right to insert there.
	Owner   string
	Mailbox string
	// Flags are the flags of the copy.
	Flags []string
}

// CopyAttachments stores the attachments of the message as files.
type CopyAttachments struct {
	// Owner is the account of the file storage as the rule has it, like that of StoreIn. The recipient needs the right to write there.
	Owner string
	// Directory is a path with slashes; empty for the top.
	Directory string
}

// Mark changes the flags of the copies that are stored later; StoreIn and Outcome have the result.
type Mark struct{ Set, Clear []string }

// AddHeader puts fields at the end of the message's header.
type AddHeader struct{ Fields []Field }

// TagSubject puts a text before the subject; a message without Subject gets the field.
type TagSubject struct{ Text string }

// Reject ends the run: the message is refused with the text.
type Reject struct{ Text string }

// Discard ends the run: the message is dropped.
type Discard struct{}

// Stop ends the run: the message is delivered.
type Stop struct{}

// Remember puts an address into a dataset of the account.
type Remember struct{ Dataset, Address string }

// Resend submits the message once more, with fields before it (Redirect To, Mirror to). Recipients
// ask for no reports (RFC 3461 section 4.1: NOTIFY=NEVER).
type Resend struct {
	kind       Kind
	ReturnPath address.Address
	Recipients []address.Address
	Fields     []Field // they stand before the message
}

// Submit submits a new message: a forwarded one, a reply or a reaction. Recipients ask for no
// reports.
type Submit struct {
	kind       Kind
	ReturnPath address.Address
	Recipients []address.Address
	// Message lacks the fields Date, Message-ID and Received, which its submission puts before it.
	Message []byte
	// Original says that the body is the message that the rules are about, with what they added: it
	// comes after Message (RFC 2046 section 5.2.1).
	Original bool
}

// SendURL makes an HTTP request and ignores its result.
type SendURL struct{ URL string }

// Execute runs a program of the operating system.
type Execute struct {
	Args []string // the program and its arguments; no shell sees them
	// File appends the name of the message's file to the arguments; else the message comes on the
	// program's standard input.
	File bool
	// ReturnPath, Recipients and Originals append -f and the return-path, the recipients, and the
	// recipients as their sender knew them.
	ReturnPath, Recipients, Originals bool
	// Stderr makes what the program writes to its standard error the text of a refusal.
	Stderr bool
}

// Filter asks an External Filter. The caller gives what the filter adds to the run (AddFields)
// before it goes on.
type Filter struct{ Name string }

// WriteLog writes a line to the log.
type WriteLog struct{ Text string }

// Schedule has what the message says about events taken over into the calendar: an invitation, which is answered by whether the time is free
// (Accept Request), or an answer or a cancellation (Accept Reply). Nothing has to be done for any other message.
type Schedule struct {
	kind Kind
	// Options are the words of the rule. None is known.
	Options string
}

// Skipped is an action that is not done, for a reason that the log has. Nothing has to be done for
// it.
type Skipped struct {
	kind   Kind
	Reason string
}

func (StoreIn) Kind() Kind         { return KindStoreIn }
func (CopyAttachments) Kind() Kind { return KindCopyAttachments }
func (Mark) Kind() Kind            { return KindMark }
func (AddHeader) Kind() Kind       { return KindAddHeader }
func (TagSubject) Kind() Kind      { return KindTagSubject }
func (Reject) Kind() Kind          { return KindReject }
func (Discard) Kind() Kind         { return KindDiscard }
func (Stop) Kind() Kind            { return KindStop }
func (Remember) Kind() Kind        { return KindRemember }
func (a Resend) Kind() Kind        { return a.kind }
func (a Submit) Kind() Kind        { return a.kind }
func (SendURL) Kind() Kind         { return KindSendURL }
func (Execute) Kind() Kind         { return KindExecute }
func (Filter) Kind() Kind          { return KindFilter }
func (WriteLog) Kind() Kind        { return KindWriteLog }
func (a Schedule) Kind() Kind      { return a.kind }
func (a Skipped) Kind() Kind       { return a.kind }
