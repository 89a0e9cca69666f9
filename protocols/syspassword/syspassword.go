// Package syspassword verifies passwords of the users of this machine, for accounts with UseSysPassword.
//
// A server that is not root cannot read them, and must not. It asks something that can, by the setting SysPasswordVia:
//
//   - a program that is called as PAM calls /usr/sbin/unix_chkpwd: the user and "nonull" are its arguments, the password stands on
//     standard input with a zero byte behind it, and status 0 says that it is right. That of Debian tells root alone about
//     other users, so that it is of use where the server runs as root;
//   - the socket of saslauthd (Cyrus SASL), which asks PAM, LDAP or Kerberos as it is configured: name, password, service
//     and realm, each behind its length in two bytes, are answered by a text that begins with OK or NO. The service is
//     "gatepost", which is the file in /etc/pam.d.
//
// Users with the number 0 are refused: the superuser's password is not for mail programs. What cannot be asked is
// fault.Unavailable, with the reason, and counts as no failed login.
package syspassword

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"strings"
	"sync"
	"time"

	"gatepost/server/fault"
)

const (
	maxAtOnce  = 4
	timeLimit  = 10 * time.Second // for the answer
	failingFor = 10 * time.Minute
	service    = "gatepost"
)

// userName is what a user may be called: nothing that could be an option or a path.
var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

// Verifier asks the operating system. It implements accounts.SystemPasswords.
type Verifier struct {
	via   func() string // path of a program or a socket
	turns chan struct{}

	mu     sync.Mutex
	reason string // why it could not be asked
	at     time.Time
}

// New returns a Verifier; via is what is asked now.
func New(via func() string) *Verifier {
	return &Verifier{via: via, turns: make(chan struct{}, maxAtOnce)}
}

// Failing says why passwords could not be verified lately; "" if they could.
func (v *Verifier) Failing() (reason string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.at) > failingFor {
		return "", time.Time{}
	}
	return v.reason, v.at
}

func (v *Verifier) note(reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reason, v.at = reason, time.Now()
}

// Verify implements accounts.SystemPasswords.
func (v *Verifier) Verify(ctx context.Context, name, password string) error {
	const op = "syspassword.Verify"
	wrong := fault.New(op, fault.BadCredentials, "")
	if password == "" || strings.ContainsRune(password, 0) || !userName.MatchString(name) || superuser(name) {
		return wrong
	}
	select {
	case v.turns <- struct{}{}:
		defer func() { <-v.turns }()
	case <-ctx.Done():
		return fault.Wrap(op, fault.Canceled, ctx.Err())
	}
	limited, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	right, err := v.ask(limited, name, password)
	switch {
	case err == nil && right:
		v.note("")
		return nil
	case err == nil:
		v.note("")
		return wrong
	case ctx.Err() != nil:
		return fault.Wrap(op, fault.Canceled, ctx.Err())
	}
	v.note(err.Error())
	return &fault.Error{Op: op, Kind: fault.Unavailable, Text: "passwords of the operating system cannot be verified now", Err: err}
}

// superuser reports whether a user has all rights on this machine.
func superuser(name string) bool {
	u, err := user.Lookup(name)
	return name == "root" || err == nil && u.Uid == "0"
}

func (v *Verifier) ask(ctx context.Context, name, password string) (bool, error) {
	path := v.via()
	i, err := os.Stat(path)
	switch {
	case err != nil:
		return false, fmt.Errorf("SysPasswordVia: %w", err)
	case i.Mode()&os.ModeSocket != 0:
		return viaSocket(ctx, path, name, password)
	}
	return viaProgram(ctx, path, name, password)
}

// The exit statuses of unix_chkpwd are those of PAM.
const (
	authenticationError = 7
	unavailable         = 9 // also for an unknown user
	unknownUser         = 10
	tooManyTries        = 11
	newPasswordNeeded   = 12
	accountExpired      = 13
)

func viaProgram(ctx context.Context, path, name, password string) (bool, error) {
	cmd := exec.CommandContext(ctx, path, name, "nonull")
	cmd.Stdin, cmd.Dir, cmd.Env, cmd.WaitDelay = strings.NewReader(password+"\x00"), "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, time.Second
	err := cmd.Run()
	status := cmd.ProcessState.ExitCode() // -1 if it did not start, or was killed
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, fmt.Errorf("%s has not answered within %s", path, timeLimit)
	case cmd.ProcessState == nil:
		return false, fmt.Errorf("%s cannot be started: %w", path, err)
	case status == unavailable && os.Geteuid() != 0:
		return false, fmt.Errorf("%s tells nothing about other users: the server is not root; SysPasswordVia may be the socket of saslauthd instead", path)
	}
	switch status {
	case authenticationError, unavailable, unknownUser, tooManyTries, newPasswordNeeded, accountExpired:
		return false, nil
	}
	return false, fmt.Errorf("%s has failed: %w", path, err)
}

// maxAnswer bounds the text of an answer of saslauthd.
const maxAnswer = 1024

func viaSocket(ctx context.Context, path, name, password string) (bool, error) {
	if len(password) > maxAnswer {
		return false, nil // saslauthd takes 256 bytes
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return false, err
		}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var question []byte
	for _, part := range []string{name, password, service, ""} {
		question = binary.BigEndian.AppendUint16(question, uint16(len(part)))
		question = append(question, part...)
	}
	if _, err := conn.Write(question); err != nil {
		return false, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return false, fmt.Errorf("saslauthd has not answered: %w", err)
	}
	answer := make([]byte, min(int(binary.BigEndian.Uint16(length[:])), maxAnswer))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return false, fmt.Errorf("saslauthd has not answered: %w", err)
	}
	switch {
	case strings.HasPrefix(string(answer), "OK"):
		return true, nil
	case strings.HasPrefix(string(answer), "NO"):
		return false, nil
	}
	return false, errors.New("saslauthd has answered something else than OK and NO")
}
