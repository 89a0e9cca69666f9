package syspassword

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/server/fault"
)

// standIn is called as unix_chkpwd is: it knows one user, and users that make it fail.
const standIn = `#!/bin/sh
[ "$2" = nonull ] || exit 4
password=$(tr -d '\0')
case "$1:$password" in
ann:right) exit 0 ;;
ann:*) exit 7 ;;
expired:*) exit 13 ;;
broken:*) exit 4 ;;
slow:*) exec sleep 60 ;;
esac
exit 10
`

func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if kind == 0 && err != nil || kind != 0 && !fault.Is(err, kind) {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chkpwd")
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgram(t *testing.T) {
	path := program(t, standIn)
	v := New(func() string { return path })
	for _, c := range []struct {
		user, password string
		kind           fault.Kind
	}{
		{"ann", "right", 0}, {"ann", "wrong", fault.BadCredentials}, {"ann", "", fault.BadCredentials}, {"ann", "right\x00", fault.BadCredentials},
		{"nobody2", "right", fault.BadCredentials}, {"expired", "right", fault.BadCredentials}, {"root", "right", fault.BadCredentials},
		{"-x", "right", fault.BadCredentials}, {"../ann", "right", fault.BadCredentials}, {"", "right", fault.BadCredentials}, {"ann\n", "right", fault.BadCredentials},
		{"broken", "right", fault.Unavailable},
	} {
		wantKind(t, c.user+":"+c.password, v.Verify(t.Context(), c.user, c.password), c.kind)
	}
	if reason, at := v.Failing(); !strings.Contains(reason, "exit status 4") || at.IsZero() {
		t.Errorf("failing: %q", reason)
	}
	wantKind(t, "later", v.Verify(t.Context(), "ann", "right"), 0)
	if reason, _ := v.Failing(); reason != "" {
		t.Errorf("failing, after it worked: %q", reason)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, "the client has gone", v.Verify(ctx, "slow", "right"), fault.Canceled)
}

func TestNothingThatCanBeAsked(t *testing.T) {
	for path, reason := range map[string]string{
		"/nowhere/chkpwd": "no such file", program(t, "#!/nowhere/sh\n"): "cannot be started",
	} {
		v := New(func() string { return path })
		wantKind(t, path, v.Verify(t.Context(), "ann", "right"), fault.Unavailable)
		if got, _ := v.Failing(); !strings.Contains(got, reason) {
			t.Errorf("%s: %q, want %q", path, got, reason)
		}
	}
}

// saslauthd answers with what a function makes of the four parts of a question.
func saslauthd(t *testing.T, answer func(parts []string) string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mux")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			var parts []string
			for range 4 {
				var n [2]byte
				if _, err := io.ReadFull(conn, n[:]); err != nil {
					break
				}
				part := make([]byte, binary.BigEndian.Uint16(n[:]))
				if _, err := io.ReadFull(conn, part); err != nil {
					break
				}
				parts = append(parts, string(part))
			}
			text := answer(parts)
			if text != "" {
				_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...))
			}
			conn.Close()
		}
	}()
	return path
}

func TestSocket(t *testing.T) {
	path := saslauthd(t, func(parts []string) string {
		switch strings.Join(parts, "|") {
		case "ann|right|gatepost|":
			return "OK"
		case "odd|right|gatepost|":
			return "PERHAPS"
		case "gone|right|gatepost|":
			return ""
		case "much|right|gatepost|":
			return "OK" + strings.Repeat(" ", 60_000)
		}
		return "NO authentication failed"
	})
	v := New(func() string { return path })
	for _, c := range []struct {
		user, password string
		kind           fault.Kind
	}{
		{"ann", "right", 0}, {"much", "right", 0}, {"ann", "wrong", fault.BadCredentials}, {"ben", "right", fault.BadCredentials}, {"odd", "right", fault.Unavailable},
		{"gone", "right", fault.Unavailable}, {"ann", strings.Repeat("x", 70_000), fault.BadCredentials},
	} {
		wantKind(t, c.user, v.Verify(t.Context(), c.user, c.password), c.kind)
	}
}
