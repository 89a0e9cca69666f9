package drop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// TableSettings are those of one drop table.
type TableSettings struct {
	Enabled       settings.Flag   `key:"Enabled" default:"YES" since:"0.2" help:"whether mail is taken from the table"`
	Connection    string          `key:"Connection" since:"0.2" help:"the PostgreSQL database, as libpq takes it: postgres://user@host:5432/database?sslmode=verify-full, or host=... dbname=...; a password stands in the file that passfile=... names, or in .pgpass"`
	Table         string          `key:"Table" default:"tbl_mails" since:"0.2" help:"the table, with its schema and a dot before it if needed"`
	TimeColumn    string          `key:"TimeColumn" default:"fld_time" level:"advanced" since:"0.2" help:"when the mail was written: a time stamp, or text"`
	SenderColumn  string          `key:"SenderColumn" default:"fld_sender" level:"advanced" since:"0.2" help:"who sends it"`
	AddressColumn string          `key:"AddressColumn" default:"fld_address" level:"advanced" since:"0.2" help:"who gets it"`
	TopicColumn   string          `key:"TopicColumn" default:"fld_topic" level:"advanced" since:"0.2" help:"its subject"`
	ContentColumn string          `key:"ContentColumn" default:"fld_content" level:"advanced" since:"0.2" help:"its text"`
	StatusColumn  string          `key:"StatusColumn" default:"fld_status" level:"advanced" since:"0.2" help:"what became of it: empty or NULL waits, S sent, d deferred, D refused"`
	Senders       Addresses       `key:"Senders" since:"0.2" help:"addresses and domains that may send from here; none for all accounts of this server and all senders of its gateways"`
	RetryInterval settings.Period `key:"RetryInterval" default:"1h" since:"0.2" help:"how often deferred mail is tried again"`
	MaxTries      int             `key:"MaxTries" default:"100" since:"0.2" help:"tries after which deferred mail is refused; a start of the server counts anew"`
}

var passwordWord = regexp.MustCompile(`(?i)(^|[\s?&])password\s*=`)

// Validate checks the values together.
func (s *TableSettings) Validate() error {
	if s.Connection == "" {
		return settings.BadValue("Connection", "a database is needed")
	}
	inURL := false
	if u, err := url.Parse(s.Connection); err == nil && u.User != nil {
		_, inURL = u.User.Password()
	}
	if inURL || passwordWord.MatchString(s.Connection) {
		return settings.BadValue("Connection", "the password does not belong in the settings: name a file with it by passfile=..., in the form of .pgpass")
	}
	if _, err := pgx.ParseConfig(s.Connection); err != nil {
		return settings.BadValue("Connection", "%v", err)
	}
	for _, name := range append(s.columns(), s.Table, s.StatusColumn) {
		if name == "" || strings.ContainsRune(name, 0) {
			return errors.New("the names of the table and of its columns cannot be empty")
		}
	}
	return checkRetry(s.RetryInterval, s.MaxTries)
}

// columns are those of an item, in the order of Item.fields.
func (s *TableSettings) columns() []string {
	return []string{s.TimeColumn, s.SenderColumn, s.AddressColumn, s.TopicColumn, s.ContentColumn}
}

// Tables are all drop tables by their names.
type Tables map[string]*TableSettings

// EntrySettings describes one of them.
func (Tables) EntrySettings() []settings.Setting { return settings.Describe(new(TableSettings)) }

const (
	rowsAtOnce  = 20
	maxText     = 1 << 20 // characters of a content
	maxField    = 2000    // characters of another column
	dbTimeLimit = time.Minute
	maxTriesMap = 100_000
)

// The values of the status column.
const (
	statusSent, statusDeferred, statusRefused = "S", "d", "D"
)

// table is a drop table.
type table struct {
	in   *Intake
	name string
	set  *TableSettings
	log  *slog.Logger

	mu      sync.Mutex // one pass at a time
	left    []*record
	wait    waiting
	tries   map[string]int // of deferred items
	retried time.Time      // when deferred ones were tried last
}

func newTable(in *Intake, name string, set *TableSettings) *table {
	return &table{in: in, name: name, set: set, log: in.log, left: in.takeLeft(name), tries: map[string]int{}}
}

func (t *table) run(ctx context.Context) {
	defer func() { t.in.giveLeft(t.name, t.left) }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		_, err := t.pass(ctx, "", false)
		if ctx.Err() == nil {
			t.mu.Lock()
			t.wait.say(ctx, t.log, t.name, err)
			t.mu.Unlock()
		}
		timer.Reset(t.in.o.Settings.Get().SweepPeriod.Duration())
	}
}

// connect opens a connection that is closed with the returned function.
func (t *table) connect(ctx context.Context) (*pgx.Conn, func(), error) {
	c, err := pgx.ParseConfig(t.set.Connection)
	if err != nil {
		return nil, nil, fault.Wrap("drop.Connect", fault.Unavailable, err)
	}
	c.RuntimeParams["application_name"], c.RuntimeParams["datestyle"] = "gatepost", "ISO"
	c.ConnectTimeout = 10 * time.Second
	if t.in.o.LookUp != nil {
		c.LookupFunc = t.in.o.LookUp
	}
	// A pooler in front of the server may not keep prepared statements.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, nil, unavailable(err)
	}
	return conn, func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		_ = conn.Close(ctx) // what it did is committed or not by now
	}, nil
}

// unavailable is a failure of the database: all pass by themselves, or when somebody mends them.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &fault.Error{Op: "drop.Table", Kind: fault.Unavailable, Text: "the database says: " + strings.Join(strings.Fields(err.Error()), " "), Err: err}
}

func (t *table) relation() string {
	return pgx.Identifier(strings.Split(t.set.Table, ".")).Sanitize()
}

func quoted(column string) string { return pgx.Identifier{column}.Sanitize() }

// statusText is the status of a row as text, empty for NULL and blanks.
func (t *table) statusText() string {
	return "coalesce(btrim(" + quoted(t.set.StatusColumn) + "::text), '')"
}

// bySender is a condition that the only parameter is the sender of a row, or empty.
func (t *table) bySender() string {
	return "($1::text = '' OR lower(btrim(" + quoted(t.set.SenderColumn) + "::text, ' <>')) = lower($1::text))"
}

// selected is the list of columns of an item.
func (t *table) selected() string {
	var list []string
	for i, c := range t.set.columns() {
		limit := maxField
		if i == 4 {
			limit = maxText
		}
		list = append(list, fmt.Sprintf("left(coalesce(%s::text, ''), %d)", quoted(c), limit+1))
	}
	return strings.Join(list, ", ")
}

func scanItem(rows pgx.Rows, more ...any) (it Item, err error) {
	into := more
	for _, f := range it.fields() {
		into = append(into, f.text)
	}
	err = rows.Scan(into...)
	return it, err
}

// pass takes what there is, some rows at a time. An error says why items wait.
func (t *table) pass(ctx context.Context, sender string, now bool) (n Counts, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	conn, done, err := t.connect(ctx)
	if err != nil {
		return n, err
	}
	defer done()
	if err := t.finishLeft(ctx, conn); err != nil {
		return n, err
	}
	if sender == "@" {
		sender = ""
	}
	if now || time.Since(t.retried) >= t.set.RetryInterval.Duration() {
		if _, err := conn.Exec(ctx, "UPDATE "+t.relation()+" SET "+quoted(t.set.StatusColumn)+" = '' WHERE "+t.statusText()+" = '"+statusDeferred+"' AND "+t.bySender(), sender); err != nil {
			return n, unavailable(err)
		}
		if !now {
			t.retried = time.Now()
		}
	}
	for {
		rec, rows, err := t.takeSome(ctx, conn, sender)
		if rec != nil {
			n.add(rec.results)
		}
		if err != nil || rows < rowsAtOnce {
			return n, err
		}
	}
}

// takeSome takes some rows, and returns how many there were.
func (t *table) takeSome(ctx context.Context, conn *pgx.Conn, sender string) (*record, int, error) {
	ctx, stop := context.WithTimeout(ctx, dbTimeLimit)
	defer stop()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return nil, 0, unavailable(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after Commit it does nothing
	rec, err := t.claim(ctx, tx, sender)
	if err != nil || rec == nil {
		return nil, 0, err
	}
	if err := tx.Commit(ctx); err != nil {
		t.left = append(t.left, rec) // it may be committed, or not
		return nil, 0, unavailable(err)
	}
	if err := t.committed(rec); err != nil {
		t.left = append(t.left, rec)
		return rec, 0, err
	}
	t.in.logResults(ctx, t.name, "", rec.items, rec.results)
	return rec, len(rec.results), nil
}

// claim locks rows, has the queue hold their messages, writes the record, and sets the status in the transaction. It
// returns nil if there are none.
func (t *table) claim(ctx context.Context, tx pgx.Tx, sender string) (*record, error) {
	rows, err := tx.Query(ctx, "SELECT ctid::text, "+t.selected()+" FROM "+t.relation()+" WHERE "+t.statusText()+" = '' AND "+t.bySender()+
		" LIMIT "+strconv.Itoa(rowsAtOnce)+" FOR UPDATE SKIP LOCKED", sender)
	if err != nil {
		return nil, unavailable(err)
	}
	rec := t.in.newRecord(t.name)
	var at []string
	for rows.Next() {
		var where string
		it, err := scanItem(rows, &where)
		if err != nil {
			rows.Close()
			return nil, unavailable(err)
		}
		at, rec.items = append(at, where), append(rec.items, it)
	}
	if err := rows.Err(); err != nil || len(at) == 0 {
		return nil, unavailable(err)
	}
	if err := tx.QueryRow(ctx, "SELECT txid_current()::text").Scan(&rec.txid); err != nil {
		return nil, unavailable(err)
	}
	ok := false
	defer func() {
		if !ok {
			t.in.drop(rec.results)
		}
	}()
	for i := range rec.items {
		r, err := t.result(ctx, &rec.items[i])
		if err != nil {
			return nil, err
		}
		rec.results = append(rec.results, r)
	}
	if err := rec.write(); err != nil {
		return nil, err
	}
	for kind, status := range map[string]string{sent: statusSent, later: statusDeferred, never: statusRefused} {
		var these []string
		for i, r := range rec.results {
			if r.kind() == kind {
				these = append(these, at[i])
			}
		}
		if len(these) == 0 {
			continue
		}
		done, err := tx.Exec(ctx, "UPDATE "+t.relation()+" SET "+quoted(t.set.StatusColumn)+" = $1 WHERE ctid = ANY($2::text[]::tid[])", status, these)
		if err == nil && done.RowsAffected() != int64(len(these)) {
			err = fmt.Errorf("%d rows were changed instead of %d; a partitioned table cannot be a drop table, name its partitions", done.RowsAffected(), len(these))
		}
		if err != nil {
			return nil, errors.Join(unavailable(err), rec.remove())
		}
	}
	ok = true
	return rec, nil
}

// result considers an item and has the queue hold its message.
func (t *table) result(ctx context.Context, it *Item) (result, error) {
	for i, f := range it.fields() {
		if limit := map[bool]int{true: maxText, false: maxField}[i == 4]; len(*f.text) > limit && len([]rune(*f.text)) > limit {
			return result{Reason: fmt.Sprintf("%s is longer than %d characters", f.name, limit)}, nil
		}
	}
	p, r, err := t.in.consider(ctx, it, t.set.Senders)
	if err == nil && r.Reason == "" {
		r, err = t.in.hold(ctx, "table "+t.name, p)
	}
	if err != nil || !r.Later {
		return r, err
	}
	key := it.line()
	if len(t.tries) >= maxTriesMap {
		clear(t.tries)
	}
	t.tries[key]++
	if n := t.tries[key]; n >= t.set.MaxTries {
		delete(t.tries, key)
		r = result{Reason: r.Reason + "; given up after " + strconv.Itoa(n) + " tries"}
	}
	return r, nil
}

// committed carries out a record whose transaction is committed. It may be called again.
func (t *table) committed(rec *record) error {
	if rec.txid != "" {
		was := rec.txid
		rec.txid = ""
		if err := rec.write(); err != nil {
			rec.txid = was
			return err
		}
	}
	if err := t.in.publish(rec); err != nil {
		return err
	}
	if err := rec.remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// finishLeft finishes what an earlier pass, or an earlier run, could not.
func (t *table) finishLeft(ctx context.Context, conn *pgx.Conn) error {
	for len(t.left) > 0 {
		if err := t.settle(ctx, conn, t.left[0]); err != nil {
			return err
		}
		t.left = t.left[1:]
	}
	return nil
}

// settle finds out what became of the transaction of a record, and carries it out or drops it.
func (t *table) settle(ctx context.Context, conn *pgx.Conn, rec *record) error {
	if rec.txid == "" {
		return t.committed(rec)
	}
	var status *string
	err := conn.QueryRow(ctx, "SELECT txid_status($1::text::bigint)", rec.txid).Scan(&status)
	const inTheFuture = "22023" // invalid_parameter_value
	if said := new(pgconn.PgError); err != nil && (!errors.As(err, &said) || said.Code != inTheFuture) {
		return unavailable(err)
	}
	if status == nil {
		// Another database, or one that was restored: what is in the record may have been sent by it, or not.
		t.log.Log(ctx, logs.LevelFailure, "the database does not know any more whether rows were sent; they are not, and stand in a file", "source", t.name, "file", rec.path+".bad", logs.AttrError, err)
		t.in.drop(rec.results)
		return os.Rename(rec.path, rec.path+".bad")
	}
	if *status == "in progress" {
		return fault.New("drop.Settle", fault.Busy, "the transaction of a broken connection is not ended by the database yet")
	}
	// The start of the server, or this one, drops what was held.
	t.in.drop(rec.results)
	if *status == "aborted" {
		return rec.remove()
	}
	for i := range rec.results {
		if rec.results[i].Reason != "" {
			continue
		}
		p, err := rec.items[i].parse()
		var r result
		if err == nil {
			r, err = t.in.hold(ctx, "table "+t.name, p)
		}
		if err != nil {
			t.in.drop(rec.results[:i])
			return err
		}
		rec.results[i] = r
	}
	t.in.logResults(ctx, t.name, "", rec.items, rec.results)
	return t.committed(rec)
}

// list implements source. At most maxItems are returned.
func (t *table) list(ctx context.Context, sender string) (found []Item, err error) {
	ctx, stop := context.WithTimeout(ctx, dbTimeLimit)
	defer stop()
	conn, done, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if sender == "@" {
		sender = ""
	}
	rows, err := conn.Query(ctx, "SELECT "+t.selected()+" FROM "+t.relation()+" WHERE "+t.statusText()+" IN ('', '"+statusDeferred+"') AND "+t.bySender()+
		" LIMIT "+strconv.Itoa(maxItems), sender)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		it, err := scanItem(rows)
		if err != nil {
			return nil, unavailable(err)
		}
		found = append(found, it)
	}
	return found, unavailable(rows.Err())
}

// send implements source.
func (t *table) send(ctx context.Context, sender string) (Counts, error) {
	return t.pass(ctx, sender, true)
}
