package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

// A second factor of an administrator is codes that a program on a phone makes of a shared secret and the time
// (TOTP, RFC 6238: SHA-1, six digits, 30 seconds), and ten recovery codes, each good for one login. The setting
// WebAdminTOTP of the account holds the secret, sealed, the step of the last code that was taken, so that no code is
// taken twice (RFC 6238 section 5.2), and the hashes of the recovery codes that are left. It is no one's to show.

// KeySecondFactor is the setting that holds the second factor.
const KeySecondFactor = "WebAdminTOTP"

const (
	totpStep    = 30 * time.Second
	totpDigits  = 1_000_000
	totpSkew    = 1 // steps that a clock may be early or late (RFC 6238 section 6)
	recoveries  = 10
	secretBytes = 20 // of HMAC-SHA-1 (RFC 4226 section 4)
)

// wrongCodes are the wrong codes of an account that are let through in a period: a guess of one in a million
// would need years.
var wrongCodes = settings.Rate{Count: 5, Period: settings.Period(5 * time.Minute)}

// secondFactors takes codes, one at a time: a code that is taken is stored before the next is looked at.
type secondFactors struct {
	mu    sync.Mutex
	wrong *rate.Table[uint64] // wrong codes by account ID
	now   func() time.Time
}

func newSecondFactors() *secondFactors {
	return &secondFactors{wrong: rate.New[uint64](10_000), now: time.Now}
}

// NewTOTPSecret returns a secret as programs take it: in base32.
func NewTOTPSecret() string {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}

// totp is the code of a step (RFC 4226 section 5.3).
func totp(secret []byte, step int64) string {
	m := hmac.New(sha1.New, secret)
	_ = binary.Write(m, binary.BigEndian, step)
	sum := m.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%totpDigits)
}

// stepOf is the step, after the one that was taken last, that a code belongs to; 0 if it is none.
func stepOf(secret []byte, code string, last int64, now time.Time) int64 {
	at := now.Unix() / int64(totpStep/time.Second)
	found := int64(0)
	for step := at - totpSkew; step <= at+totpSkew; step++ {
		if subtle.ConstantTimeCompare([]byte(totp(secret, step)), []byte(code)) == 1 && step > last {
			found = step
		}
	}
	return found
}

func secretOf(text string) ([]byte, error) {
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.ReplaceAll(text, " ", "")))
}

// recoveryHash is what is kept of a recovery code: it has 80 random bits, which need no slow hash.
func recoveryHash(code string) string {
	plain := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
	sum := sha256.Sum256([]byte("gatepost recovery " + plain))
	return hex.EncodeToString(sum[:])
}

func newRecoveryCodes() (codes []string, hashes dataformat.Array) {
	for range recoveries {
		b := make([]byte, 10)
		rand.Read(b) // never fails
		text := strings.ToLower(base32.StdEncoding.EncodeToString(b))
		code := text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
		codes, hashes = append(codes, code), append(hashes, dataformat.String(recoveryHash(code)))
	}
	return codes, hashes
}

// secondFactor reads what the account has of its own; nil is none.
func (s *Store) secondFactor(ctx context.Context, domain, name string) (dataformat.Dict, error) {
	d, err := s.AccountSettings(domain, name).Get(ctx)
	if err != nil {
		return nil, err
	}
	v, _ := d[KeySecondFactor].(dataformat.Dict)
	return v, nil
}

func (s *Store) putSecondFactor(ctx context.Context, domain, name string, v dataformat.Value) error {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return err
	}
	return s.editAccount("accounts.SecondFactor", a, merging("", dataformat.Dict{KeySecondFactor: v}, false))
}

// SecondFactor reports whether an account has one, and how many recovery codes are left.
func (s *Store) SecondFactor(ctx context.Context, domain, name string) (has bool, recoveryCodes int, err error) {
	v, err := s.secondFactor(ctx, domain, name)
	return v != nil, len(v.Strings("Recovery")), err
}

// SetSecondFactor gives an account a secret, once a code proves that its program has it, and returns the recovery
// codes. Errors: BadCredentials for a wrong code.
func (s *Store) SetSecondFactor(ctx context.Context, domain, name, secret, code string) ([]string, error) {
	const op = "accounts.SetSecondFactor"
	key, err := secretOf(secret)
	if err != nil || len(key) < secretBytes {
		return nil, fault.New(op, fault.Invalid, "the secret is damaged")
	}
	f := s.factors
	f.mu.Lock()
	defer f.mu.Unlock()
	step := stepOf(key, strings.TrimSpace(code), 0, f.now())
	if step == 0 {
		return nil, fault.New(op, fault.BadCredentials, "the code is wrong")
	}
	sealed, err := s.Seal(secret)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	codes, hashes := newRecoveryCodes()
	return codes, s.putSecondFactor(ctx, domain, name, dataformat.Dict{
		"Secret": dataformat.String(sealed), "Last": dataformat.String(strconv.FormatInt(step, 10)), "Recovery": hashes})
}

// ResetSecondFactor takes it away.
func (s *Store) ResetSecondFactor(ctx context.Context, domain, name string) error {
	s.factors.mu.Lock()
	defer s.factors.mu.Unlock()
	return s.putSecondFactor(ctx, domain, name, dataformat.String("default"))
}

// TakeCode compares a code, or a recovery code, with the second factor of an account and makes it invalid. Errors:
// BadCredentials for a wrong one or one that was taken before; TooMany after too many wrong ones.
func (s *Store) TakeCode(ctx context.Context, a *Account, code string) error {
	const op = "accounts.TakeCode"
	f := s.factors
	f.mu.Lock()
	defer f.mu.Unlock()
	v, err := s.secondFactor(ctx, a.Domain, a.Name)
	switch {
	case err != nil:
		return err
	case v == nil:
		return fault.New(op, fault.BadCredentials, "the account has no second factor")
	case f.wrong.Wait(a.ID, wrongCodes) > 0:
		return fault.New(op, fault.TooMany, "there were too many wrong codes; wait a few minutes")
	}
	text, err := s.Unseal(v.String("Secret"))
	if err != nil {
		return fault.Wrap(op, fault.Corrupt, err)
	}
	secret, err := secretOf(text)
	if err != nil {
		return fault.Wrap(op, fault.Corrupt, err)
	}
	code = strings.TrimSpace(code)
	last, _ := strconv.ParseInt(v.String("Last"), 10, 64)
	after := dataformat.Dict{"Secret": v["Secret"], "Last": v["Last"]}
	left, used := withoutRecovery(v.Strings("Recovery"), code)
	after["Recovery"] = left
	if step := stepOf(secret, strings.ReplaceAll(code, " ", ""), last, f.now()); step > 0 {
		after["Last"] = dataformat.String(strconv.FormatInt(step, 10))
	} else if !used {
		f.wrong.Take(a.ID, wrongCodes)
		return fault.New(op, fault.BadCredentials, "the code is wrong, or was used before")
	}
	if err := s.putSecondFactor(ctx, a.Domain, a.Name, after); err != nil {
		return err
	}
	f.wrong.Reset(a.ID)
	return nil
}

func withoutRecovery(hashes []string, code string) (left dataformat.Array, used bool) {
	hash, left := recoveryHash(code), dataformat.Array{}
	for _, h := range hashes {
		if subtle.ConstantTimeCompare([]byte(h), []byte(hash)) == 1 {
			used = true
		} else {
			left = append(left, dataformat.String(h))
		}
	}
	return left, used
}

// servicePWD is the service of the command line, on port 106 and over HTTP.
const servicePWD = "PWD"

// codeFits reports whether a mechanism sends the password, so that a code can stand behind it.
func codeFits(mechanism string) bool {
	return mechanism == "" || strings.EqualFold(mechanism, "PLAIN") || strings.EqualFold(mechanism, "LOGIN")
}

// checkWithCode is CheckPassword for the command line. Whether a code is needed says the account that has logged in: what is
// read before only says where the password ends.
func (l *Logins) checkWithCode(ctx context.Context, p Peer, domain, name, given string) (*Account, error) {
	password, code := given, ""
	if a, err := l.store.Account(ctx, domain, name); err == nil && a.explicit[KeySecondFactor] != nil && a.deviceOf(given) == nil {
		password, code = splitCode(given)
	}
	a, err := l.checkPassword(ctx, p, domain, name, password)
	if err != nil || a.device != nil || a.explicit[KeySecondFactor] == nil {
		return a, err
	}
	if err := l.store.TakeCode(ctx, a, code); err != nil {
		l.store.log.LogAttrs(ctx, logs.LevelProblem, "login refused: "+fault.Explain(err), accountAttr(accountKey{a.Domain, a.Name}), slog.String("service", p.Service))
		if fault.Is(err, fault.BadCredentials) || fault.Is(err, fault.TooMany) {
			return nil, badCredentials("accounts.CheckPassword")
		}
		return nil, err
	}
	return a, nil
}

// splitCode takes the code off the end of a password: at the command line an account with a second factor logs in with its
// password and six digits right behind it.
func splitCode(given string) (password, code string) {
	if len(given) < 6 {
		return given, ""
	}
	return given[:len(given)-6], given[len(given)-6:]
}
