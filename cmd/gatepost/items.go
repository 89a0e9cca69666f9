package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"gatepost/accounts/contentline"
	"gatepost/accounts/groupware/interchange"
	"gatepost/server"
	"gatepost/server/control"
	"gatepost/server/dataformat"
)

type importCommand struct {
	Accounts importAccounts `cmd:"" help:"Accounts from a table (tab-separated text)."`
	Calendar importCalendar `cmd:"" help:"Events and tasks from iCalendar files (.ics)."`
	Contacts importContacts `cmd:"" help:"Contacts from vCard files (.vcf)."`
}

type exportCommand struct {
	Accounts exportAccounts `cmd:"" help:"Accounts as a table (tab-separated text)."`
	Calendar exportCalendar `cmd:"" help:"Events and tasks as iCalendar (.ics)."`
	Contacts exportContacts `cmd:"" help:"Contacts as vCards (.vcf)."`
}

type (
	importCalendar struct{ importItems }
	importContacts struct{ importItems }
	exportCalendar struct{ exportItems }
	exportContacts struct{ exportItems }
)

func (i importCalendar) Run(ctx context.Context, c *commands) error { return i.run(ctx, c, "calendar") }
func (i importContacts) Run(ctx context.Context, c *commands) error { return i.run(ctx, c, "contacts") }
func (e exportCalendar) Run(ctx context.Context, c *commands) error { return e.run(ctx, c, "calendar") }
func (e exportContacts) Run(ctx context.Context, c *commands) error { return e.run(ctx, c, "contacts") }

// importItems is import calendar and import contacts.
type importItems struct {
	Mailbox string   `help:"The calendar, task list or address book; without it, the main one, and tasks go to the main task list."`
	All     bool     `xor:"mailbox" help:"Each folder of the path is one of its own, with the name of the folder."`
	Create  bool     `help:"Make the calendar or address book if there is none."`
	Replace bool     `help:"Let the file win where the account has another version of an item; without it, that stays."`
	DryRun  bool     `help:"Say what would be done; change nothing."`
	Account string   `arg:"" help:"The account, such as ann or ann@company.com."`
	Path    []string `arg:"" help:"Files, and folders with such files; - is standard input."`
}

// exportItems is export calendar and export contacts.
type exportItems struct {
	Mailbox string `help:"The calendar, task list or address book; without it, the main one."`
	All     bool   `xor:"mailbox" help:"All of them: calendars and task lists, or address books. Each becomes a folder below the path."`
	Account string `arg:"" help:"The account, such as ann or ann@company.com."`
	Path    string `arg:"" optional:"" help:"A file, which must not exist, or a folder, which gets a file for each item; without it, standard output."`
}

// Batches of an import.
const (
	batchItems = 200
	batchBytes = 1 << 20
)

// itemServer asks a server about items.
type itemServer struct {
	client  *control.Client
	account string
}

func connectItems(c *commands, account string) (*itemServer, error) {
	dir, err := c.base()
	if err != nil {
		return nil, err
	}
	client, err := server.Connect(dir)
	if err != nil {
		return nil, err
	}
	return &itemServer{client, account}, nil
}

func (s *itemServer) ask(word string, request dataformat.Dict) (dataformat.Array, error) {
	request["account"] = dataformat.String(s.account)
	a, err := s.client.Do("GATEPOST ITEMS " + word + " " + dataformat.Compact(request))
	if err != nil {
		return nil, err
	}
	list, ok := a.Data.(dataformat.Array)
	if !ok {
		return nil, errors.New(a.Text)
	}
	return list, nil
}

// The suffixes of files by kind.
var suffixes = map[string]string{"calendar": ".ics", "contacts": ".vcf"}

// importing is an import under way.
type importing struct {
	*importItems
	ctx    context.Context
	server *itemServer
	kind   string // calendar or contacts
	counts map[string]int
	bad    int
	shown  time.Time
	live   bool // standard error is a terminal, which shows progress
	seen   int
}

func (i *importItems) run(ctx context.Context, c *commands, kind string) (err error) {
	s, err := connectItems(c, i.Account)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.client.Interrupt)
	defer stop()
	defer func() { err = errors.Join(err, s.client.Close()) }()
	work := &importing{importItems: i, ctx: ctx, server: s, kind: kind, counts: map[string]int{}, live: term.IsTerminal(int(os.Stderr.Fd()))}
	for _, path := range i.Path {
		if err := work.path(path); err != nil {
			work.summary()
			if ctx.Err() != nil {
				return errLeft
			}
			return err
		}
	}
	work.summary()
	if work.bad > 0 {
		return errSaidNo
	}
	return nil
}

// path imports a file, standard input, or a folder.
func (w *importing) path(path string) error {
	if path == "-" {
		f, err := spooled()
		if err != nil {
			return err
		}
		return errors.Join(w.file(f, "standard input", w.Mailbox), f.Close())
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if w.All {
			return wrongUse("%s is a file: with --all a folder is expected", path)
		}
		return w.open(path, w.Mailbox)
	}
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.EqualFold(filepath.Ext(name), suffixes[w.kind]) {
			return err
		}
		box := w.Mailbox
		if w.All {
			folder, err := filepath.Rel(path, filepath.Dir(name))
			if err != nil {
				return err
			}
			if box = filepath.ToSlash(folder); box == "." {
				box = ""
			}
		}
		return w.open(name, box)
	})
}

func (w *importing) open(name, box string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(w.file(f, name, box), f.Close())
}

// spooled copies standard input to a file without a name: it is read twice.
func spooled() (*os.File, error) {
	f, err := os.CreateTemp("", "gatepost-import-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.ReadFrom(os.Stdin); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// pending is an object of a batch.
type pending struct {
	object *interchange.Object
	text   *interchange.Text
}

func (w *importing) file(f *os.File, name, box string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	in, err := interchange.Open(f, info.Size())
	if err != nil {
		return err
	}
	for _, p := range in.Problems {
		w.problem(name, p.Line, p.Reason)
	}
	batches := map[string][]pending{}
	bytes := 0
	flush := func() error {
		for _, kind := range []string{"calendar", "tasks", "contacts"} {
			if err := w.store(name, kind, box, batches[kind]); err != nil {
				return err
			}
		}
		clear(batches)
		bytes = 0
		return nil
	}
	for n := range in.Objects {
		o := &in.Objects[n]
		isCard := o.Component == "VCARD"
		if isCard != (w.kind == "contacts") {
			w.problem(name, o.Line, "it is a "+o.Component+", which 'import "+w.kind+"' does not take")
			continue
		}
		text, err := in.Text(o)
		var syntax *contentline.SyntaxError
		if errors.As(err, &syntax) {
			w.problem(name, syntax.Line, syntax.Reason)
			continue
		}
		if err != nil {
			return err
		}
		kind := w.kind
		if o.Component == "VTODO" {
			kind = "tasks"
		}
		if bytes += len(text.Bytes); bytes > batchBytes && bytes > len(text.Bytes) {
			if err := flush(); err != nil {
				return err
			}
			bytes = len(text.Bytes)
		}
		batches[kind] = append(batches[kind], pending{o, text})
		if len(batches[kind]) >= batchItems {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// store sends a batch.
func (w *importing) store(name, kind, box string, batch []pending) error {
	if len(batch) == 0 {
		return nil
	}
	texts := make(dataformat.Array, len(batch))
	for i := range batch {
		texts[i] = dataformat.Data(batch[i].text.Bytes)
	}
	yes := func(b bool) dataformat.Value {
		if b {
			return dataformat.String("YES")
		}
		return dataformat.String("NO")
	}
	list, err := w.server.ask("IMPORT", dataformat.Dict{"kind": dataformat.String(kind), "mailbox": dataformat.String(box),
		"texts": texts, "replace": yes(w.Replace), "dryrun": yes(w.DryRun), "create": yes(w.Create || w.All)})
	if err != nil {
		return err
	}
	if len(list) != len(batch) {
		return errors.New("the answer of the server is not about all items")
	}
	for i, v := range list {
		d, _ := v.(dataformat.Dict)
		outcome := d.String("Outcome")
		w.seen++
		if outcome != "refused" {
			w.counts[outcome]++
			continue
		}
		line := batch[i].object.Line
		if n := number(d, "Line"); n > 0 {
			line = cmp.Or(batch[i].text.Line(int(n)), line)
		}
		w.problem(name, line, d.String("Reason"))
	}
	w.progress()
	return nil
}

// problem lists what is not taken.
func (w *importing) problem(name string, line int, reason string) {
	w.clear()
	w.bad++
	fmt.Printf("%s:%d: %s\n", name, line, reason)
}

func (w *importing) progress() {
	if w.live && time.Since(w.shown) > time.Second/2 {
		fmt.Fprintf(os.Stderr, "\r%d items", w.seen)
		w.shown = time.Now()
	}
}

func (w *importing) clear() {
	if w.live && !w.shown.IsZero() {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
		w.shown = time.Time{}
	}
}

// summary says what was done.
func (w *importing) summary() {
	w.clear()
	would := ""
	if w.DryRun {
		would = " (dry run: nothing was changed)"
	}
	fmt.Printf("%d imported, %d replaced, %d unchanged, %d kept, %d bad%s\n",
		w.counts["imported"], w.counts["replaced"], w.counts["unchanged"], w.counts["kept"], w.bad, would)
	if w.counts["kept"] > 0 {
		fmt.Println("kept: the account has another version; --replace lets the file win")
	}
}

func (e *exportItems) run(ctx context.Context, c *commands, kind string) (err error) {
	s, err := connectItems(c, e.Account)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.client.Interrupt)
	defer stop()
	defer func() {
		if ctx.Err() != nil {
			err = errLeft
		}
		err = errors.Join(err, s.client.Close())
	}()
	if e.All {
		return e.all(s, kind)
	}
	box := e.Mailbox
	if info, err := os.Stat(e.Path); e.Path != "" && (strings.HasSuffix(e.Path, "/") || err == nil && info.IsDir()) {
		return s.tree(kind, box, e.Path)
	}
	out := os.Stdout
	if e.Path != "" {
		if out, err = os.OpenFile(e.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	w := interchange.NewWriter(out, cmp.Or(box, e.Account))
	err = s.each(kind, box, func(_ string, text []byte) error { return w.Add(text) })
	if err == nil && kind == "calendar" {
		err = w.Close()
	}
	return err
}

// all exports all collections, each to its folder.
func (e *exportItems) all(s *itemServer, kind string) error {
	if e.Path == "" {
		return wrongUse("--all needs a folder")
	}
	kinds := []string{kind}
	if kind == "calendar" {
		kinds = append(kinds, "tasks")
	}
	for _, k := range kinds {
		boxes, err := s.ask("COLLECTIONS", dataformat.Dict{"kind": dataformat.String(k)})
		if err != nil {
			return err
		}
		for _, v := range boxes {
			box, _ := dataformat.Text(v)
			if !filepath.IsLocal(filepath.FromSlash(box)) {
				return fmt.Errorf("%q cannot be the name of a folder: export it with --mailbox", box)
			}
			if err := s.tree(k, box, filepath.Join(e.Path, filepath.FromSlash(box))); err != nil {
				return err
			}
		}
	}
	return nil
}

// tree writes a file for each item.
func (s *itemServer) tree(kind, box, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return s.each(kind, box, func(name string, text []byte) error {
		suffix := cmp.Or(suffixes[kind], ".ics")
		if !strings.HasSuffix(strings.ToLower(name), suffix) {
			name += suffix
		}
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return errors.Join(err, f.Close())
	})
}

// each calls do with the items of a collection.
func (s *itemServer) each(kind, box string, do func(name string, text []byte) error) error {
	names, err := s.ask("LIST", dataformat.Dict{"kind": dataformat.String(kind), "mailbox": dataformat.String(box)})
	if err != nil {
		return err
	}
	for len(names) > 0 {
		ask := names[:min(len(names), batchItems)]
		texts, err := s.ask("READ", dataformat.Dict{"kind": dataformat.String(kind), "mailbox": dataformat.String(box), "names": slices.Clone(ask)})
		if err != nil {
			return err
		}
		if len(texts) == 0 || len(texts) > len(ask) {
			return errors.New("the answer of the server has no items")
		}
		for i, v := range texts {
			name, _ := dataformat.Text(ask[i])
			text, _ := v.(dataformat.Data)
			if len(text) == 0 {
				continue // it was deleted meanwhile
			}
			if err := do(name, text); err != nil {
				return err
			}
		}
		names = names[len(texts):]
	}
	return nil
}
