package junk

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatepost/accounts/message"
)

// The bounds of what is looked at.
const (
	maxText     = 256 << 10 // bytes of a message
	maxDecoded  = 64 << 10  // bytes of text of one part
	maxTokens   = 800       // different ones
	minWord     = 3         // characters
	maxWord     = 30
	maxHeaderOf = 2 << 10 // bytes of one field
)

// tokens are the tokens of a message, each once, in the order in which they were found.
type tokens struct {
	list []uint64
	seen map[uint64]struct{}
	id   string // Message-ID
}

// full says that there are as many as are wanted.
func (t *tokens) full() bool { return len(t.list) >= maxTokens }

// FNV-1a. Hashes are in files: they stay as they are.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func hashString(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

func (t *tokens) add(place, word string) {
	if t.full() {
		return
	}
	h := hashString(hashString(fnvOffset, place), word)
	if _, ok := t.seen[h]; !ok {
		t.seen[h] = struct{}{}
		t.list = append(t.list, h)
	}
}

// fingerprint tells messages apart by their Message-IDs and tokens.
func (t *tokens) fingerprint() uint64 {
	h := hashString(fnvOffset, t.id)
	sorted := slices.Clone(t.list)
	slices.Sort(sorted)
	for _, one := range sorted {
		for range 8 {
			h = (h ^ one&0xff) * fnvPrime
			one >>= 8
		}
	}
	return h
}

// tokensOf finds the tokens of a message, which begins with its header. Errors are those of text.
func tokensOf(text io.ReaderAt, size int64) (*tokens, error) {
	size = min(size, maxText)
	sum, err := message.Scan(bufio.NewReaderSize(io.NewSectionReader(text, 0, size), 16<<10), message.Options{})
	if err != nil {
		return nil, err
	}
	t := &tokens{seen: make(map[uint64]struct{}, 256), id: sum.MessageID}
	header := make([]byte, min(sum.Root.Header.Size(), 64<<10))
	if _, err := text.ReadAt(header, sum.Root.Header.Start); err != nil && err != io.EOF {
		return nil, err
	}
	t.header(header)
	return t, t.part(text, sum.Root, 0)
}

// fields are the header fields that are looked at, with the place that their words have.
var fields = map[string]string{
	"subject": "s:", "from": "f:", "reply-to": "r:", "list-id": "l:", "x-mailer": "m:", "user-agent": "m:", "content-type": "c:", "organization": "o:",
}

// header takes the words of the fields that tell most.
func (t *tokens) header(text []byte) {
	for len(text) > 0 {
		line := text
		end := 0
		for { // with its folded lines
			i := bytes.IndexByte(text[end:], '\n')
			if i < 0 {
				end = len(text)
				break
			}
			end += i + 1
			if end == len(text) || text[end] != ' ' && text[end] != '\t' {
				break
			}
		}
		line, text = text[:end], text[end:]
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		place, ok := fields[strings.ToLower(string(name))]
		if !ok {
			continue
		}
		if len(value) > maxHeaderOf {
			value = value[:maxHeaderOf]
		}
		if place == "f:" || place == "r:" {
			t.addresses(place, value)
		}
		t.words(place, message.DecodeHeader(bytes.TrimSpace(value)))
	}
}

// addresses takes addresses and their domains as a whole.
func (t *tokens) addresses(place string, value []byte) {
	n := 0
	for a := range message.Addresses(value) {
		if n++; n > 5 || a.Kind != message.Mailbox {
			return
		}
		domain := strings.ToLower(string(a.Domain))
		t.add(place+"@", domain)
		t.add(place, strings.ToLower(string(a.Local))+"@"+domain)
	}
}

// part takes what a part and those below it have.
func (t *tokens) part(text io.ReaderAt, p *message.Part, depth int) error {
	if t.full() || depth > 10 {
		return nil
	}
	t.add("c:", p.Type+"/"+p.Subtype)
	switch {
	case p.Message != nil:
		return t.part(text, p.Message.Root, depth+1)
	case len(p.Children) > 0:
		for _, child := range p.Children {
			if err := t.part(text, child, depth+1); err != nil {
				return err
			}
		}
		return nil
	case p.Disposition == "attachment" || p.Type != "text":
		for _, one := range p.DispositionParams {
			if one.Name == "filename" {
				if i := strings.LastIndexByte(one.Value, '.'); i >= 0 && len(one.Value)-i <= 6 {
					t.add("a:", strings.ToLower(one.Value[i:]))
				}
			}
		}
		return nil
	}
	charset := ""
	for _, one := range p.Params {
		if one.Name == "charset" {
			charset = one.Value
		}
	}
	body := io.NewSectionReader(text, p.Body.Start, p.Body.Size())
	decoded, err := io.ReadAll(io.LimitReader(message.ToUTF8(message.Decode(body, p.Encoding), charset), maxDecoded))
	if err != nil {
		return err
	}
	if p.Subtype == "html" {
		t.html(string(decoded))
	} else {
		t.plain(string(decoded))
	}
	return nil
}

// plain takes the words of a text, and the hosts of links in it.
func (t *tokens) plain(text string) {
	for rest := text; !t.full(); {
		i := strings.Index(rest, "://")
		if i < 0 {
			break
		}
		rest = rest[i+3:]
		t.host(rest)
	}
	t.words("", text)
}

// host takes the host that a link begins with, and the domains above it.
func (t *tokens) host(link string) {
	end := strings.IndexFunc(link, func(r rune) bool {
		return r != '.' && r != '-' && r != '@' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if end < 0 {
		end = len(link)
	}
	host := strings.ToLower(link[:min(end, 255)])
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	for n := 0; n < 3 && strings.Contains(host, "."); n++ {
		t.add("u:", host)
		_, host, _ = strings.Cut(host, ".")
	}
}

// html takes the words that a reader sees, the hosts of links, and the ways in which other text is hidden.
func (t *tokens) html(text string) {
	var seen strings.Builder
	lower := asciiLower(text) // as long as the text, so that a place in one is one in the other
	whole, searched := len(text), 0
	for text != "" && !t.full() {
		i := strings.IndexByte(text, '<')
		if i < 0 {
			seen.WriteString(text)
			break
		}
		seen.WriteString(text[:i])
		text = text[i:]
		if strings.HasPrefix(text, "<!--") {
			_, text, _ = strings.Cut(text, "-->")
			continue
		}
		end := strings.IndexByte(text, '>')
		if end < 0 {
			break
		}
		tag := strings.ToLower(text[1:end])
		text = text[end+1:]
		name := tag
		if i := strings.IndexFunc(tag, func(r rune) bool { return unicode.IsSpace(r) || r == '/' }); i > 0 {
			name = tag[:i]
		}
		switch name {
		case "script", "style":
			if i := strings.Index(lower[whole-len(text):], "</"+name); i >= 0 {
				text = text[i:]
			} else {
				text = ""
			}
		case "p", "br", "div", "td", "tr", "li", "table", "h1", "h2", "h3", "/p", "/div", "/td", "/tr", "/li", "/table":
			seen.WriteByte('\n')
		}
		for rest := tag; ; {
			i := strings.Index(rest, "://")
			if i < 0 {
				break
			}
			rest = rest[i+3:]
			t.host(rest)
		}
		plain := strings.ReplaceAll(tag, " ", "")
		hidden := false
		for _, trick := range hiding {
			if strings.Contains(plain, trick) {
				t.add("t:", trick)
				hidden = true
			}
		}
		if !hidden || searched > maxSearched {
			continue
		}
		if i := strings.Index(lower[whole-len(text):], "</"+name); i >= 0 {
			text = text[i:] // nobody sees it: it is there for filters
			searched += i
		} else {
			searched += len(text)
		}
	}
	t.words("", unescape.Replace(seen.String()))
}

// maxSearched bounds, in bytes, what is searched for the ends of hidden parts, which may have none.
const maxSearched = 1 << 20

// hiding is how text is hidden from readers.
var hiding = []string{"display:none", "visibility:hidden", "font-size:0", "font-size:1px", "max-height:0"}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

var unescape = strings.NewReplacer("&nbsp;", " ", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#39;", "'", "&shy;", "", "&zwnj;", "", "&#8203;", "")

// words takes the words of a text: runs of letters and digits in any script, in lower case. Scripts without blanks between words give
// pairs of characters.
func (t *tokens) words(place, text string) {
	var word []byte
	n := 0
	var before rune
	flush := func() {
		if n >= minWord && n <= maxWord {
			t.add(place, string(word))
		}
		word, n = word[:0], 0
	}
	for _, r := range text {
		if t.full() {
			return
		}
		switch {
		case r == '\u00ad' || r >= '\u200b' && r <= '\u200f' || r == '\u2060' || r == '\ufeff':
			// invisible: it stands in words to hide them
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Hangul):
			flush()
			if before != 0 {
				t.add(place, string([]rune{before, r}))
			}
			before = r
			continue
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || (r == '\'' || r == '-' || r == '$' || r == '%') && n > 0:
			if n++; n <= maxWord {
				word = utf8.AppendRune(word, unicode.ToLower(r))
			}
		default:
			flush()
		}
		before = 0
	}
	flush()
}
