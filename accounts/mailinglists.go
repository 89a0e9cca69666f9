package accounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatepost/accounts/subscribers"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file makes, renames, deletes and lists mailing lists. What a list knows of its
// subscribers is kept by package accounts/subscribers under the number of the list.

// The files of a domain's mailing lists are in a directory of its settings: NAME.list.
const (
	listsDirectory = "Lists"
	listSuffix     = ".list"
)

// maxLists bounds the mailing lists in memory.
const maxLists = 500

// keyListID is the reserved key with the number of a list. keyArchive has the name of the archive while a rename is under way.
const (
	keyListID  = "#ListID"
	keyArchive = "#Archive"
)

// ListServices are the words of the service addresses of a list: list-on@, list-off@ ...
var ListServices = []string{
	"on", "subscribe", "off", "unsubscribe", "feed", "digest", "index", "null", "confirm", "request", "admin", "report",
}

// The values of Postings.
const (
	PostingsFromOwner       = "from owner only"
	PostingsModerated       = "moderated"
	PostingsFromSubscribers = "from subscribers"
	PostingsModerateGuests  = "moderate guests"
	PostingsFromAnybody     = "from anybody"
)

// The values of Subscribe.
const (
	SubscribeNobody     = "nobody"
	SubscribeModerated  = "moderated"
	SubscribeThisDomain = "this domain only"
	SubscribeLocals     = "locals only"
	SubscribeAnybody    = "anybody"
)

// The values of FirstModerated that are no numbers of postings.
const (
	ModerateAllPostings = 10000
	ProhibitPostings    = 10001
)

// The values of Reply.
const (
	ReplyToList   = "to list"
	ReplyToSender = "to sender"
)

// FatalAlways is the FatalWeight with which a fatal bounce ends a subscription at once.
const FatalAlways = 10000

// ListSettings are the settings of a mailing list. It inherits none. The texts may have ^-symbols,
// see package accounts/lists.
type ListSettings struct {
	Owner       string        `key:"Owner" help:"the account that the list belongs to; an account of the same domain" since:"0.1"`
	RealName    string        `key:"RealName" help:"the name of the list: the comment of its address and the title of its pages" since:"0.1"`
	Description string        `key:"Description" help:"what the list is about; its pages show it" since:"0.1"`
	Listed      settings.Flag `key:"Listed" default:"YES" help:"the page of the domain's lists names the list" since:"0.1"`
	Language    string        `key:"Language" default:"en" values:"en|ru" help:"language of the texts that the list sends where no own text is set" since:"0.1"`
	Charset     string        `key:"Charset" default:"utf-8" help:"character set of postings; see CheckCharset" since:"0.1"`
	OwnerCheck  string        `key:"OwnerCheck" default:"Authentication" values:"Return-Path|IP Addresses|Authentication" help:"how the owner is recognised who posts or approves: by the return-path, which anybody can write; by the return-path and a Client IP; by the login" since:"0.1"`

	Subscribe           string        `key:"Subscribe" default:"anybody" values:"nobody|moderated|this domain only|locals only|anybody" help:"who may subscribe" since:"0.1"`
	SaveRequests        string        `key:"SaveRequests" default:"no" values:"no|accepted|rejected|all" help:"which requests are stored in the mailbox NAME/requests of the owner" since:"0.1"`
	Distribution        string        `key:"Distribution" default:"feed" values:"feed|null|banned|digest|index" help:"mode of a new subscriber who asks for none" since:"0.1"`
	Confirmation        settings.Flag `key:"Confirmation" default:"YES" help:"whoever asks for a subscription has to confirm it from the address; it keeps others from subscribing strangers" since:"0.1"`
	ConfirmationSubject string        `key:"ConfirmationSubject" help:"subject of the question" since:"0.1"`
	ConfirmationText    string        `key:"ConfirmationText" help:"text of the question" since:"0.1"`
	PolicySubject       string        `key:"PolicySubject" help:"subject of the message that welcomes a subscriber" since:"0.1"`
	PolicyText          string        `key:"PolicyText" help:"text of the message that welcomes a subscriber" since:"0.1"`
	ByeSubject          string        `key:"ByeSubject" help:"subject of the message to who leaves" since:"0.1"`
	ByeText             string        `key:"ByeText" help:"text of the message to who leaves" since:"0.1"`

	Postings           string        `key:"Postings" default:"from subscribers" values:"from owner only|moderated|from subscribers|moderate guests|from anybody" help:"who may post" since:"0.1"`
	FirstModerated     int           `key:"FirstModerated" default:"0" help:"postings of a new subscriber that the owner has to approve; 10000 for all, 10001 to let none post" since:"0.1"`
	PostingFlow        settings.Rate `key:"PostingFlow" default:"(100, 1h)" help:"postings of one author in a period, above which the others are refused: a program that answers each posting, and does not say that it is one, ends there; the owner and subscribers whose postings are taken unseen are not limited" since:"0.1"`
	Format             string        `key:"Format" default:"anything" values:"plain text only|text only|text alternative|anything" help:"which postings are accepted: text/plain; any text; any text and multipart/alternative of texts; all" since:"0.1"`
	SizeLimit          settings.Size `key:"SizeLimit" default:"unlimited" unit:"bytes" help:"largest posting" since:"0.1"`
	CheckCharset       settings.Flag `key:"CheckCharset" default:"NO" help:"postings in another character set than Charset or US-ASCII are refused" since:"0.1"`
	CheckDigestSubject settings.Flag `key:"CheckDigestSubject" default:"YES" help:"answers that keep the subject of a digest are refused" since:"0.1"`

	Reply           string        `key:"Reply" default:"to list" values:"to list|to sender" help:"where answers go: Reply-To has the address of the list, or is left as it is" since:"0.1"`
	FeedSubject     string        `key:"FeedSubject" help:"text before the subject of postings" since:"0.1"`
	FeedPrefixMode  settings.Flag `key:"FeedPrefixMode" default:"NO" help:"the text stands behind Re:" since:"0.1"`
	FeedHeader      string        `key:"FeedHeader" help:"text above each posting" since:"0.1"`
	FeedTrailer     string        `key:"FeedTrailer" help:"text below each posting" since:"0.1"`
	ListFields      string        `key:"ListFields" help:"header fields that postings get, one a line" since:"0.1"`
	HideFromAddress settings.Flag `key:"HideFromAddress" default:"NO" help:"From has the name of the poster with the address of the list" since:"0.1"`
	RewriteFrom     string        `key:"RewriteFrom" default:"when refused otherwise" values:"no|when refused otherwise|always" help:"From has the address of the list, and Reply-To the author, where the domain of the author asks receivers to refuse what it has not sent itself (DMARC)" since:"0.1"`

	TillConfirmed       settings.Flag   `key:"TillConfirmed" default:"NO" help:"what a bounce does: NO stops postings for CoolOffPeriod, YES until the subscriber confirms" since:"0.1"`
	CoolOffPeriod       settings.Period `key:"CoolOffPeriod" default:"1d" help:"how long a subscriber gets no postings after a bounce" since:"0.1"`
	MaxBounces          int             `key:"MaxBounces" default:"10" help:"bounces after which a subscription ends, when TillConfirmed is NO" since:"0.1"`
	UnsubBouncedPeriod  settings.Period `key:"UnsubBouncedPeriod" default:"5d" help:"time after which a subscription ends that is not confirmed, when TillConfirmed is YES" since:"0.1"`
	FatalWeight         int             `key:"FatalWeight" default:"3" help:"how many bounces one counts for that says that the address does not exist; 10000 to end the subscription at once" since:"0.1"`
	FailureNotification settings.Flag   `key:"FailureNotification" default:"YES" help:"the owner is told when bounces end a subscription" since:"0.1"`
	CleanupPeriod       settings.Period `key:"CleanupPeriod" default:"1d" help:"how often subscriptions are cleaned" since:"0.1"`
	SaveReports         string          `key:"SaveReports" default:"unprocessed" values:"no|unprocessed|all" help:"which reports are stored in the mailbox NAME/reports of the owner" since:"0.1"`
	WarningSubject      string          `key:"WarningSubject" help:"subject of the message to a subscriber who gets no postings after bounces" since:"0.1"`
	WarningText         string          `key:"WarningText" help:"text of that message" since:"0.1"`

	Store               settings.Flag `key:"Store" default:"YES" help:"postings are kept in the archive, the mailbox NAME of the owner; digests are made from it" since:"0.1"`
	ArchiveSizeLimit    settings.Size `key:"ArchiveSizeLimit" default:"unlimited" unit:"bytes" help:"size of the archive; the oldest postings are removed" since:"0.1"`
	ArchiveMessageLimit int           `key:"ArchiveMessageLimit" default:"-1" help:"postings in the archive; -1 for no limit" since:"0.1"`
	ArchiveSwapPeriod   int           `key:"ArchiveSwapPeriod" default:"-1" unit:"months" help:"age at which the archive becomes a mailbox of its own and a new one begins; -1 for never" since:"0.1"`

	Browse string `key:"Browse" default:"subscribers" values:"nobody|subscribers|clients|anybody" help:"who may read the archive on the pages of the list: the owner alone, subscribers who have logged in, Client IPs as well, or everybody" since:"0.1"`

	DigestPeriod       settings.Period `key:"DigestPeriod" default:"1d" help:"how often digests are sent" since:"0.1"`
	DigestTimeOfDay    settings.Period `key:"DigestTimeOfDay" default:"0" help:"time of the day of the first digest" since:"0.1"`
	DigestSizeLimit    settings.Size   `key:"DigestSizeLimit" default:"256K" unit:"bytes" help:"a digest is sent before its time when its postings are larger" since:"0.1"`
	DigestMessageLimit int             `key:"DigestMessageLimit" default:"100" help:"a digest is sent before its time when it has more postings; the most that one has" since:"0.1"`
	DigestSubject      string          `key:"DigestSubject" help:"subject of digests" since:"0.1"`
	DigestFormat       string          `key:"DigestFormat" default:"standard MIME" values:"plain text|standard MIME|embedded MIME" help:"form of digests: texts (RFC 1153); a multipart/digest behind the table of contents; postings as parts" since:"0.1"`
	DigestHeader       string          `key:"DigestHeader" help:"text above the table of contents" since:"0.1"`
	TOCLine            string          `key:"TOCLine" help:"a line of the table of contents" since:"0.1"`
	TOCTrailer         string          `key:"TOCTrailer" help:"text below the table of contents" since:"0.1"`
	DigestTrailer      string          `key:"DigestTrailer" help:"text at the end of digests" since:"0.1"`
}

// Validate checks the values together.
func (s *ListSettings) Validate() error {
	for key, n := range map[string]int{"FirstModerated": s.FirstModerated, "MaxBounces": s.MaxBounces, "FatalWeight": s.FatalWeight} {
		if n < 0 {
			return settings.BadValue(key, "a number of 0 and more is needed")
		}
	}
	switch {
	case s.ArchiveSwapPeriod < -1 || s.ArchiveSwapPeriod == 0:
		return settings.BadValue("ArchiveSwapPeriod", "a number of months, or -1 for never, is needed")
	case s.DigestMessageLimit < 1:
		return settings.BadValue("DigestMessageLimit", "a digest has one posting at least")
	case s.DigestPeriod >= 0 && s.DigestPeriod.Duration() < time.Minute:
		return settings.BadValue("DigestPeriod", "a minute at least is needed")
	case s.DigestTimeOfDay < 0 || s.DigestTimeOfDay.Duration() >= 24*time.Hour:
		return settings.BadValue("DigestTimeOfDay", "a time of the day, such as 6h, is needed")
	case !bool(s.Store) && (s.Distribution == "digest" || s.Distribution == "index"):
		return settings.BadValue("Distribution", "%s needs the archive: Store must be YES", s.Distribution)
	}
	for _, line := range strings.Split(s.ListFields, "\n") {
		line = strings.TrimRight(line, "\r")
		if line != "" && !validField(line) {
			return settings.BadValue("ListFields", "%q is no header field that a list may add", line)
		}
	}
	for key, text := range map[string]string{
		"ConfirmationSubject": s.ConfirmationSubject, "PolicySubject": s.PolicySubject, "ByeSubject": s.ByeSubject,
		"WarningSubject": s.WarningSubject, "FeedSubject": s.FeedSubject, "DigestSubject": s.DigestSubject, "RealName": s.RealName,
	} {
		if strings.ContainsAny(text, "\r\n\x00") {
			return settings.BadValue(key, "one line is needed")
		}
	}
	return nil
}

// ownFields are header fields that the list writes itself.
var ownFields = []string{
	"from", "to", "cc", "bcc", "sender", "reply-to", "date", "subject", "message-id", "return-path", "received", "delivered-to", "resent-",
	"mime-version", "content-", "list-", "precedence", "dkim-signature", "arc-", "authentication-results", "auto-submitted",
}

// validField reports whether a line is a header field that a list may add (RFC 5322 section 2.2).
func validField(line string) bool {
	name, value, found := strings.Cut(line, ":")
	if !found || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return false
	}
	name = strings.ToLower(name)
	return !slices.ContainsFunc(ownFields, func(own string) bool {
		return name == own || strings.HasSuffix(own, "-") && strings.HasPrefix(name, own)
	})
}

var listNames = sync.OnceValue(func() *settings.Names {
	return settings.NamesOf(settings.Describe(new(ListSettings)))
})

// ListSettingNames are the names of the settings of mailing lists.
func ListSettingNames() *settings.Names { return listNames() }

// MailingList is an immutable snapshot of one mailing list.
type MailingList struct {
	// Name and Domain are the real names, in lower case.
	Name, Domain string
	// ID is the number of the list, which no other list or account of the server has or had. It does not
	// change when the list is renamed.
	ID uint64

	explicit    dataformat.Dict
	settings    ListSettings
	subscribers *subscribers.List
}

// Subscribers returns the subscribers of the list.
func (l *MailingList) Subscribers() *subscribers.List { return l.subscribers }

// Settings returns the settings. They are shared and must not be changed.
func (l *MailingList) Settings() *ListSettings { return &l.settings }

// Address returns the address that people post to.
func (l *MailingList) Address() address.Address {
	return address.Address{Local: l.Name, Domain: l.Domain}
}

// Service returns a service address, by one of ListServices.
func (l *MailingList) Service(word string) address.Address {
	return address.Address{Local: l.Name + "-" + word, Domain: l.Domain}
}

// validateList checks settings of a mailing list.
func (s *directory) validateList(op string, d *domain, given dataformat.Dict) (dataformat.Dict, error) {
	given, err := respell(op, listNames(), given)
	if err != nil {
		return nil, err
	}
	declared := new(ListSettings)
	if err := check(op, given, declared); err != nil {
		return nil, err
	}
	owner := fold(declared.Owner)
	o, err := s.object(d, owner)
	if err != nil {
		return nil, err
	}
	if o.Kind != names.Account {
		return nil, fault.Newf(op, fault.Invalid, "Owner: %q is not an account of the domain %s", declared.Owner, d.name)
	}
	given["Owner"] = dataformat.String(owner)
	return given, nil
}

// listFile is the path of a mailing list's file.
func (d *domain) listFile(name string) string {
	return filepath.Join(d.listsDir(), name+listSuffix)
}

func (d *domain) listsDir() string { return d.file(listsDirectory) }

// listNames lists the mailing lists of a domain, sorted.
func (d *domain) listNames() ([]string, error) {
	if _, err := os.Lstat(d.listsDir()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil // most domains
	}
	files, err := os.ReadDir(d.listsDir())
	if err != nil {
		return nil, fault.Wrap("accounts.Lists", fault.Internal, err)
	}
	var all []string
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), listSuffix); ok && validObject(name) && name == fold(name) {
			all = append(all, name)
		}
	}
	return all, nil // ReadDir sorts
}

// mailingList returns the snapshot of a mailing list. Errors: NoDomain, NotFound, Corrupt.
func (s *directory) mailingList(k accountKey) (*MailingList, error) {
	return s.mailing.Get(k, func() (*MailingList, error) {
		const op = "accounts.MailingList"
		d, err := s.domain(k.domain)
		if err != nil {
			return nil, err
		}
		unknown := fault.New(op, fault.NotFound, "unknown mailing list")
		if !validObject(k.name) {
			return nil, unknown
		}
		v, err := dataformat.ReadFile(d.listFile(k.name))
		if err != nil {
			return nil, dataformat.Unreadable(op, err)
		}
		if v == nil {
			return nil, unknown
		}
		damaged := func(reason string) error {
			return fault.Wrap(op, fault.Corrupt, errors.New("the file of the mailing list "+k.String()+" "+reason))
		}
		explicit, ok := v.(dataformat.Dict)
		if !ok {
			return nil, damaged("is not a dictionary")
		}
		id, ok := dataformat.Int(explicit[keyListID])
		if !ok || id <= 0 {
			return nil, damaged("has no " + keyListID + ": its subscribers cannot be found")
		}
		l := &MailingList{Name: k.name, Domain: k.domain, ID: uint64(id), explicit: explicit, subscribers: s.subscribers.List(uint64(id))}
		settings.LoadLayers(&l.settings, []dataformat.Dict{explicit}, s.badSetting(k.String(), k.name+listSuffix))
		return l, nil
	})
}

// listOf returns the mailing list that a name is of: its own, or that of a service address. Errors: NotFound.
func (s *directory) listOf(d *domain, name string) (*MailingList, error) {
	l, err := s.mailingList(accountKey{d.name, name})
	if !fault.Is(err, fault.NotFound) {
		return l, err
	}
	if i := strings.LastIndexByte(name, '-'); i > 0 && slices.Contains(ListServices, name[i+1:]) {
		return s.mailingList(accountKey{d.name, name[:i]})
	}
	return nil, err
}

// Lists are the mailing lists of all domains.
type Lists struct{ store *Store }

// Lists returns the mailing lists of all domains.
func (s *Store) Lists() Lists { return Lists{s} }

// Get returns a mailing list. Errors: NoDomain, NotFound, Corrupt, Canceled.
func (l Lists) Get(ctx context.Context, in, name string) (*MailingList, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap("accounts.MailingList", fault.Canceled, err)
	}
	return l.store.mailingList(accountKey{l.store.realDomain(in), fold(name)})
}

// Settings returns the explicit settings of a mailing list. Errors: NoDomain, NotFound.
func (l Lists) Settings(ctx context.Context, in, name string) (dataformat.Dict, error) {
	list, err := l.Get(ctx, in, name)
	if err != nil {
		return nil, err
	}
	return visible(list.explicit), nil
}

// Names lists the names of a domain's mailing lists, sorted. Errors: NoDomain.
func (l Lists) Names(ctx context.Context, in string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap("accounts.Lists", fault.Canceled, err)
	}
	d, err := l.store.domain(l.store.realDomain(in))
	if err != nil {
		return nil, err
	}
	return d.listNames()
}

// all returns the mailing lists of a domain whose file can be read.
func (l Lists) all(ctx context.Context, d *domain) ([]*MailingList, error) {
	have, err := d.listNames()
	if err != nil {
		return nil, err
	}
	all := make([]*MailingList, 0, len(have))
	for _, name := range have {
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap("accounts.Lists", fault.Canceled, err)
		}
		if list, err := l.store.mailingList(accountKey{d.name, name}); err == nil {
			all = append(all, list)
		}
	}
	return all, nil
}

// OwnedBy returns the mailing lists that an account owns, in the order of their names. Lists whose file cannot be
// read are left out. Errors: NoDomain.
func (l Lists) OwnedBy(ctx context.Context, in, account string) ([]*MailingList, error) {
	d, err := l.store.domain(l.store.realDomain(in))
	if err != nil {
		return nil, err
	}
	all, err := l.all(ctx, d)
	return slices.DeleteFunc(all, func(list *MailingList) bool { return fold(list.settings.Owner) != fold(account) }), err
}

// Create makes a mailing list that belongs to an account of the same domain. Errors: NoDomain, Exists, Invalid, TooMany.
func (l Lists) Create(ctx context.Context, in, name, owner string, given dataformat.Dict) error {
	const op = "accounts.CreateList"
	name, err := validateName(op, name)
	if err != nil {
		return err
	}
	given = settings.Merge(given, dataformat.Dict{"Owner": dataformat.String(owner)})
	return l.store.changeDomain(op, in, func(d *domain) error {
		s := l.store
		given, err := s.validateList(op, d, given)
		if err != nil {
			return err
		}
		if err := l.free(op, d, name); err != nil {
			return err
		}
		if err := l.archiveFree(ctx, op, d, given.String("Owner"), name); err != nil {
			return err
		}
		if limit := d.settings.ListsLimit; limit >= 0 {
			have, err := d.listNames()
			if err != nil {
				return err
			}
			if len(have) >= limit {
				return fault.New(op, fault.TooMany, "the domain has as many mailing lists as it may have")
			}
		}
		id, err := s.nextID()
		if err != nil {
			return err
		}
		err = os.Mkdir(d.listsDir(), 0o700)
		if err == nil {
			err = durable.SyncDir(filepath.Dir(d.listsDir()))
		} else if errors.Is(err, fs.ErrExist) {
			err = nil
		}
		if err != nil {
			return err
		}
		return l.write(d, name, id, given)
	})
}

// free reports whether a mailing list may have a name: neither the name nor one of its service addresses is that of
// something else.
func (l Lists) free(op string, d *domain, name string) error {
	if name == "inbox" {
		return fault.Newf(op, fault.Invalid, "a mailing list cannot be called %s: its archive would be the INBOX of its owner", name)
	}
	if err := l.store.free(op, d, name); err != nil {
		return err
	}
	for _, service := range ListServices {
		other := name + "-" + service
		if !address.ValidName(other) {
			return fault.Newf(op, fault.Invalid, "the name is too long for the address %s", other)
		}
		if err := l.store.free(op, d, other); err != nil {
			return fault.Newf(op, fault.Exists, "the list would have the address %s, which is that of another object", other)
		}
	}
	return nil
}

// archiveFree refuses a list, or another owner of it, whose archive would be a mailbox that the owner has: its mail would be in
// digests and on pages, and be cut to the size of an archive.
func (l Lists) archiveFree(ctx context.Context, op string, d *domain, owner, name string) error {
	a, err := l.store.Account(ctx, d.name, owner)
	if err != nil {
		return err
	}
	switch _, err := a.Mail().Status(ctx, name); {
	case err == nil:
		return fault.Newf(op, fault.Exists, "%s has a mailbox %s, which would become the archive of the list: it has to get another name first", owner, name)
	case !fault.Is(err, fault.NoMailbox):
		return err
	}
	return nil
}

// Set replaces the settings of a mailing list; one that names no owner leaves the owner. Errors: NoDomain, NotFound, Invalid.
func (l Lists) Set(ctx context.Context, in, name string, given dataformat.Dict) error {
	return l.set(ctx, "accounts.SetList", in, name, given, false)
}

// Update changes settings of a mailing list. Errors: NoDomain, NotFound, Invalid.
func (l Lists) Update(ctx context.Context, in, name string, given dataformat.Dict) error {
	return l.set(ctx, "accounts.UpdateList", in, name, given, true)
}

func (l Lists) set(ctx context.Context, op, in, name string, given dataformat.Dict, keep bool) error {
	given, err := respell(op, listNames(), given)
	if err != nil {
		return err
	}
	return l.changeOne(op, in, name, func(d *domain, list *MailingList) error {
		before := dataformat.Dict{"Owner": dataformat.String(list.settings.Owner)}
		if keep {
			before = visible(list.explicit)
		}
		changed, err := l.store.validateList(op, d, settings.Merge(before, given))
		if err != nil {
			return err
		}
		if owner := changed.String("Owner"); owner != fold(list.settings.Owner) {
			if err := l.finishRename(ctx, d, list); err != nil {
				return err // the archive would stay with the owner there was, under its old name
			}
			if err := l.archiveFree(ctx, op, d, owner, list.Name); err != nil {
				return err
			}
		} else if mark := list.explicit[keyArchive]; mark != nil { // a rename has failed, and is finished later
			changed = settings.Merge(changed, dataformat.Dict{keyArchive: mark})
		}
		return l.write(d, list.Name, list.ID, changed)
	})
}

// Rename gives a mailing list another name in its domain, and its archive with it. Errors: NoDomain, NotFound, Exists, Invalid.
//
// The file gets the name first, with a key that says what the archive is called. After a crash between the two the list has its new name and
// FinishRename does the rest.
func (l Lists) Rename(ctx context.Context, in, name, newName string) error {
	const op = "accounts.RenameList"
	newName, err := validateName(op, newName)
	if err != nil {
		return err
	}
	return l.changeOne(op, in, name, func(d *domain, list *MailingList) error {
		if err := l.finishRename(ctx, d, list); err != nil {
			return err
		}
		if err := l.free(op, d, newName); err != nil {
			return err
		}
		if _, err := l.store.Account(ctx, d.name, list.settings.Owner); err == nil {
			if err := l.archiveFree(ctx, op, d, list.settings.Owner, newName); err != nil {
				return err
			}
		} else if !fault.Is(err, fault.NotFound) {
			return err
		}
		marked := visible(list.explicit)
		marked[keyArchive] = dataformat.String(list.Name)
		if err := l.write(d, list.Name, list.ID, marked); err != nil {
			return err
		}
		err := os.Rename(d.listFile(list.Name), d.listFile(newName))
		if err == nil {
			err = durable.SyncDir(d.listsDir())
		}
		l.drop(d, list.Name, newName)
		if err != nil {
			return err
		}
		if list, err = l.store.mailingList(accountKey{d.name, newName}); err != nil {
			return err
		}
		return l.finishRename(ctx, d, list)
	})
}

// FinishRename gives the archive of a list that was being renamed the name of the list. It does nothing for any other list. Errors: NotFound.
func (l Lists) FinishRename(ctx context.Context, list *MailingList) error {
	if list.explicit[keyArchive] == nil {
		return nil
	}
	return l.changeOne("accounts.RenameList", list.Domain, list.Name, func(d *domain, list *MailingList) error { return l.finishRename(ctx, d, list) })
}

func (l Lists) finishRename(ctx context.Context, d *domain, list *MailingList) error {
	old, under := dataformat.Text(list.explicit[keyArchive])
	if !under {
		return nil
	}
	owner, err := l.store.Account(ctx, d.name, list.settings.Owner)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if owner != nil && old != list.Name {
		err := owner.Mail().RenameMailbox(ctx, old, list.Name)
		if err != nil && !fault.Is(err, fault.NoMailbox) {
			return err
		}
	}
	return l.write(d, list.Name, list.ID, visible(list.explicit))
}

// Delete removes a mailing list with its subscribers. The archive stays with the owner. Errors: NoDomain, NotFound.
func (l Lists) Delete(ctx context.Context, in, name string) error {
	const op = "accounts.DeleteList"
	return l.store.changeDomain(op, in, func(d *domain) error {
		list, err := l.store.mailingList(accountKey{d.name, fold(name)})
		if err != nil && !fault.Is(err, fault.Corrupt) {
			return err
		}
		defer l.drop(d, fold(name))
		if err := os.Remove(d.listFile(fold(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := durable.SyncDir(d.listsDir()); err != nil {
			return err
		}
		if list == nil {
			return nil // whose subscribers they are is not known any more
		}
		return list.subscribers.Remove(ctx)
	})
}

func (l Lists) write(d *domain, name string, id uint64, given dataformat.Dict) error {
	defer l.drop(d, name)
	given = settings.Merge(nil, given)
	given[keyListID] = dataformat.String(strconv.FormatUint(id, 10))
	return dataformat.WriteFile(d.listFile(name), given, dataformat.StyleOld)
}

// drop evicts lists that have changed.
func (l Lists) drop(d *domain, changed ...string) {
	for _, name := range changed {
		l.store.mailing.Drop(accountKey{d.name, name})
	}
}

// changeOne is changeDomain for a mailing list that exists.
func (l Lists) changeOne(op, in, name string, do func(*domain, *MailingList) error) error {
	return l.store.changeDomain(op, in, func(d *domain) error {
		list, err := l.store.mailingList(accountKey{d.name, fold(name)})
		if err != nil {
			return err
		}
		return do(d, list)
	})
}

// giveTo gives the mailing lists of one account to another of the same domain. It may be repeated.
func (l Lists) giveTo(ctx context.Context, d *domain, from, to string) error {
	owned, err := l.OwnedBy(ctx, d.name, from)
	if err != nil {
		return err
	}
	for _, list := range owned {
		given := settings.Merge(visible(list.explicit), dataformat.Dict{"Owner": dataformat.String(to)})
		if err := l.write(d, list.Name, list.ID, given); err != nil {
			return err
		}
	}
	return nil
}

// ownsNone refuses what would leave mailing lists without their owner.
func (l Lists) ownsNone(ctx context.Context, op string, k accountKey) error {
	owned, err := l.OwnedBy(ctx, k.domain, k.name)
	if err != nil || len(owned) == 0 {
		return err
	}
	return fault.Newf(op, fault.Denied, "the account owns the mailing list %s: give it to another owner, or delete it, first", owned[0].Address())
}

// CheckLists compares the mailing lists with what is kept of their subscribers, and reports a line for each finding.
func (s *Store) CheckLists(ctx context.Context, report func(string)) error {
	if s.subscribers == nil {
		return nil
	}
	if err := s.subscribers.Verify(func(err error) { report(subscribersDirectory + ": " + fault.Explain(err)) }); err != nil {
		return err
	}
	ids := func() (all []uint64, err error) {
		err = s.subscribers.Lists(func(id uint64) bool { all = append(all, id); return true })
		return all, err
	}
	before, err := ids()
	if err != nil {
		return err
	}
	domains, err := s.Domains(ctx)
	if err != nil {
		return err
	}
	known := map[uint64]string{}
	for _, domain := range domains {
		d, err := s.domain(domain)
		if err != nil {
			continue // the check of the accounts says so
		}
		have, err := d.listNames()
		if err != nil {
			return err
		}
		for _, name := range have {
			k := accountKey{domain, name}
			list, err := s.mailingList(k)
			if err != nil {
				report("the mailing list " + k.String() + " cannot be read: " + fault.Explain(err))
				continue
			}
			if other, ok := known[list.ID]; ok {
				report("the mailing lists " + other + " and " + k.String() + " have the same number, and so the same subscribers: was a file copied?")
			}
			known[list.ID] = k.String()
			if err := list.subscribers.Check(ctx); err != nil {
				if fault.Is(err, fault.Canceled) {
					return err
				}
				report("the mailing list " + k.String() + ": " + fault.Explain(err))
			}
		}
	}
	after, err := ids() // a list that was deleted meanwhile is in one of them only
	for _, id := range before {
		if _, ok := known[id]; !ok && slices.Contains(after, id) {
			report(fmt.Sprintf("%s: there are subscribers of the list with the number %d, which is not there", subscribersDirectory, id))
		}
	}
	return err
}
