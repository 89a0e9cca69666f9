package leaving

import (
	"context"
	"io"

	"gatepost/protocols/mailauth"
	"gatepost/protocols/relay"
	"gatepost/queue/envelope"
)

// SignsLocal reports whether mail between domains of this server is signed when it is delivered.
func (s *Signer) SignsLocal() bool { return bool(s.settings.Get().Local) }

// SignLocal returns the signatures for a message that is delivered in a domain of this server: of mail that users of
// another one have sent. Mail inside of a domain, and that of strangers, gets none.
func (s *Signer) SignLocal(ctx context.Context, id envelope.QueueID, env *envelope.Envelope, text io.ReaderAt, size int64, domain string) ([]byte, error) {
	if foreign(env) {
		return nil, nil
	}
	from, err := s.signingDomain(&relay.Message{ID: id, Envelope: env, Text: text, Size: size})
	if err != nil || from == "" {
		return nil, err
	}
	if real, _ := s.directory.DomainName(from); real == domain {
		return nil, nil
	}
	keys, err := s.keysOf(ctx, from)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return mailauth.Sign(text, size, keys)
}
