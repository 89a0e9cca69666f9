package imap

import (
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts/access"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// METADATA (RFC 5464): texts that clients keep with a mailbox, or with the whole account. An entry below /private is the user's own, one
// below /shared is seen by all who read the mailbox and set by those who may change flags in it. The account has private entries
// alone.

const (
	privateEntries = "/private/"
	sharedEntries  = "/shared/"
	// maxMetadata is the size of the largest value.
	maxMetadata = 64 << 10
	maxEntries  = 100
)

// metadataOf is a mailbox, or the account, whose entries are asked for.
type metadataOf struct {
	s       *session
	m       access.Mailbox
	name    string // as the client has named it
	account bool
}

func (s *session) metadataOf(name string) (o metadataOf, err error) {
	o = metadataOf{s: s, name: name, account: name == ""}
	if o.account {
		o.m.Owner, err = s.srv.access.Owner(s.ctx, s.account, "")
		return o, err
	}
	o.m, err = s.find(name, access.Read)
	return o, err
}

// user returns whose an entry is.
func (o *metadataOf) user(entry string) uint64 {
	if strings.HasPrefix(entry, sharedEntries) {
		return 0
	}
	return o.s.account.ID
}

// all returns the entries that have values.
func (o *metadataOf) all() (map[string]string, error) {
	values := map[string]string{}
	for _, user := range [...]uint64{0, o.s.account.ID} {
		list, err := o.m.Mail().Properties(o.s.ctx, o.m.Name, user)
		if err != nil {
			return nil, err
		}
		for name, value := range list {
			if (user == 0) == strings.HasPrefix(name, sharedEntries) && strings.HasPrefix(name, "/") {
				values[name] = value
			}
		}
	}
	return values, nil
}

// metadataEntry reads the name of an entry. Their case does not matter.
func metadataEntry(p *wire.Parser) string {
	entry := strings.ToLower(string(p.AString()))
	bad := !strings.HasPrefix(entry, privateEntries) && !strings.HasPrefix(entry, sharedEntries) ||
		strings.HasSuffix(entry, "/") || strings.Contains(entry, "//") || len(entry) > 400
	for _, c := range []byte(entry) {
		bad = bad || c <= ' ' || c >= 0x7f || c == '*' || c == '%'
	}
	if bad {
		p.Fail("the name of an entry begins with /private/ or /shared/, and has no wildcards")
	}
	return entry
}

// metadataEntries reads one entry, or a list of them.
func metadataEntries(p *wire.Parser) (entries []string) {
	if p.Peek() != '(' {
		return []string{metadataEntry(p)}
	}
	p.List(func() {
		if entries = append(entries, metadataEntry(p)); len(entries) > maxEntries {
			p.Limit("more than %d entries", maxEntries)
		}
	})
	if len(entries) == 0 {
		p.Fail("an entry expected")
	}
	return entries
}

// metadataOptions are the options of GETMETADATA.
type metadataOptions struct {
	maxSize int64 // -1 without a limit
	depth   int   // of entries below the named ones; -1 for all of them
}

func parseMetadataOptions(p *wire.Parser) metadataOptions {
	o := metadataOptions{maxSize: -1}
	p.List(func() {
		switch name := p.Keyword(); string(name) {
		case "MAXSIZE":
			p.Space()
			o.maxSize = p.Number64()
		case "DEPTH":
			p.Space()
			switch depth := p.Keyword(); string(depth) {
			case "0":
				o.depth = 0
			case "1":
				o.depth = 1
			case "INFINITY":
				o.depth = -1
			default:
				p.Fail("DEPTH is 0, 1 or infinity")
			}
		default:
			p.Fail("unknown option %s", name)
		}
	})
	return o
}

// getMetadata is GETMETADATA. An entry that was asked for by its name and has no value is NIL.
func getMetadata(s *session, c *call, p *wire.Parser) error {
	p.Space()
	options := metadataOptions{maxSize: -1}
	if p.Peek() == '(' {
		options = parseMetadataOptions(p)
		p.Space()
	}
	name, bad := s.mailboxName(p)
	p.Space()
	entries := metadataEntries(p)
	if err := p.End(); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	o, err := s.metadataOf(name)
	if err != nil {
		return err
	}
	values, err := o.all()
	if err != nil {
		return err
	}
	longest := s.putMetadata(name, wanted(values, entries, options.depth), values, options.maxSize)
	if longest > 0 {
		c.code = "METADATA LONGENTRIES " + strconv.Itoa(longest)
	}
	return nil
}

// wanted returns the names of the entries that were asked for, sorted.
func wanted(values map[string]string, entries []string, depth int) []string {
	names := slices.Clone(entries)
	if depth != 0 {
		for name := range values {
			for _, entry := range entries {
				below, ok := strings.CutPrefix(name, entry+"/")
				if ok && (depth < 0 || !strings.Contains(below, "/")) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// putMetadata writes a METADATA response. Values above a size, if that is not negative, are left out, and the size of the longest one is
// returned.
func (s *session) putMetadata(mailbox string, names []string, values map[string]string, maxSize int64) (longest int) {
	begun := false
	for _, name := range names {
		value, ok := values[name]
		if maxSize >= 0 && int64(len(value)) > maxSize {
			longest = max(longest, len(value))
			continue
		}
		if !begun {
			s.out.Raw("* METADATA ")
			s.putName(mailbox)
			s.out.Raw(" (")
			begun = true
		} else {
			s.out.Byte(' ')
		}
		s.out.Raw(name).Byte(' ')
		switch {
		case !ok:
			s.out.Raw("NIL")
		case strings.IndexByte(value, 0) >= 0:
			s.out.Byte('~').Set(append(wire.AppendLiteral(s.out.Buf(), int64(len(value))), value...))
		default:
			s.out.Set(wire.AppendString(s.out.Buf(), value, s.rev2 || s.utf8))
		}
	}
	if begun {
		s.out.Byte(')').CRLF()
	}
	return longest
}

// setMetadata is SETMETADATA: all of it or nothing for each of private and shared entries.
func setMetadata(s *session, c *call, p *wire.Parser) error {
	p.Space()
	name, bad := s.mailboxName(p)
	p.Space()
	change := map[string]*string{}
	p.List(func() {
		entry := metadataEntry(p)
		p.Space()
		change[entry] = nil
		if c := p.Peek(); c == '"' || c == '{' || c == '~' {
			value := string(p.String())
			change[entry] = &value
		} else {
			p.Nil()
		}
		if len(change) > maxEntries {
			p.Limit("more than %d entries", maxEntries)
		}
	})
	if err := p.End(); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	o, err := s.metadataOf(name)
	if err != nil {
		return err
	}
	byUser := map[uint64]map[string]*string{}
	for entry, value := range change {
		if value != nil && len(*value) > maxMetadata {
			return &coded{"METADATA MAXSIZE " + strconv.Itoa(maxMetadata), no(fault.TooLarge, "A value has %d bytes at most", maxMetadata)}
		}
		if strings.HasPrefix(entry, sharedEntries) {
			if o.account {
				return no(fault.Denied, "An account has private entries only")
			}
			if err := o.m.Require(access.Write); err != nil {
				return err
			}
		}
		user := o.user(entry)
		if byUser[user] == nil {
			byUser[user] = map[string]*string{}
		}
		byUser[user][entry] = value
	}
	for user, change := range byUser {
		if err := o.m.Mail().SetProperties(s.ctx, o.m.Name, user, change); err != nil {
			return withCode(err, fault.TooMany, "METADATA TOOMANY")
		}
	}
	return nil
}

// putMetadata writes the entries that LIST ... RETURN (METADATA ...) asks for (RFC 9590). A mailbox that the user may not read has none.
func (l *listing) putMetadata(n *listed) error {
	o, err := l.metadataOf(n.Name)
	if err != nil {
		return nil // it has gone since
	}
	values, err := o.all()
	if err != nil {
		return err
	}
	l.session.putMetadata(n.Name, wanted(values, l.listArgs.metadata, 0), values, -1)
	return nil
}
