package sendmail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"gatepost/protocols/pickup"
	"gatepost/server/fault"
)

// The exit codes of sysexits.h that the programs use.
const (
	ExitUsage    = 64 // the command line is wrong
	ExitData     = 65 // an address or the message is wrong
	ExitNoUser   = 67 // an address leads nowhere (-bv)
	ExitUnavail  = 69 // what was asked for needs a running server
	ExitSoftware = 70
	ExitIO       = 74 // the message could not be read or written
	ExitTemp     = 75 // the same later may succeed: the disk is full
	ExitPerm     = 77 // the user may not write to the folder, or not administer the server
	ExitConfig   = 78 // there is no such base directory
)

// Error ends a program with an exit code and a text for standard error.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return e.Text }

func failed(code int, format string, args ...any) error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// Code is the exit code that an error stands for.
func Code(err error) int {
	var e *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, fs.ErrPermission):
		return ExitPerm
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ExitTemp
	case fault.Is(err, fault.Invalid):
		return ExitData
	}
	return ExitIO
}

// Program is what a call of one of the programs has around it.
type Program struct {
	// Base is the base directory.
	Base string
	// User is the login name of who calls.
	User           string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal says that a person types the message.
	Terminal bool

	// List prints the queue, Flush has it tried now, and Route says where an address leads. They
	// need the right to administer the server. NewAliases is nil where there is nothing to do.
	List  func() error
	Flush func() error
	Route func(address string) (string, error)
}

// create begins a message.
func (p *Program) create() (*pickup.File, error) {
	dir := filepath.Join(p.Base, "Submitted")
	f, err := pickup.Create(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failed(ExitConfig, "%s: there is no such folder; is %s the base directory of a server?", dir, p.Base)
	case errors.Is(err, fs.ErrPermission):
		return nil, failed(ExitPerm, "%s: you may not send mail with this program: the folder is for other users", dir)
	}
	return f, err
}
