package lists

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/accounts/subscribers"
	"gatepost/queue/envelope"
)

// digestWriter writes one digest. Postings go from the archive into the message one after the other; memory holds the lines of
// the table of contents and the header of one posting.
type digestWriter struct {
	l        *accounts.MailingList
	box      *mailbox.Mailbox
	uids     []imap.UID
	number   int
	boundary string
	inner    string
}

// holdDigest writes the digest, or the index, and has the queue hold it. The number is 0 if nobody gets it.
func (m *Manager) holdDigest(ctx context.Context, l *accounts.MailingList, box *mailbox.Mailbox, uids []imap.UID, mode subscribers.Mode, number int) (envelope.QueueID, error) {
	env := &envelope.Envelope{
		Source: envelope.Source{Tag: tagList, Domain: l.Domain, Trusted: true}, ReturnPath: l.Service("report"), Return: envelope.ReturnHeaders,
		Body: envelope.Body8BitMIME, Bulk: true, Personal: m.personal(l),
	}
	if n, err := m.recipients(ctx, l, env, mode); err != nil || n == 0 {
		return 0, err
	}
	sub, err := m.o.Queue.BeginHeld(ctx, env)
	if err != nil {
		return 0, err
	}
	defer sub.Abort()
	sub.Unattended()
	d := &digestWriter{l: l, box: box, uids: uids, number: number, boundary: newBoundary(), inner: newBoundary()}
	w := bufio.NewWriterSize(sub, 32<<10)
	subject, _ := texts(l, textDigestSubject)
	m.noticeHeader(w, l, sub.ID(), l.Address().String(), oneLine(expand(l, subject, d.symbols())))
	io.WriteString(w, "Delivered-To: "+l.Address().String()+"\r\nReply-To: <"+l.Address().String()+">\r\nX-ListServer: Gatepost LIST\r\nMIME-Version: 1.0\r\n")
	if err := d.write(w, mode); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return sub.ID(), sub.Hold(ctx)
}

func (d *digestWriter) symbols() symbols { return symbols{'#': strconv.Itoa(d.number), 'M': ""} }

// write writes the Content fields and the body.
func (d *digestWriter) write(w io.Writer, mode subscribers.Mode) error {
	contents, err := d.contents()
	if err != nil {
		return err
	}
	_, trailer := texts(d.l, textDigestTrailer)
	trailer = expand(d.l, trailer, d.symbols())
	format := d.l.Settings().DigestFormat
	var b bytes.Buffer
	switch {
	case mode == subscribers.Index:
		writeText(&b, contents+"\n"+trailer)
		_, err = w.Write(b.Bytes())
		return err
	case format == "plain text":
		return d.plainText(w, contents, trailer)
	}
	b.WriteString("Content-Type: multipart/mixed; boundary=\"" + d.boundary + "\"\r\n\r\n--" + d.boundary + "\r\n")
	writeText(&b, contents)
	boundary, kind := d.boundary, "Content-Type: message/rfc822\r\n"
	if format == "standard MIME" {
		// RFC 2046 section 5.1.5: parts of multipart/digest are messages.
		boundary, kind = d.inner, ""
		b.WriteString("--" + d.boundary + "\r\nContent-Type: multipart/digest; boundary=\"" + d.inner + "\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	for _, uid := range d.uids {
		err := d.posting(uid, func(head []byte, rest io.Reader, _ mailbox.Body) error {
			if _, err := io.WriteString(w, "--"+boundary+"\r\n"+kind+"\r\n"); err != nil {
				return err
			}
			if _, err := w.Write(head); err != nil {
				return err
			}
			if _, err := io.Copy(w, rest); err != nil {
				return err
			}
			_, err := io.WriteString(w, "\r\n")
			return err
		})
		if err != nil {
			return err
		}
	}
	b.Reset()
	if format == "standard MIME" {
		b.WriteString("--" + d.inner + "--\r\n\r\n")
	}
	b.WriteString("--" + d.boundary + "\r\n")
	writeText(&b, trailer)
	b.WriteString("--" + d.boundary + "--\r\n")
	_, err = w.Write(b.Bytes())
	return err
}

// posting opens a posting and passes on its header without the fields that the mailbox of the owner has added, and the rest.
func (d *digestWriter) posting(uid imap.UID, use func(head []byte, rest io.Reader, body mailbox.Body) error) error {
	body, err := d.box.OpenBody(uid)
	if err != nil {
		return err
	}
	defer body.Close()
	text := make([]byte, min(body.Size(), maxHeader))
	if _, err := io.ReadFull(io.NewSectionReader(body, 0, body.Size()), text); err != nil {
		return err
	}
	h := parseHeader(text, int64(len(text)) == body.Size())
	var head []byte
	for i := range h.fields {
		switch h.fields[i].name {
		case "return-path", "x-real-to", "delivered-to", "received":
		default:
			head = append(head, h.fields[i].text...)
		}
	}
	return use(head, io.NewSectionReader(body, h.size, body.Size()-h.size), body)
}

// contents is the text above the postings: the header of digests, a line for each posting, and the text below.
func (d *digestWriter) contents() (string, error) {
	_, above := texts(d.l, textDigestHeader)
	_, line := texts(d.l, textTOCLine)
	var b strings.Builder
	b.WriteString(strings.TrimRight(expand(d.l, above, d.symbols()), "\n") + "\n\n")
	for i, uid := range d.uids {
		values := d.symbols()
		values['I'] = strconv.Itoa(i + 1)
		err := d.posting(uid, func(head []byte, _ io.Reader, _ mailbox.Body) error {
			h := parseHeader(head, true)
			first := func(name string) string {
				if v := h.values(name); len(v) > 0 {
					return oneLine(message.DecodeHeader(v[0]))
				}
				return ""
			}
			values['X'], values['F'] = first("subject"), first("from")
			return nil
		})
		if err != nil {
			return "", err
		}
		b.WriteString(strings.TrimRight(expand(d.l, line, values), "\n") + "\n")
	}
	if below := d.l.Settings().TOCTrailer; below != "" {
		b.WriteString("\n" + strings.TrimRight(expand(d.l, below, d.symbols()), "\n") + "\n")
	}
	return b.String(), nil
}

// The lines between the parts of a plain digest (RFC 1153).
var (
	behindContents = strings.Repeat("-", 70)
	behindPosting  = strings.Repeat("-", 30)
)

// plainText writes a digest in the form of RFC 1153, in UTF-8.
func (d *digestWriter) plainText(to io.Writer, contents, trailer string) error {
	if _, err := io.WriteString(to, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"); err != nil {
		return err
	}
	w := &textLines{w: to}
	w.text(contents + "\n" + behindContents + "\n\n")
	for _, uid := range d.uids {
		err := d.posting(uid, func(head []byte, _ io.Reader, body mailbox.Body) error {
			h := parseHeader(head, true)
			for _, name := range []string{"Date", "From", "To", "Cc", "Subject", "Message-ID"} {
				for _, v := range h.values(strings.ToLower(name)) {
					w.text(name + ": " + oneLine(message.DecodeHeader(v)) + "\n")
				}
			}
			w.text("\n")
			return d.body(w, body)
		})
		if err != nil {
			return err
		}
		w.text("\n" + behindPosting + "\n\n")
	}
	end := "End of " + d.l.Name + " Digest " + strconv.Itoa(d.number)
	w.text(trailer + "\n" + end + "\n" + strings.Repeat("*", len(end)) + "\n")
	return w.err
}

// body writes the text of a posting; other parts are named only.
func (d *digestWriter) body(w *textLines, body mailbox.Body) error {
	sum, err := message.Scan(io.NewSectionReader(body, 0, body.Size()), message.Options{})
	if err != nil {
		return err
	}
	var show func(p *message.Part) error
	show = func(p *message.Part) error {
		switch {
		case len(p.Children) > 0 && p.Subtype == "alternative":
			for _, c := range p.Children {
				if c.Type == "text" && c.Subtype == "plain" {
					return show(c)
				}
			}
			return show(p.Children[0])
		case len(p.Children) > 0:
			for _, c := range p.Children {
				if err := show(c); err != nil {
					return err
				}
			}
			return nil
		case p.Type == "text" && p.Subtype == "plain" && p.Disposition != "attachment":
			part := message.Decode(io.NewSectionReader(body, p.Body.Start, p.Body.Size()), p.Encoding)
			return w.copy(message.ToUTF8(part, p.Param("charset")))
		}
		w.text("[" + oneLine(p.Type+"/"+p.Subtype+" "+p.Filename()) + "]\n")
		return nil
	}
	return show(sum.Root)
}

// textLines writes text with CRLF line ends, in lines that may be sent (RFC 5322 section 2.1.1). The line that ends a posting
// gets a blank before it where a posting has it (RFC 1153).
type textLines struct {
	w   io.Writer
	err error
}

const maxTextLine = 990

func (t *textLines) text(s string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, strings.ReplaceAll(s, "\n", "\r\n"))
	}
}

// copy copies a posting's text.
func (t *textLines) copy(r io.Reader) error {
	in := bufio.NewReaderSize(r, maxTextLine)
	for t.err == nil {
		line, more, err := in.ReadLine()
		if errors.Is(err, io.EOF) {
			return t.err
		}
		if err != nil {
			return err
		}
		text := strings.ToValidUTF8(strings.ReplaceAll(string(line), "\r", ""), "?")
		text = strings.ReplaceAll(text, "\x00", "")
		if !more && strings.HasPrefix(text, behindPosting) {
			text = " " + text
		}
		t.text(text + "\n")
	}
	return t.err
}
