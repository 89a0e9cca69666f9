package admin

import (
	"context"

	"gatepost/server/dataformat"
)

// This file has the calls about what proves the mail of a domain: DKIM keys and DNS records.

// Senders is what these calls need of the server. Names of domains may be aliases.
type Senders interface {
	// DKIMKeys tells of each key of a domain: State, Since, Algorithm, and the Name and Text of its record,
	// by selector.
	DKIMKeys(ctx context.Context, domain string) (dataformat.Dict, error)
	// CreateDKIMKey makes a key and returns its selector; an empty selector is chosen.
	CreateDKIMKey(ctx context.Context, domain, selector, algorithm string) (string, error)
	// ImportDKIMKey takes over a private key in PEM.
	ImportDKIMKey(ctx context.Context, domain, selector, pem string) error
	ActivateDKIMKey(ctx context.Context, domain, selector string) error
	RetireDKIMKey(ctx context.Context, domain, selector string) error
	DeleteDKIMKey(ctx context.Context, domain, selector string) error

	// DNSRecords are the records that a domain needs, each with name, type, value, why, optional.
	DNSRecords(ctx context.Context, domain string) (dataformat.Array, error)
	// CheckDNS compares them with the DNS: findings with state, subject, text.
	CheckDNS(ctx context.Context, domain string) (dataformat.Array, error)
	// CheckHost looks at the machine in the same form.
	CheckHost(ctx context.Context) (dataformat.Array, error)
	// LookTLS tells what would be done with mail for another domain, see Actor.CheckTLS.
	LookTLS(ctx context.Context, domain string) (dataformat.Dict, error)

	// DMARCReports is what others report about mail in the name of a domain in the last days, 30 if days is 0: Days,
	// Reports (their number), To (the address that they come to), Sources, the busiest first, each with Address, Passed,
	// Failed, Rejected, First, Last and Reporters, and MoreSources, the number of those left out. A source without Address
	// stands for those that are not listed one by one.
	DMARCReports(ctx context.Context, domain string, days int) (dataformat.Dict, error)
}

// DKIMKeys tells of the keys that a domain signs with.
func (a Actor) DKIMKeys(ctx context.Context, name string) (dataformat.Dict, error) {
	return look(ctx, a, "LISTDKIMKEYS", domain(name), func(o *operation) (dataformat.Dict, error) {
		return o.admin.server.DKIMKeys(o, o.spelled(name))
	})
}

// CreateDKIMKey makes a key for a domain and returns its selector.
func (a Actor) CreateDKIMKey(ctx context.Context, name, selector, algorithm string) (made string, err error) {
	err = do(ctx, a, "CREATEDKIMKEY", domain(name), func(o *operation) error {
		made, err = o.admin.server.CreateDKIMKey(o, o.spelled(name), selector, algorithm)
		o.new = dataformat.String(made)
		return err
	})
	return made, err
}

// ImportDKIMKey takes over a private key of a domain.
func (a Actor) ImportDKIMKey(ctx context.Context, name, selector, pem string) error {
	return do(ctx, a, "IMPORTDKIMKEY", domain(name), func(o *operation) error {
		o.new = dataformat.String(selector)
		return o.admin.server.ImportDKIMKey(o, o.spelled(name), selector, pem)
	})
}

// ActivateDKIMKey lets a published key sign. The domain's other key of the algorithm is old from then on.
func (a Actor) ActivateDKIMKey(ctx context.Context, name, selector string) error {
	return a.changeKey(ctx, "ACTIVATEDKIMKEY", name, selector, a.admin.server.ActivateDKIMKey)
}

// RetireDKIMKey ends that a key signs.
func (a Actor) RetireDKIMKey(ctx context.Context, name, selector string) error {
	return a.changeKey(ctx, "RETIREDKIMKEY", name, selector, a.admin.server.RetireDKIMKey)
}

// DeleteDKIMKey deletes a key.
func (a Actor) DeleteDKIMKey(ctx context.Context, name, selector string) error {
	return a.changeKey(ctx, "DELETEDKIMKEY", name, selector, a.admin.server.DeleteDKIMKey)
}

func (a Actor) changeKey(ctx context.Context, call, name, selector string, change func(ctx context.Context, domain, selector string) error) error {
	return do(ctx, a, call, domain(name), func(o *operation) error {
		o.new = dataformat.String(selector)
		return change(o, o.spelled(name), selector)
	})
}

// spelled is the name of a domain that was given: keys and records belong to a name, which may be an
// alias of the domain.
func (o *operation) spelled(name string) string {
	if name == "" {
		return o.domain
	}
	return name
}

// DNSRecords are the records that a domain needs.
func (a Actor) DNSRecords(ctx context.Context, name string) (dataformat.Array, error) {
	return look(ctx, a, "GETDNSRECORDS", domain(name), func(o *operation) (dataformat.Array, error) {
		return o.admin.server.DNSRecords(o, o.spelled(name))
	})
}

// CheckDNS compares the records that a domain needs with those in the DNS.
func (a Actor) CheckDNS(ctx context.Context, name string) (dataformat.Array, error) {
	return look(ctx, a, "CHECKDNSRECORDS", domain(name), func(o *operation) (dataformat.Array, error) {
		return o.admin.server.CheckDNS(o, o.spelled(name))
	})
}

// CheckHost looks at what the server needs of its machine and of the DNS to be taken seriously by others.
func (a Actor) CheckHost(ctx context.Context) (dataformat.Array, error) {
	return look(ctx, a, "CHECKHOST", server, func(o *operation) (dataformat.Array, error) { return o.admin.server.CheckHost(o) })
}

// DMARCReports is what others report about mail in the name of a domain.
func (a Actor) DMARCReports(ctx context.Context, name string, days int) (dataformat.Dict, error) {
	return look(ctx, a, "GETDMARCREPORTS", domain(name), func(o *operation) (dataformat.Dict, error) {
		return o.admin.server.DMARCReports(o, o.spelled(name), days)
	})
}

// CheckTLS tells what would be done with mail for another domain, as far as encryption goes: Lines, and Goes (YES or NO), whether one of its mail servers
// would be given mail now. Connections are made, and nothing is sent. Errors: Invalid.
func (a Actor) CheckTLS(ctx context.Context, name string) (dataformat.Dict, error) {
	return look(ctx, a, "CHECKTLS", server, func(o *operation) (dataformat.Dict, error) { return o.admin.server.LookTLS(o, name) })
}
