package sendmail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"strings"
	"unicode/utf8"

	"gatepost/protocols/pickup"
)

// maxTyped bounds a message that mail makes: it is in memory until its encoding is known.
const maxTyped = 64 << 20

// mailOptions is what the command line of mail says.
type mailOptions struct {
	options
	subject         string
	subjectGiven    bool
	cc, bcc         []string
	fields          []string // -a "Name: value"
	files           []string // -A
	onlyIfNotEmpty  bool
	recipientsInTop bool // -t
}

// The letters of mail's options with a value, and of those without that change nothing here.
const (
	mailWithValue = "AabcmMorsSTuf"
	mailIgnored   = "BdFIiNnqRvV~"
)

func parseMailOptions(args []string) (*mailOptions, error) {
	o := new(mailOptions)
	o.mode, o.dots = 'm', true
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			o.to = append(o.to, args...)
			return o, nil
		case strings.HasPrefix(word, "--"):
			name, value, given := strings.Cut(word[2:], "=")
			short, known := map[string]byte{"subject": 's', "append": 'a', "attach": 'A', "return-address": 'r'}[name]
			if !known {
				return nil, failed(ExitUsage, "option %s is not known", word)
			}
			if !given {
				if len(args) == 0 {
					return nil, failed(ExitUsage, "option %s needs a value", word)
				}
				value, args = args[0], args[1:]
			}
			if err := o.setMail(short, value); err != nil {
				return nil, err
			}
			continue
		case len(word) < 2 || word[0] != '-':
			o.to = append(o.to, word)
			continue
		}
		for rest := word[1:]; rest != ""; {
			letter, value := rest[0], rest[1:]
			if strings.IndexByte(mailWithValue, letter) < 0 {
				if err := o.setMail(letter, ""); err != nil {
					return nil, err
				}
				rest = value
				continue
			}
			if value == "" {
				if len(args) == 0 {
					return nil, failed(ExitUsage, "option -%c needs a value", letter)
				}
				value, args = args[0], args[1:]
			}
			rest = ""
			if err := o.setMail(letter, value); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}

func (o *mailOptions) setMail(letter byte, value string) error {
	switch letter {
	case 's':
		o.subject, o.subjectGiven = value, true
	case 'c':
		o.cc = append(o.cc, value)
	case 'b':
		o.bcc = append(o.bcc, value)
	case 'r':
		o.from, o.fromGiven = value, true
	case 'a':
		name, text, ok := strings.Cut(value, ":")
		if !ok {
			o.files = append(o.files, value) // as others have this letter
			return nil
		}
		if strings.ContainsAny(value, "\r\n\x00") || strings.ContainsAny(name, " \t") || name == "" {
			return failed(ExitUsage, "option -a: a header field such as 'Name: value' is expected")
		}
		o.fields = append(o.fields, name+": "+strings.TrimSpace(text))
	case 'A':
		o.files = append(o.files, value)
	case 'E':
		o.onlyIfNotEmpty = true
	case 't':
		o.recipientsInTop = true
	case 'S', 'm', 'M', 'o', 'T':
	case 'u', 'f', 'e', 'H', 'p':
		return failed(ExitUsage, "option -%c: this program sends mail and reads none; read it with a mail program", letter)
	default:
		if strings.IndexByte(mailIgnored, letter) < 0 {
			return failed(ExitUsage, "option -%c is not known", letter)
		}
	}
	return nil
}

// Mail runs mail with its arguments.
func (p *Program) Mail(args []string) error {
	o, err := parseMailOptions(args)
	if err != nil {
		return err
	}
	if o.recipientsInTop {
		o.fromHeader = true
		o.to = append(append(o.to, o.cc...), o.bcc...)
		return p.send(&o.options)
	}
	if len(o.to) == 0 && len(o.cc)+len(o.bcc) == 0 {
		return failed(ExitUsage, "give the recipients; this program reads no mail")
	}
	from, err := p.sender(&o.options)
	if err != nil {
		return err
	}
	var to recipients
	for _, text := range append(append(append([]string(nil), o.to...), o.cc...), o.bcc...) {
		list, err := pickup.Addresses(text)
		if err != nil {
			return err
		}
		to.add(list)
	}
	var files [][]byte
	for _, name := range o.files {
		content, err := os.ReadFile(name)
		if err != nil {
			return failed(ExitData, "%v", err)
		}
		files = append(files, content)
	}
	body, err := p.typed(o)
	if err != nil || o.onlyIfNotEmpty && len(body) == 0 {
		return err
	}
	text, err := o.compose(body, files)
	if err != nil {
		return err
	}
	m, err := readMessage(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return p.submit(&o.options, from, to.list, m)
}

// typed reads the text. At a terminal a line with a dot ends it, and the subject is asked for.
func (p *Program) typed(o *mailOptions) ([]byte, error) {
	in := p.Stdin
	if p.Terminal {
		lines := bufio.NewReader(p.Stdin)
		if !o.subjectGiven {
			fmt.Fprint(p.Stderr, "Subject: ")
			line, err := lines.ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			o.subject = strings.TrimRight(line, "\r\n")
		}
		in = &untilDot{r: lines}
	}
	body, err := io.ReadAll(io.LimitReader(in, maxTyped+1))
	if err == nil && len(body) > maxTyped {
		err = failed(ExitData, "the text is larger than 64 MB")
	}
	return body, err
}

// compose makes the message. The server adds what is missing.
func (o *mailOptions) compose(body []byte, files [][]byte) ([]byte, error) {
	var b bytes.Buffer
	field := func(name string, texts []string) {
		if len(texts) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(texts, ", "))
		}
	}
	field("To", o.to)
	field("Cc", o.cc)
	if o.fromGiven && strings.TrimSpace(o.from) != "" {
		field("From", []string{o.from})
	}
	if o.subject != "" {
		if strings.ContainsAny(o.subject, "\r\n\x00") {
			return nil, failed(ExitUsage, "a subject is one line")
		}
		fmt.Fprintf(&b, "Subject: %s\n", mime.QEncoding.Encode("utf-8", o.subject))
	}
	given := strings.ToLower("\n" + strings.Join(o.fields, "\n"))
	for _, f := range o.fields {
		fmt.Fprintln(&b, f)
	}
	if len(files) > 0 {
		return o.appendParts(&b, body, files)
	}
	if !strings.Contains(given, "\nmime-version:") {
		writeTextFields(&b, body, !strings.Contains(given, "\ncontent-type:"))
	}
	b.WriteByte('\n')
	b.Write(body)
	return b.Bytes(), nil
}

// writeTextFields says what a text is, if it is more than US-ASCII.
func writeTextFields(b *bytes.Buffer, body []byte, contentType bool) {
	if !bytes.ContainsFunc(body, func(r rune) bool { return r >= 0x80 }) {
		return
	}
	charset := "utf-8"
	if !utf8.Valid(body) {
		charset = "iso-8859-1"
	}
	b.WriteString("MIME-Version: 1.0\n")
	if contentType {
		fmt.Fprintf(b, "Content-Type: text/plain; charset=%s\n", charset)
	}
	b.WriteString("Content-Transfer-Encoding: 8bit\n")
}
