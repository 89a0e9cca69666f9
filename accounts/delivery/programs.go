package delivery

import (
	"context"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// Programs are the programs that rules run on a message for an account, by their numbers from 1. A program acts
// outside of the server, so it gets a message once, or not at all: a record says that it begins, before it does, and
// another one that it has ended with success. The records go with the message.
type Programs struct {
	acc     *accounts.Account
	id      envelope.QueueID
	first   int // the number of the recipient in the copies
	records map[uint32]bool
}

const (
	// maxPrograms bounds the programs that rules run on one message for one account.
	maxPrograms = 50
	// The actions of their records.
	firstEnded = maxParts + 1
	firstBegun = firstEnded + maxPrograms
	lastBegun  = firstBegun + maxPrograms - 1
)

// ServerPrograms are those of the rules of the server, with the records in an account.
func ServerPrograms(acc *accounts.Account, id envelope.QueueID) (*Programs, error) {
	made, err := acc.Mail().Made(uint64(id))
	if err != nil {
		return nil, err
	}
	p := &Programs{acc: acc, id: id, first: maxRecipient}
	p.cut(made)
	return p, nil
}

// cut takes the records of programs out of those of deliveries.
func (p *Programs) cut(made []mailbox.Made) []mailbox.Made {
	rest := made[:0]
	for _, m := range made {
		if action := m.Copy & recordOfSends; m.Copy&byRules == 0 || action < firstEnded || action > lastBegun {
			rest = append(rest, m)
			continue
		}
		if p.records == nil {
			p.records = map[uint32]bool{}
		}
		p.records[m.Copy] = true
	}
	return rest
}

func (p *Programs) copy(first, n int) uint32 { return number(p.first, uint32(first+n-1)) }

// Begin is called before the n-th program starts. It reports false when the program has ended with success before,
// and is not to be run. An error of kind fault.Rejected says that it has had the message before, and that nobody
// knows what it did: it was killed with the server, or has failed.
func (p *Programs) Begin(ctx context.Context, n int) (run bool, err error) {
	const op = "delivery.Begin"
	switch {
	case n < 1 || n > maxPrograms:
		return false, fault.Newf(op, fault.TooMany, "rules run %d programs on a message, and no more", maxPrograms)
	case p.records[p.copy(firstEnded, n)]:
		return false, nil
	case p.records[p.copy(firstBegun, n)]:
		return false, fault.New(op, fault.Rejected, "the program has had this message before and it is not known what it did; it is not run again")
	}
	return true, p.note(ctx, p.copy(firstBegun, n))
}

// Ended notes that the n-th program has ended with success.
func (p *Programs) Ended(ctx context.Context, n int) error {
	return p.note(ctx, p.copy(firstEnded, n))
}

// NotRun takes Begin back, so that the program is run when the message comes again.
func (p *Programs) NotRun(ctx context.Context, n int) error {
	// The server may be stopping, and the record would keep the program from the message.
	return p.acc.Mail().ForgetMade(context.WithoutCancel(ctx), uint64(p.id), p.copy(firstBegun, n))
}

func (p *Programs) note(ctx context.Context, copy uint32) error {
	return p.acc.Mail().Deliver(context.WithoutCancel(ctx), []mailbox.Delivery{{QueueID: uint64(p.id), Copy: copy, RecordOnly: true}})[0]
}
