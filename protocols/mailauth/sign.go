package mailauth

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// Key is what a domain signs with.
type Key struct {
	Domain, Selector string
	// Signer is an *rsa.PrivateKey or an ed25519.PrivateKey.
	Signer crypto.Signer
}

// signed are the fields that a signature covers, once more than a message has of them: so that
// nobody adds another one (RFC 6376 section 8.15). The second list is covered as often as it is there.
var (
	oversigned = []string{"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To",
		"References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Auto-Submitted"}
	signedIfThere = []string{"Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Date", "Resent-Message-ID",
		"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"}
)

// signedNames are the names of the fields that a signature of a message covers.
func signedNames(fields []field, more bool) []string {
	count := map[string]int{}
	for _, f := range fields {
		count[f.name]++
	}
	var names []string
	add := func(name string, extra int) {
		for range count[strings.ToLower(name)] + extra {
			names = append(names, name)
		}
	}
	extra := 0
	if more {
		extra = 1
	}
	for _, name := range oversigned {
		add(name, extra)
	}
	for _, name := range signedIfThere {
		add(name, 0)
	}
	return names
}

// Sign makes a DKIM-Signature field for each key: complete, with CRLF. The message is read once more
// than its header. A message whose header is too large to be verified is not signed: the
// result is empty.
func Sign(text io.ReaderAt, size int64, keys []Key) ([]byte, error) {
	fields, body, err := readHeader(text, size)
	if err == errLargeHeader || err == errNoHeader || len(keys) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := signedNames(fields, true)
	signers := make([]*dkim.Signer, len(keys))
	writers := make([]io.Writer, len(keys))
	for i, k := range keys {
		signers[i], err = dkim.NewSigner(&dkim.SignOptions{
			Domain: k.Domain, Selector: k.Selector, Signer: k.Signer, HeaderKeys: names,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			for _, s := range signers[:i] {
				s.Close() // ends its goroutine
			}
			return nil, err
		}
		writers[i] = signers[i]
	}
	_, err = io.Copy(io.MultiWriter(writers...), whole(text, size, body))
	var out bytes.Buffer
	for _, s := range signers {
		closed := s.Close()
		if err == nil {
			err = closed
		}
		if err == nil {
			out.WriteString(s.Signature())
		}
	}
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Seal makes the ARC set of a message that is passed on (RFC 8617 section 5.1), with the results
// that were found when the server whose name is given received it. fields are put before the message
// before the set is: changes that the set covers are made before. The result is empty when the
// chain is broken or too long already: nobody can mend it.
func Seal(text io.ReaderAt, size int64, key Key, name string, r *Results, now time.Time) ([]byte, error) {
	fields, body, err := readHeader(text, size)
	if err == errLargeHeader || err == errNoHeader {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sets, err := arcSets(fields)
	if err != nil || len(sets) >= maxARCSets || r.ARC.Result == Fail || r.ARC.Result == TempError {
		return nil, nil
	}
	cv := "pass"
	if len(sets) == 0 {
		cv = "none"
	}
	algorithm := "rsa-sha256"
	if _, ok := key.Signer.Public().(ed25519.PublicKey); ok {
		algorithm = "ed25519-sha256"
	}
	instance := strconv.Itoa(len(sets) + 1)
	var set arcFields
	set.results = field{"arc-authentication-results", "ARC-Authentication-Results: i=" + instance + "; " + r.value(name) + "\r\n"}

	c := canonical{relaxedHeader: true, relaxedBody: true}
	bodyHash := sha256.New()
	if err := c.body(bodyHash, io.NewSectionReader(text, body, size-body)); err != nil {
		return nil, err
	}
	names := signedNames(fields, false)
	for _, f := range fields {
		if f.name == "dkim-signature" {
			names = append(names, "DKIM-Signature")
		}
	}
	head := fmt.Sprintf("ARC-Message-Signature: i=%s; a=%s; c=relaxed/relaxed; d=%s; s=%s; t=%d;\r\n\th=%s;\r\n\tbh=%s;\r\n\tb=",
		instance, algorithm, key.Domain, key.Selector, now.Unix(), strings.Join(names, ":\r\n\t "), base64.StdEncoding.EncodeToString(bodyHash.Sum(nil)))
	hash := sha256.New()
	p := newPicker(fields)
	for _, n := range names {
		if f, ok := p.pick(n); ok {
			io.WriteString(hash, relaxedField(f.raw))
		}
	}
	io.WriteString(hash, strings.TrimSuffix(relaxedField(head+"\r\n"), "\r\n"))
	sig, err := signHash(key.Signer, hash.Sum(nil))
	if err != nil {
		return nil, err
	}
	set.signature = field{"arc-message-signature", head + sig + "\r\n"}

	head = fmt.Sprintf("ARC-Seal: i=%s; a=%s; cv=%s; d=%s; s=%s; t=%d;\r\n\tb=", instance, algorithm, cv, key.Domain, key.Selector, now.Unix())
	set.seal = field{"arc-seal", head + "\r\n"}
	if sig, err = signHash(key.Signer, sealHash(append(sets, set))); err != nil {
		return nil, err
	}
	return []byte(head + sig + "\r\n" + set.signature.raw + set.results.raw), nil
}

// signHash signs a hash and folds the signature.
func signHash(signer crypto.Signer, hash []byte) (string, error) {
	opts := crypto.Hash(0) // Ed25519 signs the hash as a message (RFC 8463 section 3)
	if _, ok := signer.Public().(*rsa.PublicKey); ok {
		opts = crypto.SHA256
	}
	sig, err := signer.Sign(rand.Reader, hash, opts)
	if err != nil {
		return "", err
	}
	text := base64.StdEncoding.EncodeToString(sig)
	var b strings.Builder
	for ; len(text) > 72; text = text[72:] {
		b.WriteString(text[:72] + "\r\n\t ")
	}
	b.WriteString(text)
	return b.String(), nil
}

// RSA reports whether the key is one of RSA.
func (k Key) RSA() bool {
	_, ok := k.Signer.Public().(*rsa.PublicKey)
	return ok
}
