package mailbox

import (
	"errors"
	"io"
	"testing"

	"gatepost/server/fault"
)

func TestItemMovesWithItsMessageInOneCommit(t *testing.T) {
	w, a := newCalendar(t)
	if _, err := a.CreateMailbox(bg, "Other", CreateOptions{Class: "IPF.Appointment"}); err != nil {
		t.Fatal(err)
	}
	first := w.put(a, itemPut("a.ics", "A", 100, 200))
	w.put(a, itemPut("b.ics", "B", 300, 400))
	for _, name := range []string{"old.ics", "taken.ics"} {
		p := itemPut(name, map[string]string{"old.ics": "old", "taken.ics": "B"}[name], 1, 2)
		if _, _, err := a.PutItem(bg, "Other", p); err != nil {
			t.Fatal(err)
		}
	}
	_, since := w.changes(a, 0, 0)
	refused := errors.New("refused")
	move := ItemMove{Mailbox: calendar, Name: "a.ics", ToMailbox: "Other", To: "old.ics", Check: func(item Item, present *Item) error {
		if item.Key != "A" || present == nil || present.Key != "old" {
			t.Errorf("asked about %+v in place of %+v", item, present)
		}
		return refused
	}}
	if _, err := a.MoveItem(bg, move); !errors.Is(err, refused) {
		t.Errorf("refused: %v", err)
	}
	move.Check = func(Item, *Item) error { return nil }
	if created, err := a.MoveItem(bg, move); err != nil || created {
		t.Errorf("in place of another: %v, %v", created, err)
	}
	w.reopen()
	a = w.account(1)
	item, body, err := a.OpenItem(bg, "Other", "old.ics")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil || string(b) != "Subject: a.ics\r\n\r\ntext of A\r\n" || item.Key != "A" || item.ETag != first.ETag || !item.Created.Equal(first.Created) {
		t.Errorf("moved: %+v, %q, %v", item, b, err)
	}
	if got, _ := w.changes(a, since, 0); got != "-a.ics" {
		t.Errorf("the change of the source is %q", got)
	}
	if got := between(t, a, 0, 1000); got != "b.ics" {
		t.Errorf("the source has %q", got)
	}
	for name, c := range map[string]struct {
		move ItemMove
		want fault.Kind
	}{
		"no such item":    {ItemMove{Mailbox: calendar, Name: "a.ics", ToMailbox: "Other", To: "x.ics"}, fault.NoMessage},
		"no such mailbox": {ItemMove{Mailbox: calendar, Name: "b.ics", ToMailbox: "None", To: "x.ics"}, fault.NoMailbox},
		"same mailbox":    {ItemMove{Mailbox: calendar, Name: "b.ics", ToMailbox: calendar, To: "x.ics"}, fault.Invalid},
		"UID is there":    {ItemMove{Mailbox: calendar, Name: "b.ics", ToMailbox: "Other", To: "x.ics"}, fault.Exists},
	} {
		c.move.Check = func(Item, *Item) error { return nil }
		if _, err := a.MoveItem(bg, c.move); fault.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	move = ItemMove{Mailbox: calendar, Name: "b.ics", ToMailbox: "Other", To: "taken.ics", Check: func(Item, *Item) error { return nil }}
	if created, err := a.MoveItem(bg, move); err != nil || created {
		t.Errorf("in place of one with the same key: %v, %v", created, err)
	}
	if i, err := a.ItemByKey(bg, "Other", "B"); err != nil || i.Name != "taken.ics" {
		t.Errorf("by its key: %+v, %v", i, err)
	}
}
