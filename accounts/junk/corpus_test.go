package junk

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// corpus makes messages that nobody has sent: words of common use by Zipf's law, with words of a subject and
// tricks of those who send junk. Junk and ham share most of their words, and some of their subjects.
type corpus struct {
	rand   *rand.Rand
	common []string
	junk   [][]string // by subject
	ham    [][]string
}

var (
	latin    = strings.Split("a e i o u ba be bi bo da de di do fa fe ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe ra re ri ro sa se si so ta te ti to va ve", " ")
	cyrillic = strings.Split("а е и о у ба бе би бо да де ди до ка ке ки ко ла ле ли ло ма ме ми мо на не ни но па пе ра ре ри ро са се си со та те ти то ва ве", " ")
)

func newCorpus(seed uint64) *corpus {
	c := &corpus{rand: rand.New(rand.NewPCG(seed, 1))}
	for i := range 4000 {
		c.common = append(c.common, c.word(i%3 == 0))
	}
	for i := range 14 {
		subject := []string{}
		for range 60 {
			subject = append(subject, c.word(i%3 == 0))
		}
		switch {
		case i < 6:
			c.junk = append(c.junk, subject)
		case i < 12:
			c.ham = append(c.ham, subject)
		default: // both write about it
			c.junk, c.ham = append(c.junk, subject), append(c.ham, subject)
		}
	}
	return c
}

func (c *corpus) word(russian bool) string {
	syllables := latin
	if russian {
		syllables = cyrillic
	}
	var b strings.Builder
	for range 2 + c.rand.IntN(3) {
		b.WriteString(syllables[c.rand.IntN(len(syllables))])
	}
	return b.String()
}

func (c *corpus) usual() string {
	return c.common[int(math.Pow(float64(len(c.common)), c.rand.Float64()))-1]
}

// text is some words, every fifth of them of a subject.
func (c *corpus) text(subject []string, n int, junk bool) string {
	var b strings.Builder
	for i := range n {
		w := c.usual()
		if c.rand.IntN(5) == 0 {
			w = subject[c.rand.IntN(len(subject))]
			if junk && c.rand.IntN(6) == 0 { // hidden from filters
				w = w[:len(w)/2] + []string{".", "*", "\u200b"}[c.rand.IntN(3)] + w[len(w)/2:]
			}
		}
		b.WriteString(w)
		b.WriteByte(" \n"[min(i%12/11, 1)])
	}
	return strings.ToValidUTF8(b.String(), "")
}

func (c *corpus) message(junk bool) string {
	subjects, from := c.ham, fmt.Sprintf("person%d@company%d.test", c.rand.IntN(60), c.rand.IntN(15))
	if junk {
		subjects, from = c.junk, fmt.Sprintf("%s@%s.test", c.usual(), c.word(false)) // never the same
	}
	subject := subjects[c.rand.IntN(len(subjects))]
	body := c.text(subject, 30+c.rand.IntN(150), junk)
	head := fmt.Sprintf("From: <%s>\r\nTo: <ann@here.test>\r\nSubject: %s\r\nMessage-ID: <%d@test>\r\nMIME-Version: 1.0\r\n", from, c.text(subject, 5, junk), c.rand.Uint64())
	switch {
	case junk && c.rand.IntN(2) == 0:
		// HTML with words of ham that nobody sees.
		return head + "Content-Type: text/html; charset=utf-8\r\n\r\n<p>" + body + "</p><a href=\"https://" + c.word(false) + ".shop.test/x\">x</a>" +
			"<div style=\"display: none\">" + c.text(c.ham[c.rand.IntN(len(c.ham))], 40, false) + "</div>\r\n"
	case c.rand.IntN(3) == 0:
		return head + "Content-Type: text/html; charset=utf-8\r\n\r\n<p>" + body + "</p><a href=\"https://www.company.test/\">x</a>\r\n"
	}
	return head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + body + "\r\n"
}
