package pickup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// tagPIPE is the submit tag of messages from programs of this machine.
const tagPIPE = "PIPE"

// rfc5322 is the form of dates in a message.
const rfc5322 = "Mon, 02 Jan 2006 15:04:05 -0700"

// author is the user of this machine who has written a file.
type author struct {
	uid     int
	name    string // of the login; the number if it has none
	full    string // the person's name, or empty
	trusted bool   // may send under any name
}

func (f *Folder) authorOf(uid int) author {
	a := author{uid: uid, name: "uid" + strconv.Itoa(uid)}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && u.Username != "" {
		a.name, a.full = u.Username, u.Name
	}
	a.trusted = uid == 0 || uid == os.Geteuid() || f.set.Get().maySetSender(a.name)
	return a
}

// open opens a file of the folder. Others may write there: what is no regular file, or has another
// name, is refused.
func open(path string) (*os.File, os.FileInfo, error) {
	const op = "pickup.Open"
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENXIO):
		return nil, nil, fault.New(op, fault.Invalid, "it is no regular file")
	case errors.Is(err, os.ErrPermission):
		return nil, nil, fault.New(op, fault.Denied, "the server may not read it")
	case err != nil:
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Sys().(*syscall.Stat_t).Nlink != 1) {
		err = fault.New(op, fault.Invalid, "it is no regular file, or has a second name")
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// taken is a message in the queue that nobody may deliver yet.
type taken struct {
	name string // of its file
	id   envelope.QueueID
	by   author
	size int64
	env  *envelope.Envelope
}

// take copies a file into the queue, where it is held.
func (f *Folder) take(ctx context.Context, name string) (taken, error) {
	const op = "pickup.Take"
	file, info, err := open(f.path(name))
	if err != nil {
		return taken{}, err
	}
	defer file.Close()
	if limit := int64(f.set.Get().MaxMessageSize); limit >= 0 && info.Size() > limit {
		return taken{}, fault.Newf(op, fault.TooLarge, "it has %d bytes, and MaxMessageSize is %d", info.Size(), limit)
	}
	head := make([]byte, min(info.Size(), MaxHeader))
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return taken{}, err
	}
	h, rest, complete := ParseHeader(head[:n])
	if !complete && int64(n) < info.Size() {
		return taken{}, fault.New(op, fault.TooLarge, "its header is larger than 1 MB")
	}
	by := f.authorOf(int(info.Sys().(*syscall.Stat_t).Uid))
	env, err := f.envelope(h, by)
	if err != nil {
		return taken{}, err
	}
	// What was read of the body, and what follows in the file.
	bodyAt := int64(n - len(rest))
	body := func() io.Reader { return io.NewSectionReader(file, bodyAt, info.Size()-bodyAt) }
	var is octets
	if _, err := io.Copy(&is, body()); err != nil {
		return taken{}, err
	}
	text := h.AppendText(nil, "\n")
	if is.nul || bytes.IndexByte(text, 0) >= 0 {
		return taken{}, fault.New(op, fault.Invalid, "a message cannot hold an octet NUL")
	}
	if is.eightBit {
		env.Body = envelope.Body8BitMIME
	}
	sub, err := f.queue.Begin(ctx, env)
	if err != nil {
		return taken{}, err
	}
	defer sub.Abort()
	sub.Unattended()
	if err := f.write(sub, h, by, env, body()); err != nil {
		return taken{}, err
	}
	t := taken{name: name, id: sub.ID(), by: by, size: sub.Size(), env: env}
	return t, sub.Hold(ctx)
}

// envelope makes the envelope of a message.
func (f *Folder) envelope(h *Header, by author) (*envelope.Envelope, error) {
	const op = "pickup.Envelope"
	main := f.mainDomain()
	own := address.Address{Local: by.name, Domain: main}
	env := &envelope.Envelope{Source: envelope.Source{Tag: tagPIPE, Domain: main, Trusted: true}}
	path, named, err := h.returnPath()
	if err != nil {
		return nil, err
	}
	if path.Domain == "" && path.Local != "" {
		path.Domain = main
	}
	if !named || !by.trusted && !path.IsNull() {
		path = own
	}
	env.ReturnPath, env.SMTPUTF8 = path, path.NeedsUTF8()
	notify, err := h.reports(env)
	if err != nil {
		return nil, err
	}
	to, err := h.recipients()
	if err != nil {
		return nil, err
	}
	for _, a := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: a, Notify: notify})
		env.SMTPUTF8 = env.SMTPUTF8 || a.NeedsUTF8()
	}
	if len(env.Recipients) == 0 {
		return nil, fault.New(op, fault.Invalid, "it has no recipient")
	}
	return env, nil
}

// write writes the message: the trace field, the completed header, the body.
func (f *Folder) write(sub *queue.Submission, h *Header, by author, env *envelope.Envelope, body io.Reader) error {
	if _, err := sub.Write(f.header(nil, sub.ID(), h, by, env)); err != nil {
		return err
	}
	w := &lineEnds{w: sub}
	if _, err := io.Copy(w, body); err != nil {
		return err
	}
	return w.close()
}

// header appends the header as it is sent on, and the empty line.
func (f *Folder) header(out []byte, id envelope.QueueID, h *Header, by author, env *envelope.Envelope) []byte {
	main, now := f.mainDomain(), time.Now()
	line := func(parts ...string) {
		for _, p := range parts {
			out = append(out, p...)
		}
		out = append(out, "\r\n"...)
	}
	line("Received: by ", main, " (Gatepost PIPE, from user ", inComment(by.name), ", uid ", strconv.Itoa(by.uid), ")")
	line("\twith PIPE id ", id.String(), "; ", now.Format(rfc5322))
	h.Remove(EnvelopeFields...)
	h.Remove("bcc", "resent-bcc", "content-length")
	own := address.Address{Local: by.name, Domain: main}
	if !by.trusted && h.Has("from") && !h.isOnly("from", own) {
		h.Remove("sender")
		line("Sender: ", own.String())
	}
	h.qualify(main)
	out = h.AppendText(out, "\r\n")
	if !h.Has("date") {
		line("Date: ", now.Format(rfc5322))
	}
	if !h.Has("message-id") {
		line("Message-ID: <pipe-", id.String(), "@", main, ">")
	}
	if !h.Has("from") {
		from := env.ReturnPath
		if from.IsNull() {
			from = own
		}
		if from == own && by.full != "" && isPlain(by.full) {
			line("From: ", string(appendPhrase(nil, []byte(by.full))), " <", from.String(), ">")
		} else {
			line("From: ", from.String())
		}
	}
	return append(out, "\r\n"...)
}

// isOnly reports whether a field has one address, which is a.
func (h *Header) isOnly(name string, a address.Address) bool {
	list, err := h.addresses(name)
	if err != nil || len(list) != 1 {
		return false
	}
	return list[0] == a || list[0].Domain == "" && list[0].Local == a.Local
}

// isPlain reports whether a name can stand in a header without an encoding.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// inComment is a user's name as it can stand in a comment.
func inComment(name string) string {
	return string(bytes.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '(' || r == ')' || r == '\\' {
			return '?'
		}
		return r
	}, []byte(name)))
}
