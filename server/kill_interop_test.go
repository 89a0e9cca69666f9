package server_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// serve starts the program gatepost on a base directory, and returns it when it is ready.
func serve(t *testing.T, program string, r *running) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, "serve", "--base", r.dir, "--listen", "127.0.0.1", "--port-shift", fmt.Sprint(r.shift))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("the server has ended: %v", err)
		}
		if line == "ready\n" {
			go io.Copy(io.Discard, in)
			return cmd
		}
	}
}

// A server that is killed while a program has a message does not give it to the program again: the sender
// hears of it. What the program had not begun with is given to it.
func TestInteropKillWithPrograms(t *testing.T) {
	needPrograms(t, "go")
	dir := t.TempDir()
	program := filepath.Join(dir, "gatepost")
	run(t, nil, nil, "go", "build", "-o", program, "gatepost/cmd/gatepost")
	base, err := os.MkdirTemp("", "gp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	r := &running{dir: base, shift: freeShift(t)}
	run(t, strings.NewReader(""), nil, program, "init", "--base", base, "--domain", testDomain, "--password-file", write(t, dir, "password", "secret\n"))
	server := serve(t, program, r)
	programs := r.programs(t, map[string]string{
		// It notes the message, tells the test, and waits until it is ended.
		"book":   `grep ^Subject >> booked; echo here > book.out; exec sleep 300`,
		"report": `cat > report.out`,
	})
	r.cli(t, `UPDATEMODULE PIPE {Processors=5;}`)
	r.cli(t, `SETROUTERTABLE "<book> = book@pipe\e<sender> = report@pipe"`)
	for _, subject := range []string{"first", "second"} { // the second waits: a program gets one at a time
		if err := r.submit(t, "sender@"+testDomain, "book@"+testDomain, subject); err != nil {
			t.Fatal(err)
		}
	}
	said(t, programs, "book")
	if err := server.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	serve(t, program, r)
	report := said(t, programs, "report")
	for _, want := range []string{"Failed to deliver to '<book@" + testDomain + ">'", "may be done or not", "Subject: first"} {
		if !strings.Contains(strings.ReplaceAll(report, "\n ", " "), want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	said(t, programs, "book")
	booked, err := os.ReadFile(filepath.Join(programs, "booked"))
	if err != nil || string(booked) != "Subject: first\nSubject: second\n" {
		t.Errorf("the program got %q, %v", booked, err)
	}
}
