package listen

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// PeerState asks the system, without waiting, what it knows of the other end of a connection: whether
// that has shut down its sending side, and whether the connection is broken. A client that has
// closed its connection, or was killed, is first seen as one that has shut down its sending side. What it is
// sent then comes back as a reset, and the connection is broken: so those who want to know write
// first. Other connections than TCP tell nothing.
func PeerState(c net.Conn) (shut, gone bool) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false, false
	}
	fds := [1]unix.PollFd{{Events: unix.POLLRDHUP}}
	err = raw.Control(func(fd uintptr) {
		fds[0].Fd = int32(fd)
		if _, err := unix.Poll(fds[:], 0); err != nil {
			fds[0].Revents = 0 // a signal came; the next time will do
		}
	})
	got := fds[0].Revents
	return got&unix.POLLRDHUP != 0, err != nil || got&(unix.POLLERR|unix.POLLHUP) != 0
}
