package imap

import (
	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// QUOTA (RFC 9208): each account is one quota root, which has the account's address as its name. It limits the size of all messages
// and the number of mailboxes. An administrator sets these limits in the account's settings, not over IMAP. What others use of theirs is
// not shown: a mailbox of another account has no root that the user may see.

// getQuotaRoot is GETQUOTAROOT.
func getQuotaRoot(s *session, c *call, p *wire.Parser) error {
	p.Space()
	name, bad := s.mailboxName(p)
	if err := p.End(); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	m, err := s.find(name, access.Read)
	if err != nil {
		return err
	}
	if _, err := m.Mail().Status(s.ctx, m.Name); err != nil {
		return err
	}
	s.out.Raw("* QUOTAROOT ")
	s.putName(name)
	if m.Foreign() {
		s.out.CRLF()
		return nil
	}
	s.out.Byte(' ').String(s.account.Address()).CRLF()
	return s.putQuota()
}

// getQuota is GETQUOTA.
func getQuota(s *session, c *call, p *wire.Parser) error {
	p.Space()
	root := p.AString()
	if err := p.End(); err != nil {
		return err
	}
	if !equalFold(root, s.account.Address()) {
		return no(fault.NotFound, "There is no such quota root")
	}
	return s.putQuota()
}

// setQuota is SETQUOTA, which only servers with QUOTASET have. Older clients (RFC 2087) do not know that.
func setQuota(s *session, c *call, p *wire.Parser) error {
	p.Space()
	p.AString()
	p.Space()
	p.List(func() {
		p.Atom()
		p.Space()
		p.Number64()
	})
	if err := p.End(); err != nil {
		return err
	}
	return no(fault.Denied, "Quotas are set by administrators, in the settings of the account")
}

// putQuota writes the limits of the user's account, and what is used of them. What has no limit is left out.
func (s *session) putQuota() error {
	account, err := s.srv.acc.Current(s.ctx, s.account)
	if err != nil {
		return err
	}
	usage, err := s.mail.Usage(s.ctx)
	if err != nil {
		return err
	}
	s.out.Raw("* QUOTA ").String(account.Address()).Raw(" (")
	sep := ""
	for _, r := range limitedResources(account) {
		s.out.Raw(sep).Raw(r.name).Byte(' ').Number(r.used(usage.Bytes, usage.Mailboxes)).Byte(' ').Number(r.limit)
		sep = " "
	}
	s.out.Byte(')').CRLF()
	return nil
}

// resource is what a quota limits (RFC 9208 section 5).
type resource struct {
	name  string
	limit uint64
	used  func(bytes, mailboxes int64) uint64
}

func limitedResources(a *accounts.Account) (list []resource) {
	set := a.Settings()
	if limit := int64(set.MaxAccountSize); limit >= 0 {
		list = append(list, resource{"STORAGE", uint64(limit) >> 10, func(bytes, _ int64) uint64 { return kilobytes(bytes) }})
	}
	if set.MaxMailboxes > 0 {
		list = append(list, resource{"MAILBOX", uint64(set.MaxMailboxes), func(_, n int64) uint64 { return uint64(n) }})
	}
	return list
}

// kilobytes returns a size in units of 1024 bytes, rounded up.
func kilobytes(n int64) uint64 { return uint64(n+1023) >> 10 }
