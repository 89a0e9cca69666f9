package rpop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gatepost/accounts"
)

// popSource is a source over POP3 (RFC 1939), with CAPA (RFC 2449) and STLS (RFC 2595).
type popSource struct {
	*link
	record *accounts.RemoteAccount
	noUIDL bool
}

func openPOP3(ctx context.Context, l *link, r *accounts.RemoteAccount, config *tls.Config, apop bool) (source, error) {
	p := &popSource{link: l, record: r}
	greeting, err := p.reply()
	if err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	capabilities, err := p.capabilities()
	if err != nil {
		return nil, err
	}
	mode := r.Encryption()
	offered := capabilities["STLS"]
	if !l.encrypted() && (mode == "STARTTLS" || mode == "If Offered" && offered) {
		if !offered && capabilities != nil {
			return nil, errNoTLS
		}
		if _, err := p.command("STLS"); err != nil {
			return nil, fmt.Errorf("STLS: %w", err)
		}
		if err := l.encrypt(ctx, config); err != nil {
			return nil, err
		}
	}
	return p, p.login(greeting, apop)
}

// login logs in. The password stands in no error: a server may repeat what it was sent.
func (p *popSource) login(greeting string, apop bool) error {
	r := p.record
	timestamp := apopTimestamp(greeting)
	if timestamp == "" && bool(r.APOP) {
		return refused("the server does not offer APOP")
	}
	if timestamp != "" && (apop || bool(r.APOP)) {
		sum := md5.Sum([]byte(timestamp + r.Password))
		_, err := p.command("APOP " + r.AuthName + " " + hex.EncodeToString(sum[:]))
		return p.loginFailed(err)
	}
	_, err := p.command("USER " + r.AuthName)
	if err == nil {
		_, err = p.command("PASS " + r.Password)
	}
	return p.loginFailed(err)
}

func (p *popSource) loginFailed(err error) error {
	var no *refusal
	if !errors.As(err, &no) {
		return err
	}
	return refused("the login is refused: %s", p.withoutPassword(no.text))
}

// withoutPassword is a reply that does not repeat the password.
func (p *popSource) withoutPassword(text string) string { return hide(text, p.record.Password) }

// hide takes a secret out of a reply.
func hide(text, secret string) string {
	if secret == "" {
		return clean(text)
	}
	return clean(strings.ReplaceAll(text, secret, "(hidden)"))
}

// apopTimestamp is the timestamp of a greeting (RFC 1939 section 7), or "".
func apopTimestamp(greeting string) string {
	from := strings.IndexByte(greeting, '<')
	to := strings.LastIndexByte(greeting, '>')
	if from < 0 || to < from || !strings.Contains(greeting[from:to], "@") {
		return ""
	}
	return greeting[from : to+1]
}

// refusal is an answer -ERR, or NO and BAD.
type refusal struct{ text string }

func (r *refusal) Error() string { return "the server says: " + clean(r.text) }

// reply reads +OK or -ERR.
func (p *popSource) reply() (string, error) {
	line, err := p.line()
	if err != nil {
		return "", err
	}
	word, text, _ := strings.Cut(line, " ")
	switch strings.ToUpper(word) {
	case "+OK":
		return text, nil
	case "-ERR":
		return "", &refusal{text}
	}
	return "", errors.New("the server does not speak POP3")
}

func (p *popSource) command(line string) (string, error) {
	if err := p.send(line); err != nil {
		return "", err
	}
	return p.reply()
}

// lines visits the lines of a reply of several, after its first.
func (p *popSource) lines(visit func(line string)) error {
	for {
		line, err := p.line()
		if err != nil {
			return err
		}
		if line == "." {
			return nil
		}
		visit(strings.TrimPrefix(line, "."))
	}
}

// capabilities asks for them; nil is the answer of a server that does not know the command.
func (p *popSource) capabilities() (map[string]bool, error) {
	_, err := p.command("CAPA")
	var no *refusal
	if errors.As(err, &no) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	err = p.lines(func(line string) {
		word, _, _ := strings.Cut(line, " ")
		if len(out) < 100 {
			out[strings.ToUpper(word)] = true
		}
	})
	return out, err
}

// list asks for sizes and UIDs. Without UIDL messages are told apart by their text, and so are those that share one.
func (p *popSource) list() ([]*item, error) {
	if _, err := p.command("LIST"); err != nil {
		return nil, fmt.Errorf("LIST: %w", err)
	}
	var items []*item
	byNumber := map[uint32]*item{}
	err := p.lines(func(line string) {
		number, rest, ok := numbered(line)
		if !ok || len(items) >= maxListed || byNumber[number] != nil {
			return
		}
		word, _, _ := strings.Cut(rest, " ")
		size, err := strconv.ParseInt(word, 10, 64)
		if err != nil || size < 0 {
			return
		}
		it := &item{number: number, size: size}
		items, byNumber[number] = append(items, it), it
	})
	if err != nil || len(items) == 0 {
		return items, err
	}
	_, err = p.command("UIDL")
	var no *refusal
	if errors.As(err, &no) {
		if p.record.Leave {
			return nil, refused("the server has no UIDL: messages cannot be left on it")
		}
		p.noUIDL = true
		return items, nil
	}
	if err != nil {
		return nil, err
	}
	times := map[uid]int{}
	err = p.lines(func(line string) {
		number, id, ok := numbered(line)
		if it := byNumber[number]; ok && it != nil && id != "" && it.uid == (uid{}) {
			it.uid = digest("UIDL", id)
			times[it.uid]++
		}
	})
	if err != nil {
		return nil, err
	}
	kept := items[:0]
	for _, it := range items {
		switch {
		case it.uid == (uid{}):
			continue
		case times[it.uid] > 1:
			it.uid = uid{} // it does not tell them apart: their text does
		}
		kept = append(kept, it)
	}
	return kept, nil
}

// numbered cuts the number of a message off a line.
func numbered(line string) (number uint32, rest string, ok bool) {
	word, rest, _ := strings.Cut(line, " ")
	n, err := strconv.ParseUint(word, 10, 32)
	return uint32(n), strings.TrimSpace(rest), err == nil && n > 0
}

// fetch writes the lines of a message without their transparency (RFC 1939 section 3).
func (p *popSource) fetch(it *item, w io.Writer) error {
	if _, err := p.command("RETR " + strconv.FormatUint(uint64(it.number), 10)); err != nil {
		return fmt.Errorf("RETR: %w", err)
	}
	for start := true; ; {
		b, err := p.r.ReadSlice('\n')
		whole := err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if start && len(b) > 0 && b[0] == '.' {
			if b = b[1:]; whole && len(bytes.TrimRight(b, "\r\n")) == 0 {
				return nil
			}
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		start = whole
	}
}

// settle asks for the removal of messages, unless they stay. After a refusal it goes on with the others.
func (p *popSource) settle(items []*item) error {
	if p.record.Leave {
		return nil
	}
	var refused error
	for _, it := range items {
		_, err := p.command("DELE " + strconv.FormatUint(uint64(it.number), 10))
		var no *refusal
		switch {
		case errors.As(err, &no):
			refused = fmt.Errorf("DELE: %w", err)
		case err != nil:
			return fmt.Errorf("DELE: %w", err)
		}
	}
	return refused
}

// quit has the removals made.
func (p *popSource) quit() error {
	defer p.close()
	if _, err := p.command("QUIT"); err != nil {
		return fmt.Errorf("QUIT: %w", err)
	}
	return nil
}
