package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A key names something that the server keeps: a mailbox, a message of one, an account ...
type key struct{ kind, name, id string }

func (k key) String() string {
	return strings.TrimSpace(k.kind + " " + k.name + " " + k.id)
}

// An item is what the server keeps under a key.
type item struct {
	text string
	// uid is the UID of a message or the UIDVALIDITY of a mailbox, 0 where it is not known yet.
	uid uint32
}

// as reports whether an item is another one, as far as its number is known.
func (i item) as(have item) bool { return i.text == have.text && (i.uid == 0 || i.uid == have.uid) }

// A state is all that the server keeps for a client.
type state map[key]item

// A change is one operation: items set, or removed where the value is nil.
type change map[key]*item

func (c change) apply(s state) {
	for k, i := range c {
		if i == nil {
			delete(s, k)
		} else {
			s[k] = *i
		}
	}
}

// promises are what the server owes a client that does one thing at a time: the outcome of
// all that was acknowledged, and of what was asked last each step as a whole or not at
// all, none before the one before it. Nearly everything is one step.
type promises struct {
	kept  state
	asked []change // nil when the last operation was answered
	what  string   // the last operation
	done  int      // operations that were acknowledged
}

func newPromises() promises { return promises{kept: state{}} }

// ask writes down what an operation will change, before it is asked for.
func (p *promises) ask(what string, steps ...change) {
	p.what, p.asked = what, steps
}

// acknowledged writes down that the operation has succeeded.
func (p *promises) acknowledged() {
	for _, c := range p.asked {
		c.apply(p.kept)
	}
	p.asked = nil
	p.done++
}

// judge compares what there is with what was promised and returns each difference. Without one,
// what there is counts from now on.
func (p *promises) judge(have state) (findings []string) {
	may := maps.Clone(p.kept)
	findings = differences(may, have)
	for _, c := range p.asked {
		c.apply(may)
		if other := differences(may, have); len(other) < len(findings) {
			findings = other
		}
	}
	if len(findings) == 0 {
		p.kept, p.asked = have, nil
	}
	return findings
}

// differences lists in what a state is not as it should be.
func differences(want, have state) (all []string) {
	for k, w := range want {
		h, ok := have[k]
		switch {
		case !ok:
			all = append(all, fmt.Sprintf("%s: missing (%s)", k, w.text))
		case !w.as(h):
			all = append(all, fmt.Sprintf("%s: is %q %d instead of %q %d", k, h.text, h.uid, w.text, w.uid))
		}
	}
	for k, h := range have {
		if _, ok := want[k]; !ok {
			all = append(all, fmt.Sprintf("%s: there, and should not be (%s)", k, h.text))
		}
	}
	slices.Sort(all)
	return all
}

// of lists the names of the items of a kind, sorted.
func (s state) of(kind string) (names []string) {
	for k := range s {
		if k.kind == kind {
			names = append(names, k.name)
		}
	}
	slices.Sort(names)
	return names
}

// texts are what may be under a key: what was promised, and what was asked for last.
func (p *promises) texts(k key) (all []string) {
	if i, ok := p.kept[k]; ok {
		all = append(all, i.text)
	}
	for _, c := range p.asked {
		if i := c[k]; i != nil {
			all = append(all, i.text)
		}
	}
	return all
}
