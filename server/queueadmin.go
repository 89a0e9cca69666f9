package server

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// The methods of this file are what calls of administrators need of the queue (admin.Server).

// QueueInfo tells of one logical queue; the dictionary is empty if there is none.
func (s *Server) QueueInfo(_ context.Context, module, name string) (dataformat.Dict, error) {
	var info queue.Info
	found := false
	for _, m := range s.modules {
		if m.queues != "" && strings.EqualFold(string(m.queues), module) {
			info, found = s.queue.Info(m.queues, name)
		}
	}
	if !found {
		return dataformat.Dict{}, nil
	}
	// Numbers are strings: to the Perl client #2 is a word.
	d := dataformat.Dict{
		"nTotal": dataformat.String(strconv.Itoa(info.Messages)),
		"size":   dataformat.String(strconv.FormatInt(info.Size, 10)),
	}
	if !info.DelayedTill.IsZero() {
		d["delayedTill"] = dataformat.Time{T: info.DelayedTill}
	}
	if info.LastError != "" {
		d["lastError"] = dataformat.String(info.LastError)
	}
	return d, nil
}

// ReleaseQueue lets a logical queue try now: that of a host, which the SMTP module
// names by its domain, or of an account, named account@domain.
func (s *Server) ReleaseQueue(_ context.Context, name string) error {
	for _, m := range s.modules {
		if m.queues == router.SMTP {
			s.relay.Release(name)
		}
		if m.queues != "" && s.queue.Wake(m.queues, name) {
			return nil
		}
	}
	return fault.Newf("server.ReleaseQueue", fault.NotFound, "there is no queue %s", name)
}

// KickQueues lets all queues to other servers try now.
func (s *Server) KickQueues(context.Context) error {
	s.queue.WakeModule(router.SMTP)
	return nil
}

// selection is a selection of messages as commands give it.
type selection struct {
	filter queue.Filter
	dryRun bool
}

// readSelection reads a selection. An unknown or a wrong key is an error: the selection would be larger than is meant.
func readSelection(d dataformat.Dict) (selection, error) {
	var sel selection
	f := &sel.filter
	for key, v := range d {
		text, _ := dataformat.Text(v)
		var err error
		switch key {
		case "IDs":
			for _, id := range d.Strings(key) {
				var n envelope.QueueID
				if n, err = queueID(id); err != nil {
					return sel, err
				}
				f.IDs = append(f.IDs, n)
			}
			if len(f.IDs) == 0 {
				err = fault.New("server.Queue", fault.Invalid, "the numbers of messages are expected")
			}
		case "Sender":
			f.Sender = text
		case "Recipient":
			f.Recipient = text
		case "Account":
			f.Account = text
		case "Domain":
			f.Domain = text
		case "Queue":
			f.Queue = text
		case "Error":
			f.Error = text
		case "OlderThan":
			f.OlderThan, err = period(text)
		case "YoungerThan":
			f.YoungerThan, err = period(text)
		case "Larger":
			f.Larger, err = size(v)
		case "Smaller":
			f.Smaller, err = size(v)
		case "OnHold":
			f.OnHold = strings.EqualFold(text, "YES")
		case "All": // said so that it is not meant by mistake
		case "DryRun":
			sel.dryRun = strings.EqualFold(text, "YES")
		default:
			err = fault.Newf("server.Queue", fault.Invalid, "messages are not selected by %s", key)
		}
		if err == nil && text == "" && key != "IDs" {
			err = fault.Newf("server.Queue", fault.Invalid, "%s is empty", key)
		}
		if err != nil {
			return sel, err
		}
	}
	return sel, nil
}

func queueID(text string) (envelope.QueueID, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fault.Newf("server.Queue", fault.Invalid, "%q is no number of a message", text)
	}
	return envelope.QueueID(n), nil
}

func period(text string) (time.Duration, error) {
	p, err := settings.ParsePeriod(text)
	if err != nil || p <= 0 {
		return 0, fault.Newf("server.Queue", fault.Invalid, "%q is no age such as 30m or 2d", text)
	}
	return p.Duration(), nil
}

func size(v dataformat.Value) (int64, error) {
	var n settings.Size
	if err := n.SetValue(v); err != nil || n <= 0 {
		return 0, fault.New("server.Queue", fault.Invalid, "a size such as 20K or 3M is expected")
	}
	return int64(n), nil
}

// listLimit bounds what QueueList answers at once.
const listLimit = 100_000

// QueueList tells of every waiting recipient that is selected, by message.
func (s *Server) QueueList(ctx context.Context, selected dataformat.Dict) (dataformat.Array, error) {
	sel, err := readSelection(selected)
	if err != nil {
		return nil, err
	}
	var list dataformat.Array
	err = s.queue.Search(ctx, &sel.filter, func(e queue.Entry) bool {
		list = append(list, entryDict(e))
		return len(list) < listLimit
	})
	return list, err
}

func entryDict(e queue.Entry) dataformat.Dict {
	d := dataformat.Dict{
		"id":         dataformat.Number(e.ID),
		"age":        dataformat.Number(time.Since(e.Submitted) / time.Second),
		"size":       dataformat.Number(e.Size),
		"returnPath": dataformat.String(e.ReturnPath.String()),
		"recipient":  dataformat.String(e.Recipient.String()),
		"module":     dataformat.String(e.Module),
		"queue":      dataformat.String(e.Queue),
	}
	if e.Account != "" {
		d["account"] = dataformat.String(e.Account)
	}
	if e.Active {
		d["active"] = dataformat.String("YES")
	}
	if e.OnHold {
		d["onHold"] = dataformat.String("YES")
	}
	if !e.NextTry.IsZero() {
		d["nextTry"] = dataformat.Time{T: e.NextTry}
	}
	if e.LastError != "" {
		d["lastError"] = dataformat.String(e.LastError)
	}
	if e.WaitsFor != "" {
		d["waitsFor"] = dataformat.String(e.WaitsFor)
	}
	return d
}

// states are the words for what has become of a recipient.
var states = map[envelope.State]string{
	0: "waiting", envelope.Waiting: "waiting", envelope.Delivered: "delivered", envelope.Failed: "failed", envelope.Expired: "given up",
	envelope.RelayedUnreported: "delivered", envelope.DeliveredUnreported: "delivered", envelope.FailedUnreported: "failed",
}

// QueueMessage tells all about a message.
func (s *Server) QueueMessage(ctx context.Context, id string) (dataformat.Dict, error) {
	n, err := queueID(id)
	if err != nil {
		return nil, err
	}
	m, err := s.queue.Show(ctx, n)
	if err != nil {
		return nil, err
	}
	env := m.Envelope
	d := dataformat.Dict{
		"id": dataformat.Number(m.ID), "size": dataformat.Number(m.Size), "submitted": dataformat.Time{T: env.Submitted},
		"age":        dataformat.Number(time.Since(env.Submitted) / time.Second),
		"returnPath": dataformat.String(env.ReturnPath.String()),
		"source":     dataformat.String(env.Source.Tag + " [" + sourceIP(&env.Source) + "]"),
		"header":     dataformat.String(m.Header),
	}
	for key, text := range map[string]string{"account": env.Source.Account, "envelopeID": string(env.ID)} {
		if text != "" {
			d[key] = dataformat.String(text)
		}
	}
	if m.OnHold {
		d["onHold"] = dataformat.String("YES")
	}
	list := make(dataformat.Array, len(env.Recipients))
	for i := range env.Recipients {
		list[i] = recipientDict(m, i)
	}
	d["recipients"] = list
	return d, nil
}

func sourceIP(src *envelope.Source) string {
	if !src.IP.IsValid() {
		return "0.0.0.0"
	}
	return src.IP.String()
}

// recipientDict tells of one recipient: its state, where it waits, and the last attempt.
func recipientDict(m *queue.Details, i int) dataformat.Dict {
	rcpt := &m.Envelope.Recipients[i]
	r := dataformat.Dict{"recipient": dataformat.String(rcpt.Address.String()), "state": dataformat.String(states[rcpt.State])}
	if rcpt.Expanded {
		r["state"] = dataformat.String("expanded")
	}
	if rcpt.Original != "" {
		r["original"] = dataformat.String(rcpt.Original)
	}
	if rcpt.Warned > 0 {
		r["warned"] = dataformat.Number(rcpt.Warned)
	}
	if at := slices.IndexFunc(m.Waiting, func(e queue.Entry) bool { return e.Recipient == rcpt.Address }); at >= 0 {
		for key, v := range entryDict(m.Waiting[at]) {
			switch key {
			case "module", "queue", "active", "nextTry", "lastError", "waitsFor":
				r[key] = v
			}
		}
	}
	at := slices.IndexFunc(m.Tried, func(t queue.Tried) bool { return t.Rcpt == i })
	if at < 0 {
		return r
	}
	t := &m.Tried[at]
	r["triedBy"] = dataformat.String(string(t.Module) + "(" + t.Queue + ")")
	maps.Copy(r, attemptDict(t.At, &t.Status))
	if len(t.Earlier) > 0 {
		earlier := make(dataformat.Array, len(t.Earlier))
		for i := range t.Earlier {
			earlier[i] = attemptDict(t.Earlier[i].At, &t.Earlier[i].Status)
		}
		r["earlier"] = earlier
	}
	return r
}

// attemptDict tells of one attempt to deliver.
func attemptDict(at time.Time, st *envelope.Status) dataformat.Dict {
	d := dataformat.Dict{"triedAt": dataformat.Time{T: at}, "status": dataformat.String(st.Code.String()), "result": dataformat.String(st.Text)}
	for key, text := range map[string]string{"remote": st.Remote, "reply": st.Reply, "tls": st.TLS} {
		if text != "" {
			d[key] = dataformat.String(text)
		}
	}
	return d
}

// QueueFile tells where a message is.
func (s *Server) QueueFile(ctx context.Context, id string) (dataformat.Dict, error) {
	n, err := queueID(id)
	if err != nil {
		return nil, err
	}
	m, err := s.queue.Show(ctx, n)
	if err != nil {
		return nil, err
	}
	return dataformat.Dict{"File": dataformat.String(m.File), "Offset": dataformat.Number(m.Offset), "Size": dataformat.Number(m.Size)}, nil
}

// each does something with every message that is selected, and counts them. One that has left the queue
// meanwhile is no failure.
func (s *Server) each(ctx context.Context, selected dataformat.Dict, act func(id envelope.QueueID) error) (n int, err error) {
	sel, err := readSelection(selected)
	if err != nil {
		return 0, err
	}
	var ids []envelope.QueueID
	err = s.queue.Search(ctx, &sel.filter, func(e queue.Entry) bool {
		if len(ids) == 0 || ids[len(ids)-1] != e.ID {
			ids = append(ids, e.ID)
		}
		return true
	})
	if err != nil {
		return 0, err
	}
	if len(sel.filter.IDs) > 0 && len(ids) == 0 {
		return 0, fault.New("server.Queue", fault.NoMessage, "no such message in the queue")
	}
	for _, id := range ids {
		if ctx.Err() != nil {
			return n, fault.Wrap("server.Queue", fault.Canceled, ctx.Err())
		}
		if !sel.dryRun {
			err := act(id)
			if fault.Is(err, fault.NoMessage) {
				continue
			}
			if err != nil {
				return n, err
			}
		}
		n++
	}
	return n, nil
}

// HoldMessages puts messages on hold.
func (s *Server) HoldMessages(ctx context.Context, selected dataformat.Dict) (int, error) {
	return s.each(ctx, selected, func(id envelope.QueueID) error { return s.queue.Hold(ctx, id) })
}

// ReleaseMessages ends that, and has messages tried now.
func (s *Server) ReleaseMessages(ctx context.Context, selected dataformat.Dict) (int, error) {
	return s.each(ctx, selected, func(id envelope.QueueID) error { return s.queue.Release(ctx, id) })
}

// RejectMessages ends messages.
func (s *Server) RejectMessages(ctx context.Context, selected dataformat.Dict, text string, report bool) (int, error) {
	return s.each(ctx, selected, func(id envelope.QueueID) error { return s.queue.Reject(ctx, id, text, report) })
}

// RejectMessage ends one message.
func (s *Server) RejectMessage(ctx context.Context, id, text string, report bool) error {
	n, err := queueID(id)
	if err != nil {
		return err
	}
	return s.queue.Reject(ctx, n, text, report)
}

// RerouteMessage sends a message to another address in the place of a recipient.
func (s *Server) RerouteMessage(ctx context.Context, id, from, to string) (string, error) {
	n, err := queueID(id)
	if err != nil {
		return "", err
	}
	old, err := address.Parse(from)
	if err != nil {
		return "", err
	}
	fresh, err := address.Parse(to)
	if err != nil {
		return "", err
	}
	again, err := s.queue.Reroute(ctx, n, old, fresh)
	if err != nil {
		return "", err
	}
	return again.String(), nil
}
