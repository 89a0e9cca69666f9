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
}

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
	make       func(op Operation, param string) (check, error)
	// later is what does not exist yet: until it does, the condition never holds.
	later string
}

// conditionWords are all conditions. A new one is a check, a line here, and a line in the package comment.
var conditionWords = [...]conditionWord{
	// any level
	{name: "Time Of Day", operations: compareTime, levels: atAllLevels, make: newTimeOfDay},
	{name: "Current Date", operations: compareNumber, levels: atAllLevels, make: newCurrentDate},
	{name: "Current Day", operations: compareText, levels: atAllLevels, make: newCurrentDay},
	{name: "Preference", operations: compareText, levels: atDelivery, make: newPreference},
	{name: "FreeBusy", operations: compareText, levels: atDelivery, make: never, later: "free/busy data"},

	// the header
	{name: "From", operations: compareText, levels: atAllLevels, make: one((*Run).from)},
	{name: "Sender", operations: compareText, levels: atAllLevels, make: one((*Run).sender)},
	{name: "To", operations: compareText, levels: atAllLevels, make: one((*Run).to)},
	{name: "Cc", operations: compareText, levels: atAllLevels, make: one((*Run).cc)},
	{name: "Reply-To", operations: compareText, levels: atAllLevels, make: one((*Run).replyTo)},
	{name: "Any To or Cc", operations: compareText, levels: atAllLevels, make: many((*Run).toOrCcAddresses, false)},
	{name: "Each To or Cc", operations: compareText, levels: atAllLevels, make: many((*Run).toOrCcAddresses, true)},
	{name: "'From' Name", operations: compareText, levels: atAllLevels, make: one((*Run).fromName)},
	{name: "Subject", operations: compareText, levels: atAllLevels, make: one((*Run).subject)},
	{name: "Message-ID", operations: compareText, levels: atAllLevels, make: one((*Run).messageID)},
	{name: "Header Field", operations: compareText, levels: atAllLevels, make: among((*Run).headerFields, "field")},
	{name: "Human Generated", levels: atAllLevels, make: newHuman},
	{name: "Security", operations: compareText, levels: atAllLevels, make: one((*Run).security)},
	{name: "Calendar Method", operations: compareText, levels: atAllLevels, make: one((*Run).calendarMethod)},

	// the message and its envelope
	{name: "Message Size", operations: compareNumber, levels: atAllLevels, make: newMessageSize},
	{name: "Return-Path", operations: compareText, levels: atAllLevels, make: one((*Run).returnPath)},
	{name: "Any Recipient", operations: compareText, levels: atAllLevels, make: many((*Run).recipients, false)},
	{name: "Each Recipient", operations: compareText, levels: atAllLevels, make: many((*Run).recipients, true)},
	{name: "Any Route", operations: compareText, levels: atServer, make: many((*Run).routes, false)},
	{name: "Each Route", operations: compareText, levels: atServer, make: many((*Run).routes, true)},
	{name: "Source", operations: compareText, levels: atAllLevels, make: one((*Run).source)},
	{name: "Submit Address", operations: compareText, levels: atAllLevels, make: one((*Run).submitAddress)},

	// the account
	{name: "Existing Mailbox", operations: compareText, levels: atDelivery, make: among((*Run).mailboxes, "mailbox")},
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
func newCondition(c *Clause, level Level) (condition, *conditionWord, error) {
	word, ok := findCondition(c.Opcode)
	if !ok {
		return condition{}, nil, errors.New("there is no such condition")
	}
	if !word.levels.has(level) {
		return condition{}, nil, fmt.Errorf("%s rules do not have this condition", level)
	}
	op := None
	if len(word.operations) > 0 {
		if op, ok = findOperation(c.Operation); !ok {
			return condition{}, nil, fmt.Errorf("there is no operation %q", c.Operation)
		}
		if !allows(word.operations, op) {
			return condition{}, nil, fmt.Errorf("it has no operation %q, but %s", op, listed(word.operations))
		}
	}
	ch, err := word.make(op, c.Param)
	return condition{c, ch}, word, err
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
	value func(*Run) (string, bool)
}

func one(value func(*Run) (string, bool)) func(Operation, string) (check, error) {
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
	return "it is " + shown(v)
}

// several compares each of several values. Without any, the message differs from every value.
type several struct {
	matcher
	values func(*Run) []candidate
	each   bool // the test has to hold for each of them, not for any
}

// candidate is a value that may have a second form: a recipient and the address that its sender
// knew it by.
type candidate struct{ value, original string }

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
		fits := c.fits(r, v.value) || v.original != "" && c.fits(r, v.original)
		if holds := fits != c.op.negative(); holds != c.each {
			return holds
		}
	}
	return c.each
}

func (c *several) saw(r *Run) string {
	var all []string
	for _, v := range c.values(r) {
		all = append(all, v.value)
		if v.original != "" {
			all = append(all, v.original)
		}
	}
	if len(all) == 0 {
		return "there are none"
	}
	return "there are " + shown(all...)
}

// oneOf compares a set of values: is means that one fits, is not that none does.
type oneOf struct {
	matcher
	values func(*Run) []string
	noun   string
}

func among(values func(*Run) []string, noun string) func(Operation, string) (check, error) {
	return func(op Operation, param string) (check, error) {
		m, err := newMatcher(op, param)
		return &oneOf{m, values, noun}, err
	}
}

func (c *oneOf) holds(r *Run) bool {
	return (c.find(r) != nil) != c.op.negative()
}

func (c *oneOf) find(r *Run) *string {
	all := c.values(r)
	for i := range all {
		if c.fits(r, all[i]) {
			return &all[i]
		}
	}
	return nil
}

func (c *oneOf) saw(r *Run) string {
	if v := c.find(r); v != nil {
		return "there is " + shown(*v)
	}
	return "no " + c.noun + " is like that"
}

// absent is a condition whose object does not exist yet.
type absent struct{}

func never(op Operation, param string) (check, error) {
	_, err := newMatcher(op, param)
	return absent{}, err
}

func (absent) holds(*Run) bool { return false }
func (absent) saw(*Run) string { return "it does not work yet" }

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
