package program

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gatepost/server/fault"
)

// FromSandbox reports whether the client of a Unix socket is a program in the sandbox: landlock hides files and
// directories, and lets a program connect to sockets that it cannot see. A program in the sandbox is in the control
// group of the server (cgroups(7)), as all that the server starts, and has more taken away than the server. An error
// says that nobody can tell: the client has ended, most likely.
func FromSandbox(c *net.UnixConn) (bool, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return false, err
	}
	if credErr != nil {
		return false, credErr
	}
	// Other users can open the socket if they are root. Of another namespace of processes the server has started none.
	if int(cred.Uid) != os.Geteuid() || cred.Pid == 0 {
		return false, nil
	}
	return bounded(int(cred.Pid))
}

func bounded(pid int) (bool, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	its, err := os.ReadFile(dir + "/cgroup")
	if err != nil {
		return false, err
	}
	ours, err := os.ReadFile("/proc/self/cgroup")
	if err != nil || !bytes.Equal(its, ours) {
		return false, err
	}
	theirs, err := restrictions(dir + "/status")
	if err != nil {
		return false, err
	}
	own, err := restrictions("/proc/self/status")
	return theirs[0] > own[0] || theirs[1] > own[1], err
}

// restrictions are NoNewPrivs and the number of system call filters of a process (proc_pid_status(5)).
func restrictions(file string) (r [2]int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		i := 0
		switch name {
		case "NoNewPrivs":
		case "Seccomp_filters": // Linux 5.9
			i = 1
		default:
			continue
		}
		if r[i], err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
			return r, fault.Wrap("program.FromSandbox", fault.Internal, fmt.Errorf("%s: %w", file, err))
		}
	}
	return r, nil
}
