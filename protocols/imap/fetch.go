package imap

import (
	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// seenBatch is for how many messages at a time FETCH sets \Seen. Each batch is one commit. When
// the client disconnects, later batches stay unread.
const seenBatch = 100

// fetch is FETCH (RFC 9051 section 6.4.5).
func (s *session) fetch(c *call, p *wire.Parser) error {
	p.Space()
	set := parseSet(p)
	p.Space()
	plan := parseFetch(p, c.uid && !s.uidOnly)
	x := fetching{view: s.view, plan: plan}
	if p.SkipSpace() {
		plan.parseModifiers(p, c.uid, s.qresync)
	}
	if err := p.End(); err != nil {
		return err
	}
	if plan.modSeq {
		s.enableCondstore()
	}
	if plan.vanished {
		if err := s.view.putVanished(plan.changedSince, s.view.uidRanges(set)); err != nil {
			return err
		}
	}
	seqs, err := s.view.resolve(set, c.uid)
	if err != nil {
		return err
	}
	if plan.partial.low > 0 {
		seqs = plan.partial.cutRanges(seqs)
	}
	if plan.marksSeen && !s.view.info.ReadOnly && s.view.target.Rights.Has(access.Seen) {
		return x.readAndMark(seqs)
	}
	_, err = x.ranges(seqs, false)
	return err
}

// fetching is a FETCH command that reads messages.
type fetching struct {
	*view
	plan      *fetchPlan
	reader    *mailbox.Reader
	timeslice timeslice
	scratch   []byte
}

// newlySeen is a message that gets \Seen because it was fetched, with the flags that the client was sent.
type newlySeen struct {
	seq   int
	state mailbox.State
}

// readAndMark is ranges that sets \Seen. The client is sent each message with the flags that it will
// have. The flag is set afterwards, for the messages that were written: a message that
// cannot be read stays unread.
func (x *fetching) readAndMark(seqs []wire.Range) error {
	var failed error
	for len(seqs) > 0 {
		var batch []wire.Range
		batch, seqs = firstMessages(seqs, seenBatch)
		read, err := x.ranges(batch, true)
		if err != nil {
			failed = err
		}
		if len(read) > 0 && x.ctx.Err() == nil {
			x.markSeen(read)
		}
		if x.broken() {
			return failed
		}
	}
	return failed
}

// markSeen sets \Seen of messages that were written. Where other sessions have changed the flags meanwhile, it
// sends them: Sync would take this for a part of the session's own change.
func (x *fetching) markSeen(read []newlySeen) {
	uids := make([]imap.UID, len(read))
	for i := range read {
		uids[i] = read[i].state.UID
	}
	if _, err := x.mailbox.SetFlags(x.ctx, uids, mailbox.Add, []imap.Flag{imap.FlagSeen}, mailbox.NoCondition); err != nil {
		// The client has got the message. The loop below sends the flags without \Seen.
		x.log.Log(x.ctx, logs.LevelFailure, "cannot set \\Seen", logs.AttrError, err)
	}
	if !x.update(false) {
		return // the mailbox is deleted; dispatch ends the session
	}
	for i := range read {
		was := &read[i]
		st, ok := x.mailbox.StateAt(was.seq)
		if ok && (st.Flags != was.state.Flags || st.Keywords != was.state.Keywords || x.condstore) {
			x.putFlags(was.seq, x.call.uid) // and the MODSEQ that the change has got
		}
	}
}

// firstMessages cuts the first n messages off a set of ranges.
func firstMessages(seqs []wire.Range, n uint32) (first, rest []wire.Range) {
	for i, r := range seqs {
		size := r.High - r.Low + 1
		if size < n {
			n -= size
			continue
		}
		first = append(first, seqs[:i]...)
		first = append(first, wire.Range{Low: r.Low, High: r.Low + n - 1})
		if size > n {
			rest = append(rest, wire.Range{Low: r.Low + n, High: r.High})
		}
		return first, append(rest, seqs[i+1:]...)
	}
	return seqs, nil
}

// ranges writes the FETCH responses of messages. With mark, unread messages are sent as
// if they had \Seen, and returned. A message that cannot be read is left out, and the
// error is returned.
func (x *fetching) ranges(seqs []wire.Range, mark bool) (read []newlySeen, failed error) {
	x.reader, x.timeslice = x.mailbox.Reader(), x.responder.timeslice("")
	defer x.reader.Close()
	defer x.timeslice.end()
	for _, r := range seqs {
		for seq := r.Low; seq <= r.High; seq++ {
			st, ok := x.mailbox.StateAt(int(seq))
			if !ok || st.ModSeq <= x.plan.changedSince {
				continue
			}
			st.Recent = st.Recent && !x.rev2
			marked := mark && st.Flags&mailbox.Seen == 0
			if marked {
				st.Flags |= mailbox.Seen
			}
			m := fetched{seq: int(seq), state: st, flags: marked && !x.plan.hasFlags}
			err := x.message(&m)
			if err := x.out.Err(); err != nil {
				if x.ctx.Err() == nil && x.conn.readErr == nil && x.conn.writeErr == nil {
					x.log.Log(x.ctx, logs.LevelFailure, "cannot read a message to its end, the connection is closed",
						"uid", st.UID, logs.AttrError, err)
				}
				return read, err
			}
			switch {
			case err != nil:
				x.log.Log(x.ctx, logs.LevelFailure, "cannot read a message", "uid", st.UID, logs.AttrError, err)
				failed = err
			case marked:
				read = append(read, newlySeen{int(seq), st})
			}
			if x.ctx.Err() != nil {
				return read, fault.Wrap("imap.Fetch", fault.Canceled, x.ctx.Err())
			}
		}
	}
	return read, failed
}

// fetched is a message whose FETCH response is being written.
type fetched struct {
	seq   int
	state mailbox.State
	flags bool // FLAGS is sent though it was not requested
	// The following are set as far as the plan needs them.
	content *mailbox.Content
	summary *message.Summary
	body    mailbox.Body
}

// message writes the FETCH response of a message. What may fail is done before the response begins, so that
// no response is left incomplete. Only a file that cannot be read to its end while it is sent
// ends the connection.
func (x *fetching) message(m *fetched) (err error) {
	if x.plan.needs&(needContent|needSummary) != 0 {
		if m.content, err = x.reader.Content(x.ctx, m.state.UID); err != nil {
			return err
		}
	}
	if x.plan.needs&needSummary != 0 {
		if m.summary, err = m.content.Summary(x.ctx); err != nil {
			return err
		}
	}
	if x.plan.needs&needBody != 0 {
		if m.body, err = x.reader.Open(x.ctx, m.state.UID); err != nil {
			return err
		}
		defer m.body.Close()
	}
	for i := 0; x.plan.binary && i < len(x.plan.items); i++ {
		if err := checkItem(&x.plan.items[i], m); err != nil {
			return err
		}
	}
	x.out.Set(x.appendFetch(x.out.Buf(), m.seq, m.state.UID))
	for i := range x.plan.items {
		if x.out.Err() != nil {
			return nil // the caller checks it
		}
		if i > 0 {
			x.out.Byte(' ')
		}
		x.putItem(&x.plan.items[i], m)
	}
	if m.flags {
		x.out.Byte(' ')
		x.putItem(&fetchItem{kind: fetchFlags}, m)
	}
	x.out.Byte(')').CRLF()
	return nil
}

// structureForm adds the protocol's revision to the form of a BODYSTRUCTURE.
func (r *responder) structureForm(form message.StructureForm) message.StructureForm {
	if r.rev2 {
		form |= message.Rev2
	}
	return form
}

func (x *fetching) putItem(item *fetchItem, m *fetched) {
	switch item.kind {
	case fetchUID:
		x.out.Raw("UID ").Number(uint64(m.state.UID))
	case fetchFlags:
		b := append(x.out.Buf(), "FLAGS ("...)
		x.out.Set(append(x.mailbox.AppendFlags(b, m.state), ')'))
	case fetchInternalDate:
		msg, _ := x.mailbox.Message(m.state.UID)
		x.out.Raw("INTERNALDATE ").Set(wire.AppendDateTime(x.out.Buf(), msg.InternalDate))
	case fetchSize:
		msg, _ := x.mailbox.Message(m.state.UID)
		x.out.Raw("RFC822.SIZE ").Number(uint64(msg.Size))
	case fetchEmailID:
		msg, _ := x.mailbox.Message(m.state.UID)
		x.putMessageID("EMAILID", 'M', msg.EmailID)
	case fetchThreadID:
		msg, _ := x.mailbox.Message(m.state.UID)
		x.putMessageID("THREADID", 'T', msg.ThreadID)
	case fetchSaveDate: // RFC 8514
		msg, _ := x.mailbox.Message(m.state.UID)
		x.out.Raw("SAVEDATE ").Set(wire.AppendDateTime(x.out.Buf(), msg.SaveDate))
	case fetchPreview, fetchLazyPreview:
		x.putPreview(m, item.kind == fetchLazyPreview)
	case fetchModSeq:
		x.putModSeq(m.state.ModSeq)
	case fetchEnvelope:
		x.out.Raw("ENVELOPE ").Bytes(m.content.Envelope)
	case fetchBody:
		x.out.Raw("BODY ").Set(message.AppendBodyStructure(x.out.Buf(), m.summary.Root, x.structureForm(0)))
	case fetchBodyStructure:
		x.out.Raw("BODYSTRUCTURE ").Set(message.AppendBodyStructure(x.out.Buf(), m.summary.Root, x.structureForm(message.Extended)))
	case fetchSection:
		x.putSection(item, m)
	case fetchBinary, fetchBinarySize:
		x.putBinary(item, m)
	}
}
