package queue

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// Damage is a queue file that needs the administrator.
type Damage struct {
	Name string // of the file
	Text string
	// SetAside says that the queue has given it the ending .bad: it is not tried any more.
	SetAside bool
}

// Check reads the envelopes of all files in a queue directory and reports those that cannot be
// read. It changes nothing, and works beside a running queue.
func Check(ctx context.Context, dir string, report func(Damage)) error {
	ids := map[string][]envelope.QueueID{}
	err := scanDir(dir, func(name string) {
		if id, ext, ok := parseName(name); ok && (ext == extMsg || ext == extBad) {
			ids[ext] = append(ids[ext], id)
		}
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap("queue.Check", fault.Internal, err)
	}
	for _, ext := range []string{extMsg, extBad} {
		slices.Sort(ids[ext])
	}
	for _, id := range ids[extMsg] {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("queue.Check", fault.Canceled, err)
		}
		name := fileName(id, extMsg)
		h, err := readHead(filepath.Join(dir, name))
		switch {
		case err == nil && !knownStates(h.env):
			report(Damage{Name: name, Text: "a recipient has a state that is not known"})
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			report(Damage{Name: name, Text: fault.Explain(err)})
		}
	}
	for _, id := range ids[extBad] {
		report(Damage{Name: fileName(id, extBad), SetAside: true, Text: "the queue has set this message aside; the log says why"})
	}
	return nil
}
