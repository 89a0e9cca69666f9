package transcript

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
)

// An action is what one line of a dialogue does.
type action uint8

const (
	sendLine action = iota
	sendBytes
	sendFile
	startTLS
	closeConn
	expectLine
	expectBytes
	expectFile
	expectClosed
	skipLines
	wait
)

// A step is one line of a dialogue.
type step struct {
	line   int    // from 1, in the file
	source string // the line itself, for messages
	conn   int    // the number after C or S; 0 if there is none
	action action
	text   string        // with escapes undone where the line has escapes
	times  int           // of sendBytes
	pause  time.Duration // of wait
}

// A dialogue is a parsed transcript.
type dialogue struct {
	steps []step
	files map[string][]string // lines without their ends
}

// parse reads a transcript. The path is for error messages.
func parse(path string, text []byte) (*dialogue, error) {
	archive := txtar.Parse(text)
	d := &dialogue{files: map[string][]string{}}
	for _, f := range archive.Files {
		d.files[f.Name] = lines(f.Data)
	}
	for i, l := range lines(archive.Comment) {
		if strings.TrimSpace(l) == "" || l[0] == '#' {
			continue
		}
		s, err := parseStep(l)
		if err == nil && (s.action == sendFile || s.action == expectFile) && d.files[s.text] == nil {
			err = fmt.Errorf("the archive has no file %q", s.text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s\n%w", path, i+1, l, err)
		}
		s.line, s.source = i+1, l
		d.steps = append(d.steps, s)
	}
	return d, nil
}

func lines(text []byte) []string {
	text = bytes.TrimSuffix(text, []byte("\n"))
	all := strings.Split(string(text), "\n")
	for i := range all {
		all[i] = strings.TrimSuffix(all[i], "\r")
	}
	return all
}

var errNoStep = fmt.Errorf("a line begins with #, C or S with an optional number and one of : - * < !, or with ! WAIT")

func parseStep(l string) (step, error) {
	var s step
	side := l[0]
	if side == '!' {
		d, ok := strings.CutPrefix(l, "! WAIT ")
		if !ok {
			return s, errNoStep
		}
		pause, err := time.ParseDuration(strings.TrimSpace(d))
		s.action, s.pause = wait, pause
		return s, err
	}
	rest := l[1:]
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	if digits != "" {
		n, err := strconv.Atoi(digits)
		if err != nil {
			return s, err
		}
		s.conn = n
		rest = rest[len(digits):]
	}
	if rest == "" {
		return s, errNoStep
	}
	op := rest[0]
	// One blank after the operator belongs to the form; further ones are text.
	s.text = strings.TrimPrefix(rest[1:], " ")
	switch side {
	case 'C':
		return s.client(op)
	case 'S':
		return s.server(op)
	}
	return s, errNoStep
}

// client completes the step of a C line.
func (s step) client(op byte) (step, error) {
	var err error
	s.times = 1
	switch op {
	case ':':
		s.action = sendLine
	case '-':
		s.action = sendBytes
		s.text, err = unescape(s.text)
	case '*':
		s.action = sendBytes
		count, text, _ := strings.Cut(s.text, " ")
		if s.times, err = strconv.Atoi(count); err == nil {
			s.text, err = unescape(text)
		}
	case '<':
		s.action = sendFile
	case '!':
		switch s.text {
		case "STARTTLS":
			s.action = startTLS
		case "CLOSE":
			s.action = closeConn
		default:
			err = fmt.Errorf("the client's directives are STARTTLS and CLOSE")
		}
	default:
		err = errNoStep
	}
	return s, err
}

// server completes the step of an S line.
func (s step) server(op byte) (step, error) {
	var err error
	switch op {
	case ':':
		s.action = expectLine
	case '-':
		s.action = expectBytes
		s.text, err = unescape(s.text)
	case '*':
		s.action = skipLines
		if s.text != "" {
			err = fmt.Errorf("an S* stands alone; what it stops at is the next S: line")
		}
	case '<':
		s.action = expectFile
	case '!':
		s.action = expectClosed
		if s.text != "CLOSED" {
			err = fmt.Errorf("the server's directive is CLOSED")
		}
	default:
		err = errNoStep
	}
	return s, err
}

// unescape undoes \r \n \t \\ and \xNN.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("a backslash at the end")
		}
		switch s[i] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '\\':
			b.WriteByte('\\')
		case 'x':
			if i+2 >= len(s) {
				return "", fmt.Errorf(`\x needs two hexadecimal digits`)
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf(`\x needs two hexadecimal digits`)
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", fmt.Errorf(`the escapes are \r \n \t \\ \xNN`)
		}
	}
	return b.String(), nil
}
