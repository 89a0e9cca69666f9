package imap

import (
	"io"
	"slices"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// dialClient connects go-imap's client and logs it in.
func (f *fixture) dialClient(t *testing.T, o *imapclient.Options) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(f.addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login("user1", "secret1").Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

// must returns the value of a call that has to succeed.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

const clientMessage = "From: A <a@company.com>\r\nTo: user1@company.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" +
	"Message-ID: <1@company.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain\r\n\r\nplain text\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n"

func (f *fixture) appendWith(t *testing.T, c *imapclient.Client, box, text string, o *imap.AppendOptions) *imap.AppendData {
	t.Helper()
	a := c.Append(box, int64(len(text)), o)
	if _, err := io.WriteString(a, text); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return must[*imap.AppendData](t)(a.Wait())
}

func TestGoIMAPClientReadsAndWritesMessages(t *testing.T) {
	for _, rev2 := range []bool{false, true} {
		f := start(t)
		c := f.dialClient(t, nil)
		if rev2 {
			data := must[*imapclient.EnableData](t)(c.Enable(imap.CapIMAP4rev2).Wait())
			if !data.Caps.Has(imap.CapIMAP4rev2) {
				t.Error("IMAP4rev2 is not enabled")
			}
		}
		added := f.appendWith(t, c, "INBOX", clientMessage, &imap.AppendOptions{Flags: []imap.Flag{imap.FlagFlagged, "$Label1"}})
		f.appendWith(t, c, "INBOX", "Subject: second\r\n\r\nsecond\r\n", nil)
		sel := must[*imap.SelectData](t)(c.Select("INBOX", nil).Wait())
		if sel.NumMessages != 2 || sel.UIDValidity != added.UIDValidity || sel.UIDNext != 3 || added.UID != 1 {
			t.Errorf("%+v %+v", sel, added)
		}
		section := &imap.FetchItemBodySection{Part: []int{2}, Peek: true}
		whole := &imap.FetchItemBodySection{Peek: true}
		msgs := must[[]*imapclient.FetchMessageBuffer](t)(c.Fetch(imap.UIDSetNum(1), &imap.FetchOptions{
			UID: true, Flags: true, InternalDate: true, RFC822Size: true, Envelope: true,
			BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{section, whole},
		}).Collect())
		if len(msgs) != 1 {
			t.Fatalf("%d messages", len(msgs))
		}
		m := msgs[0]
		if m.UID != 1 || m.RFC822Size != int64(len(clientMessage)) || m.Envelope.Subject != "Grüße" || m.Envelope.MessageID != "1@company.com" ||
			m.BodyStructure.MediaType() != "multipart/alternative" || !slices.Contains(m.Flags, "$Label1") || m.InternalDate.IsZero() {
			t.Errorf("%+v %+v", m, m.Envelope)
		}
		if got := string(m.FindBodySection(section)); got != "<p>html</p>" {
			t.Errorf("%q", got)
		}
		if got := string(m.FindBodySection(whole)); got != clientMessage {
			t.Errorf("%q", got)
		}
		found := must[*imap.SearchData](t)(c.UIDSearch(&imap.SearchCriteria{
			Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "GRÜ"}}, NotFlag: []imap.Flag{imap.FlagSeen},
		}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait())
		if got := found.AllUIDs(); len(got) != 1 || got[0] != 1 || found.Count != 1 {
			t.Errorf("%+v", found)
		}
		stored := must[[]*imapclient.FetchMessageBuffer](t)(c.Store(imap.SeqSetNum(1, 2), &imap.StoreFlags{
			Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted, "new"}}, nil).Collect())
		if len(stored) != 2 || !slices.Contains(stored[1].Flags, "new") {
			t.Errorf("%+v", stored)
		}
		if gone := must[[]uint32](t)(c.UIDExpunge(imap.UIDSetNum(2)).Collect()); !slices.Equal(gone, []uint32{2}) {
			t.Error(gone)
		}
		copied := must[*imap.CopyData](t)(c.Copy(imap.UIDSetNum(1), "Archive").Wait())
		if copied.SourceUIDs.String() != "1" || copied.DestUIDs.String() != "1" {
			t.Errorf("%+v", copied)
		}
		moved := must[*imapclient.MoveData](t)(c.Move(imap.SeqSetNum(1), "Archive").Wait())
		if moved.DestUIDs.String() != "2" {
			t.Errorf("%+v", moved)
		}
		if err := c.Logout().Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestGoIMAPClientManagesMailboxes(t *testing.T) {
	f := start(t)
	c := f.dialClient(t, nil)
	ns := must[*imap.NamespaceData](t)(c.Namespace().Wait())
	if len(ns.Personal) != 1 || ns.Personal[0].Delim != '/' {
		t.Errorf("%+v", ns)
	}
	for _, err := range []error{
		c.Create("Проекты/новый", nil).Wait(), c.Create("Special", &imap.CreateOptions{SpecialUse: []imap.MailboxAttr{imap.MailboxAttrJunk}}).Wait(),
		c.Subscribe("Проекты/новый").Wait(), c.Rename("Special", "Spam", nil).Wait(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.appendWith(t, c, "Spam", "Subject: x\r\n\r\n", nil)
	list := must[[]*imap.ListData](t)(c.List("", "*", &imap.ListOptions{
		ReturnStatus: &imap.StatusOptions{NumMessages: true, Size: true, NumDeleted: true}, ReturnSpecialUse: true, ReturnSubscribed: true,
	}).Collect())
	names := map[string]*imap.ListData{}
	for _, l := range list {
		names[l.Mailbox] = l
	}
	if l := names["Spam"]; l == nil || l.Status == nil || *l.Status.NumMessages != 1 || *l.Status.Size != 14 || !slices.Contains(l.Attrs, imap.MailboxAttrJunk) {
		t.Errorf("%+v", l)
	}
	if l := names["Проекты/новый"]; l == nil || !slices.Contains(l.Attrs, imap.MailboxAttrSubscribed) {
		t.Errorf("%+v", l)
	}
	st := must[*imap.StatusData](t)(c.Status("Spam", &imap.StatusOptions{NumMessages: true, UIDNext: true, UIDValidity: true, NumUnseen: true, AppendLimit: true}).Wait())
	if *st.NumUnseen != 1 || st.UIDNext != 2 || *st.AppendLimit != 100<<20 {
		t.Errorf("%+v", st)
	}
	if err := c.Delete("Spam").Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Delete("Spam").Wait(); err == nil || !strings.Contains(err.Error(), "NONEXISTENT") {
		t.Error(err)
	}
}

func TestGoIMAPClientIdles(t *testing.T) {
	f := start(t)
	exists := make(chan uint32, 10)
	expunged := make(chan uint32, 10)
	c := f.dialClient(t, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				exists <- *d.NumMessages
			}
		},
		Expunge: func(seq uint32) { expunged <- seq },
	}})
	must[*imap.SelectData](t)(c.Select("INBOX", nil).Wait())
	idle := must[*imapclient.IdleCommand](t)(c.Idle())
	other := f.dialClient(t, nil)
	f.appendWith(t, other, "INBOX", "Subject: x\r\n\r\n", nil)
	if n := <-exists; n != 1 {
		t.Error(n)
	}
	must[*imap.SelectData](t)(other.Select("INBOX", nil).Wait())
	if err := other.Store(imap.SeqSetNum(1), &imap.StoreFlags{Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Expunge().Close(); err != nil {
		t.Fatal(err)
	}
	if n := <-expunged; n != 1 {
		t.Error(n)
	}
	if err := idle.Close(); err != nil {
		t.Error(err)
	}
	if err := idle.Wait(); err != nil {
		t.Error(err)
	}
}
