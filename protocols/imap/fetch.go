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
	set := s.parseSet(p)
	p.Space()
	plan := parseFetch(p, c.uid && !s.uidOnly)
	if p.SkipSpace() {
		s.parseFetchModifiers(p, plan, c.uid)
	}
	if err := p.End(); err != nil {
		return err
	}
	if plan.modSeq {
		s.enableCondstore()
	}
	if plan.vanished {
		if err := s.putVanished(plan.changedSince, s.uidRanges(set)); err != nil {
			return err
		}
	}
	seqs, err := s.resolve(set, c.uid)
	if err != nil {
		return err
	}
	if plan.partial.low > 0 {
		seqs = plan.partial.cutRanges(seqs)
	}
	if plan.marksSeen && !s.info.ReadOnly && s.target.Rights.Has(access.Seen) {
		return s.fetchAndMark(plan, seqs)
	}
	_, err = s.fetchRanges(plan, seqs, false)
	return err
}

// newlySeen is a message that gets \Seen because it was fetched, with the flags that the client was sent.
type newlySeen struct {
	seq   int
	state mailbox.State
}

// fetchAndMark is fetchRanges that sets \Seen. The client is sent each message with the flags that it will
// have. The flag is set afterwards, for the messages that were written: a message that
// cannot be read stays unread.
func (s *session) fetchAndMark(plan *fetchPlan, seqs []wire.Range) error {
	var failed error
	for len(seqs) > 0 {
		var batch []wire.Range
		batch, seqs = firstMessages(seqs, seenBatch)
		read, err := s.fetchRanges(plan, batch, true)
		if err != nil {
			failed = err
		}
		if len(read) > 0 && s.ctx.Err() == nil {
			s.markSeen(read)
		}
		if s.broken() {
			return failed
		}
	}
	return failed
}

// markSeen sets \Seen of messages that were written. Where other sessions have changed the flags meanwhile, it
// sends them: Sync would take this for a part of the session's own change.
func (s *session) markSeen(read []newlySeen) {
	uids := make([]imap.UID, len(read))
	for i := range read {
		uids[i] = read[i].state.UID
	}
	if _, err := s.mailbox.SetFlags(s.ctx, uids, mailbox.Add, []imap.Flag{imap.FlagSeen}, mailbox.NoCondition); err != nil {
		// The client has got the message. The loop below sends the flags without \Seen.
		s.log.Log(s.ctx, logs.LevelFailure, "cannot set \\Seen", logs.AttrError, err)
	}
	if !s.update(false) {
		return // the mailbox is deleted; dispatch ends the session
	}
	for i := range read {
		was := &read[i]
		st, ok := s.mailbox.StateAt(was.seq)
		if ok && (st.Flags != was.state.Flags || st.Keywords != was.state.Keywords || s.condstore) {
			s.putFlags(was.seq, s.call.uid) // and the MODSEQ that the change has got
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

// fetchRanges writes the FETCH responses of messages. With mark, unread messages are sent as
// if they had \Seen, and returned. A message that cannot be read is left out, and the
// error is returned.
func (s *session) fetchRanges(plan *fetchPlan, seqs []wire.Range, mark bool) (read []newlySeen, failed error) {
	reader := s.mailbox.Reader()
	defer reader.Close()
	timeslice := newTimeslice(s, "")
	defer timeslice.end()
	for _, r := range seqs {
		for seq := r.Low; seq <= r.High; seq++ {
			st, ok := s.mailbox.StateAt(int(seq))
			if !ok || st.ModSeq <= plan.changedSince {
				continue
			}
			st.Recent = st.Recent && !s.rev2
			marked := mark && st.Flags&mailbox.Seen == 0
			if marked {
				st.Flags |= mailbox.Seen
			}
			m := fetched{seq: int(seq), state: st, flags: marked && !plan.hasFlags, timeslice: &timeslice}
			err := s.fetchOne(plan, reader, &m)
			if err := s.out.Err(); err != nil {
				if s.ctx.Err() == nil && s.conn.readErr == nil && s.conn.writeErr == nil {
					s.log.Log(s.ctx, logs.LevelFailure, "cannot read a message to its end, the connection is closed",
						"uid", st.UID, logs.AttrError, err)
				}
				return read, err
			}
			switch {
			case err != nil:
				s.log.Log(s.ctx, logs.LevelFailure, "cannot read a message", "uid", st.UID, logs.AttrError, err)
				failed = err
			case marked:
				read = append(read, newlySeen{int(seq), st})
			}
			if s.ctx.Err() != nil {
				return read, fault.Wrap("imap.Fetch", fault.Canceled, s.ctx.Err())
			}
		}
	}
	return read, failed
}

// fetched is a message whose FETCH response is being written.
type fetched struct {
	seq       int
	state     mailbox.State
	flags     bool // FLAGS is sent though it was not requested
	timeslice *timeslice
	// The following are set as far as the plan needs them.
	content *mailbox.Content
	summary *message.Summary
	body    mailbox.Body
}

// fetchOne writes the FETCH response of a message. What may fail is done before the response begins, so that
// no response is left incomplete. Only a file that cannot be read to its end while it is sent
// ends the connection.
func (s *session) fetchOne(plan *fetchPlan, r *mailbox.Reader, m *fetched) (err error) {
	if plan.needs&(needContent|needSummary) != 0 {
		if m.content, err = r.Content(s.ctx, m.state.UID); err != nil {
			return err
		}
	}
	if plan.needs&needSummary != 0 {
		if m.summary, err = m.content.Summary(s.ctx); err != nil {
			return err
		}
	}
	if plan.needs&needBody != 0 {
		if m.body, err = r.Open(s.ctx, m.state.UID); err != nil {
			return err
		}
		defer m.body.Close()
	}
	for i := 0; plan.binary && i < len(plan.items); i++ {
		if err := s.checkItem(&plan.items[i], m); err != nil {
			return err
		}
	}
	s.out.Set(s.appendFetch(s.out.Buf(), m.seq, m.state.UID))
	for i := range plan.items {
		if s.out.Err() != nil {
			return nil // the caller checks it
		}
		if i > 0 {
			s.out.Byte(' ')
		}
		s.putItem(&plan.items[i], m)
	}
	if m.flags {
		s.out.Byte(' ')
		s.putItem(&fetchItem{kind: fetchFlags}, m)
	}
	s.out.Byte(')').CRLF()
	return nil
}

// structureForm adds the protocol's revision to the form of a BODYSTRUCTURE.
func (s *session) structureForm(form message.StructureForm) message.StructureForm {
	if s.rev2 {
		form |= message.Rev2
	}
	return form
}

func (s *session) putItem(item *fetchItem, m *fetched) {
	switch item.kind {
	case fetchUID:
		s.out.Raw("UID ").Number(uint64(m.state.UID))
	case fetchFlags:
		b := append(s.out.Buf(), "FLAGS ("...)
		s.out.Set(append(s.mailbox.AppendFlags(b, m.state), ')'))
	case fetchInternalDate:
		msg, _ := s.mailbox.Message(m.state.UID)
		s.out.Raw("INTERNALDATE ").Set(wire.AppendDateTime(s.out.Buf(), msg.InternalDate))
	case fetchSize:
		msg, _ := s.mailbox.Message(m.state.UID)
		s.out.Raw("RFC822.SIZE ").Number(uint64(msg.Size))
	case fetchEmailID:
		msg, _ := s.mailbox.Message(m.state.UID)
		s.putMessageID("EMAILID", 'M', msg.EmailID)
	case fetchThreadID:
		msg, _ := s.mailbox.Message(m.state.UID)
		s.putMessageID("THREADID", 'T', msg.ThreadID)
	case fetchSaveDate: // RFC 8514
		msg, _ := s.mailbox.Message(m.state.UID)
		s.out.Raw("SAVEDATE ").Set(wire.AppendDateTime(s.out.Buf(), msg.SaveDate))
	case fetchPreview, fetchLazyPreview:
		s.putPreview(m, item.kind == fetchLazyPreview)
	case fetchModSeq:
		s.putModSeq(m.state.ModSeq)
	case fetchEnvelope:
		s.out.Raw("ENVELOPE ").Bytes(m.content.Envelope)
	case fetchBody:
		s.out.Raw("BODY ").Set(message.AppendBodyStructure(s.out.Buf(), m.summary.Root, s.structureForm(0)))
	case fetchBodyStructure:
		s.out.Raw("BODYSTRUCTURE ").Set(message.AppendBodyStructure(s.out.Buf(), m.summary.Root, s.structureForm(message.Extended)))
	case fetchSection:
		s.putSection(item, m)
	case fetchBinary, fetchBinarySize:
		s.putBinary(item, m)
	}
}
