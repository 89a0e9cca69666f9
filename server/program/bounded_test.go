package program

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// A program in the sandbox can connect to a socket that it cannot see; whoever listens can tell.
func TestFromSandbox(t *testing.T) {
	base := t.TempDir()
	path := filepath.Join(base, "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	said := make(chan string, 2)
	go func() {
		for range 2 {
			c, err := ln.Accept()
			if err != nil {
				said <- err.Error()
				return
			}
			from, err := FromSandbox(c.(*net.UnixConn))
			switch {
			case err != nil:
				said <- err.Error()
			case from:
				said <- "sandbox"
			default:
				said <- "free"
			}
			c.Close()
		}
	}()
	perl := `use Socket; socket(my $u, AF_UNIX, SOCK_STREAM, 0) or die $!; connect($u, sockaddr_un($ARGV[0])) or die "connect: $!"; <$u>`
	p := &Program{Path: "/usr/bin/perl", Args: []string{"-e", perl, path}, Dir: "/", Sandbox: &Sandbox{Hide: []string{base}, NoNetwork: true}}
	res, err := p.Run(t.Context(), strings.NewReader(""), 5000)
	if err != nil && strings.Contains(err.Error(), "landlock") {
		t.Skip(err)
	}
	if err != nil || strings.Contains(res.Errors, "connect") {
		t.Skipf("this system keeps it from the socket: %v %+v", err, res)
	}
	if got := <-said; got != "sandbox" {
		t.Errorf("a program in the sandbox: %s", got)
	}
	p.Sandbox = nil
	if res := run(t, p, ""); res.Exit != 0 {
		t.Errorf("%+v", res)
	}
	if got := <-said; got != "free" {
		t.Errorf("another program: %s", got)
	}
}
