package server_test

import (
	"crypto/tls"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrailers: what a user submits for a recipient elsewhere has the trailer of the domain, once, and the rest has not.
func TestTrailers(t *testing.T) {
	r := start(t)
	r.cli(t, `UPDATEDOMAINSETTINGS `+testDomain+` {MailTrailer="-- \eExample Ltd.";MailTrailerHTML="<p>Example Ltd.</p>";}`)
	r.cli(t, "UPDATEMODULE LOCAL {Processors=0;}") // what was received stays in the queue
	const far, trailer = "x@[127.0.0.84]", "-- \r\nExample Ltd.\r\n"
	const plain, signed = "Subject: s\r\n\r\nHi\r\n", "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n--b--\r\n"
	for name, c := range map[string]struct {
		set, text string
		login     bool
		to        []string
		want      string
	}{
		"to another server":      {"{}", plain, true, []string{far}, plain + trailer},
		"also to another server": {"{}", plain, true, []string{"alice@" + testDomain, far}, plain + trailer},
		"within the server":      {"{}", plain, true, []string{"alice@" + testDomain}, plain},
		"added before":           {"{}", plain + trailer, true, []string{far}, plain + trailer},
		"not logged in":          {"{}", plain, false, []string{far}, plain},
		"signed":                 {"{}", signed, true, []string{far}, signed},
		"AddMailTrailer=NO":      {"{AddMailTrailer=NO;}", plain, true, []string{far}, plain},
	} {
		t.Run(name, func(t *testing.T) {
			r.cli(t, "UPDATEACCOUNTSETTINGS alice "+c.set)
			defer r.cli(t, "UPDATEACCOUNTSETTINGS alice {AddMailTrailer=default;}")
			port := 587
			if !c.login {
				port = 25
			}
			conn, err := smtp.Dial(r.addr(port))
			if err == nil {
				defer conn.Close()
				err = conn.StartTLS(&tls.Config{InsecureSkipVerify: true})
			}
			if err == nil && c.login {
				err = conn.Auth(smtp.PlainAuth("", "alice", testPassword, "127.0.0.1"))
			}
			if err == nil {
				err = conn.Mail("alice@" + testDomain)
			}
			for _, to := range c.to {
				if err == nil {
					err = conn.Rcpt(to)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			before := queued(t, r.dir)
			w, err := conn.Data()
			if err == nil {
				_, err = w.Write([]byte(c.text))
			}
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			_, want, _ := strings.Cut(c.want, "\r\n\r\n") // behind the header, which gets fields
			for file, text := range queued(t, r.dir) {
				if _, old := before[file]; old {
					continue
				}
				if found++; !strings.HasSuffix(text, "\r\n\r\n"+want) {
					t.Errorf("%q", text)
				}
			}
			if found != 1 {
				t.Errorf("%d messages are in the queue", found)
			}
		})
	}
	for _, text := range queued(t, r.dir) {
		if strings.Count(text, trailer) > 1 {
			t.Errorf("twice: %q", text)
		}
	}
}

// queued are the files of the queue.
func queued(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "Queue", "*.msg"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all[f] = string(b)
	}
	return all
}
