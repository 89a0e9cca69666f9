package groupware

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"gatepost/server/fault"
)

// maxText is the largest text of an item.
const maxText = 10 << 20

// wrap makes the message of an item.
func wrap(o *object, from string, now time.Time) []byte {
	var b bytes.Buffer
	b.Grow(len(o.text) + 512)
	fmt.Fprintf(&b, "From: <%s>\r\nDate: %s\r\nMIME-Version: 1.0\r\n", from, now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	if o.title != "" {
		fmt.Fprintf(&b, "Subject: %s\r\n", subject(o.title))
	}
	fmt.Fprintf(&b, "Content-Type: %s; charset=utf-8", o.mediaType())
	if o.component != "" {
		fmt.Fprintf(&b, "; component=%s", o.component)
	}
	if travels(o.text) {
		b.WriteString("\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
		b.Write(o.text)
		return b.Bytes()
	}
	b.WriteString("\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for rest := o.text; len(rest) > 0; {
		n := min(len(rest), 57)
		b.WriteString(base64.StdEncoding.EncodeToString(rest[:n]))
		b.WriteString("\r\n")
		rest = rest[n:]
	}
	return b.Bytes()
}

// subject makes a header field of the title: encoded words of at most 75 bytes, each on its line.
func subject(title string) string {
	if len(title) > 200 {
		title = strings.ToValidUTF8(title[:200], "")
	}
	title = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, title)), " ")
	if q := mime.QEncoding.Encode("utf-8", title); q != title {
		return strings.ReplaceAll(q, "?= =?", "?=\r\n =?")
	}
	return title
}

// travels reports whether a text is one that a message carries as it is: lines of at most 998 bytes that end in CRLF, without NUL.
func travels(text []byte) bool {
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 1 || i > 999 || text[i-1] != '\r' || bytes.IndexByte(text[:i-1], '\r') >= 0 || bytes.IndexByte(text[:i], 0) >= 0 {
			return false
		}
		text = text[i+1:]
	}
	return true
}

// textOf returns the calendar object or the card in a message.
func textOf(r io.Reader) ([]byte, error) {
	m, err := mail.ReadMessage(bufio.NewReader(r))
	if err != nil {
		return nil, fault.Wrap("groupware.textOf", fault.Invalid, err)
	}
	return partText(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, 0)
}

// partText looks for the text in a part and those inside it.
func partText(contentType, encoding string, body io.Reader, depth int) ([]byte, error) {
	none := fault.New("groupware.textOf", fault.Invalid, "the message holds no calendar object and no card")
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, none
	}
	switch {
	case kind == "text/calendar" || kind == "text/vcard" || kind == "text/x-vcard" || kind == "text/directory":
		text, err := io.ReadAll(io.LimitReader(decoded(encoding, body), maxText+1))
		if err != nil {
			return nil, fault.Wrap("groupware.textOf", fault.Invalid, err)
		}
		return text, nil
	case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < 5:
		parts := multipart.NewReader(body, params["boundary"])
		for range 100 {
			p, err := parts.NextRawPart()
			if err != nil {
				return nil, none
			}
			if text, err := partText(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, depth+1); err == nil {
				return text, nil
			}
		}
	}
	return nil, none
}

func decoded(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	}
	return r
}
