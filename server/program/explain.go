package program

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"gatepost/server/fault"
)

// What keeps a program from starting is often not the program: the unit file, a mount option, a
// missing interpreter. These functions look for it and name the remedy.

func itoa(n int) string { return strconv.Itoa(n) }

func startError(kind fault.Kind, cause error, format string, args ...any) error {
	return &fault.Error{Op: "program.Start", Kind: kind, Text: fmt.Sprintf(format, args...), Err: cause}
}

// explainStart makes an error of exec one that says what helps.
func (p *Program) explainStart(err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return p.explainMissing(err)
	case errors.Is(err, syscall.EACCES):
		return p.explainAccess(err)
	case errors.Is(err, syscall.EPERM):
		if p.Sandbox != nil && p.Sandbox.User != nil {
			return startError(fault.Denied, err, "%s cannot run as the user %s: the server has no right to change the user; start it as root, or name no user", p.Path, p.Sandbox.User.Name)
		}
		return startError(fault.Denied, err, "%s may not be started: %s", p.Path, unitOr("the unit of the service forbids it (SystemCallFilter, NoExecPaths)", "the system forbids it"))
	case errors.Is(err, syscall.ENOEXEC):
		return startError(fault.Denied, err, "%s is neither a binary of this machine nor does its first line name an interpreter (#!/usr/bin/perl)", p.Path)
	case errors.Is(err, syscall.EAGAIN):
		return startError(fault.Busy, err, "%s cannot be started: there are too many processes; raise %s", p.Path, unitOr("TasksMax or LimitNPROC of the unit", "the limit of processes (ulimit -u)"))
	case errors.Is(err, syscall.ENOMEM):
		return startError(fault.Busy, err, "%s cannot be started: there is not enough memory", p.Path)
	case errors.Is(err, syscall.E2BIG):
		return startError(fault.Invalid, err, "%s cannot be started: its arguments are too long", p.Path)
	}
	return startError(fault.KindOf(err), err, "%s cannot be started: %s", p.Path, cause(err))
}

func (p *Program) explainMissing(err error) error {
	if info, e := os.Stat(p.Dir); p.Dir != "" && (e != nil || !info.IsDir()) {
		return startError(fault.NotFound, err, "%s cannot be started: there is no working directory %s", p.Path, p.Dir)
	}
	info, e := os.Stat(p.Path)
	switch {
	case e != nil && hiddenHome(p.Path):
		return startError(fault.NotFound, err, "%s is not there for the service: the unit hides home directories (ProtectHome); put the program elsewhere, such as /usr/local/lib", p.Path)
	case e != nil:
		return startError(fault.NotFound, err, "there is no program %s", p.Path)
	case info.IsDir():
		return startError(fault.NotFound, err, "%s is a directory, and no program", p.Path)
	}
	if i := interpreter(p.Path); i != "" {
		return startError(fault.NotFound, err, "%s cannot be started: its interpreter %q is missing; install it, or correct the first line of the file", p.Path, i)
	}
	return startError(fault.NotFound, err, "%s cannot be started: a library that it needs is missing (ldd shows which)", p.Path)
}

func (p *Program) explainAccess(err error) error {
	info, e := os.Stat(p.Path)
	switch {
	case errors.Is(e, fs.ErrPermission) && hiddenHome(p.Path):
		return startError(fault.Denied, err, "%s is not there for the service: the unit hides home directories (ProtectHome); put the program elsewhere, such as /usr/local/lib", p.Path)
	case errors.Is(e, fs.ErrPermission):
		return startError(fault.Denied, err, "%s cannot be reached: the server's user may not enter a directory above it", p.Path)
	case e == nil && info.IsDir():
		return startError(fault.Denied, err, "%s is a directory, and no program", p.Path)
	case e == nil && info.Mode()&0o111 == 0:
		return startError(fault.Denied, err, "%s is not executable: chmod +x %s", p.Path, p.Path)
	}
	var st unix.Statfs_t
	if unix.Statfs(p.Path, &st) == nil && st.Flags&unix.ST_NOEXEC != 0 {
		return startError(fault.Denied, err, "%s lies on a file system that is mounted noexec; %s", p.Path, unitOr("put it elsewhere, or name its directory in ExecPaths of the unit", "put it elsewhere"))
	}
	who := "the server's user"
	if p.Sandbox != nil && p.Sandbox.User != nil {
		who = "the user " + p.Sandbox.User.Name
	}
	return startError(fault.Denied, err, "%s may not be started: %s needs the right to execute it and to enter its directories; if it has both, a security module forbids it (SELinux, AppArmor%s)", p.Path, who, unitOr(", or the unit of the service", ""))
}

func (p *Program) explainLimits(err error) error {
	return startError(fault.Denied, err, "%s was not started: its limits cannot be set: %s%s", p.Path, cause(err),
		unitOr("; the unit forbids the call prlimit (SystemCallFilter needs @resources)", ""))
}

func (p *Program) broken(err error) error {
	return fault.Wrap("program.Run", fault.Internal, fmt.Errorf("%s: %w", p.Path, err))
}

// explainSignal says what a signal means for a program that was not stopped by the server.
func explainSignal(sig syscall.Signal) string {
	text := "the program was ended by the signal " + unix.SignalName(sig)
	switch sig {
	case syscall.SIGSYS:
		text += ": it made a system call that is forbidden" + unitOr(" (SystemCallFilter of the unit)", "")
	case syscall.SIGXCPU:
		text += ": it has used more processor time than it may"
	case syscall.SIGXFSZ:
		text += ": it has written a larger file than it may"
	case syscall.SIGKILL:
		text += ": somebody has killed it, or there was not enough memory"
	case syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGTRAP:
		text += ": it has crashed, by a bug, or as it got no more memory" + unitOr(" or may not generate code (MemoryDenyWriteExecute of the unit)", "")
	}
	return text
}

// hiddenHome reports whether the unit of the service may hide a path.
func hiddenHome(path string) bool {
	if !underUnit() {
		return false
	}
	for _, dir := range []string{"/home/", "/root/", "/run/user/"} {
		if strings.HasPrefix(path, dir) {
			return true
		}
	}
	return false
}

// underUnit reports whether a service manager runs the server: it names each run.
func underUnit() bool { return os.Getenv("INVOCATION_ID") != "" }

func unitOr(unit, other string) string {
	if underUnit() {
		return unit
	}
	return other
}

// interpreter is the program that the first line of a script names, or "".
func interpreter(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReaderSize(f, 256).ReadSlice('\n') // a longer one is cut by the system too
	rest, ok := strings.CutPrefix(string(line), "#!")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if filepath.Base(name) == "env" {
		return strings.TrimRight(strings.TrimSpace(rest), "\r")
	}
	if strings.HasSuffix(strings.TrimRight(rest, "\n"), "\r") {
		return name + `\r`
	}
	return name
}

// cause is an error without the operation and the path, which the text has.
func cause(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}
