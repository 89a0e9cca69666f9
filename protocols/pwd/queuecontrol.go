package pwd

import (
	"context"
	"strconv"

	"gatepost/server/dataformat"
)

// queueCommand carries out GATEPOST QUEUE. A selection is a dictionary, see admin.Server.QueueList:
//
//	LIST [{selection}]      an array with a dictionary per recipient
//	SHOW id                 a dictionary
//	FILE id                 a dictionary with File, Offset, Size
//	HOLD {selection}        the number of messages
//	RELEASE {selection}     the same
//	REJECT {selection} [text]  the same; the text NONDN is no report
//	REROUTE id from to      the number of the new message
//	KICK [queue]            nothing
func (s *session) queueCommand(ctx context.Context, d *dataformat.Decoder) reply {
	for _, w := range queueWords {
		if d.Keyword(w.word) {
			v, err := w.run(s, ctx, d)
			switch {
			case err != nil:
				return failure(err)
			case v == nil:
				return replyOK
			}
			return withData(v)
		}
	}
	return failure(syntaxError("QUEUE LIST, SHOW, FILE, HOLD, RELEASE, REJECT, REROUTE or KICK is expected"))
}

var queueWords = []struct {
	word string
	run  func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error)
}{
	{"LIST", func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
		selected, _, err := selection(d, true)
		if err != nil {
			return nil, err
		}
		list, err := s.actor().QueueList(ctx, selected)
		if list == nil {
			list = dataformat.Array{}
		}
		return list, err
	}},
	{"SHOW", func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
		w, err := words(d, 1)
		if err != nil {
			return nil, err
		}
		return dictOf(s.actor().QueueMessage(ctx, w[0]))
	}},
	{"FILE", func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
		w, err := words(d, 1)
		if err != nil {
			return nil, err
		}
		return dictOf(s.actor().ExportMessage(ctx, w[0]))
	}},
	{"HOLD", func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
		selected, _, err := selection(d, false)
		if err != nil {
			return nil, err
		}
		return counted(s.actor().HoldMessages(ctx, selected))
	}},
	{"RELEASE", func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
		selected, _, err := selection(d, false)
		if err != nil {
			return nil, err
		}
		return counted(s.actor().ReleaseMessages(ctx, selected))
	}},
	{"REJECT", func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
		selected, text, err := selection(d, false)
		if err != nil {
			return nil, err
		}
		if text == "NONDN" {
			return counted(s.actor().RejectMessages(ctx, selected, "", false))
		}
		return counted(s.actor().RejectMessages(ctx, selected, text, true))
	}},
	{"REROUTE", func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
		w, err := words(d, 3)
		if err != nil {
			return nil, err
		}
		return stringOf(s.actor().RerouteMessage(ctx, w[0], w[1], w[2]))
	}},
	{"KICK", func(s *session, ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
		if d.AtEnd() {
			return nil, s.actor().KickQueues(ctx)
		}
		w, err := words(d, 1)
		if err != nil {
			return nil, err
		}
		return nil, s.actor().ReleaseQueue(ctx, w[0])
	}},
}

// selection reads a selection, and a word that may follow it.
func selection(d *dataformat.Decoder, optional bool) (dataformat.Dict, string, error) {
	if optional && d.AtEnd() {
		return nil, "", nil
	}
	v, err := d.Value()
	if err != nil {
		return nil, "", err
	}
	selected, ok := v.(dataformat.Dict)
	if !ok {
		return nil, "", syntaxError("a selection of messages is expected, as a dictionary")
	}
	if d.AtEnd() {
		return selected, "", nil
	}
	w, err := words(d, 1)
	if err != nil {
		return nil, "", err
	}
	return selected, w[0], nil
}

// words reads the words to the end of the line.
func words(d *dataformat.Decoder, n int) ([]string, error) {
	var list []string
	for !d.AtEnd() {
		w, err := d.Word()
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	if len(list) != n {
		return nil, syntaxError("%d words are expected", n)
	}
	return list, nil
}

func counted(n int, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	return dataformat.String(strconv.Itoa(n)), nil
}
