package program

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func (p *Program) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if p.Sandbox != nil && p.Sandbox.User != nil {
		u := p.Sandbox.User
		a.Credential = &syscall.Credential{Uid: u.UID, Gid: u.GID}
	}
	return a
}

// start starts the process.
func (p *Program) start(cmd *exec.Cmd) (err error) {
	if p.Sandbox == nil {
		return p.startHere(cmd)
	}
	onLastThread(func() {
		if err = p.Sandbox.enter(); err == nil {
			err = p.startHere(cmd)
		}
	})
	return err
}

// onLastThread calls f on a thread that ends afterwards, and that is not the first of the process: that one does
// not end, and others see the process by its rights.
func onLastThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		onLastThread(f) // which gets another thread, as this one is locked
		runtime.UnlockOSThread()
	}()
	<-done
}

func (p *Program) startHere(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return p.explainStart(err)
	}
	err := p.becomeUser()
	if err == nil {
		err = p.Limits.put(cmd.Process.Pid)
	}
	if in, ok := cmd.Stdin.(*input); ok {
		close(in.ready)
	}
	if err != nil {
		kill(cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
		return p.explainLimits(err)
	}
	return nil
}

// becomeUser gives the calling thread, which ends soon, the real user of the program: prlimit(2) asks for
// that, or for a right that services seldom have (CAP_SYS_RESOURCE).
func (p *Program) becomeUser() error {
	if p.Sandbox == nil || p.Sandbox.User == nil {
		return nil
	}
	const same = ^uintptr(0)
	u := p.Sandbox.User
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(u.GID), same, same); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(u.UID), same, same); errno != 0 {
		return errno
	}
	return nil
}

// put sets the limits of a process.
func (l Limits) put(pid int) error {
	set := func(what int, n uint64) error {
		if n == 0 {
			return nil
		}
		var now unix.Rlimit
		if err := unix.Prlimit(pid, what, nil, &now); err != nil {
			return err
		}
		n = min(n, now.Max)
		return unix.Prlimit(pid, what, &unix.Rlimit{Cur: n, Max: n}, nil)
	}
	for _, limit := range []struct {
		what int
		n    uint64
	}{
		{unix.RLIMIT_AS, uint64(max(l.Memory, 0))},
		{unix.RLIMIT_FSIZE, uint64(max(l.FileSize, 0))},
		{unix.RLIMIT_CPU, uint64(max(l.CPU, 0) / time.Second)},
		{unix.RLIMIT_NOFILE, uint64(max(l.Files, 0))},
		{unix.RLIMIT_NPROC, uint64(max(l.Processes, 0))},
	} {
		if err := set(limit.what, limit.n); err != nil && err != unix.ESRCH {
			return err
		}
	}
	none := &unix.Rlimit{} // a core file would hold mail
	if err := unix.Prlimit(pid, unix.RLIMIT_CORE, none, nil); err != nil && err != unix.ESRCH {
		return err
	}
	return nil
}

// kill sends a signal to the process group of a program. Its leader has not been waited for, so that
// the number belongs to nobody else.
func kill(pid int, sig syscall.Signal) { _ = syscall.Kill(-pid, sig) } // it may have ended

// ended waits until the process has ended, and leaves it to be waited for.
func ended(pid int) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
			if err != unix.EINTR {
				return
			}
		}
	}()
	return done
}

// finish ends a process group: SIGTERM, SIGKILL, and what is left of it when its leader has ended.
// The leader is a zombie afterwards.
func finish(pid int, done <-chan struct{}, grace time.Duration) {
	select {
	case <-done:
	default:
		kill(pid, syscall.SIGTERM)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			kill(pid, syscall.SIGKILL)
			<-done
		}
	}
	kill(pid, syscall.SIGKILL)
}
