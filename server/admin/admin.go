package admin

import (
	"context"
	"io"
	"log/slog"
	"net/netip"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/files"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/router"
	"gatepost/router/address"
	mailrules "gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Admin makes actors.
type Admin struct {
	acc    *accounts.Store
	router *router.Router
	access *access.Resolver
	items  *groupware.Store
	server Server
	log    *slog.Logger // for actors whose wire has no log of the session
}

// New returns an Admin.
func New(acc *accounts.Store, r *router.Router, server Server, log *slog.Logger) *Admin {
	resolver := access.New(acc, r)
	return &Admin{acc: acc, router: r, access: resolver, items: groupware.New(acc, resolver), server: server, log: logs.Component(log, "ADMIN")}
}

// Version is the version of the server.
func (a *Admin) Version() string { return a.server.Version() }

// Actor is somebody who administers: who it is, from where, and by which wire. Its methods are
// all that can be done.
type Actor struct {
	// Note, if it is not nil, is told what a person should know of a call that was carried
	// out, such as that a setting does nothing yet.
	Note func(text string)

	admin   *Admin
	account *accounts.Account // nil: the owner of the base directory
	from    accounts.Peer
}

// As returns an account that has logged in as an actor.
func (a *Admin) As(account *accounts.Account, from accounts.Peer) Actor {
	return Actor{admin: a, account: account, from: from}
}

// Owner returns the owner of the base directory, who acts as postmaster and may do
// everything.
func (a *Admin) Owner(from accounts.Peer) Actor { return Actor{admin: a, from: from} }

// Rights are the present rights of the actor.
func (a Actor) Rights() (accounts.Rights, error) {
	if a.account == nil {
		return a.admin.acc.MasterRights(), nil
	}
	return a.admin.acc.RightsOf(a.account)
}

// Self is the actor's own account: the owner's is postmaster.
func (a Actor) Self() Name {
	if a.account == nil {
		return Name{accounts.Postmaster, a.admin.acc.MainDomain()}
	}
	return Name{a.account.Name, a.account.Domain}
}

// Server is what calls need of the server as a whole. Its errors are faults;
// Invalid ones carry the key or line that is wrong in their text.
type Server interface {
	// FileStorage is the file storage of all accounts.
	FileStorage() *files.Store
	// SubscribeCalendar has a calendar of another server kept up to date in an account.
	SubscribeCalendar(ctx context.Context, a *accounts.Account, box, address string) error

	// Version is the version of the server, such as 0.1.
	Version() string
	// Shutdown begins an orderly stop and returns at once.
	Shutdown()

	// RouterTable is the table's text, lines separated by LF.
	RouterTable(ctx context.Context) (string, error)
	SetRouterTable(ctx context.Context, text string) error
	RouterSettings(ctx context.Context) (dataformat.Dict, error)
	SetRouterSettings(ctx context.Context, d dataformat.Dict) error

	// Modules lists the names that Module takes. A module's settings are those
	// that are explicit. Unknown modules are fault.NotFound.
	Modules(ctx context.Context) ([]string, error)
	Module(ctx context.Context, name string) (dataformat.Dict, error)
	SetModule(ctx context.Context, name string, d dataformat.Dict) error
	UpdateModule(ctx context.Context, name string, update dataformat.Dict) error
	// SettingNames are the names of a module's settings; Main is that of the server's.
	SettingNames(module string) *settings.Names

	// ServerSettings are the other settings of the server, those of Main.settings.
	ServerSettings(ctx context.Context) (dataformat.Dict, error)
	UpdateServerSettings(ctx context.Context, update dataformat.Dict) error
	QueueSettings(ctx context.Context) (dataformat.Dict, error)
	SetQueueSettings(ctx context.Context, d dataformat.Dict) error
	DNRSettings(ctx context.Context) (dataformat.Dict, error)
	SetDNRSettings(ctx context.Context, d dataformat.Dict) error
	UpdateDNRSettings(ctx context.Context, update dataformat.Dict) error

	// Gateways lists the gateways; the password of one is sealed. TestGateway tells each step, and
	// whether all went well.
	Gateways(ctx context.Context) ([]string, error)
	Gateway(ctx context.Context, name string) (dataformat.Dict, error)
	GatewayNames() *settings.Names
	CreateGateway(ctx context.Context, name string, d dataformat.Dict) error
	UpdateGateway(ctx context.Context, name string, d dataformat.Dict) error
	DeleteGateway(ctx context.Context, name string) error
	TestGateway(ctx context.Context, name, to string) (steps []string, ok bool, err error)

	// DropItems describes what waits in a drop folder or drop table; SendDropItems sends it now and
	// counts what became of it: Sent, Deferred, Refused. "" is every sender, or the only source.
	DropItems(ctx context.Context, source, sender string) ([]string, error)
	SendDropItems(ctx context.Context, source, sender string) (dataformat.Dict, error)

	// ChangeSubscription carries out an operation of LIST, and ProcessBounce takes note of a bounce; see the calls of Actor.
	ChangeSubscription(ctx context.Context, l *accounts.MailingList, operation, subscriber string, silently, confirm bool) error
	ProcessBounce(ctx context.Context, l *accounts.MailingList, address string, fatal bool) error
	// ChangeSubscriptions gives each address its mode, see the call of Actor.
	ChangeSubscriptions(ctx context.Context, l *accounts.MailingList, all []subscribers.Subscriber, how subscribers.How) ([]error, error)
	// Waiting lists the postings and the subscriptions that wait for the owner of a list, the oldest first, limit at most in all: Address is
	// who posts or asks, Value the subject. OpenWaiting opens a posting that waits; Approve and Reject decide. Errors: NotFound.
	Waiting(ctx context.Context, l *accounts.MailingList, limit int) (postings, subscriptions []subscribers.Question, err error)
	OpenWaiting(ctx context.Context, l *accounts.MailingList, token string) (io.ReadCloser, error)
	Approve(ctx context.Context, l *accounts.MailingList, token string) error
	Reject(ctx context.Context, l *accounts.MailingList, token, reason string) error

	LogSettings(ctx context.Context) (dataformat.Dict, error)
	UpdateLogSettings(ctx context.Context, update dataformat.Dict) error

	// ServerMailRules are the rules of the server; nil if there are none. SetServerMailRules
	// replaces them.
	ServerMailRules() *mailrules.Set
	SetServerMailRules(set *mailrules.Set) error
	// TryRules says what rules would do with a message, see Actor.TryRules.
	TryRules(ctx context.Context, request dataformat.Dict) (*mailrules.Verdict, error)
	// ServerSignalRules are the call rules of the server, which are kept.
	ServerSignalRules() (dataformat.Array, error)
	SetServerSignalRules(list dataformat.Array) error

	// QueueInfo tells of one logical queue of a module: nTotal, size,
	// delayedTill, lastError, numbers as strings; an empty dictionary if there is none.
	QueueInfo(ctx context.Context, module, queue string) (dataformat.Dict, error)
	// ReleaseQueue lets a logical queue of the SMTP module or of an account try now.
	ReleaseQueue(ctx context.Context, queue string) error

	// WriteLog writes a record of a level from 0 to 5. LogAll has everything logged, or ends that.
	WriteLog(ctx context.Context, level int, text string)
	LogAll(ctx context.Context, on bool)
	// FindMessages finds messages in the mailboxes of all accounts, and removes them if that is asked for.
	FindMessages(ctx context.Context, request dataformat.Dict, remove bool) (dataformat.Dict, error)
	// Backup makes a backup in a directory, of whose backups so many are kept; 0 keeps all. RestoreOne restores an account, or a mailbox of it, from one.
	Backup(ctx context.Context, directory string, keep int) (dataformat.Dict, error)
	RestoreOne(ctx context.Context, request dataformat.Dict) (dataformat.Dict, error)
	// TestTriggerHandler notifies a handler of triggers. Errors: NotFound, Unavailable.
	TestTriggerHandler(ctx context.Context, name string) error
	// SendTestMessage submits a message from one address to another, and returns its number.
	SendTestMessage(ctx context.Context, from, to string) (id string, err error)

	// KickQueues lets all queues to other servers try now.
	KickQueues(ctx context.Context) error

	// RelayVerdict is what RCPT would answer for a recipient to an account that is authenticated, or without
	// one to a client at an address.
	RelayVerdict(ctx context.Context, ip netip.Addr, account *accounts.Account, to address.Address) (code int, text string, err error)

	// Helpers tells of each helper program what it does and has done: state, requests, answers, lastError.
	Helpers(ctx context.Context) (dataformat.Dict, error)

	Senders
	Monitors

	// QueueList tells of every recipient that waits and is selected, one dictionary each. A selection
	// is a dictionary of IDs, Sender, Recipient, Account, Domain, Queue, OlderThan, YoungerThan, Larger,
	// Smaller, OnHold, Error; an empty one is all.
	QueueList(ctx context.Context, selected dataformat.Dict) (dataformat.Array, error)
	// QueueMessage tells all about a message, and QueueFile where it is: File, Offset, Size. Errors: NoMessage.
	QueueMessage(ctx context.Context, id string) (dataformat.Dict, error)
	QueueFile(ctx context.Context, id string) (dataformat.Dict, error)
	// HoldMessages, ReleaseMessages and RejectMessages return how many messages they were about. With
	// DryRun in the selection they only count.
	HoldMessages(ctx context.Context, selected dataformat.Dict) (int, error)
	ReleaseMessages(ctx context.Context, selected dataformat.Dict) (int, error)
	RejectMessages(ctx context.Context, selected dataformat.Dict, text string, report bool) (int, error)
	RejectMessage(ctx context.Context, id, text string, report bool) error
	RerouteMessage(ctx context.Context, id, from, to string) (again string, err error)

	// LogFiles lists the files of the log, and ReadLog reads records of one.
	LogFiles(ctx context.Context) ([]logs.FileInfo, error)
	ReadLog(ctx context.Context, q logs.Query) (*logs.Page, error)

	// SearchIndex tells what the search index has of an account, and Reindex has that made anew in the background. ReindexAll makes the
	// index of all accounts anew, and returns lines that say what was done.
	SearchIndex(a *mailbox.Account) (dataformat.Dict, error)
	Reindex(a *mailbox.Account)
	ReindexAll(ctx context.Context) ([]string, error)

	// Check compares index and files and returns one line per finding; one that is
	// no fault begins with "note: ". With tidy it first removes what crashes have left.
	Check(ctx context.Context, tidy bool) ([]string, error)
}
