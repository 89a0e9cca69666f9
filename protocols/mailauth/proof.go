package mailauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"strconv"
	"strings"
	"time"
)

// Proofs are fields by which the server knows mail of its users again when it comes back, changed by a mailing
// list: signatures over the message do not verify then. A proof is about From and Message-ID, and holds for ten
// days. Whoever has got such a message can send another one with the same From and Message-ID: so a proof
// has mail marked instead of refused, and nothing else.
type Proofs struct {
	// Secrets make and prove the proofs. The first one makes them; the others are older.
	Secrets func() [][]byte
	// Now is the time; nil is time.Now.
	Now func() time.Time
}

const (
	proofField = "X-Origin-Proof"
	proofLife  = 10 * 24 * time.Hour
)

func (p *Proofs) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// Field is the proof for a message that leaves: a complete line, or nothing if the message
// has no single From and Message-ID.
func (p *Proofs) Field(text io.ReaderAt, size int64) (string, error) {
	fields, _, err := readHeader(text, size)
	if err == errLargeHeader || err == errNoHeader {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	about, ok := proofText(fields)
	secrets := p.Secrets()
	if !ok || len(secrets) == 0 {
		return "", nil
	}
	at := strconv.FormatInt(p.now().Unix(), 10)
	return proofField + ": " + at + " " + proof(secrets[0], at, about) + "\r\n", nil
}

// Proves reports whether a message carries a proof that holds.
func (p *Proofs) Proves(text io.ReaderAt, size int64) bool {
	fields, _, err := readHeader(text, size)
	if err != nil {
		return false
	}
	about, ok := proofText(fields)
	if !ok {
		return false
	}
	looked := 0
	for _, f := range fields {
		if f.name != strings.ToLower(proofField) {
			continue
		}
		if looked++; looked > 4 {
			return false
		}
		at, given, _ := strings.Cut(strings.Join(strings.Fields(f.value()), " "), " ")
		seconds, err := strconv.ParseInt(at, 10, 64)
		age := p.now().Sub(time.Unix(seconds, 0))
		if err != nil || age > proofLife || age < -time.Hour {
			continue
		}
		for _, secret := range p.Secrets() {
			if hmac.Equal([]byte(given), []byte(proof(secret, at, about))) {
				return true
			}
		}
	}
	return false
}

// proofText is what a proof is about.
func proofText(fields []field) (string, bool) {
	var from, id []string
	for _, f := range fields {
		switch f.name {
		case "from":
			from = append(from, strings.Join(strings.Fields(f.value()), " "))
		case "message-id":
			id = append(id, strings.TrimSpace(f.value()))
		}
	}
	if len(from) != 1 || len(id) != 1 {
		return "", false
	}
	return from[0] + "\n" + id[0], true
}

func proof(secret []byte, at, about string) string {
	mac := hmac.New(sha256.New, secret)
	io.WriteString(mac, "proof\n"+at+"\n"+about)
	return srsText.EncodeToString(mac.Sum(nil))[:32]
}
