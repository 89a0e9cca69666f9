package queue

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatepost/queue/envelope"
)

// Filter selects waiting recipients. All that is set has to fit.
type Filter struct {
	IDs []envelope.QueueID
	// Sender and Recipient are addresses, in any case; * stands for any text in them. Sender is the
	// return-path, <> the null one.
	Sender, Recipient string
	// Account is the authenticated sender as account@domain.
	Account string
	// Domain is that of the recipient, Queue the name of a logical queue.
	Domain, Queue string
	// OlderThan and YoungerThan bound the age, Larger and Smaller the size in bytes; 0 is no bound.
	OlderThan, YoungerThan time.Duration
	Larger, Smaller        int64
	OnHold                 bool // only messages on hold
	// Error is a text in the last error, in any case.
	Error string
}

// IsZero reports whether everything fits.
func (f *Filter) IsZero() bool { return reflect.ValueOf(*f).IsZero() }

// Match reports whether a recipient is selected.
func (f *Filter) Match(e *Entry, now time.Time) bool {
	age := now.Sub(e.Submitted)
	switch {
	case len(f.IDs) > 0 && !slices.Contains(f.IDs, e.ID):
	case f.Sender == "<>" && !e.ReturnPath.IsNull():
	case f.Sender != "" && f.Sender != "<>" && !fits(f.Sender, e.ReturnPath.String()):
	case f.Recipient != "" && !fits(f.Recipient, e.Recipient.String()):
	case f.Account != "" && !fits(f.Account, e.Account):
	case f.Domain != "" && !fits(f.Domain, e.Recipient.Domain):
	case f.Queue != "" && !fits(f.Queue, e.Queue):
	case f.OlderThan > 0 && age <= f.OlderThan, f.YoungerThan > 0 && age >= f.YoungerThan:
	case f.Larger > 0 && e.Size <= f.Larger, f.Smaller > 0 && e.Size >= f.Smaller:
	case f.OnHold && !e.OnHold:
	case f.Error != "" && !strings.Contains(strings.ToLower(e.LastError), strings.ToLower(f.Error)):
	default:
		return true
	}
	return false
}

// fits compares a text with a pattern in which * stands for any text, in any case.
func fits(pattern, text string) bool {
	parts := strings.Split(strings.ToLower(pattern), "*")
	text = strings.ToLower(text)
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return text == first
	}
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, last)
}

// Search calls fn for every waiting recipient that a filter selects, in the order of the IDs, until fn
// returns false.
func (q *Queue) Search(ctx context.Context, f *Filter, fn func(Entry) bool) error {
	now := time.Now()
	each := func(e Entry) bool { return !f.Match(&e, now) || fn(e) }
	if len(f.IDs) == 0 {
		return q.List(ctx, each)
	}
	for _, id := range slices.Sorted(slices.Values(f.IDs)) {
		for _, e := range q.entriesOf(id) {
			if !each(e) {
				return nil
			}
		}
	}
	return nil
}
