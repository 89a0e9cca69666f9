package program

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatepost/server/fault"
	"gatepost/server/program/commandline"
)

// Permission is what the server's administrator allows programs that users can reach: those of PIPE, and
// those of rules.
type Permission struct {
	// Directory has the programs; empty: there are none. It is their working directory.
	Directory string
	// Base is the base directory, of which they see nothing but Show.
	Base string
	Show []string
	// Manifest, if its file exists, has to list them too.
	Manifest Manifest
	// User runs them if the server is root; empty: the server's user. Another name is an error.
	User string
	// Network lets them use the network.
	Network bool
	// Limits bound each process, Time a whole run.
	Limits Limits
	Time   time.Duration
	// Weak lets them run where Base cannot be hidden from them.
	Weak bool
}

// Runner runs programs that users can reach, in the sandbox. Its method may be called from any goroutine.
type Runner struct{ allowed func() Permission }

// NewRunner returns a Runner. It asks for the Permission before each run.
func NewRunner(allowed func() Permission) *Runner { return &Runner{allowed} }

// Job is one run of a program with a message.
type Job struct {
	// Args are the program and its arguments. The program is a name in the directory, or a path of
	// one there.
	Args []string
	// Env is added to the environment: KEY=value.
	Env []string
	// Message opens the message, which has CRLF line ends; the program gets LF.
	Message func() (io.ReadCloser, error)
	// File appends the name of a file with the message to the arguments; else the message is the
	// program's standard input.
	File bool
	// MaxOutput is how much is kept of output and errors, in bytes each.
	MaxOutput int
}

// Run runs a job. The program is stopped when ctx ends, or its time is over. An error says that it
// was not started: fault.Denied for what is not allowed, fault.NotFound for a program that is not
// there, temporary kinds for what may work later.
func (r *Runner) Run(ctx context.Context, j *Job) (*Result, error) {
	p, err := r.program(j)
	if err != nil {
		return nil, err
	}
	if allowed := r.allowed(); allowed.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, allowed.Time)
		defer cancel()
	}
	text, err := j.Message()
	if err != nil {
		return nil, fault.Wrap("program.Run", fault.Internal, err)
	}
	defer text.Close()
	var stdin io.Reader = LF(text)
	if j.File {
		name, err := p.messageFile(stdin)
		if err != nil {
			return nil, err
		}
		defer os.Remove(name)
		p.Args = append(p.Args, name)
		stdin = strings.NewReader("")
	}
	return p.Run(ctx, stdin, j.MaxOutput)
}

// Check says why a job would not be started, as far as that is known without starting it.
func (r *Runner) Check(args []string) error {
	_, err := r.program(&Job{Args: args})
	return err
}

func (r *Runner) program(j *Job) (*Program, error) {
	allowed := r.allowed()
	if len(j.Args) == 0 {
		return nil, fault.New("program.Run", fault.Invalid, "no program is named")
	}
	path, err := Find(allowed.Directory, j.Args[0])
	if err != nil {
		return nil, err
	}
	if err := allowed.Manifest.Allows(commandline.Join(append([]string{path}, j.Args[1:]...))); err != nil {
		return nil, err
	}
	p := &Program{
		Path: path, Args: append([]string(nil), j.Args[1:]...), Dir: allowed.Directory, Env: j.Env, Limits: allowed.Limits,
		Sandbox: &Sandbox{NoNetwork: !allowed.Network, Weak: allowed.Weak},
	}
	p.Limits.Processes = 0
	if allowed.User != "" && os.Geteuid() == 0 {
		p.Limits.Processes = allowed.Limits.Processes
		if p.Sandbox.User, err = FindUser(allowed.User); err != nil {
			return nil, fault.Wrap("program.Run", fault.Denied, err)
		}
		// The files of the base directory are closed to that user already.
		p.Sandbox.Weak = p.Sandbox.Weak || p.Sandbox.User.UID != 0
	}
	if allowed.Base != "" {
		p.Sandbox.Hide = []string{allowed.Base}
		for _, dir := range append([]string{allowed.Directory}, allowed.Show...) {
			if real, err := filepath.EvalSymlinks(dir); err == nil {
				p.Sandbox.Show = append(p.Sandbox.Show, real)
			}
		}
	}
	return p, nil
}

// Find returns the path of the program of a directory that a name means: without slashes, and not
// beginning with a dot. A path of the directory is taken too.
func Find(directory, name string) (string, error) {
	const op = "program.Find"
	if directory == "" {
		return "", fault.New(op, fault.Denied, "no program may be started: no application directory is set")
	}
	rest := strings.TrimPrefix(name, strings.TrimSuffix(directory, "/")+"/")
	if rest == "" || strings.ContainsAny(rest, "/\\\x00") || rest[0] == '.' {
		return "", fault.Newf(op, fault.Denied, "%q is not a program of the application directory", name)
	}
	path := filepath.Join(directory, rest)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fault.Newf(op, fault.NotFound, "there is no program %q in the application directory", rest)
	case err != nil:
		return "", fault.Wrap(op, fault.Denied, err)
	case !info.Mode().IsRegular():
		return "", fault.Newf(op, fault.Denied, "%q is not a program", rest)
	case info.Mode()&0o002 != 0:
		return "", fault.Newf(op, fault.Denied, "%q is not started, as everybody can write to it: chmod o-w %s", rest, path)
	}
	return path, nil
}

// messageFile writes the message to a file that the program can read, and returns its name.
func (p *Program) messageFile(text io.Reader) (name string, err error) {
	f, err := os.CreateTemp("", "gatepost-*.msg")
	if err != nil {
		return "", fault.Wrap("program.Run", fault.Internal, err)
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			os.Remove(f.Name())
			err = fault.Wrap("program.Run", fault.Internal, err)
		}
	}()
	if _, err := io.Copy(f, text); err != nil {
		return "", err
	}
	if u := p.Sandbox.User; u != nil {
		if err := f.Chown(int(u.UID), int(u.GID)); err != nil {
			return "", err
		}
	}
	return f.Name(), nil
}
