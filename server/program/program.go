// Package program runs other programs as child processes of the server: filters and other helpers, the
// programs of PIPE, and those that rules execute.
//
// No shell is involved. A program is an absolute path with arguments (commandline.Split splits what
// an administrator writes). It gets a fixed environment, a working directory, and a process group of
// its own, which ends with it: what it has left running in the background is killed, unless it has left
// the group (setsid(2)); then the limits alone bound it. It has no
// descriptor of the server.
//
//	Run     starts a program, gives it an input, and returns its exit and its output
//	Talk    starts a program that is spoken to by lines for as long as it lives
//
// # Limits
//
// Limits are resource limits of the system (getrlimit(2)). They are set once the program has started,
// before it gets any input. Run has a time limit in its context: the program gets SIGTERM, two
// seconds later SIGKILL. Of what a program writes, a bounded part is kept, the rest is read and dropped.
//
// # The sandbox
//
// A Sandbox is for programs that users can reach. Such a program
//   - runs as another user if the server is root,
//   - cannot gain rights by set-uid programs (no_new_privs),
//   - does not see hidden directories, such as the base directory (landlock, Linux 5.13),
//   - has no network but Unix sockets (seccomp).
//
// What the system cannot do of it is an error, and the program is not started: see Sandbox.
// These are set in the thread that starts the program, which then ends.
//
// # Errors
//
// Errors of a start say what forbids it and what helps: a missing interpreter, a file system mounted
// noexec, ProtectHome of the unit file. Their kind is fault.NotFound for a program that is not there,
// fault.Denied for one that may not be started, fault.Busy for want of processes or memory.
package program

import (
	"os"
	"os/exec"
	"time"

	"gatepost/server/fault"
)

// Program is what to start.
type Program struct {
	// Path is absolute; Args follow the name.
	Path string
	Args []string
	// Dir is the working directory.
	Dir string
	// Env is added to the fixed environment: KEY=value.
	Env []string
	// Limits bound what the program takes; 0 values do not.
	Limits Limits
	// Sandbox, if not nil, bounds what it can reach.
	Sandbox *Sandbox
}

// Limits are resource limits of a process; those of its children are the same.
type Limits struct {
	Memory   int64         // address space, bytes (RLIMIT_AS)
	FileSize int64         // largest file, bytes (RLIMIT_FSIZE)
	CPU      time.Duration // processor time, whole seconds (RLIMIT_CPU)
	Files    int           // open files (RLIMIT_NOFILE)
	// Processes are all processes and threads of the program's user (RLIMIT_NPROC), whoever started them. It is for
	// programs with a user of their own: those of the server's user would share the bound with the server.
	Processes int
}

// path is where programs look for others.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what every program gets. The server's own environment can hold secrets.
func (p *Program) environment() []string {
	env := []string{path, "LANG=C.UTF-8", "HOME=" + p.Dir}
	if tz := os.Getenv("TZ"); tz != "" {
		env = append(env, "TZ="+tz)
	}
	return append(env, p.Env...)
}

// command prepares the process.
func (p *Program) command() (*exec.Cmd, error) {
	if p.Path == "" || p.Path[0] != '/' {
		return nil, fault.Newf("program.Start", fault.Invalid, "%q is not an absolute path of a program", p.Path)
	}
	return &exec.Cmd{
		Path: p.Path, Args: append([]string{p.Path}, p.Args...), Dir: p.Dir, Env: p.environment(),
		SysProcAttr: p.attributes(), WaitDelay: abandonAfter,
	}, nil
}

const (
	// killAfter is how long a program has to end after SIGTERM.
	killAfter = 2 * time.Second
	// abandonAfter is how long the output of a program is read on that has ended: another process,
	// outside of its group, may hold it open.
	abandonAfter = 2 * time.Second
)
