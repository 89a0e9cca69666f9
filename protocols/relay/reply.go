package relay

import (
	"bufio"
	"errors"
	"strings"
	"unicode"

	"gatepost/queue/envelope"
)

// reply is one reply of the peer (RFC 5321 section 4.2).
type reply struct {
	code  int
	lines []string // texts after the code, cleaned
}

// The bounds of a reply.
const (
	maxReplyLine  = 2000
	maxReplyLines = 100
)

var errReply = errors.New("the reply is not one of SMTP")

// readReply reads a reply of one or more lines. With an error it returns what is
// known: the code of the first line, or 0, and the texts up to there.
func readReply(r *bufio.Reader) (reply, error) {
	var rep reply
	for {
		line, err := readLine(r)
		code, text, more, ok := parseReplyLine(line)
		first := len(rep.lines) == 0
		if first && code != 0 {
			rep.code, rep.lines = code, []string{text}
		}
		if err != nil {
			return rep, err
		}
		if !ok || code != rep.code || len(rep.lines) == maxReplyLines {
			return rep, errReply
		}
		if !first {
			rep.lines = append(rep.lines, text)
		}
		if !more {
			return rep, nil
		}
	}
}

// parseReplyLine takes a line without its end apart. A line that is not ok still
// has a code if it begins with one.
func parseReplyLine(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 {
		return 0, "", false, false
	}
	for _, c := range []byte(line[:3]) {
		if c < '0' || c > '9' {
			return 0, "", false, false
		}
		code = code*10 + int(c-'0')
	}
	if code < 200 || code > 599 {
		return 0, "", false, false
	}
	if len(line) == 3 {
		return code, "", false, true
	}
	ok = line[3] == ' ' || line[3] == '-'
	return code, cleaned(line[4:]), line[3] == '-', ok
}

// cleaned makes text of a stranger's server safe to be shown: on a terminal control
// characters are commands.
func cleaned(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// readLine reads a line and drops its end, CRLF or LF. With an error it returns
// what there is of the line.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || err == nil && len(line) > maxReplyLine {
		return string(line[:min(len(line), maxReplyLine)]), errReply
	}
	if err != nil {
		return string(line), err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return string(line), nil
}

func (r reply) positive() bool { return r.code >= 200 && r.code < 400 }

// String is the reply as reports show it: the code once, all texts.
func (r reply) String() string {
	code := string([]byte{byte('0' + r.code/100), byte('0' + r.code/10%10), byte('0' + r.code%10)})
	return strings.TrimSpace(code + " " + strings.Join(r.lines, "\n"))
}

// enhanced returns the enhanced status code of the reply (RFC 2034), or one
// with the class of its code.
func (r reply) enhanced() envelope.Code {
	class := r.code / 100
	if class == 3 {
		class = 2
	}
	if len(r.lines) > 0 {
		word, _, _ := strings.Cut(r.lines[0], " ")
		if c, ok := parseCode(word); ok && c[0] == class {
			return c
		}
	}
	return envelope.Code{class, 0, 0}
}

// parseCode reads 5.1.1.
func parseCode(s string) (envelope.Code, bool) {
	var c envelope.Code
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return c, false
	}
	for i, p := range parts {
		if len(p) == 0 || len(p) > 3 {
			return c, false
		}
		for _, d := range []byte(p) {
			if d < '0' || d > '9' {
				return c, false
			}
			c[i] = c[i]*10 + int(d-'0')
		}
	}
	return c, c[0] == 2 || c[0] == 4 || c[0] == 5
}

// status makes a delivery status of a refusal. what is the text before the
// host's name: "message text rejected by".
func (r reply) status(what, host string) envelope.Status {
	st := envelope.Status{Action: envelope.ActionFailed, Code: r.enhanced(), Text: what + " " + host, Remote: host, Reply: r.String()}
	if !r.permanent() {
		st.Action = envelope.ActionDelayed
		if st.Code[0] != 4 {
			st.Code = envelope.Code{4, 0, 0} // a reply that makes no sense here
		}
	}
	return st
}

func (r reply) permanent() bool { return r.code >= 500 }
