package smtp

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatepost/protocols/transcript"
	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// checked is a submission that looks at what it gets.
type checked struct {
	t    *testing.T
	text []byte
}

func (c *checked) MessageID() string           { return "" }
func (c *checked) ID() envelope.QueueID        { return 4711 }
func (c *checked) Abort()                      {}
func (c *checked) Write(p []byte) (int, error) { c.text = append(c.text, p...); return len(p), nil }

func (c *checked) Commit(context.Context) error {
	if bare(c.text) {
		c.t.Errorf("accepted with a bare CR or LF: %q", c.text)
	}
	if bytes.IndexByte(c.text, 0) >= 0 {
		c.t.Errorf("accepted with NUL: %q", c.text)
	}
	if !bytes.HasPrefix(c.text, []byte("Received: from ")) || !bytes.HasSuffix(c.text, crlf) {
		c.t.Errorf("accepted: %q", c.text)
	}
	return nil
}

var replyLine = regexp.MustCompile(`^[2-5]\d\d[ -][^\r\n\x00]*$`)

// FuzzSession plays any input to a session: it ends with the input, every line
// that it says is a reply, and what it accepts is a message of lines.
func FuzzSession(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		f.Add(dialogueInput(f, file))
	}
	f.Add([]byte("EHLO x\r\nAUTH PLAIN " + plain("larry", "secret") + "\r\nMAIL FROM:<larry@company.com> BODY=BINARYMIME\r\nRCPT TO:<moe>\r\nBDAT 3\r\na:bBDAT 4 LAST\r\n\r\n\r\n"))
	f.Add([]byte("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<moe>\r\nBDAT 3\r\n..\rBDAT 1 LAST\r\n\n"))
	s := newSite(f, func(s *Settings) { s.ErrorsLimit = 0 })
	local, remote := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 25), Port: 25}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	f.Fuzz(func(t *testing.T, in []byte) {
		s.server.begin = func(context.Context, *envelope.Envelope) (submission, error) { return &checked{t: t}, nil }
		near, far := net.Pipe()
		done := make(chan []byte)
		go func() {
			out, _ := io.ReadAll(near)
			done <- out
		}()
		go func() {
			// The session may end before its input does.
			_, _ = near.Write(in)
		}()
		s.server.run(t.Context(), &halfClosed{Conn: transcript.Addressed(far, local, remote), left: len(in)}, port25, false)
		far.Close()
		out := <-done
		near.Close()
		for _, line := range strings.Split(strings.TrimSuffix(string(out), "\r\n"), "\r\n") {
			if !replyLine.MatchString(line) {
				t.Fatalf("input %q: said %q", in, line)
			}
		}
	})
}

// halfClosed ends its input after left bytes, as a client does that closes its
// sending side.
type halfClosed struct {
	net.Conn
	left int
}

func (h *halfClosed) Read(p []byte) (int, error) {
	if h.left == 0 {
		return 0, io.EOF
	}
	n, err := h.Conn.Read(p)
	h.left -= n
	return n, err
}

// dialogueInput is what the client says in a transcript.
func dialogueInput(f *testing.F, file string) []byte {
	f.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	var in []byte
	for _, line := range strings.Split(string(raw), "\n") {
		if text, ok := strings.CutPrefix(line, "C: "); ok {
			in = append(in, text+"\r\n"...)
		}
		if text, ok := strings.CutPrefix(line, "C- "); ok {
			in = append(in, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(text)...)
		}
	}
	return in
}

// FuzzParams checks that parameters which are accepted can be put into an
// envelope and read back.
func FuzzParams(f *testing.F) {
	for _, s := range []string{"SIZE=100 BODY=8BITMIME RET=FULL ENVID=a+2Bb", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b", "AUTH=<>", "SMTPUTF8", "=", "a==b", "NOTIFY=NEVER"} {
		f.Add(s)
	}
	to, err := address.Parse("a@example.net")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, badMail := parseMailParams(text)
		rcpt := envelope.Recipient{Address: to, State: envelope.Waiting}
		badRcpt := parseRcptParams(text, &rcpt)
		if badMail != nil && badRcpt != nil {
			return
		}
		env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP"}, ReturnPath: to, Recipients: []envelope.Recipient{rcpt}}
		if badMail == nil {
			env.ID, env.Return, env.Body, env.SMTPUTF8 = m.id, m.ret, m.body, m.smtpUTF8
		}
		head, _, err := envelope.AppendHead(nil, env)
		if err != nil {
			t.Fatalf("%q was accepted and cannot be stored: %v", text, err)
		}
		back, _, err := envelope.ReadHead(bufioReader(append(head, '\n')))
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		if back.ID != env.ID || back.Return != env.Return || back.Recipients[0].Original != rcpt.Original || back.Recipients[0].Notify != rcpt.Notify {
			t.Fatalf("%q came back as %+v", text, back)
		}
	})
}

// FuzzHeaderFix checks that pieces make no difference, and that no hidden
// recipient is shown.
func FuzzHeaderFix(f *testing.F) {
	for _, s := range []string{"Bcc: x\r\n y\r\nTo: z\r\n\r\nbody", "From: a\r\nfrom : b\r\n\r\n", "no header", "From: a\r\n", "\r\n", "bcc : x\r\n\r\n", " folded\r\nBcc: x\r\n\r\n"} {
		f.Add([]byte(s), byte(3))
	}
	run := func(in []byte, step int) ([]byte, error) {
		h := &submissionHeader{session: &session{name: "company.com", cfg: &Settings{}}, id: 1}
		var out []byte
		for len(in) > 0 {
			n := min(step, len(in))
			piece, done, err := h.write(in[:n])
			if err != nil {
				return nil, err
			}
			out, in = append(out, piece...), in[n:]
			if done {
				return append(out, in...), nil
			}
		}
		piece, err := h.close()
		return append(out, piece...), err
	}
	dates := regexp.MustCompile(`(?m)^Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} [-+]\d{4}\r$`)
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		if bare(in) || !bytes.HasSuffix(in, crlf) {
			return
		}
		whole, err := run(in, len(in)+1)
		pieces, errPieces := run(in, int(step)+1)
		if err != errPieces || err != nil && err != errTwoFroms {
			t.Fatalf("whole %v, pieces %v", err, errPieces)
		}
		if err != nil {
			return
		}
		if a, b := dates.ReplaceAll(whole, nil), dates.ReplaceAll(pieces, nil); !bytes.Equal(a, b) {
			t.Fatalf("whole  %q\npieces %q", a, b)
		}
		header, _, _ := bytes.Cut(whole, []byte("\r\n\r\n"))
		if regexp.MustCompile(`(?im)^bcc[ \t]*:`).Match(header) {
			t.Fatalf("%q shows a hidden recipient: %q", in, header)
		}
		if bare(whole) {
			t.Fatalf("%q became %q", in, whole)
		}
	})
}
