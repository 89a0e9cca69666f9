package mailauth

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

const (
	// maxSignatures is how many DKIM signatures of a message are verified.
	maxSignatures = 10
	// maxKeyRecord is how long the record of a key may be: one of RSA-8192 has 1,400 bytes.
	maxKeyRecord = 4 << 10
)

// dkim verifies the signatures of a message.
func (v *Verifier) dkim(ctx context.Context, m *Message, fields []field, body int64) ([]DKIM, error) {
	var results []DKIM
	for _, f := range fields {
		if f.name != "dkim-signature" {
			continue
		}
		if len(results) == maxSignatures {
			results = append(results, DKIM{Result: PermError, Reason: "there are more signatures"})
			break
		}
		var r DKIM
		if t, err := parseTags(f.value()); err == nil {
			r.Domain, r.Selector = normal(t.compact("d")), t.compact("s")
			r.Signature = t.compact("b")
			if r.Signature = r.Signature[:min(8, len(r.Signature))]; strings.ContainsFunc(r.Signature, notBase64) {
				r.Signature = ""
			}
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, nil
	}
	text := &trackedReader{r: whole(m.Text, m.Size, body)}
	list, err := dkim.VerifyWithOptions(text, &dkim.VerifyOptions{
		MaxVerifications: maxSignatures,
		LookupTXT:        func(name string) ([]string, error) { return v.keyRecord(ctx, name) },
	})
	switch {
	case text.err != nil:
		return nil, text.err
	case err != nil && !errors.Is(err, dkim.ErrTooManySignatures):
		for i := range results {
			results[i].Result, results[i].Reason = PermError, err.Error()
		}
		return results, nil
	}
	for i, verified := range list {
		r := &results[i]
		switch err := verified.Err; {
		case err == nil && r.Domain == "":
			r.Result, r.Reason = PermError, "the signing domain is not valid"
		case err == nil:
			r.Result = Pass
		case dkim.IsTempFail(err):
			r.Result, r.Reason = TempError, "the key could not be looked up"
		case dkim.IsPermFail(err):
			r.Result, r.Reason = PermError, strings.TrimPrefix(err.Error(), "dkim: ")
		default:
			r.Result, r.Reason = Fail, strings.TrimPrefix(err.Error(), "dkim: ")
		}
	}
	return results, nil
}

// keyRecord looks up the record of a key.
func (v *Verifier) keyRecord(ctx context.Context, name string) ([]string, error) {
	list, err := v.Resolver.LookupTXT(ctx, name)
	if err != nil {
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			// Whatever else went wrong may be right the next time.
			return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true}
		}
		return nil, dns
	}
	for _, record := range list {
		if len(record) > maxKeyRecord {
			return nil, errors.New("the key's record is too long")
		}
	}
	return list, nil
}

func notBase64(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' && r != '/' && r != '='
}

// trackedReader keeps the error of reading, which is none of the message.
type trackedReader struct {
	r   io.Reader
	err error
}

func (t *trackedReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}
