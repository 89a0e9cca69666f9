package webadmin

import (
	"net/http"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/server/dataformat"
)

// This file has the monitors of what goes on now: sessions, connections, blocked logins, polls of remote accounts; and the
// certificate that clients are shown.

func sessionPages() []*page {
	return []*page{
		{path: "Monitors/Sessions", title: "Sessions", call: "LISTSESSIONS", menu: true, get: (*call).sessionsPage,
			post: map[string]func(*call) error{"kill": (*call).killSession, "end": (*call).endConnection}},
		{path: "Monitors/Blocks", title: "Temporary Blocks", call: "LISTBLOCKS", menu: true, get: (*call).blocksPage,
			post: map[string]func(*call) error{"lift": (*call).liftBlock, "block": (*call).blockAddress}},
		{path: "Monitors/RPOP", title: "RPOP", call: "LISTPOLLS", menu: true, get: (*call).pollsPage},
		{path: "Settings/Certificate", title: "TLS Certificate", call: "LISTCERTIFICATES", menu: true, get: (*call).certificatePage,
			post: map[string]func(*call) error{"import": (*call).importCertificate}},
	}
}

type connectionRow struct {
	Module, Number, Address, Kind, Idle string
	Since                               time.Time
}

type sessionsView struct {
	Sessions    []accounts.SessionInfo
	Connections []connectionRow
	Zone        *time.Location
}

func (c *call) sessionsPage() error {
	list, err := c.actor.Sessions(c.ctx())
	if err != nil {
		return err
	}
	connections, err := c.actor.Connections(c.ctx())
	if err != nil {
		return err
	}
	kinds := map[string]string{"user": c.T("logged in"), "client": c.T("Client IP"), "stranger": c.T("stranger"), "ending": c.T("is ending")}
	v := &sessionsView{Sessions: list, Zone: c.prefs.Zone}
	for _, e := range connections {
		d, _ := e.(dataformat.Dict)
		row := connectionRow{Module: d.String("module"), Number: d.String("number"), Address: d.String("address"), Kind: kinds[d.String("kind")]}
		if t, ok := d["since"].(dataformat.Time); ok {
			row.Since = t.T
		}
		if n, ok := dataformat.Int(d["idle"]); ok && n > 0 {
			row.Idle = ageText(n)
		}
		v.Connections = append(v.Connections, row)
	}
	return c.show(http.StatusOK, "sessions", c.T("Sessions"), v)
}

func (c *call) killSession() error {
	if err := c.actor.KillSession(c.ctx(), c.field("number")); err != nil {
		return err
	}
	return c.done("/Monitors/Sessions", &flash{Text: c.T("The session is closed.")})
}

func (c *call) endConnection() error {
	if err := c.actor.EndConnection(c.ctx(), c.field("module"), c.field("number")); err != nil {
		return err
	}
	return c.done("/Monitors/Sessions", &flash{Text: c.T("The connection is closed.")})
}

type blockRow struct {
	Account, Network, Shown, Cause, Left string
	Failures                             int
	Until                                time.Time
}

type blocksView struct {
	Rows                    []blockRow
	Zone                    *time.Location
	MayBlock                bool
	More                    int // that are not shown
	Address, Seconds, Error string
}

// maxBlockRows is how many blocks the page shows: a flood leaves thousands.
const maxBlockRows = 1000

func (c *call) blocksPage() error { return c.drawBlocks(http.StatusOK, "", "900", "") }

func (c *call) drawBlocks(status int, address, seconds, problem string) error {
	list, err := c.actor.Blocks(c.ctx())
	if err != nil {
		return err
	}
	v := &blocksView{Zone: c.prefs.Zone, MayBlock: c.may("TEMPBLACKLISTIP"), Address: address, Seconds: seconds, Error: problem}
	if v.More = len(list) - maxBlockRows; v.More > 0 {
		list = list[:maxBlockRows]
	}
	for _, b := range list {
		row := blockRow{Account: b.Account, Cause: c.T(b.Cause), Failures: b.Failures, Until: b.Until, Left: ageText(int64(time.Until(b.Until) / time.Second))}
		if b.Network.IsValid() {
			row.Network, row.Shown = b.Network.String(), b.Network.String()
			if b.Network.IsSingleIP() {
				row.Shown = b.Network.Addr().String()
			}
		}
		v.Rows = append(v.Rows, row)
	}
	return c.show(status, "blocks", c.T("Temporary Blocks"), v)
}

func (c *call) blockAddress() error {
	address, seconds := c.field("address"), c.field("seconds")
	if err := c.actor.BlockAddress(c.ctx(), address, seconds); err != nil {
		if !kept(err) {
			return err
		}
		return c.drawBlocks(http.StatusUnprocessableEntity, address, seconds, c.reason(err))
	}
	return c.done("/Monitors/Blocks", &flash{Text: c.T("%s is blocked.", address), Command: "TEMPBLACKLISTIP " + address + " TIMEOUT " + seconds})
}

func (c *call) liftBlock() error {
	if err := c.actor.LiftBlock(c.ctx(), c.field("account"), c.field("network")); err != nil {
		return err
	}
	return c.done("/Monitors/Blocks", &flash{Text: c.T("The block is lifted.")})
}

type pollRow struct {
	Account, Name, Host, Messages, Total, Error, Link string
	Running                                           bool
	Last, Next                                        time.Time
}

type pollsView struct {
	Rows []pollRow
	Zone *time.Location
}

func (c *call) pollsPage() error {
	list, err := c.actor.Polls(c.ctx())
	if err != nil {
		return err
	}
	v := &pollsView{Zone: c.prefs.Zone}
	for _, e := range list {
		d, _ := e.(dataformat.Dict)
		row := pollRow{Account: d.String("account"), Name: d.String("name"), Host: d.String("host"), Messages: d.String("messages"), Total: d.String("totalMessages"),
			Error: d.String("lastError"), Running: d.String("running") == "YES"}
		if t, ok := d["lastPoll"].(dataformat.Time); ok {
			row.Last = t.T
		}
		if t, ok := d["nextPoll"].(dataformat.Time); ok {
			row.Next = t.T
		}
		v.Rows = append(v.Rows, row)
	}
	return c.show(http.StatusOK, "polls", c.T("Polls of remote accounts"), v)
}

type certificateRow struct {
	File, Domain, Subject, Issuer, Key, Fingerprint, State, Left string
	Names                                                        []string
	Own, Bad                                                     bool
	From, Until                                                  time.Time
	Zone                                                         *time.Location
}

type certificateView struct {
	Rows      []certificateRow
	MayImport bool
	Chain     string
	Error     string
}

func (c *call) certificatePage() error { return c.drawCertificate(http.StatusOK, "", "") }

func (c *call) drawCertificate(status int, chain, problem string) error {
	list, err := c.actor.Certificates(c.ctx())
	if err != nil {
		return err
	}
	v := &certificateView{MayImport: c.may("IMPORTCERTIFICATE"), Chain: chain, Error: problem}
	for _, e := range list {
		d, _ := e.(dataformat.Dict)
		v.Rows = append(v.Rows, c.certificateRow(d))
	}
	return c.show(status, "certificate", c.T("TLS Certificate"), v)
}

// certificateRow is what admin.DescribeCertificate says.
func (c *call) certificateRow(d dataformat.Dict) certificateRow {
	row := certificateRow{File: d.String("file"), Domain: d.String("domain"), Subject: d.String("subject"), Issuer: d.String("issuer"), Key: d.String("key"), Fingerprint: d.String("fingerprint"),
		Names: d.Strings("names"), Own: d.String("selfSigned") == "YES", Zone: c.prefs.Zone}
	if t, ok := d["notBefore"].(dataformat.Time); ok {
		row.From = t.T
	}
	if t, ok := d["notAfter"].(dataformat.Time); ok {
		row.Until = t.T
	}
	left := int(time.Until(row.Until) / (24 * time.Hour))
	if row.Bad = left < 14; time.Now().After(row.Until) {
		row.Left = c.T("it has ended")
	} else {
		row.Left = count(c.prefs.Language, left, "day")
	}
	return row
}

// importCertificate puts another certificate in force. What was typed of the key does not come back.
func (c *call) importCertificate() error {
	if err := c.actor.ImportCertificate(c.ctx(), c.field("chain"), c.field("key")); err != nil {
		if !kept(err) {
			return err
		}
		return c.drawCertificate(http.StatusUnprocessableEntity, certificatesOf(c.field("chain")), c.reason(err))
	}
	return c.done("/Settings/Certificate", &flash{Text: c.T("The certificate is in force for new connections."), File: "Certificates/server.pem"})
}

// certificatesOf is a text without keys that somebody has put into it.
func certificatesOf(text string) string {
	if strings.Contains(text, "PRIVATE KEY") {
		return ""
	}
	return text
}
