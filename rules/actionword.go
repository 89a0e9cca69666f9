package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gatepost/router/address"
)

// action makes what the caller has to do.
type action interface{ do(r *Run) Action }

// todo is an action of a rule.
type todo struct {
	action
	word *actionWord
}

// actionWord is an opcode of actions.
type actionWord struct {
	kind    Kind
	name    string
	aliases []string
	levels  levels
	make    func(param string, level Level) (action, error)
	// later is what does not exist yet: until it does, the action does nothing.
	later string
	// takes says that the action takes a copy of the message elsewhere. When it is not done, the
	// rule ends there: a Discard after it would drop the only copy.
	takes bool
	// filter says that RulesAllowed = Filter Only allows the action.
	filter bool
	// logged is what Kind.Logged answers.
	logged bool
	help   string // what it does, for forms
}

func findKind(k Kind) *actionWord {
	for i := range actionWords {
		if actionWords[i].kind == k {
			return &actionWords[i]
		}
	}
	panic(fmt.Sprintf("rules: kind %d has no word", k))
}

// actionWords are all actions. A new one is a Kind and an Action (action.go), a line here, and a line in
// the package comment. If it has something to show, Describe shows it; if later conditions or copies
// see what it changes, Run.apply takes that over.
var actionWords = [...]actionWord{
	{kind: KindStoreIn, name: "Store in", help: "puts a copy into a mailbox: Junk, or ~account/Junk for that of another account; the message still goes to INBOX unless Discard follows",
		levels: atAllLevels, make: newStoreIn, takes: true, filter: true},
	{kind: KindMark, name: "Mark", help: "flags of the copies that are stored: Read, Flagged, Junk, and others, with commas",
		levels: atAllLevels, make: newMark, filter: true},
	{kind: KindAddHeader, name: "Add Header", help: "adds header fields, one a line, such as X-Checked: yes",
		levels: atAllLevels, make: newAddHeader, filter: true},
	{kind: KindTagSubject, name: "Tag Subject", help: "puts a text before the subject",
		levels: atAllLevels, make: newTagSubject, filter: true},
	{kind: KindReject, name: "Reject with", help: "refuses the message; the sender gets a report with this text",
		levels: atAllLevels, make: newReject, filter: true},
	{kind: KindDiscard, name: "Discard", help: "drops the message; the sender is told nothing",
		levels: atAllLevels, make: always(Discard{}), filter: true},
	{kind: KindStop, name: "Stop Processing", help: "no more rules are applied",
		levels: atAllLevels, make: always(Stop{}), filter: true},
	{kind: KindRemember, name: "Remember 'From' in", help: "puts the From address into an address book of the account",
		levels: atDelivery, make: newRemember, logged: true},
	{kind: KindAcceptRequest, name: "Accept Request", help: "puts an invitation into the calendar and answers it: yes when the time is free, else no",
		levels: atDelivery, make: newSchedule(KindAcceptRequest)},
	{kind: KindAcceptReply, name: "Accept Reply", help: "takes over an answer to an invitation, or a cancellation, also if Discard follows",
		levels: atDelivery, make: newSchedule(KindAcceptReply)},
	{kind: KindStoreEncrypted, name: "Store Encrypted in", help: "puts an encrypted copy into a mailbox",
		levels: atDelivery,
		later:  "encryption with the certificate of the account", takes: true},
	{kind: KindCopyAttachments, name: "Copy Attachments into", help: "saves the attachments as files in this directory of the file storage, such as private/inbox",
		levels: atDelivery, make: newCopyAttachments, takes: true},
	{kind: KindRedirect, name: "Redirect To", help: "sends the message on to these addresses, in the name of the account",
		levels: atAllLevels, make: newResend(KindRedirect), takes: true},
	{kind: KindForward, name: "Forward to", help: "sends a new message that holds this one to these addresses",
		levels: atAllLevels, make: newForward, takes: true},
	{kind: KindMirror, name: "Mirror to", help: "sends the message on to these addresses, as it is and with its own sender",
		levels: atAllLevels, make: newResend(KindMirror), takes: true},
	{kind: KindReply, name: "Reply with", help: "sends this text back; ^S is the subject, ^F the sender. A text that begins with + begins with header fields",
		levels: atAllLevels, make: newReply(KindReply)},
	{kind: KindReplyAll, name: "Reply to All with", help: "sends this text to the sender and all recipients",
		levels: atAllLevels, make: newReply(KindReplyAll)},
	{kind: KindReact, name: "React with", help: "sends a new message: a text that begins with + and the field To",
		levels: atAllLevels, make: newReply(KindReact)},
	{kind: KindSendIM, name: "SendIM", help: "sends an instant message",
		aliases: []string{"Send IM"}, levels: atAllLevels,
		later: "instant messaging", logged: true},
	{kind: KindSendPush, name: "SendPush", help: "sends a push notification",
		aliases: []string{"Send Push"}, levels: atDelivery,
		later: "push notification", logged: true},
	{kind: KindSendURL, name: "SendURL", help: "makes an HTTP request, such as http://host/path?subject=^S",
		aliases: []string{"Send URL", "Execute URL"}, levels: atAllLevels,
		make: newSendURL, logged: true},
	{kind: KindFingerNotify, name: "FingerNotify", help: "tells a host of new mail",
		levels: atDelivery, later: "a finger client", logged: true},
	{kind: KindExecute, name: "Execute", help: "runs a program: [FILE] [RETPATH] [RCPT] program arguments",
		levels: atAllLevels, make: newExecute},
	{kind: KindFilter, name: "ExternalFilter", help: "asks the filter of this name, such as a virus scanner; without this action a filter is never asked",
		levels: atServer, make: newFilter},
	{kind: KindWriteLog, name: "Write To Log", help: "writes this text to the log",
		levels: atAllLevels, make: newWriteLog, logged: true},
}

func findAction(name string) (*actionWord, bool) {
	for i := range actionWords {
		w := &actionWords[i]
		if strings.EqualFold(name, w.name) {
			return w, true
		}
		for _, alias := range w.aliases {
			if strings.EqualFold(name, alias) {
				return w, true
			}
		}
	}
	return nil, false
}

// newAction checks an action of a rule of a level.
func newAction(c *Clause, level Level) (action, *actionWord, error) {
	word, ok := findAction(c.Opcode)
	if !ok {
		return nil, nil, errors.New("there is no such action")
	}
	if !word.levels.has(level) {
		return nil, nil, fmt.Errorf("%s rules do not have this action", level)
	}
	if word.later != "" {
		return constant{Skipped{word.kind, "it does nothing until there is " + word.later}}, word, nil
	}
	param := c.Param
	if param == noValue {
		param = ""
	}
	a, err := word.make(param, level)
	return a, word, err
}

// constant is an action that does not depend on the message.
type constant struct{ Action }

func (c constant) do(*Run) Action { return c.Action }

func always(a Action) func(string, Level) (action, error) {
	return func(string, Level) (action, error) { return constant{a}, nil }
}

// storeIn adds the flags that rules have set.
type storeIn struct{ owner, mailbox string }

func newStoreIn(param string, level Level) (action, error) {
	owner, box := "", param
	if rest, ok := strings.CutPrefix(param, "~"); ok {
		if owner, box, ok = strings.Cut(rest, "/"); !ok {
			return nil, fmt.Errorf("%q names no mailbox: ~account/mailbox", param)
		}
	}
	switch {
	case box == "":
		return nil, errors.New("it names no mailbox")
	case owner == "" && level == Server:
		return nil, fmt.Errorf("a server rule names the account too: ~account/%s", box)
	}
	return &storeIn{owner, box}, nil
}

func newCopyAttachments(param string, _ Level) (action, error) {
	owner, dir := "", param
	if rest, ok := strings.CutPrefix(param, "~"); ok {
		owner, dir, _ = strings.Cut(rest, "/")
	}
	dir = strings.Trim(dir, "/")
	if dir == "" && owner == "" {
		return nil, errors.New("it names no directory")
	}
	for name := range strings.SplitSeq(dir, "/") {
		if name == "." || name == ".." || name == "" && dir != "" {
			return nil, fmt.Errorf("%q is not the path of a directory", dir)
		}
	}
	return constant{CopyAttachments{owner, dir}}, nil
}

func (a *storeIn) do(r *Run) Action { return StoreIn{a.owner, a.mailbox, r.flagList()} }

// flagNames are the words of Mark and the flags that they set, or clear with a minus.
var flagNames = map[string]string{
	"read": `\Seen`, "unread": `-\Seen`, "seen": `\Seen`, "unseen": `-\Seen`,
	"flagged": `\Flagged`, "unflagged": `-\Flagged`,
	"answered": `\Answered`, "unanswered": `-\Answered`,
	"deleted": `\Deleted`, "undeleted": `-\Deleted`,
	"draft": `\Draft`, "undraft": `-\Draft`,
	"redirected": "$Forwarded", "notredirected": "-$Forwarded",
	"mdnsent": "$MDNSent", "nomdnsent": "-$MDNSent",
	"junk": "$Junk", "notjunk": "-$Junk",
	"hidden": "$Hidden", "nothidden": "-$Hidden",
	"service": "$Service", "notservice": "-$Service",
	"media": "$Media", "nomedia": "-$Media",
}

var labelFlag = regexp.MustCompile(`^(?i:label)([0-9]{1,3})$`)

func newMark(param string, _ Level) (action, error) {
	var m Mark
	for _, word := range items(param) {
		flag, ok := flagNames[strings.ToLower(word)]
		if n := labelFlag.FindStringSubmatch(word); n != nil {
			flag, ok = "$Label"+n[1], true
		}
		if !ok {
			return nil, fmt.Errorf("there is no flag %q", word)
		}
		if name, clear := strings.CutPrefix(flag, "-"); clear {
			m.Clear = append(m.Clear, name)
		} else {
			m.Set = append(m.Set, flag)
		}
	}
	if m.Set == nil && m.Clear == nil {
		return nil, errors.New("it names no flag")
	}
	return constant{m}, nil
}

func newAddHeader(param string, _ Level) (action, error) {
	fields, err := ParseFields(param)
	if err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, errors.New("it has no header field")
	}
	return constant{AddHeader{fields}}, nil
}

func newTagSubject(param string, _ Level) (action, error) {
	return constant{TagSubject{oneLine(param)}}, nil
}

// defaultRefusal is the text of a Reject with that has none.
const defaultRefusal = "the message is not accepted"

func newReject(param string, _ Level) (action, error) {
	if strings.TrimSpace(param) == "" {
		param = defaultRefusal
	}
	return constant{Reject{param}}, nil
}

func newSchedule(k Kind) func(string, Level) (action, error) {
	return func(param string, _ Level) (action, error) { return constant{Schedule{k, oneLine(param)}}, nil }
}

type remember struct{ dataset string }

func newRemember(param string, _ Level) (action, error) {
	name := strings.TrimPrefix(strings.TrimSpace(param), "#")
	if name == "" {
		return nil, errors.New("it names no dataset")
	}
	return remember{name}, nil
}

func (a remember) do(r *Run) Action {
	addr, ok := r.from()
	if !ok || addr.shown == "" {
		return Skipped{KindRemember, "the message has no From address"}
	}
	return Remember{a.dataset, addr.shown}
}

func newFilter(param string, _ Level) (action, error) {
	if param == "" {
		return nil, errors.New("it names no filter")
	}
	return constant{Filter{param}}, nil
}

// maxLogLine bounds what a rule writes to the log.
const maxLogLine = 1000

type writeLog struct{ text template }

func newWriteLog(param string, _ Level) (action, error) { return writeLog{newTemplate(param)}, nil }

func (a writeLog) do(r *Run) Action {
	return WriteLog{clip(oneLine(a.text.expand(r, nil)), maxLogLine)}
}

// sendURL is a URL whose host no macro can change.
type sendURL struct{ url template }

func newSendURL(param string, _ Level) (action, error) {
	t := newTemplate(strings.TrimSpace(param))
	start := ""
	if len(t) > 0 {
		start = t[0].text
	}
	scheme, rest, _ := strings.Cut(start, "://")
	if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return nil, fmt.Errorf("%q is not a URL with http or https", param)
	}
	host, _, whole := strings.Cut(rest, "/")
	if host == "" || !whole && len(t) > 1 {
		return nil, fmt.Errorf("%q names no host; macros may stand after the / behind it", param)
	}
	if strings.ContainsAny(start, " \t\r\n") {
		return nil, fmt.Errorf("%q has blanks", param)
	}
	return sendURL{t}, nil
}

func (a sendURL) do(r *Run) Action { return SendURL{a.url.expand(r, percentEncode)} }

// MaxAddresses is how many addresses an action may send to.
const MaxAddresses = 100

// addresses reads the list of an action: the separators are commas, semicolons and line ends.
func addresses(param string) ([]address.Address, error) {
	var out []address.Address
	separates := func(c rune) bool { return c == ',' || c == ';' || c == '\n' || c == '\r' }
	for text := range strings.FieldsFuncSeq(param, separates) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		a, err := address.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not an address", clip(text, maxShownLength))
		}
		if len(out) == MaxAddresses {
			return nil, fmt.Errorf("it has more than %d addresses", MaxAddresses)
		}
		out = append(out, a)
	}
	return out, nil
}
