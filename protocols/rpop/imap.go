package rpop

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"gatepost/accounts"
)

// imapSource is a source over IMAP4rev1 (RFC 3501) or rev2 (RFC 9051), with UIDPLUS (RFC 4315) if offered.
type imapSource struct {
	*link
	record   *accounts.RemoteAccount
	tag      int
	caps     map[string]bool
	validity string
	exists   int
	others   bool // messages are marked as deleted that are not ours
	expunge  bool // messages of ours are to be removed at the end
}

func openIMAP(ctx context.Context, l *link, r *accounts.RemoteAccount, config *tls.Config) (source, error) {
	c := &imapSource{link: l, record: r}
	greeting, err := c.line()
	if err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if !hasPrefix(greeting, "* OK") && !hasPrefix(greeting, "* PREAUTH") {
		return nil, fmt.Errorf("greeting: %s", clean(greeting))
	}
	if err := c.capabilities(); err != nil {
		return nil, err
	}
	mode := r.Encryption()
	if offered := c.caps["STARTTLS"]; !l.encrypted() && (mode == "STARTTLS" || mode == "If Offered" && offered) {
		if !offered {
			return nil, errNoTLS
		}
		if err := c.command("STARTTLS", nil, nil); err != nil {
			return nil, fmt.Errorf("STARTTLS: %w", err)
		}
		if err := l.encrypt(ctx, config); err != nil {
			return nil, err
		}
		if err := c.capabilities(); err != nil {
			return nil, err
		}
	}
	if !hasPrefix(greeting, "* PREAUTH") {
		if err := c.login(); err != nil {
			return nil, err
		}
		if err := c.capabilities(); err != nil { // they may differ after the login
			return nil, err
		}
	}
	return c, c.open()
}

func hasPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// capabilities asks for them.
func (c *imapSource) capabilities() error {
	c.caps = map[string]bool{}
	err := c.command("CAPABILITY", func(line string) error {
		if hasPrefix(line, "CAPABILITY ") {
			for _, word := range strings.Fields(line)[1:] {
				if len(c.caps) < 200 {
					c.caps[strings.ToUpper(word)] = true
				}
			}
		}
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("CAPABILITY: %w", err)
	}
	return nil
}

// login logs in. The password stands in no error: a server may repeat what it was sent.
func (c *imapSource) login() error {
	r := c.record
	var err error
	response := ""
	switch {
	case c.caps["AUTH=PLAIN"]:
		response = base64.StdEncoding.EncodeToString([]byte("\x00" + r.AuthName + "\x00" + r.Password))
		if c.caps["SASL-IR"] {
			err = c.command("AUTHENTICATE PLAIN "+response, nil, nil)
		} else {
			err = c.command("AUTHENTICATE PLAIN", nil, []string{response})
		}
	case c.caps["LOGINDISABLED"]:
		return refused("the server takes no password over this connection")
	default:
		// Literals carry every byte (RFC 3501 section 4.3).
		name, pass := r.AuthName, r.Password
		err = c.command(fmt.Sprintf("LOGIN {%d}", len(name)), nil, []string{fmt.Sprintf("%s {%d}", name, len(pass)), pass})
	}
	var no *refusal
	if errors.As(err, &no) {
		return refused("the login is refused: %s", hide(hide(no.text, response), r.Password))
	}
	if err != nil {
		return errors.New("login: " + hide(err.Error(), r.Password))
	}
	return nil
}

// open selects the mailbox.
func (c *imapSource) open() error {
	verb := "SELECT "
	if c.record.Leave && !c.record.MarkRead {
		verb = "EXAMINE "
	}
	err := c.command(verb+quoted(utf7(c.record.RemoteBox)), func(line string) error {
		if n, rest, ok := numbered(line); ok && strings.EqualFold(rest, "EXISTS") {
			c.exists = int(n)
		}
		if i := strings.Index(strings.ToUpper(line), "[UIDVALIDITY "); hasPrefix(line, "OK ") && i >= 0 {
			c.validity, _, _ = strings.Cut(line[i+len("[UIDVALIDITY "):], "]")
		}
		return nil
	}, nil)
	var no *refusal
	if errors.As(err, &no) {
		return refused("the mailbox %s: %s", c.record.RemoteBox, clean(no.text))
	}
	if err == nil && c.validity == "" {
		err = errors.New("the server has no UIDVALIDITY")
	}
	return err
}

// list asks for the UIDs, flags and sizes of all messages.
func (c *imapSource) list() ([]*item, error) {
	if c.exists == 0 {
		return nil, nil
	}
	var items []*item
	err := c.command("UID FETCH 1:* (FLAGS RFC822.SIZE)", func(line string) error {
		f, ok := parseFetch(line)
		if !ok || f.uid == 0 || f.size < 0 || len(items) >= maxListed {
			return nil
		}
		if f.deleted {
			c.others = true
			return nil
		}
		if f.read && bool(c.record.Unseen) {
			return nil
		}
		id := strconv.FormatUint(uint64(f.uid), 10)
		items = append(items, &item{number: f.uid, uid: digest("IMAP", c.validity, id), size: f.size, read: f.read})
		return nil
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("FETCH: %w", err)
	}
	slices.SortFunc(items, func(a, b *item) int { return int(int64(a.number) - int64(b.number)) })
	return slices.CompactFunc(items, func(a, b *item) bool { return a.number == b.number }), nil
}

// errNoText is the failure of a message that is not there any more.
var errNoText = errors.New("the server has no text of the message")

// fetch writes the text of a message, and leaves its flags as they are.
func (c *imapSource) fetch(it *item, w io.Writer) error {
	written := false
	literal := func(before string, size int64) (io.Writer, error) {
		if !written && strings.HasSuffix(strings.ToUpper(before), "BODY[] ") {
			written = true
			return w, nil
		}
		return nil, nil
	}
	err := c.run(fmt.Sprintf("UID FETCH %d (BODY.PEEK[])", it.number), nil, literal, nil)
	if err != nil {
		return fmt.Errorf("FETCH: %w", err)
	}
	if !written {
		return errNoText
	}
	return nil
}

// settle marks messages as read or as deleted, and has the latter removed.
func (c *imapSource) settle(items []*item) error {
	var set []string
	for _, it := range items {
		if !bool(c.record.Leave) || bool(c.record.MarkRead) && !it.read {
			set = append(set, strconv.FormatUint(uint64(it.number), 10))
		}
	}
	for len(set) > 0 {
		some := strings.Join(set[:min(len(set), 200)], ",")
		set = set[min(len(set), 200):]
		flag := `\Deleted`
		if c.record.Leave {
			flag = `\Seen`
		}
		if err := c.command("UID STORE "+some+" +FLAGS.SILENT ("+flag+")", nil, nil); err != nil {
			return fmt.Errorf("STORE: %w", err)
		}
		switch {
		case bool(c.record.Leave):
		case c.caps["UIDPLUS"] || c.caps["IMAP4REV2"]:
			if err := c.command("UID EXPUNGE "+some, nil, nil); err != nil {
				return fmt.Errorf("EXPUNGE: %w", err)
			}
		default:
			c.expunge = true
		}
	}
	return nil
}

// quit ends the session. Without UIDPLUS an EXPUNGE would take what others have marked as well:
// then ours stay marked.
func (c *imapSource) quit() error {
	defer c.close()
	if c.expunge && !c.others {
		if err := c.command("EXPUNGE", nil, nil); err != nil {
			return fmt.Errorf("EXPUNGE: %w", err)
		}
	}
	return c.command("LOGOUT", nil, nil)
}

// command carries out a command; untagged gets the lines of its untagged responses without "* ". more
// are sent one after the other when the server asks for more.
func (c *imapSource) command(text string, untagged func(string) error, more []string) error {
	return c.run(text, untagged, nil, more)
}

// run is command with the literals of the responses: literal returns who gets one, or nil.
func (c *imapSource) run(text string, untagged func(string) error, literal func(before string, size int64) (io.Writer, error), more []string) error {
	c.tag++
	tag := "a" + strconv.Itoa(c.tag)
	if err := c.send(tag + " " + text); err != nil {
		return err
	}
	for {
		line, err := c.response(literal)
		if err != nil {
			return err
		}
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "+" && len(more) > 0:
			if err := c.send(more[0]); err != nil {
				return err
			}
			more = more[1:]
		case word == "*":
			if hasPrefix(rest, "BYE") && !strings.EqualFold(text, "LOGOUT") {
				return fmt.Errorf("the server ends the session: %s", clean(rest))
			}
			if untagged == nil {
				continue
			}
			if err := untagged(rest); err != nil {
				return err
			}
		case word == tag:
			status, told, _ := strings.Cut(rest, " ")
			if strings.EqualFold(status, "OK") {
				return nil
			}
			return &refusal{told}
		default:
			return errors.New("the server does not speak IMAP")
		}
	}
}

// response reads a response; its literals go to whom literal says, and leave {} in it.
func (c *imapSource) response(literal func(string, int64) (io.Writer, error)) (string, error) {
	text := ""
	for {
		line, err := c.line()
		if err != nil {
			return "", err
		}
		if text += line; len(text) > maxLine {
			return "", fmt.Errorf("the server sends a response of more than %d bytes", maxLine)
		}
		size, ok := literalSize(text)
		if !ok {
			return text, nil
		}
		text = text[:strings.LastIndexByte(text, '{')]
		w := io.Discard
		if literal != nil {
			to, err := literal(text, size)
			if err != nil {
				return "", err
			}
			if to != nil {
				w = to
			}
		}
		text += "{}"
		if _, err := io.CopyN(w, c.r, size); err != nil {
			return "", err
		}
	}
}

// literalSize reads {n} at the end of a line.
func literalSize(line string) (int64, bool) {
	i := strings.LastIndexByte(line, '{')
	if i < 0 || !strings.HasSuffix(line, "}") {
		return 0, false
	}
	n, err := strconv.ParseInt(line[i+1:len(line)-1], 10, 64)
	return n, err == nil && n >= 0
}

// fetched is what a FETCH response tells.
type fetched struct {
	uid           uint32
	size          int64
	read, deleted bool
}

// parseFetch reads n FETCH (UID n FLAGS (...) RFC822.SIZE n), in any order.
func parseFetch(line string) (f fetched, ok bool) {
	_, rest, ok := numbered(line)
	if !ok || !hasPrefix(rest, "FETCH (") {
		return f, false
	}
	f.size = -1
	rest = rest[len("FETCH ("):]
	for rest != "" && rest[0] != ')' {
		name, after, found := strings.Cut(rest, " ")
		if !found {
			return f, false
		}
		value := after
		if strings.HasPrefix(after, "(") {
			end := strings.IndexByte(after, ')')
			if end < 0 {
				return f, false
			}
			value, rest = after[1:end], after[end+1:]
		} else {
			end := strings.IndexAny(after, " )")
			if end < 0 {
				return f, false
			}
			value, rest = after[:end], after[end:]
		}
		rest = strings.TrimPrefix(rest, " ")
		switch strings.ToUpper(name) {
		case "UID":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return f, false
			}
			f.uid = uint32(n)
		case "RFC822.SIZE":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return f, false
			}
			f.size = n
		case "FLAGS":
			for _, flag := range strings.Fields(value) {
				f.read = f.read || strings.EqualFold(flag, `\Seen`)
				f.deleted = f.deleted || strings.EqualFold(flag, `\Deleted`)
			}
		}
	}
	return f, true
}

// quoted writes a quoted string (RFC 3501 section 4.3).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// utf7 encodes the name of a mailbox (RFC 3501 section 5.1.3).
func utf7(name string) string {
	var b strings.Builder
	var run []rune
	flush := func() {
		if len(run) == 0 {
			return
		}
		var bytes []byte
		for _, u := range utf16.Encode(run) {
			bytes = append(bytes, byte(u>>8), byte(u))
		}
		b.WriteString("&" + strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(bytes), "/", ",") + "-")
		run = nil
	}
	for _, r := range name {
		if r < ' ' || r >= 0x7f {
			run = append(run, r)
			continue
		}
		flush()
		if b.WriteRune(r); r == '&' {
			b.WriteByte('-')
		}
	}
	flush()
	return b.String()
}
