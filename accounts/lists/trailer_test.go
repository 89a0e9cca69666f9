package lists

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// write sends a message of sub@y.com as it is.
func (o *office) write(to, text string) {
	o.t.Helper()
	rcpt, err := address.Parse(to)
	must(o.t, err)
	s, err := o.q.Begin(o.t.Context(), &envelope.Envelope{Source: envelope.Source{Tag: "SMTP"}, ReturnPath: address.Address{Local: "sub", Domain: "y.com"},
		Recipients: []envelope.Recipient{{Address: rcpt, Notify: envelope.NotifyFailure}}, Body: envelope.Body8BitMIME})
	must(o.t, err)
	_, err = io.WriteString(s, strings.ReplaceAll(text, "\n", "\r\n"))
	must(o.t, err)
	must(o.t, s.Commit(o.t.Context()))
	time.Sleep(time.Minute)
	synctest.Wait()
}

// leaves lists the types of the parts of a message with their texts.
func leaves(text string, p *message.Part) (all []string) {
	if len(p.Children) > 0 {
		all = append(all, p.Type+"/"+p.Subtype)
		for _, c := range p.Children {
			all = append(all, leaves(text, c)...)
		}
		return all
	}
	body, _ := io.ReadAll(message.Decode(strings.NewReader(text[p.Body.Start:p.Body.End]), p.Encoding))
	return append(all, p.Type+"/"+p.Subtype+" "+strings.ReplaceAll(strings.TrimSpace(string(body)), "\r\n", "|"))
}

// The texts of a list stand around a posting of whatever form: each can be read, and what was signed stays as it was.
func TestTextsAroundPostings(t *testing.T) {
	const (
		signed = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BC=C3=9Fe \n\n"
		deep   = "Content-Type: multipart/alternative; boundary=in\n\n--in\n\nplain\n--in\nContent-Type: text/html\n\n<p>html</p>\n--in--\n"
	)
	for name, c := range map[string]struct{ posting, want, kept string }{
		"plain":           {"\nbody\n", "text/plain above|body|below", ""},
		"no line end":     {"\nbody", "text/plain above|body|below", ""},
		"no body":         {"\n", "text/plain above|below", ""},
		"no empty line":   {"", "multipart/mixed;text/plain above;text/plain ;text/plain below", ""},
		"quoted":          {"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC=\n", "text/plain above|ü|below", ""},
		"base64":          {"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nYm9keQ==\n", "multipart/mixed;text/plain above;text/plain body;text/plain below", ""},
		"HTML":            {"MIME-Version: 1.0\nContent-Type: text/html\n\n<p>x</p>\n", "multipart/mixed;text/plain above;text/html <p>x</p>;text/plain below", ""},
		"signed":          {"Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256;\n boundary=s\n\n--s\n" + signed + "--s\nContent-Type: application/pgp-signature\n\nsig\n--s--\n", "multipart/mixed;text/plain above;multipart/signed;text/plain grüße;application/pgp-signature sig;text/plain below", "--s\n" + signed + "--s\n"},
		"sealed":          {"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=smime.p7m\n\nc2ln\n", "multipart/mixed;text/plain above;application/pkcs7-mime sig;text/plain below", "c2ln\n"},
		"nested":          {"Content-Type: multipart/mixed; boundary=out\n\npre\n--out\n" + deep + "--out\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--out--\n", "multipart/mixed;text/plain above;multipart/mixed;multipart/alternative;text/plain plain;text/html <p>html</p>;image/png \x00\x00\x00;text/plain below", deep},
		"no end":          {"Content-Type: multipart/mixed; boundary=out\n\n--out\n\nplain\n", "multipart/mixed;text/plain above;multipart/mixed;text/plain plain;text/plain below", ""},
		"an attachment":   {"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nfile\n", "multipart/mixed;text/plain above;text/plain file;text/plain below", ""},
		"unknown":         {"Content-Transfer-Encoding: x-uuencode\n\nbody\n", "multipart/mixed;text/plain above;text/plain body;text/plain below", ""},
		"no field":        {"this is no field\nbody\n", "multipart/mixed;text/plain above;text/plain this is no field|body;text/plain below", ""},
		"no field, HTML":  {"Content-Type: text/html\nthis is no field\n", "multipart/mixed;text/plain above;text/html this is no field;text/plain below", ""},
		"a wide header":   {"X-A: " + strings.Repeat("x", 900) + "\n" + strings.Repeat("X-B: "+strings.Repeat("y", 900)+"\n", 300) + "\nbody\n", "", ""},
		"a long field":    {"X-A: " + strings.Repeat("x\n ", 200<<10) + "\n\nbody\n", "", ""},
		"another charset": {"Content-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xc1\n", "text/plain above|\xc1|below", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				o.list(`{FeedHeader="above"; FeedTrailer="below"; Store=NO;}`, "bob@company.com", "sub@y.com")
				o.write("news@company.com", "From: <sub@y.com>\nSubject: s\nMIME-Version: 1.0\n"+c.posting)
				got := o.texts("bob@company.com")
				if c.want == "" {
					if back := o.texts("y.com"); len(got) != 0 || len(back) != 1 || !strings.Contains(back[0], "multipart/report") {
						t.Errorf("%d copies, to the author %.600q", len(got), back)
					}
					return
				}
				if len(got) != 1 {
					t.Fatalf("%d copies\n%s", len(got), o.log.String())
				}
				sum, err := message.Scan(strings.NewReader(got[0]), message.Options{})
				must(t, err)
				if all := strings.Join(leaves(got[0], sum.Root), ";"); all != c.want {
					t.Errorf("%q, want %q\n%s", all, c.want, got[0])
				}
				if !strings.Contains(got[0], strings.ReplaceAll(c.kept, "\n", "\r\n")) {
					t.Errorf("no %q in\n%s", c.kept, got[0])
				}
			})
		})
	}
}
