package mailbox

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"gatepost/server/fault"
)

// The limits of mailbox names, in bytes of UTF-8.
const (
	maxName  = 1000
	maxLevel = 255
	maxDepth = 32
)

// inbox is the name of the mailbox that every account has, and inboxID its
// number.
const (
	inbox   = "INBOX"
	inboxID = 1
)

// CleanName returns the name of a mailbox of the own account as it is kept; "" and Invalid
// if no mailbox can have it.
func CleanName(name string) (string, error) { return cleanName(name) }

// cleanName checks a mailbox name and returns it as it is kept: without "~/",
// which names the own account, and with INBOX in upper case.
func cleanName(name string) (string, error) {
	const op = "mailbox.name"
	name = strings.TrimPrefix(name, "~/")
	switch {
	case name == "":
		return "", fault.New(op, fault.Invalid, "a mailbox name cannot be empty")
	case len(name) > maxName:
		return "", fault.Newf(op, fault.Invalid, "a mailbox name has at most %d bytes", maxName)
	case !utf8.ValidString(name):
		return "", fault.New(op, fault.Invalid, "a mailbox name is UTF-8")
	case name[0] == '~' || name[0] == '#':
		return "", fault.Newf(op, fault.Invalid, "a mailbox name cannot begin with %c", name[0])
	case strings.ContainsAny(name, "*%"):
		return "", fault.New(op, fault.Invalid, "a mailbox name cannot contain * or %")
	case strings.ContainsFunc(name, unprintable):
		return "", fault.New(op, fault.Invalid, "a mailbox name cannot contain control characters")
	}
	levels := strings.Split(name, "/")
	if len(levels) > maxDepth {
		return "", fault.Newf(op, fault.Invalid, "mailboxes nest at most %d deep", maxDepth)
	}
	for _, l := range levels {
		switch {
		case l == "" || l == "." || l == "..":
			return "", fault.Newf(op, fault.Invalid, "a level of a mailbox name cannot be %q", l)
		case len(l) > maxLevel:
			return "", fault.Newf(op, fault.Invalid, "a level of a mailbox name has at most %d bytes", maxLevel)
		}
	}
	// RFC 9051 section 5.1: INBOX in any case is the same. What is nested in it follows.
	if strings.EqualFold(levels[0], inbox) {
		name = inbox + name[len(inbox):]
	}
	return name, nil
}

// unprintable is true of control characters and of the line and paragraph
// separators (RFC 5198 section 2, RFC 9051 section 5.1).
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

// newName checks the name of a mailbox to be created. A slash at the end asks
// for the directory alone. The suffixes that chose a storage format in
// CommuniGate Pro are dropped; lookUp finds the mailbox under that name too.
func newName(name string) (clean string, folder bool, err error) {
	if name, folder = strings.CutSuffix(name, "/"); !folder {
		name = withoutFormat(name)
	}
	clean, err = cleanName(name)
	return clean, folder, err
}

// withoutFormat drops the suffix of a storage format from a name.
func withoutFormat(name string) string {
	for _, suffix := range [...]string{".mbox", ".mdir", ".mslc", ".mb4"} {
		if rest, found := strings.CutSuffix(name, suffix); found && rest != "" && !strings.HasSuffix(rest, "/") {
			return rest
		}
	}
	return name
}

// parent returns the name of the directory that holds name, or "".
func parent(name string) string {
	return name[:max(0, strings.LastIndexByte(name, '/'))]
}
