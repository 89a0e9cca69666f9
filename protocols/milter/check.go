package milter

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-milter"

	"gatepost/protocols/smtp"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Check asks all milters that are enabled.
type Check struct {
	list    func() List
	version string
	log     *slog.Logger
}

// New returns a check. The list is asked for at each message.
func New(list func() List, version string, log *slog.Logger) *Check {
	return &Check{list: list, version: version, log: logs.Component(log, tag)}
}

const tag = "MILTER"

// LogLevels is the level of the log records of milters, by their tag.
func LogLevels(l List) map[string]int {
	if n := l.LogLevel(); n >= 0 {
		return map[string]int{tag: n}
	}
	return nil
}

// Check asks one milter after the other.
func (c *Check) Check(ctx context.Context, m *smtp.Message) (v smtp.Verdict, err error) {
	var e *edited
	for _, s := range c.list() {
		if !s.Enabled {
			continue
		}
		if e == nil {
			if e, err = edit(m); err != nil && !errors.Is(err, errLargeHeader) {
				return v, err
			}
		}
		d := decision{}
		if err == nil {
			d, err = c.ask(ctx, &s, e)
		}
		switch {
		case err != nil:
		case d.ended():
			c.record(ctx, &s, m, logs.LevelMajor, d.String())
		default:
			c.record(ctx, &s, m, logs.LevelLowLevel, "the message goes on")
		}
		switch {
		case err != nil:
			c.record(ctx, &s, m, logs.LevelFailure, "the milter does not work", slog.Any(logs.AttrError, err))
			err = nil
			if s.OnFailure == "tempfail" {
				v.Refuse = fault.New("milter.Check", fault.Unavailable, "the message cannot be checked now, try again later")
				return v, nil
			}
		case d.refuse != nil:
			v.Refuse = d.refuse
			return v, nil
		case d.drop:
			v.Drop = true
			return v, nil
		}
		if d.quarantine {
			switch s.Quarantine {
			case "junk":
				v.Junk = true
			case "reject":
				v.Refuse = fault.New("milter.Check", fault.Rejected, "the message is refused by a content filter")
				return v, nil
			}
		}
	}
	if e != nil {
		e.verdict(&v)
	}
	return v, nil
}

func (c *Check) record(ctx context.Context, s *Settings, m *smtp.Message, level slog.Level, text string, more ...slog.Attr) {
	if logs.Number(level) > s.LogLevel {
		return
	}
	c.log.LogAttrs(ctx, level, text, append([]slog.Attr{slog.Any(logs.AttrQueueID, m.ID), slog.String("milter", s.Name)}, more...)...)
}

// decision is what a milter wants done with a message.
type decision struct {
	done       bool  // it wants to see no more
	refuse     error // nil: it does not refuse it
	drop       bool
	quarantine bool
	reason     string // of quarantine
}

func (d *decision) ended() bool { return d.refuse != nil || d.drop || d.quarantine }

func (d *decision) String() string {
	switch {
	case d.refuse != nil:
		return "the milter refuses the message: " + fault.Text(d.refuse)
	case d.drop:
		return "the milter drops the message"
	}
	return "the milter puts the message into quarantine: " + d.reason
}

// act takes an action that ends a stage.
func (d *decision) act(a *milter.Action) {
	const op = "milter.Check"
	switch a.Code {
	case milter.ActContinue:
		return
	case milter.ActAccept:
	case milter.ActDiscard:
		d.drop = true
	case milter.ActReject:
		d.refuse = fault.New(op, fault.Rejected, "the message is refused by a content filter")
	case milter.ActTempFail:
		d.refuse = fault.New(op, fault.Unavailable, "the message cannot be accepted now, try again later")
	case milter.ActReplyCode:
		kind := fault.Rejected
		if a.SMTPCode < 500 {
			kind = fault.Unavailable
		}
		d.refuse = fault.New(op, kind, replyText(a.SMTPText))
	}
	d.done = true
}

// replyText is the text of a reply in one line, without an enhanced status code: the wire has its own.
func replyText(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if word, rest, ok := strings.Cut(s, " "); ok && strings.Count(word, ".") == 2 && strings.Trim(word, "0123456789.") == "" {
		s = rest
	}
	if s == "" {
		s = "the message is refused by a content filter"
	}
	return s
}

const (
	// The library cannot read recipients with parameters, and macros that a milter asks for are not offered.
	actions = milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptChangeBody | milter.OptAddRcpt |
		milter.OptRemoveRcpt | milter.OptChangeFrom
	// oldActions are those that a milter of an old version knows: it cannot change the return-path.
	oldActions = actions &^ milter.OptChangeFrom
	steps      = milter.OptNoConnect | milter.OptNoHelo | milter.OptNoMailFrom | milter.OptNoRcptTo | milter.OptNoBody | milter.OptNoHeaders | milter.OptNoEOH |
		milter.OptNoUnknown | milter.OptNoData | milter.OptNoHeaderReply | milter.OptNoConnReply | milter.OptNoHeloReply | milter.OptNoMailReply |
		milter.OptNoRcptReply | milter.OptNoDataReply | milter.OptNoUnknownReply | milter.OptNoEOHReply | milter.OptNoBodyReply | milter.OptHeaderLeadingSpace
	// maxAnswers bounds what a milter says about one message, in bytes. Another body is a part of it.
	maxAnswers = 32 << 20
)

// ask asks one milter about a message, and changes it as the milter says.
func (c *Check) ask(ctx context.Context, s *Settings, m *edited) (decision, error) {
	d := &dialer{ctx: ctx, timeout: s.Timeout.Duration()}
	defer d.close()
	defer context.AfterFunc(ctx, d.close)()
	session, err := d.session(s, actions, steps)
	if errors.Is(err, milter.ErrUnsupportedMilterVersion) { // an old one knows fewer
		session, err = d.session(s, oldActions, 0)
	}
	if err != nil {
		return decision{}, err
	}
	e := &exchange{c: c, s: s, m: m, session: session, spaced: session.ProtocolOption(milter.OptHeaderLeadingSpace)}
	if err := e.run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return decision{}, err
	}
	_ = session.Close() // it has answered
	return e.decision, nil
}

// exchange is the dialogue about one message.
type exchange struct {
	c        *Check
	s        *Settings
	m        *edited
	session  *milter.ClientSession
	spaced   bool
	decision decision
}

// run goes through the stages until the milter has decided.
func (e *exchange) run() error {
	for _, stage := range []func() error{e.connect, e.mail, e.recipients, e.header, e.body} {
		if err := stage(); err != nil {
			return err
		}
		if e.decision.done {
			return nil
		}
	}
	return e.finish()
}

// step takes what a stage has come to.
func (e *exchange) step(a *milter.Action, err error) error {
	if err != nil {
		return err
	}
	e.decision.act(a)
	return nil
}

func (e *exchange) connect() error {
	ip := e.m.Client.Unmap()
	family, name, address := milter.FamilyInet, "["+ip.String()+"]", ip.String()
	switch {
	case !ip.IsValid():
		family, name, address = milter.FamilyUnknown, "localhost", ""
	case ip.Is6():
		family, name = milter.FamilyInet6, "[IPv6:"+ip.String()+"]"
	}
	if err := e.session.Macros(milter.CodeConn, "j", e.m.Name, "{daemon_name}", "gatepost", "v", "Gatepost "+e.c.version,
		"{client_addr}", address, "{client_name}", "unknown", "{client_ptr}", "unknown"); err != nil {
		return err
	}
	if err := e.step(e.session.Conn(name, family, 0, address)); err != nil || e.decision.done {
		return err
	}
	return e.step(e.session.Helo(e.m.HELO))
}

func (e *exchange) mail() error {
	from := ""
	if !e.m.envelope.ReturnPath.IsNull() {
		from = e.m.envelope.ReturnPath.String()
	}
	macros := []string{"i", e.m.ID.String(), "{mail_addr}", from}
	if a := e.m.Account; a != nil {
		macros = append(macros, "{auth_type}", "PLAIN", "{auth_authen}", a.Name+"@"+a.Domain, "{auth_author}", a.Name+"@"+a.Domain)
	}
	if err := e.session.Macros(milter.CodeMail, macros...); err != nil {
		return err
	}
	return e.step(e.session.Mail(from, nil))
}

func (e *exchange) recipients() error {
	for i := range e.m.envelope.Recipients {
		rcpt := e.m.envelope.Recipients[i].Address.String()
		if err := e.session.Macros(milter.CodeRcpt, "{rcpt_addr}", rcpt); err != nil {
			return err
		}
		if err := e.step(e.session.Rcpt(rcpt, nil)); err != nil || e.decision.done {
			return err
		}
	}
	return nil
}

func (e *exchange) header() error {
	for i := range e.m.fields {
		f := &e.m.fields[i]
		if err := e.step(e.session.HeaderField(f.name, f.value(e.spaced))); err != nil || e.decision.done {
			return err
		}
	}
	return e.step(e.session.HeaderEnd())
}

// body sends what comes after the empty line.
func (e *exchange) body() error {
	if e.session.ProtocolOption(milter.OptNoBody) {
		return nil
	}
	text, buf := e.m.text(), make([]byte, milter.MaxBodyChunk)
	for {
		n, err := io.ReadFull(text, buf)
		switch {
		case n == 0 && err == io.EOF:
			return nil
		case err != nil && err != io.ErrUnexpectedEOF:
			return err
		}
		if err := e.step(e.session.BodyChunk(buf[:n])); err != nil || e.decision.done {
			return err
		}
	}
}

// finish ends the message, and makes the changes that the milter wants.
func (e *exchange) finish() error {
	if err := e.session.Macros(milter.CodeEOB, "i", e.m.ID.String()); err != nil {
		return err
	}
	changes, act, err := e.session.End()
	if err != nil {
		return err
	}
	e.decision.act(act)
	changes = slices.DeleteFunc(changes, func(ch milter.ModifyAction) bool {
		if ch.Code == milter.ActQuarantine {
			e.decision.quarantine, e.decision.reason = true, replyText(ch.Reason)
		}
		return ch.Code == milter.ActQuarantine
	})
	for _, ch := range e.m.apply(changes, e.session, e.spaced) {
		e.c.record(context.Background(), e.s, e.m.Message, logs.LevelProblem, "a change that the milter wants is not made", slog.String("change", string(rune(ch.Code))))
	}
	return nil
}

// dialer connects to a milter, and knows the connection, which is to be closed whatever happens.
type dialer struct {
	ctx     context.Context
	timeout time.Duration

	mu   sync.Mutex
	conn net.Conn
}

func (d *dialer) session(s *Settings, actions milter.OptAction, protocol milter.OptProtocol) (*milter.ClientSession, error) {
	d.close()
	return milter.NewClientWithOptions(s.Address.Network, s.Address.Where, milter.ClientOptions{
		Dialer: d, ReadTimeout: d.timeout, WriteTimeout: d.timeout, ActionMask: actions, ProtocolMask: protocol,
	}).Session()
}

// Dial is what the library asks for.
func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout}).DialContext(d.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = &bounded{Conn: conn, room: maxAnswers}
	return d.conn, nil
}

func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		_ = d.conn.Close() // what counts was read
		d.conn = nil
	}
}

// bounded is a connection of which so much is read and no more.
type bounded struct {
	net.Conn
	room int
}

var errTalkative = errors.New("the milter says too much")

func (b *bounded) Read(p []byte) (int, error) {
	if b.room <= 0 {
		return 0, errTalkative
	}
	n, err := b.Conn.Read(p[:min(len(p), b.room)])
	b.room -= n
	return n, err
}
