package logs

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// SyslogOptions say where records go besides the files.
type SyslogOptions struct {
	// Server is an IP address, with a port unless it is 514, or the path of a socket such as /dev/log.
	Server string
	// Source is the address that datagrams come from; empty for any.
	Source string
	// Level is that of the last records that are sent, see Number.
	Level int
	// Facility is the number of a facility (RFC 5424 section 6.2.1).
	Facility int
}

// Facilities are the names of the facilities, at their numbers.
var Facilities = strings.Fields("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock local0 local1 local2 local3 local4 local5 local6 local7")

// severities are those of the levels (RFC 5424 section 6.2.1): critical, error, notice, warning, informational, debug.
var severities = [...]int{2, 3, 5, 4, 6, 7}

const (
	syslogPort     = 514
	syslogWaiting  = 1000    // lines
	syslogLongest  = 8 << 10 // bytes of a record; the rest is left out
	syslogPatience = time.Second
	syslogAgain    = 10 * time.Second
)

// target is where datagrams go to.
func (o *SyslogOptions) target() (network, addr string, err error) {
	if strings.HasPrefix(o.Server, "/") {
		return "unixgram", o.Server, nil
	}
	if ip, err := netip.ParseAddr(o.Server); err == nil {
		return "udp", netip.AddrPortFrom(ip, syslogPort).String(), nil
	}
	ap, err := netip.ParseAddrPort(o.Server)
	if err != nil || ap.Port() == 0 {
		return "", "", fmt.Errorf("%q is neither an IP address, with a port if it is not 514, nor a path", o.Server)
	}
	return "udp", ap.String(), nil
}

// Validate looks at the addresses. Nil is valid.
func (o *SyslogOptions) Validate() error {
	if o == nil {
		return nil
	}
	if _, _, err := o.target(); err != nil {
		return err
	}
	if o.Source != "" {
		if _, err := netip.ParseAddr(o.Source); err != nil {
			return fmt.Errorf("%q is not an IP address", o.Source)
		}
	}
	return nil
}

// Syslog gives each line to a sink, and sends it to a log server too, as syslog messages (RFC 5424) in datagrams (RFC 5426). Nothing waits for
// the server: lines are left out when too many wait, and how many is told by a record of their own.
type Syslog struct {
	next Sink
	opts func() *SyslogOptions
	host string
	head string // behind the time: host, program, process

	waiting chan []byte
	lost    atomic.Int64
	closing chan struct{}
	work    sync.WaitGroup
}

// NewSyslog returns the sink. opts is asked at each line; nil is for no log server. Close ends the sink: lines that come later go to the next one.
func NewSyslog(next Sink, opts func() *SyslogOptions) *Syslog {
	host, err := os.Hostname()
	if err != nil || host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		host = "-"
	}
	s := &Syslog{next: next, opts: opts, host: host, head: " " + host + " gatepost " + strconv.Itoa(os.Getpid()) + " ",
		waiting: make(chan []byte, syslogWaiting), closing: make(chan struct{})}
	s.work.Go(s.run)
	return s
}

// Line implements Sink.
func (s *Syslog) Line(line []byte, urgent bool) {
	s.next.Line(line, urgent)
	o := s.opts()
	if o == nil {
		return
	}
	level, text := ofLine(line)
	if level > o.Level {
		return
	}
	select {
	case s.waiting <- s.message(o, level, text):
	default:
		s.lost.Add(1)
	}
}

// Close sends what waits, and ends.
func (s *Syslog) Close() {
	close(s.closing)
	s.work.Wait()
}

// ofLine returns the level of a line of this package, and what follows it.
func ofLine(line []byte) (level int, text []byte) {
	_, rest, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if len(rest) < 2 || rest[0] < '0' || rest[0] > '5' || rest[1] != ' ' {
		return 0, rest
	}
	return int(rest[0] - '0'), rest[2:]
}

// message is a syslog message: the tag of a record is its MSGID.
func (s *Syslog) message(o *SyslogOptions, level int, text []byte) []byte {
	tag, _, _ := bytes.Cut(text, []byte(" "))
	if i := bytes.IndexAny(tag, "-("); i >= 0 {
		tag = tag[:i]
	}
	if len(tag) == 0 || len(tag) > 32 {
		tag = []byte("-")
	}
	if len(text) > syslogLongest {
		text = text[:syslogLongest]
	}
	b := make([]byte, 0, len(text)+len(s.head)+60)
	b = strconv.AppendInt(append(b, '<'), int64(o.Facility*8+severities[level]), 10)
	b = time.Now().AppendFormat(append(b, ">1 "...), "2006-01-02T15:04:05.000000Z07:00")
	b = append(append(append(b, s.head...), tag...), " - "...)
	return append(b, text...)
}

// run sends what waits.
func (s *Syslog) run() {
	var conn net.Conn
	var to SyslogOptions
	var notBefore time.Time
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	send := func(message []byte) {
		o := s.opts()
		if o == nil {
			return // there is none any more
		}
		if o.Server != to.Server || o.Source != to.Source {
			if conn != nil {
				conn.Close()
			}
			conn, to, notBefore = nil, *o, time.Time{}
		}
		if conn == nil && !time.Now().Before(notBefore) {
			var err error
			if conn, err = dialSyslog(o); err != nil {
				conn, notBefore = nil, time.Now().Add(syslogAgain)
				s.tell("the log server cannot be reached: " + err.Error())
			}
		}
		if conn == nil {
			s.lost.Add(1)
			return
		}
		if n := s.lost.Swap(0); n > 0 {
			text := fmt.Sprintf("SYSTEM %d records are left out here: too many waited, or the log server could not be reached", n)
			_, _ = conn.Write(s.message(o, Number(LevelProblem), []byte(text))) // as any other
		}
		// A log server on this machine that does not read would keep the writer waiting.
		err := conn.SetWriteDeadline(time.Now().Add(syslogPatience))
		if err == nil {
			_, err = conn.Write(message)
		}
		if err != nil && strings.HasPrefix(o.Server, "/") {
			conn.Close() // a log server that was started anew has another socket
			conn = nil
			s.lost.Add(1)
		}
	}
	for {
		select {
		case m := <-s.waiting:
			send(m)
		case <-s.closing:
			for {
				select {
				case m := <-s.waiting:
					send(m)
				default:
					return
				}
			}
		}
	}
}

// tell puts a record of a problem into the files alone.
func (s *Syslog) tell(text string) {
	s.next.Line(fmt.Appendf(nil, "%s %d SYSTEM %s\n", time.Now().Format("15:04:05.000"), Number(LevelProblem), appendClean(nil, text)), false)
}

func dialSyslog(o *SyslogOptions) (net.Conn, error) {
	network, addr, err := o.target()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: time.Second}
	if network == "udp" && o.Source != "" {
		ip, err := netip.ParseAddr(o.Source)
		if err != nil {
			return nil, err
		}
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
	}
	return d.Dial(network, addr)
}
