package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// programs makes an application directory with programs of the shell, and names it to the server. Each program
// can write to the pipe with its name and .out, which the test reads.
func (r *running) programs(t *testing.T, programs map[string]string) (dir string) {
	t.Helper()
	dir = filepath.Join(r.dir, "programs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, body := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(filepath.Join(dir, name+".out"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The sandbox has its own tests. Here programs are the server's user.
	r.cli(t, fmt.Sprintf(`UPDATEMODULE PIPE {ApplicationDirectory=%q;RunAs="";AllowWeakSandbox=YES;}`, dir))
	return dir
}

// said reads what a program has written to its pipe.
func said(t *testing.T, dir, program string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, program+".out"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// submit sends a message over SMTP.
func (r *running) submit(t *testing.T, from, to, subject string) error {
	t.Helper()
	text := fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\n\r\nbody of %s\r\n", from, to, subject, subject)
	c, err := smtp.Dial(r.addr(25))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.Mail(from), c.Rcpt(to)); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

// Mail for a record of the table that names a program is given to it; what it refuses comes back.
func TestMailGoesToAProgram(t *testing.T) {
	r := start(t)
	dir := r.programs(t, map[string]string{
		"archive": `(cat; echo "$1 $SENDER $RECIPIENT") > archive.out`,
		"refuse":  "echo no such box; exit 67",
	})
	r.cli(t, `SETROUTERTABLE "<robot> = \"archive first\"@pipe\e<hole> = refuse@pipe\e<reports> = archive@pipe"`)
	from, robot := "reports@"+testDomain, "robot@"+testDomain
	if err := r.submit(t, from, robot, "hello"); err != nil {
		t.Fatal(err)
	}
	got := said(t, dir, "archive")
	if !strings.Contains(got, "\nSubject: hello\n\nbody of hello\nfirst "+from+" "+robot+"\n") || strings.Contains(got, "\r") || !strings.HasPrefix(got, "Received: ") {
		t.Errorf("the program got:\n%s", got)
	}
	if err := r.submit(t, from, "hole@"+testDomain, "refused"); err != nil {
		t.Fatal(err)
	}
	got = said(t, dir, "archive")
	for _, want := range []string{"Failed to deliver to '<hole@" + testDomain + ">'", "PIPE module", "exit code 67", "no such box", "Status: 5.1.1"} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
}
