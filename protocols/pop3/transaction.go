package pop3

import (
	"strconv"

	"gatepost/server/fault"
)

// stat is STAT: the number of messages and their size.
func (s *session) stat([]string) error {
	s.say("+OK " + strconv.Itoa(s.drop.left) + " " + strconv.FormatInt(s.drop.octets, 10))
	return nil
}

// list is LIST: the size of one message, or of all.
func (s *session) list(args []string) error {
	return s.scanListing(args, func(b []byte, n int) []byte {
		return strconv.AppendInt(b, s.drop.size(n), 10)
	})
}

// uidl is UIDL: the unique-id of one message, or of all.
func (s *session) uidl(args []string) error {
	return s.scanListing(args, s.drop.appendUID)
}

// scanListing answers "number value" for one message or for all that are not marked as deleted.
func (s *session) scanListing(args []string, what func(b []byte, n int) []byte) error {
	d := s.drop
	var b []byte
	line := func(n int) []byte {
		b = strconv.AppendInt(b[:0], int64(n), 10)
		b = append(b, ' ')
		return what(b, n)
	}
	if len(args) == 1 {
		n, err := d.number(args[0])
		if err != nil {
			return err
		}
		s.say("+OK " + string(line(n)))
		return nil
	}
	s.say("+OK " + strconv.Itoa(d.left) + " messages")
	for n := 1; n <= len(d.uids); n++ {
		if !d.deleted[n] {
			s.out.Write(append(line(n), '\r', '\n'))
		}
	}
	s.say(".")
	return nil
}

// dele is DELE: it marks a message as deleted. QUIT expunges it.
func (s *session) dele(args []string) error {
	n, err := s.message(args)
	if err != nil {
		return err
	}
	s.drop.mark(n)
	s.say("+OK message " + strconv.Itoa(n) + " deleted")
	return nil
}

// rset is RSET: it unmarks all.
func (s *session) rset([]string) error {
	s.drop.reset()
	return s.stat(nil)
}

// lastAccessed is LAST (RFC 1460), the highest message number that was accessed. RFC 1939 dropped it, and old
// clients still send it.
func (s *session) lastAccessed([]string) error {
	s.say("+OK " + strconv.Itoa(s.drop.last))
	return nil
}

// message parses the message number in the arguments.
func (s *session) message(args []string) (int, error) {
	if len(args) == 0 {
		return 0, fault.New("pop3", fault.Invalid, "a message number is expected")
	}
	return s.drop.number(args[0])
}

// quit is QUIT, which expunges the messages that are marked as deleted.
func (s *session) quit([]string) error {
	s.endReason = errQuit
	if s.drop == nil {
		s.say("+OK goodbye")
		return nil
	}
	if err := s.expunge(); err != nil {
		return err
	}
	s.say("+OK goodbye, " + strconv.Itoa(s.drop.expunged) + " messages removed")
	return nil
}
