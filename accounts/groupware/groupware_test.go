package groupware

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// site has the accounts ann and bob@company.com.
type site struct {
	*testing.T
	accounts *accounts.Store
	store    *Store
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t}
	var ids atomic.Uint64
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	acc, err := accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "company.com", Shards: 1, Log: log, NextID: func() (uint64, error) { return ids.Add(1), nil },
	})
	s.must(err)
	t.Cleanup(func() { s.must(acc.Close()) })
	mailboxtest.CheckAtEnd(t, acc.Mail())
	s.must(acc.CreateAccount(t.Context(), "company.com", "ann", nil))
	s.must(acc.CreateAccount(t.Context(), "company.com", "bob", nil))
	rs := &router.Settings{}
	s.must(settings.Load(rs, nil))
	r, err := router.New(settings.NewLive(rs), acc, log)
	s.must(err)
	s.accounts, s.store = acc, New(acc, access.New(acc, r))
	return s
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) account(name string) *accounts.Account {
	s.Helper()
	a, err := s.accounts.Account(s.Context(), "company.com", name)
	s.must(err)
	return a
}

// main is a user's view of ann's main collection.
func (s *site) main(user string, k Kind) (*Collection, error) {
	s.Helper()
	u := s.account(user)
	return s.store.Main(s.Context(), u, s.store.Between(u, s.account("ann")), k)
}

func (s *site) ann(k Kind) *Collection {
	s.Helper()
	c, err := s.main("ann", k)
	s.must(err)
	return c
}

func (s *site) grant(box, to, rights string) {
	s.Helper()
	s.must(s.account("ann").Mail().ChangeACL(s.Context(), box, func(acl mailbox.ACL) (mailbox.ACL, error) {
		return access.Change(acl, to, rights)
	}))
}

func (s *site) want(kind fault.Kind, err error) {
	s.Helper()
	if !fault.Is(err, kind) {
		s.Errorf("got %v, want %v", err, kind)
	}
}

// names are the names of all items.
func (s *site) names(c *Collection) string {
	s.Helper()
	list, err := c.Items(s.Context())
	s.must(err)
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	return strings.Join(names, " ")
}

func event(uid, lines string) []byte {
	return []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:" + uid + "\r\nDTSTAMP:20260101T000000Z\r\n" +
		strings.ReplaceAll(lines, "\n", "\r\n") + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
}

func card(uid, lines string) []byte {
	return []byte("BEGIN:VCARD\r\nVERSION:4.0\r\nUID:" + uid + "\r\nFN:" + uid + "\r\n" + lines + "END:VCARD\r\n")
}

const morning = "DTSTART:20260105T090000Z\nDTEND:20260105T100000Z"

func (s *site) put(c *Collection, name string, text []byte) mailbox.Item {
	s.Helper()
	item, _, err := c.Put(s.Context(), Put{Name: name, Text: text})
	s.must(err)
	return item
}

func TestTextsReadBackByteForByte(t *testing.T) {
	s := newSite(t)
	c := s.ann(Calendar)
	long := "SUMMARY:" + strings.Repeat("long line ", 300)
	for i, text := range [][]byte{
		event("1", morning), event("2", morning+"\nSUMMARY:Ärger 🎂"), event("3", morning+"\n"+long),
		bytes.ReplaceAll(event("4", morning), []byte("\r\n"), []byte("\n")), // line ends that mail has not
		bytes.TrimSuffix(event("5", morning), []byte("\r\n")),               // no line end at the end
		append([]byte("\ufeff"), event("6", morning+"\nX-KEEP;X-A=^n:\\;")...),
		event("7", morning+"\nDESCRIPTION:a\n b\n .\nX-FROM:From me"),
	} {
		name := fmt.Sprintf("%d.ics", i+1)
		stored := s.put(c, name, text)
		item, got, err := c.Text(s.Context(), name)
		s.must(err)
		if !bytes.Equal(got, text) || item.ETag != ETag(text) || item.ETag != stored.ETag || item.Size != int64(len(text)) {
			t.Errorf("%s: %d bytes and ETag %s, stored as %s:\n%q", name, item.Size, item.ETag, stored.ETag, got)
		}
	}
	if got, want := s.names(c), "1.ics 2.ics 3.ics 4.ics 5.ics 6.ics 7.ics"; got != want {
		t.Errorf("items: %s", got)
	}
}

func TestWhatMayBeStored(t *testing.T) {
	s := newSite(t)
	calendar, contacts := s.ann(Calendar), s.ann(Contacts)
	s.put(calendar, "1.ics", event("1", morning))
	s.put(contacts, "1.vcf", card("1", ""))
	for _, x := range []struct {
		c    *Collection
		name string
		text []byte
		rule Rule
	}{
		{calendar, "a.ics", []byte("hello"), ValidData},
		{calendar, "a.ics", event("a", morning+"\nSUMMARY:\x01"), ValidObject},
		{calendar, "a.ics", event("a", "SUMMARY:no time"), ValidObject},
		{calendar, "a.ics", bytes.Replace(event("a", morning), []byte("VERSION:2.0"), []byte("VERSION:2.0\r\nMETHOD:REQUEST"), 1), ValidObject},
		{calendar, "a.ics", bytes.ReplaceAll(event("a", ""), []byte("VEVENT"), []byte("VPOLL")), ComponentType},
		{calendar, "a.ics", event("1", morning), UniqueUID},
		{calendar, "a.ics", event("a", morning+"\nSUMMARY:"+strings.Repeat("x", maxText)), Size},
		{contacts, "a.vcf", []byte("FN:x\r\n"), ValidData},
		{contacts, "a.vcf", []byte("BEGIN:VCARD\r\nFN:x\r\nEND:VCARD\r\n"), ValidObject},
		{contacts, "a.vcf", append(card("a", ""), card("b", "")...), ValidObject},
		{contacts, "a.vcf", card("a", "NOTE:\x02\r\n"), ValidData},
		{contacts, "a.vcf", card("a", "NOTE:\xff\r\n"), ValidData},
		{contacts, "a.vcf", card("1", ""), UniqueUID},
	} {
		_, _, err := x.c.Put(s.Context(), Put{Name: x.name, Text: x.text})
		v, ok := IsViolation(err)
		if !ok || v.Rule != x.rule || x.rule == UniqueUID && !strings.HasPrefix(v.Other, "1.") || fault.Text(err) == "" {
			t.Errorf("%.60q: %v, want rule %d", x.text, err, x.rule)
		}
	}
	_, _, err := calendar.Put(s.Context(), Put{Name: "t.ics", Text: event("t", morning), Components: []string{"VTODO"}})
	if v, ok := IsViolation(err); !ok || v.Rule != ComponentType {
		t.Errorf("an event in a collection of tasks: %v", err)
	}
	if got := s.names(calendar) + " " + s.names(contacts); got != "1.ics 1.vcf" {
		t.Errorf("items: %s", got)
	}
}

func TestPutObeysItsCondition(t *testing.T) {
	s := newSite(t)
	c := s.ann(Calendar)
	no := fault.New("test", fault.Busy, "")
	refuse := func(*mailbox.Item) error { return no }
	_, _, err := c.Put(s.Context(), Put{Name: "1.ics", Text: event("1", morning), If: refuse})
	s.want(fault.Busy, err)
	first := s.put(c, "1.ics", event("1", morning))
	again := s.put(c, "1.ics", event("1", morning))
	if again.UID != first.UID {
		t.Error("the same text again has made another message")
	}
	_, created, err := c.Put(s.Context(), Put{Name: "1.ics", Text: event("1", morning+"\nSUMMARY:x"), If: func(present *mailbox.Item) error {
		if present == nil || present.ETag != first.ETag {
			t.Errorf("present is %v", present)
		}
		return nil
	}})
	if err != nil || created {
		t.Errorf("%v, created %v", err, created)
	}
	s.want(fault.Busy, c.DeleteItem(s.Context(), "1.ics", func(mailbox.Item) error { return no }))
	s.must(c.DeleteItem(s.Context(), "1.ics", nil))
	s.want(fault.NoMessage, c.DeleteItem(s.Context(), "1.ics", nil))
	_, _, err = c.Text(s.Context(), "1.ics")
	s.want(fault.NoMessage, err)
}

func TestRightsOfOthers(t *testing.T) {
	s := newSite(t)
	own := s.ann(Calendar)
	s.put(own, "1.ics", event("1", morning))
	_, err := s.main("bob", Calendar)
	s.want(fault.NoMailbox, err)
	move := func(name string, to *Collection, newName string) Move {
		return Move{Name: name, To: to, NewName: newName, If: func(mailbox.Item, *mailbox.Item) error { return nil }}
	}
	try := func(c *Collection) string {
		var can []string
		ctx := s.Context()
		if _, _, err := c.Text(ctx, "1.ics"); err == nil {
			can = append(can, "read")
		}
		if _, _, err := c.Put(ctx, Put{Name: "new.ics", Text: event("new", morning)}); err == nil {
			can = append(can, "make")
			s.must(own.DeleteItem(ctx, "new.ics", nil))
		}
		if _, _, err := c.Put(ctx, Put{Name: "1.ics", Text: event("1", morning+"\nSUMMARY:by bob")}); err == nil {
			can = append(can, "change")
			s.put(own, "1.ics", event("1", morning))
		}
		if _, err := c.Move(ctx, move("1.ics", c, "2.ics")); err == nil {
			can = append(can, "rename")
			_, err = own.Move(ctx, move("2.ics", own, "1.ics"))
			s.must(err)
		}
		if err := c.DeleteItem(ctx, "1.ics", nil); err == nil {
			can = append(can, "delete")
			s.put(own, "1.ics", event("1", morning))
		}
		return strings.Join(can, " ")
	}
	for _, x := range []struct{ rights, want string }{
		{"l", ""}, {"lr", "read"}, {"li", "make"}, {"ld", "delete"}, {"lri", "read make"}, {"lrw", "read"},
		{"lriw", "read make change"}, {"lrid", "read make change rename delete"},
	} {
		s.grant("Calendar", "bob", x.rights)
		c, err := s.main("bob", Calendar)
		s.must(err)
		if got := try(c); got != x.want {
			t.Errorf("with %s: %q, want %q", x.rights, got, x.want)
		}
	}
	if got := try(own); got != "read make change rename delete" {
		t.Errorf("the owner: %s", got)
	}
}

// What is taken away counts for a request that has begun with the right, and who may make what he may not see makes it.
func TestRightsCountWhenTheyAreUsed(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.ann(Calendar)
	s.grant("Calendar", "bob", "lrswid")
	c, err := s.main("bob", Calendar)
	s.must(err)
	_, _, err = c.Put(ctx, Put{Name: "a.ics", Text: event("a", "DTSTART:20260210T120000Z")})
	s.must(err)
	s.grant("Calendar", "bob", "lr")
	_, _, err = c.Put(ctx, Put{Name: "b.ics", Text: event("b", "DTSTART:20260210T120000Z")})
	s.want(fault.Denied, err)
	s.want(fault.Denied, c.DeleteItem(ctx, "a.ics", nil))
	s.grant("Calendar", "bob", "")
	s.want(fault.NoMailbox, c.DeleteItem(ctx, "a.ics", nil))
	if got := s.names(s.ann(Calendar)); got != "a.ics" {
		t.Error(got)
	}
	s.grant("Calendar", "bob", "c")
	bob := s.account("bob")
	made, err := s.store.Create(ctx, bob, s.store.Between(bob, s.account("ann")), "Calendar/sub", Calendar)
	s.must(err)
	if made.Rights != access.Create {
		t.Error(made.Rights)
	}
}

func TestCollections(t *testing.T) {
	s := newSite(t)
	ann := s.account("ann")
	o := s.store.Between(ann, ann)
	names := func(user string, of ...Kind) string {
		t.Helper()
		u := s.account(user)
		list, err := s.store.Collections(s.Context(), u, s.store.Between(u, ann), of...)
		s.must(err)
		var all []string
		for _, c := range list {
			all = append(all, c.Name)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	if got := names("ann", Calendar, Tasks, Contacts); got != "Calendar Contacts Tasks" {
		t.Errorf("collections: %s", got)
	}
	c, err := s.store.Create(s.Context(), ann, o, "Work", Calendar)
	s.must(err)
	if got := names("ann", Calendar); got != "Calendar Work" {
		t.Errorf("calendars: %s", got)
	}
	if got := names("bob"); got != "" {
		t.Errorf("bob sees %s", got)
	}
	s.grant("Work", "bob", "lr")
	if got := names("bob"); got != "Work" {
		t.Errorf("bob sees %s", got)
	}
	_, err = s.store.Create(s.Context(), ann, o, "Work", Calendar)
	s.want(fault.Exists, err)
	_, err = s.store.Collection(s.Context(), ann, o, "INBOX")
	s.want(fault.NoMailbox, err)
	s.must(c.Delete(s.Context()))
	s.want(fault.Denied, s.ann(Calendar).Delete(s.Context()))
	if got := names("ann", Calendar); got != "Calendar" {
		t.Errorf("calendars: %s", got)
	}
}

func TestPropertiesAreEachUsersOwn(t *testing.T) {
	s := newSite(t)
	own := s.ann(Calendar)
	s.grant("Calendar", "bob", "lr")
	bob, err := s.main("bob", Calendar)
	s.must(err)
	v := func(text string) *string { return &text }
	s.must(own.SetProperties(s.Context(), map[string]*string{"color": v("red"), "order": v("1")}))
	s.must(bob.SetProperties(s.Context(), map[string]*string{"color": v("blue")}))
	show := func(c *Collection) string {
		p, err := c.Properties(s.Context())
		s.must(err)
		return p["color"] + " " + p["order"]
	}
	if got := show(own) + ", " + show(bob); got != "red 1, blue 1" {
		t.Error(got)
	}
	s.must(bob.SetProperties(s.Context(), map[string]*string{"color": nil}))
	if got := show(own) + ", " + show(bob); got != "red 1, red 1" {
		t.Error(got)
	}
}

func TestZone(t *testing.T) {
	s := newSite(t)
	zone := func(c *Collection) string {
		t.Helper()
		z, err := c.Zone(s.Context())
		s.must(err)
		return z.Name
	}
	if got := zone(s.ann(Calendar)); got != "Local" && got != "UTC" {
		t.Errorf("without anything: %s", got)
	}
	s.must(s.accounts.AccountPrefs("company.com", "ann").Update(s.Context(), dataformat.Dict{"TimeZone": dataformat.String("Asia/Tokyo")}))
	if got := zone(s.ann(Calendar)); got != "Asia/Tokyo" {
		t.Errorf("preference: %s", got)
	}
	s.grant("Calendar", "bob", "lr")
	if bob, err := s.main("bob", Calendar); err != nil || zone(bob) != "Asia/Tokyo" {
		t.Errorf("the owner's preference does not hold for others: %v", err)
	}
	text := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Fish &amp; Chips\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n" +
		"TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nEND:VCALENDAR"
	c := s.ann(Calendar)
	s.must(c.SetProperties(s.Context(), map[string]*string{TimezoneProperty: &text}))
	if got := zone(s.ann(Calendar)); got != "Fish & Chips" {
		t.Errorf("calendar-timezone: %s", got)
	}
	id := "Europe/Berlin"
	s.must(c.SetProperties(s.Context(), map[string]*string{TimezoneIDProperty: &id}))
	if got := zone(s.ann(Calendar)); got != "Europe/Berlin" {
		t.Errorf("calendar-timezone-id: %s", got)
	}
}

// What IMAP or a rule has put into a calendar becomes an item, if it is one.
func TestMessagesBecomeItems(t *testing.T) {
	s := newSite(t)
	c := s.ann(Calendar)
	encoded := func(kind, encoding, text string) string {
		return "From: <a@example.com>\r\nContent-Type: " + kind + "\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + text
	}
	plain := string(event("by/imap?", morning))
	for _, m := range []string{
		encoded("text/calendar; charset=utf-8", "8bit", plain),
		encoded("text/calendar", "quoted-printable", strings.ReplaceAll(strings.Replace(plain, "by/imap?", "quoted", 1), "=", "=3D")),
		encoded("multipart/mixed; boundary=b", "7bit", "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: text/calendar\r\n\r\n"+
			strings.Replace(plain, "by/imap?", "part", 1)+"\r\n--b--\r\n"),
		encoded("text/plain", "7bit", "no event"),
		encoded("text/calendar", "7bit", "no event either"),
		"no message at all",
	} {
		_, err := s.account("ann").Mail().Append(s.Context(), "Calendar", mailbox.AppendMessage{Body: strings.NewReader(m)})
		s.must(err)
	}
	list, err := c.Items(s.Context())
	s.must(err)
	var keys []string
	for _, i := range list {
		keys = append(keys, i.Key)
		if strings.ContainsAny(i.Name, "/?") || !strings.HasSuffix(i.Name, ".ics") {
			t.Errorf("an item is named %q", i.Name)
		}
	}
	slices.Sort(keys)
	if got := strings.Join(keys, " "); got != "by/imap? part quoted" {
		t.Errorf("items: %s", got)
	}
	if _, text, err := c.Text(s.Context(), "quoted.ics"); err != nil || !strings.Contains(string(text), "UID:quoted") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestExport(t *testing.T) {
	s := newSite(t)
	zone := "BEGIN:VTIMEZONE\r\nTZID:Camp\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
	inner := func(uid string) string {
		return "BEGIN:VEVENT\r\nUID:" + uid + "\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;TZID=Camp:20260105T090000\r\nEND:VEVENT\r\n"
	}
	c := s.ann(Calendar)
	for _, uid := range []string{"1", "2"} {
		s.put(c, uid+".ics", []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"+zone+inner(uid)+"END:VCALENDAR\r\n"))
	}
	var b bytes.Buffer
	s.must(c.Export(s.Context(), &b))
	want := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Gatepost//Gatepost//EN\r\nX-WR-CALNAME:Calendar\r\n" + zone + inner("1") + inner("2") + "END:VCALENDAR\r\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	book := s.ann(Contacts)
	s.put(book, "1.vcf", bytes.TrimSuffix(card("1", ""), []byte("\r\n")))
	s.put(book, "2.vcf", card("2", ""))
	s.must(book.Export(s.Context(), &b))
	if want := string(card("1", "")) + string(card("2", "")); b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	s.want(fault.Canceled, book.Export(ctx, io.Discard))
}

func TestBetweenAndChanges(t *testing.T) {
	s := newSite(t)
	c := s.ann(Calendar)
	s.put(c, "1.ics", event("1", morning))
	s.put(c, "often.ics", event("often", morning+"\nRRULE:FREQ=DAILY"))
	state, err := c.State(s.Context())
	s.must(err)
	const month = 31 * 86400
	const january = 1767225600
	for from, want := range map[int64]string{january: "1.ics often.ics", january + 2*month: "often.ics", january - 2*month: ""} {
		list, err := c.Between(s.Context(), from, from+month)
		s.must(err)
		var names []string
		for _, i := range list {
			names = append(names, i.Name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("from %d: %s, want %s", from, got, want)
		}
	}
	s.put(c, "2.ics", event("2", morning))
	s.must(c.DeleteItem(s.Context(), "1.ics", nil))
	changes, err := c.Changes(s.Context(), state.Validity, state.ModSeq, 0)
	s.must(err)
	if len(changes.Changed) != 1 || changes.Changed[0].Name != "2.ics" || len(changes.Removed) != 1 || changes.Removed[0] != "1.ics" {
		t.Errorf("%+v", changes)
	}
}
