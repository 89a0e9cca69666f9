package delivery

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"gatepost/queue/envelope"
)

// stamp is a Signer that puts a field before what it reads.
type stamp struct {
	t   *testing.T
	err error
}

func (stamp) SignsLocal() bool { return true }

func (s stamp) SignLocal(_ context.Context, _ envelope.QueueID, env *envelope.Envelope, message io.ReaderAt, size int64, domain string) ([]byte, error) {
	whole, err := io.ReadAll(io.NewSectionReader(message, 0, size))
	if err != nil || string(whole) != text || env.ReturnPath.IsNull() {
		s.t.Errorf("%q, %v", whole, err)
	}
	return []byte("DKIM-Signature: for " + domain + "\r\n"), s.err
}

// TestSignaturesStandBeforeTheMessage: they come after the fields of the delivery, and a message that cannot be signed is
// delivered without.
func TestSignaturesStandBeforeTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		const fields = "Return-Path: <joe@far.org>\r\nX-Real-To: <ann@company.com>\r\nDelivered-To: ann@company.com\r\n"
		o.local.UseSigner(stamp{t: t})
		o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		equal(t, "INBOX", o.box("ann", "INBOX"), fields+"DKIM-Signature: for company.com\r\n"+text)
		o.local.UseSigner(stamp{t: t, err: errors.New("no key")})
		o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		if got := o.box("ann", "INBOX"); len(got) != 2 || got[1] != fields+text {
			t.Errorf("%q", got)
		}
	})
}
