package relay

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/mail"
	"os"
	"strings"

	"gatepost/queue"
)

// text is what is sent of a message: head in place of its first skip bytes.
type text struct {
	head []byte
	skip int64
}

// maxHeader bounds the header of a message that is rewritten.
const maxHeader = 1 << 20

// errLongHeader is the failure to rewrite a message.
var errLongHeader = errors.New("the header of the message is too large to get the sender of the gateway")

// rewritten returns a message with the sender of the gateway. In From it takes the place of the
// author, whom replies reach by Reply-To then; in Sender it stands beside From.
func (g *Gateway) rewritten(it *queue.Item) (text, error) {
	f, err := os.Open(it.File)
	if err != nil {
		return text{}, &fileError{err}
	}
	defer f.Close()
	buf := make([]byte, min(it.Size, maxHeader))
	if _, err := io.ReadFull(io.NewSectionReader(f, it.Offset, it.Size), buf); err != nil {
		return text{}, &fileError{err}
	}
	header, whole := headerOf(buf)
	if !whole && it.Size > maxHeader {
		return text{}, errLongHeader
	}
	return text{head: g.header(header), skip: int64(len(header))}, nil
}

// headerOf returns the fields of a message without the empty line that ends them, and whether it ends there.
func headerOf(message []byte) (header []byte, whole bool) {
	for pos := 0; pos < len(message); {
		end := bytes.IndexByte(message[pos:], '\n')
		if end < 0 {
			return message, false
		}
		if line := bytes.TrimRight(message[pos:pos+end], "\r"); len(line) == 0 {
			return message[:pos], true
		}
		pos += end + 1
	}
	return message, false
}

// header returns the fields with the sender of the gateway among them.
func (g *Gateway) header(fields []byte) []byte {
	var out bytes.Buffer
	author, replyTo, put := "", false, false
	sender := func() {
		if put {
			return
		}
		put = true
		a := mail.Address{Name: g.SenderName, Address: g.sender.String()}
		if a.Name == "" && g.SenderField == senderInFrom {
			a.Name = displayNameOf(author)
		}
		out.WriteString(g.SenderField + ": " + a.String() + "\r\n")
	}
	for len(fields) > 0 {
		n := fieldLength(fields)
		field := fields[:n]
		fields = fields[n:]
		name, value, _ := bytes.Cut(field, []byte(":"))
		switch key := strings.ToLower(string(bytes.TrimSpace(name))); {
		case key == "from" && g.SenderField == senderInFrom:
			if author == "" {
				author = string(value)
			}
			sender()
			continue
		case key == "sender":
			if g.SenderField == "Sender" {
				sender()
			}
			continue
		case key == "reply-to":
			replyTo = true
		}
		out.Write(field)
		if field[n-1] != '\n' {
			out.WriteString("\r\n")
		}
	}
	sender()
	if g.SenderField == senderInFrom && !replyTo && strings.TrimSpace(author) != "" {
		out.WriteString("Reply-To:" + strings.TrimRight(author, "\r\n") + "\r\n")
	}
	return out.Bytes()
}

// fieldLength is the length of the first field with its continuation lines.
func fieldLength(fields []byte) int {
	for pos := 0; ; {
		end := bytes.IndexByte(fields[pos:], '\n')
		if end < 0 {
			return len(fields)
		}
		pos += end + 1
		if pos == len(fields) || fields[pos] != ' ' && fields[pos] != '\t' {
			return pos
		}
	}
}

// displayNameOf is the name beside the first address of a From field; "" if there is none, or none that can be read.
func displayNameOf(from string) string {
	p := mail.AddressParser{WordDecoder: new(mime.WordDecoder)}
	list, err := p.ParseList(strings.Join(strings.Fields(from), " "))
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[0].Name
}
