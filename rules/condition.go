package rules

import (
	"errors"
	"fmt"
	"strings"
)

// condition is one condition of a rule.
type condition struct {
	clause *Clause
	check  check
	cost   cost
}

// cost is what a condition needs. The conditions of a rule are asked from the cheapest to the dearest: nothing but
// the time shows in which order.
type cost uint8

const (
	costNothing   cost = iota // the envelope and the clock
	costField                 // a value of the header
	costFields                // all fields of the header
	costElsewhere             // the message's body, the account's mailboxes and datasets
)

// check decides whether a condition holds.
type check interface {
	holds(r *Run) bool
	// saw says what the message has where the condition looked.
	saw(r *Run) string
}

// conditionWord is an opcode of conditions.
type conditionWord struct {
	name       string
	operations []Operation // none: operation and parameter are ignored
	levels     levels
	cost       cost
	make       func(op Operation, param string) (check, error)
	help       string // what it compares, for forms
}

// conditionWords are all conditions. A new one is a check, a line here, and a line in the package comment.
var conditionWords = [...]conditionWord{
	// any level
	{name: "Time Of Day", help: "the time now, h:mm; in lists also ranges such as 9:00-18:00",
		operations: compareTime, levels: atAllLevels, make: newTimeOfDay},
	{name: "Current Date", help: "the time now: DD Mon YYYY, and perhaps hh:mm, such as 05 Mar 2026 09:00",
		operations: compareNumber, levels: atAllLevels, make: newCurrentDate},
	{name: "Current Day", help: "the day of the week: Sun to Sat, or 0 to 6",
		operations: compareText, levels: atAllLevels, make: newCurrentDay},
	{name: "Preference", help: "a preference of the account: its name, a colon, and the value",
		operations: compareText, levels: atDelivery, make: newPreference},
	{name: "FreeBusy", help: "whether the account is free or busy now",
		operations: compareText, levels: atDelivery, cost: costElsewhere, make: newFreeBusy},

	// the header
	{name: "From", help: "the address of the From field",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).from)},
	{name: "Sender", help: "the address of the Sender field",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).sender)},
	{name: "To", help: "the first address of the To field",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).to)},
	{name: "Cc", help: "the first address of the Cc field",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).cc)},
	{name: "Reply-To", help: "the address of the Reply-To field",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).replyTo)},
	{name: "Any To or Cc", help: "an address of the To and Cc fields: one that fits is enough",
		operations: compareText, levels: atAllLevels, cost: costField, make: many((*Run).toOrCcAddresses, false)},
	{name: "Each To or Cc", help: "the addresses of the To and Cc fields: all of them have to fit",
		operations: compareText, levels: atAllLevels, cost: costField, make: many((*Run).toOrCcAddresses, true)},
	{name: "'From' Name", help: "the name beside the From address",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).fromName)},
	{name: "Subject", help: "the subject; *offer* means that it contains offer",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).subject)},
	{name: "Message-ID", help: "the Message-ID of the message",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).messageID)},
	{name: "Header Field", help: "any field of the header as one line, such as X-Spam-Flag: yes*",
		operations: compareText, levels: atAllLevels, cost: costFields, make: newHeaderField},
	{name: "Human Generated", help: "holds when a person seems to have written the message: no list, no bulk mail, no program",
		levels: atAllLevels, cost: costFields, make: newHuman},
	{name: "Security", help: "S/MIME or PGP, signed or encrypted, such as *signed*",
		operations: compareText, levels: atAllLevels, cost: costField, make: one((*Run).security)},
	{name: "Calendar Method", help: "what the invitation in the message wants: REQUEST, REPLY or CANCEL",
		operations: compareText, levels: atAllLevels, cost: costElsewhere, make: one((*Run).calendarMethod)},

	// the message and its envelope
	{name: "Message Size", help: "the size in bytes, or with K, M or G",
		operations: compareNumber, levels: atAllLevels, make: newMessageSize},
	{name: "Return-Path", help: "the sender that the envelope names; empty for reports",
		operations: compareText, levels: atAllLevels, make: one((*Run).returnPath)},
	{name: "Any Recipient", help: "a recipient as the sender gave it: one that fits is enough",
		operations: compareText, levels: atAllLevels, make: many((*Run).recipients, false)},
	{name: "Each Recipient", help: "the recipients as the sender gave them: all of them have to fit",
		operations: compareText, levels: atAllLevels, make: many((*Run).recipients, true)},
	{name: "Any Route", help: "where a recipient leads, as module(queue)address, such as SMTP(*: one that fits is enough",
		operations: compareText, levels: atServer, make: many((*Run).routes, false)},
	{name: "Each Route", help: "where the recipients lead, as module(queue)address: all of them have to fit",
		operations: compareText, levels: atServer, make: many((*Run).routes, true)},
	{name: "Source", help: "authenticated for a user who has logged in, trusted for a Client IP, else empty",
		operations: compareText, levels: atAllLevels, make: one((*Run).source)},
	{name: "Submit Address", help: "how and from where the message came, such as SMTP [192.0.2.1]",
		operations: compareText, levels: atAllLevels, make: one((*Run).submitAddress)},

	// the account
	{name: "Existing Mailbox", help: "a mailbox of the account that has this name",
		operations: compareText, levels: atDelivery, cost: costElsewhere, make: newExistingMailbox},
}

func findCondition(name string) (*conditionWord, bool) {
	for i := range conditionWords {
		if strings.EqualFold(name, conditionWords[i].name) {
			return &conditionWords[i], true
		}
	}
	return nil, false
}

// newCondition checks a condition of a rule of a level.
func newCondition(c *Clause, level Level) (condition, error) {
	word, ok := findCondition(c.Opcode)
	if !ok {
		return condition{}, errors.New("there is no such condition")
	}
	if !word.levels.has(level) {
		return condition{}, fmt.Errorf("%s rules do not have this condition", level)
	}
	op := None
	if len(word.operations) > 0 {
		if op, ok = findOperation(c.Operation); !ok {
			return condition{}, fmt.Errorf("there is no operation %q", c.Operation)
		}
		if !allows(word.operations, op) {
			return condition{}, fmt.Errorf("it has no operation %q, but %s", op, listed(word.operations))
		}
	}
	ch, err := word.make(op, c.Param)
	made := condition{c, ch, word.cost}
	if m, ok := ch.(interface{ asksAccount() bool }); ok && m.asksAccount() {
		made.cost = costElsewhere
	}
	return made, err
}

func allows(all []Operation, op Operation) bool {
	for _, o := range all {
		if o == op {
			return true
		}
	}
	return false
}

func listed(all []Operation) string {
	var names []string
	for _, op := range all {
		names = append(names, op.String())
	}
	return strings.Join(names, ", ")
}

// single compares one value. A message without it differs from every value.
type single struct {
	matcher
	value func(*Run) (text, bool)
}

func one(value func(*Run) (text, bool)) func(Operation, string) (check, error) {
	return func(op Operation, param string) (check, error) {
		m, err := newMatcher(op, param)
		return &single{m, value}, err
	}
}

func (c *single) holds(r *Run) bool {
	v, ok := c.value(r)
	return (ok && c.fits(r, v)) != c.op.negative()
}

func (c *single) saw(r *Run) string {
	v, ok := c.value(r)
	if !ok {
		return "there is none"
	}
	return "it is " + shown(v.shown)
}

// several compares each of several values. Without any, the message differs from every value.
type several struct {
	matcher
	values func(*Run) []candidate
	each   bool // the test has to hold for each of them, not for any
}

// candidate is a value that may have a second form: a recipient and the address that its sender
// knew it by.
type candidate struct{ value, original text }

func many(values func(*Run) []candidate, each bool) func(Operation, string) (check, error) {
	return func(op Operation, param string) (check, error) {
		m, err := newMatcher(op, param)
		return &several{m, values, each}, err
	}
}

func (c *several) holds(r *Run) bool {
	all := c.values(r)
	if len(all) == 0 {
		return c.op.negative()
	}
	for i := range all {
		v := &all[i]
		fits := c.fits(r, v.value) || v.original.low != "" && c.fits(r, v.original)
		if holds := fits != c.op.negative(); holds != c.each {
			return holds
		}
	}
	return c.each
}

func (c *several) saw(r *Run) string {
	var all []string
	for _, v := range c.values(r) {
		all = append(all, v.value.shown)
		if v.original.low != "" {
			all = append(all, v.original.shown)
		}
	}
	if len(all) == 0 {
		return "there are none"
	}
	return "there are " + shown(all...)
}

// headerField compares each field on one line: is means that one fits, is not that none does.
type headerField struct{ matcher }

func newHeaderField(op Operation, param string) (check, error) {
	m, err := newMatcher(op, param)
	return &headerField{m}, err
}

func (c *headerField) holds(r *Run) bool { return (c.find(r) >= 0) != c.op.negative() }

// find returns the number of the first field that fits, or -1.
func (c *headerField) find(r *Run) int {
	r.load()
	for i := range r.fields {
		if c.mayFit(&r.fields[i]) && c.fits(r, r.fieldLine(i)) {
			return i
		}
	}
	return -1
}

// mayFit reports whether a field has to be decoded to know whether it fits.
func (c *headerField) mayFit(f *rawField) bool {
	for i := range c.pictures {
		if f.mayBegin(c.pictures[i].start) {
			return true
		}
	}
	return c.dataset != ""
}

func (c *headerField) saw(r *Run) string {
	if i := c.find(r); i >= 0 {
		return "there is " + shown(r.fieldLine(i).shown)
	}
	return "no field is like that"
}

// existingMailbox compares the names of the account's mailboxes, as headerField does fields.
type existingMailbox struct{ matcher }

func newExistingMailbox(op Operation, param string) (check, error) {
	m, err := newMatcher(op, param)
	return &existingMailbox{m}, err
}

func (c *existingMailbox) holds(r *Run) bool { return (c.find(r) != nil) != c.op.negative() }

func (c *existingMailbox) find(r *Run) *text {
	all := r.mailboxes()
	for i := range all {
		if c.fits(r, all[i]) {
			return &all[i]
		}
	}
	return nil
}

func (c *existingMailbox) saw(r *Run) string {
	if v := c.find(r); v != nil {
		return "there is " + shown(v.shown)
	}
	return "no mailbox is like that"
}

// maxShown bounds the values that an explanation quotes, and the length of each.
const maxShown = 5

const maxShownLength = 200

// shown quotes values for an explanation.
func shown(all ...string) string {
	var b strings.Builder
	for i, v := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == maxShown {
			fmt.Fprintf(&b, "and %d more", len(all)-i)
			break
		}
		fmt.Fprintf(&b, "%q", clip(v, maxShownLength))
	}
	return b.String()
}
