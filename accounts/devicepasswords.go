package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// A device password is one more password of an account, for one program or device: other products say app password, which
// is not UseAppPassword, the account's own password. The server makes it, shows it once, and keeps a hash of it, with
// the services that it is for. It has 120 random bits, so that SHA-256 is enough. It is taken where the password
// itself is sent (PLAIN, LOGIN, USER and PASS, HTTP Basic) and not by SCRAM, CRAM-MD5 and APOP, which know one password of a
// name. Pages never take one: they ask for the account's own password, and for a code if there is a second factor.
//
// The account keeps them in #DevicePasswords, account.info when and where each was used last (info.go).

// keyDevices holds them: {name = {Hash=hex; Services=(IMAP, ...); Created=time;};}.
const keyDevices = "#DevicePasswords"

// keyDeviceUses of account.info holds the last uses: {id = {At=time; Service=IMAP; Address="192.0.2.1";};}.
const keyDeviceUses = "#DeviceUses"

const (
	deviceBytes      = 15 // 24 letters and digits
	maxDevices       = 50 // of an account
	maxDeviceName    = 64 // characters
	deviceHashPrefix = "gatepost device password "
)

// deviceServices are what a device password may be for, as AccessModes names the services.
var deviceServices = []string{"IMAP", "POP", "Relay", "WebCAL", "WebSite", "HTTP", servicePWD}

// DeviceServices lists the services that a device password may be for: usual are those that it is for if nobody says.
func DeviceServices() (all, usual []string) {
	return slices.Clone(deviceServices), slices.Clone(deviceServices[:len(deviceServices)-1])
}

// DevicePassword is what may be shown of a device password.
type DevicePassword struct {
	Name     string
	Services []string // as AccessModes names them
	Created  time.Time
	// Used is the last login, zero if there was none; Service and Address are where.
	Used             time.Time
	Service, Address string
}

// deviceHash is what is kept of a device password.
type deviceHash [sha256.Size]byte

// id names a device password in account.info: another one of the same name has another.
func (h deviceHash) id() string { return hex.EncodeToString(h[:8]) }

type device struct {
	name     string
	hash     deviceHash
	services []string
	created  time.Time
}

// deviceUse is the last login with a device password.
type deviceUse struct {
	at      time.Time
	service string
	ip      netip.Addr
}

// newDevicePassword makes a secret, in groups as people type it.
func newDevicePassword() string {
	b := make([]byte, deviceBytes)
	rand.Read(b) // never fails
	text := strings.ToLower(base32.StdEncoding.EncodeToString(b))
	var groups []string
	for part := range slices.Chunk([]byte(text), 4) {
		groups = append(groups, string(part))
	}
	return strings.Join(groups, "-")
}

// hashDevice returns the hash of what may be a device password, with or without its hyphens, in any case.
func hashDevice(given string) (deviceHash, bool) {
	const length = deviceBytes * 8 / 5
	if len(given) < length || len(given) > 2*length {
		return deviceHash{}, false
	}
	plain := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(given))
	if len(plain) != length || strings.Trim(plain, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return deviceHash{}, false
	}
	return sha256.Sum256([]byte(deviceHashPrefix + plain)), true
}

// readDevices reads the device passwords of an account, by name; what is damaged is left out.
func readDevices(explicit dataformat.Dict, bad func(string, error)) []device {
	d, _ := explicit[keyDevices].(dataformat.Dict)
	var list []device
	for name, v := range d {
		e, _ := v.(dataformat.Dict)
		b, err := hex.DecodeString(e.String("Hash"))
		if err != nil || len(b) != sha256.Size {
			bad(keyDevices, fault.Newf("accounts.DevicePasswords", fault.Corrupt, "the device password %q is damaged", name))
			continue
		}
		n := device{name: name, hash: deviceHash(b), services: e.Strings("Services")}
		if at, ok := e["Created"].(dataformat.Time); ok {
			n.created = at.T
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b device) int { return strings.Compare(a.name, b.name) })
	return list
}

// scopeOf is the service of a login as device passwords name it.
func scopeOf(service string) string {
	if service == "SMTP" {
		return "Relay"
	}
	return service
}

func (d *device) isFor(p Peer) bool {
	return !p.Page && slices.ContainsFunc(d.services, func(s string) bool { return strings.EqualFold(s, scopeOf(p.Service)) })
}

// deviceOf returns the device password that a text is, whatever it is for; nil if it is none.
func (a *Account) deviceOf(given string) (found *device) {
	if len(a.devices) == 0 {
		return nil
	}
	h, ok := hashDevice(given)
	if !ok {
		return nil
	}
	for i := range a.devices {
		if subtle.ConstantTimeCompare(h[:], a.devices[i].hash[:]) == 1 {
			found = &a.devices[i]
		}
	}
	return found
}

// deviceBy returns the device password with a hash, or nil.
func (a *Account) deviceBy(h deviceHash) *device {
	i := slices.IndexFunc(a.devices, func(d device) bool { return d.hash == h })
	if i < 0 {
		return nil
	}
	return &a.devices[i]
}

// as is the account of a login with a device password.
func (a *Account) as(d *device) *Account {
	b := *a
	b.device = d
	return &b
}

// DeviceName is the name of the device password that has logged in; "" for any other way.
func (a *Account) DeviceName() string {
	if a.device == nil {
		return ""
	}
	return a.device.name
}

// noDevice says why no device password is accepted, or "": an account of which no password counts is disabled.
func (a *Account) noDevice() string {
	if !bool(a.settings.UseAppPassword) && !a.asksOutside() {
		return "no password of the account is accepted"
	}
	return ""
}

// onlyDevices says why a login needs a device password and no other counts, or "".
func (a *Account) onlyDevices(p Peer) string {
	if p.Page || p.Service == servicePWD {
		return ""
	}
	switch a.settings.DevicePasswordsOnly {
	case "YES":
		return "mail programs of the account need a device password"
	case "second factor":
		if a.explicit[KeySecondFactor] != nil {
			return "the account has a second factor: mail programs need a device password"
		}
	}
	return ""
}

// DevicePasswords lists the device passwords of an account, by name. Errors: NoDomain, NotFound.
func (s *Store) DevicePasswords(ctx context.Context, domain, name string) ([]DevicePassword, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	uses := readDeviceUses(readInfo(filepath.Join(a.dir, infoFile)))
	if l, ok := s.info.pending(a); ok {
		for id, use := range l.devices {
			uses[id] = use
		}
	}
	var list []DevicePassword
	for _, d := range a.devices {
		shown := DevicePassword{Name: d.name, Services: slices.Clone(d.services), Created: d.created}
		if use, ok := uses[d.hash.id()]; ok {
			shown.Used, shown.Service, shown.Address = use.at, use.service, use.ip.String()
		}
		list = append(list, shown)
	}
	return list, nil
}

// CreateDevicePassword makes a device password for some services, or for the usual ones, and returns it: nobody can read it
// later. Errors: NoDomain, NotFound, Invalid, Exists, TooMany.
func (s *Store) CreateDevicePassword(ctx context.Context, domain, account, name string, services []string) (string, error) {
	const op = "accounts.CreateDevicePassword"
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > maxDeviceName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.Newf(op, fault.Invalid, "a device password needs a name of at most %d characters on one line", maxDeviceName)
	}
	var scope dataformat.Array
	if len(services) == 0 {
		_, services = DeviceServices()
	}
	for _, given := range services {
		i := slices.IndexFunc(deviceServices, func(known string) bool { return strings.EqualFold(known, scopeOf(given)) })
		if i < 0 {
			return "", fault.Newf(op, fault.Invalid, "%q is not a service of device passwords; these are %s", given, strings.Join(deviceServices, ", "))
		}
		if v := dataformat.String(deviceServices[i]); !slices.Contains(scope, dataformat.Value(v)) {
			scope = append(scope, v)
		}
	}
	a, err := s.Account(ctx, domain, account)
	if err != nil {
		return "", err
	}
	secret := newDevicePassword()
	hash, _ := hashDevice(secret)
	return secret, s.editAccount(op, a, func(d dataformat.Dict) error {
		list := clone(nested(d, keyDevices))
		for taken := range list {
			if strings.EqualFold(taken, name) {
				return fault.Newf(op, fault.Exists, "there is a device password %q", taken)
			}
		}
		if len(list) >= maxDevices {
			return fault.Newf(op, fault.TooMany, "the account has %d device passwords, more are not possible", len(list))
		}
		list[name] = dataformat.Dict{"Hash": dataformat.String(hex.EncodeToString(hash[:])), "Services": scope,
			"Created": dataformat.Time{T: time.Now().UTC().Truncate(time.Second)}}
		d[keyDevices] = list
		return nil
	})
}

// RevokeDevicePassword takes a device password away and ends the sessions that have logged in with it. Errors: NoDomain,
// NotFound.
func (s *Store) RevokeDevicePassword(ctx context.Context, domain, account, name string) error {
	const op = "accounts.RevokeDevicePassword"
	return s.revoke(ctx, op, domain, account, func(list dataformat.Dict) error {
		for have := range list {
			if strings.EqualFold(have, strings.TrimSpace(name)) {
				delete(list, have)
				return nil
			}
		}
		return fault.New(op, fault.NotFound, "there is no device password with this name")
	})
}

// RevokeDevicePasswords takes all of them away. Errors: NoDomain, NotFound.
func (s *Store) RevokeDevicePasswords(ctx context.Context, domain, account string) error {
	return s.revoke(ctx, "accounts.RevokeDevicePasswords", domain, account, func(list dataformat.Dict) error {
		clear(list)
		return nil
	})
}

func (s *Store) revoke(ctx context.Context, op, domain, account string, remove func(list dataformat.Dict) error) error {
	a, err := s.Account(ctx, domain, account)
	if err != nil {
		return err
	}
	return s.editAccount(op, a, func(d dataformat.Dict) error {
		list := clone(nested(d, keyDevices))
		if err := remove(list); err != nil {
			return err
		}
		if delete(d, keyDevices); len(list) > 0 {
			d[keyDevices] = list
		}
		return nil
	})
}

func readDeviceUses(info dataformat.Dict) map[string]deviceUse {
	uses := map[string]deviceUse{}
	d, _ := info[keyDeviceUses].(dataformat.Dict)
	for id, v := range d {
		e, _ := v.(dataformat.Dict)
		at, ok := e["At"].(dataformat.Time)
		ip, _ := netip.ParseAddr(e.String("Address"))
		if ok {
			uses[id] = deviceUse{at.T, e.String("Service"), ip}
		}
	}
	return uses
}

// deviceUsesValue is what account.info keeps: the uses that were noted and, of device passwords that there still are, the
// older ones.
func deviceUsesValue(a *Account, before, noted map[string]deviceUse) dataformat.Dict {
	out := dataformat.Dict{}
	for _, d := range a.devices {
		id := d.hash.id()
		use, ok := noted[id]
		if !ok {
			use, ok = before[id]
		}
		if ok {
			out[id] = dataformat.Dict{"At": dataformat.Time{T: use.at}, "Service": dataformat.String(use.service), "Address": dataformat.String(use.ip.String())}
		}
	}
	return out
}
