package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"gatepost/server"
	"gatepost/server/control"
	"gatepost/server/dataformat"
)

// importAccounts is import accounts.
type importAccounts struct {
	Domain    string   `required:"" help:"The domain of the accounts."`
	DryRun    bool     `help:"Say what would be done; change nothing."`
	Stop      bool     `help:"End at the first bad line; without it, bad lines are listed and the others go in."`
	Attribute []string `help:"A column that is an attribute of your own, such as telephoneNumber; may be given again." placeholder:"NAME"`
	Path      string   `arg:"" help:"The table: UTF-8, a TAB between two fields, the first line names the columns; - is standard input."`
}

// exportAccounts is export accounts.
type exportAccounts struct {
	Domain string `required:"" help:"The domain of the accounts."`
	Path   string `arg:"" optional:"" help:"The file, which must not exist; without it, standard output."`
}

// Batches of an import of accounts: a batch is what an interrupted import may do last.
const (
	batchRows      = 64
	batchRowsBytes = 1 << 20
	maxRow         = 4 << 20
)

// askControl asks the server for an object.
func askControl[T dataformat.Value](c *control.Client, command string, request dataformat.Dict) (T, error) {
	var none T
	a, err := c.Do(command + " " + dataformat.Compact(request))
	if err != nil {
		return none, err
	}
	v, ok := a.Data.(T)
	if !ok {
		return none, errors.New(a.Text)
	}
	return v, nil
}

// accountsImport is an import under way.
type accountsImport struct {
	client *control.Client
	dryRun bool
	counts map[string]int
	total  int64 // bytes of the file, 0 if that is not known
	read   int64
	live   bool // standard error is a terminal, which shows progress
	began  time.Time
	shown  time.Time
}

func (i *importAccounts) Run(ctx context.Context, c *commands) (err error) {
	dir, err := c.base()
	if err != nil {
		return err
	}
	in, total, err := openTable(i.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	client, err := server.Connect(dir)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, client.Interrupt)
	defer stop()
	defer func() {
		if ctx.Err() != nil {
			err = errLeft
		}
		err = errors.Join(err, client.Close())
	}()
	work := &accountsImport{client: client, dryRun: i.DryRun, counts: map[string]int{}, total: total, began: time.Now(), live: term.IsTerminal(int(os.Stderr.Fd()))}
	err = work.table(i, bufio.NewReaderSize(in, 64<<10))
	work.summary()
	if err == nil && work.counts["created"] < work.counts["all"] {
		err = errSaidNo
	}
	return err
}

// openTable opens a table; its length is 0 if it is not known.
func openTable(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// table sends a table.
func (w *accountsImport) table(i *importAccounts, in *bufio.Reader) error {
	header, err := w.line(in)
	if err != nil && err != io.EOF {
		return err
	}
	attributes := make(dataformat.Array, len(i.Attribute))
	for n, a := range i.Attribute {
		attributes[n] = dataformat.String(a)
	}
	if _, err := askControl[dataformat.Dict](w.client, "GATEPOST ACCOUNTS IMPORT", dataformat.Dict{
		"domain": dataformat.String(i.Domain), "header": dataformat.String(header), "attributes": attributes, "dryrun": yesNo(i.DryRun), "stop": yesNo(i.Stop),
	}); err != nil {
		return err
	}
	last := err == io.EOF
	if last && header != "" {
		fmt.Println("warning: the file has one line, without a line end")
	}
	for n := 2; !last; {
		var rows dataformat.Array
		for size := 0; len(rows) < batchRows && size < batchRowsBytes; {
			text, err := w.line(in)
			if last = err == io.EOF; err != nil && !last {
				return err
			}
			if last && text != "" {
				fmt.Printf("line %d: warning: the last line has no line end; is the file whole?\n", n+len(rows))
			}
			if last && text == "" {
				break
			}
			rows = append(rows, dataformat.String(text))
			if size += len(text); last {
				break
			}
		}
		if len(rows) == 0 {
			break
		}
		over, err := w.rows(n, rows)
		if err != nil || over {
			return err
		}
		n += len(rows)
	}
	return nil
}

func yesNo(b bool) dataformat.Value {
	if b {
		return dataformat.String("YES")
	}
	return dataformat.String("NO")
}

// line reads a line, without its end. With the last one, if it has no end, comes io.EOF.
func (w *accountsImport) line(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		w.read += int64(len(part))
		if len(line) > maxRow {
			return "", fmt.Errorf("a line is longer than %d bytes: this is not a table of accounts", maxRow)
		}
		if bytes.IndexByte(part, 0) >= 0 {
			return "", errors.New("the file has zero bytes: save the table as text in UTF-8")
		}
		if err != bufio.ErrBufferFull {
			return strings.TrimRight(string(line), "\r\n"), err
		}
	}
}

// rows sends lines, and tells what came of them.
func (w *accountsImport) rows(first int, rows dataformat.Array) (over bool, err error) {
	d, err := askControl[dataformat.Dict](w.client, "GATEPOST ACCOUNTS ROWS", dataformat.Dict{"first": dataformat.String(strconv.Itoa(first)), "rows": rows})
	if err != nil {
		return false, err
	}
	list, _ := d["Results"].(dataformat.Array)
	for _, v := range list {
		r, _ := v.(dataformat.Dict)
		w.counts["all"]++
		w.counts[r.String("Outcome")]++
		if reason := r.String("Reason"); reason != "" {
			w.clear()
			fmt.Printf("line %s: %s: %s\n", r.String("Line"), r.String("Name"), reason)
		}
	}
	for _, note := range d.Strings("Notes") {
		w.clear()
		fmt.Println("note:", note)
	}
	w.progress()
	if text := d.String("Error"); text != "" {
		return false, errors.New(text)
	}
	return d.String("Over") == "YES", nil
}

// progressWidth is that of the bar.
const progressWidth = 30

func (w *accountsImport) progress() {
	if !w.live || time.Since(w.shown) < time.Second/4 {
		return
	}
	w.shown = time.Now()
	bar := ""
	if w.total > 0 {
		part := min(float64(w.read)/float64(w.total), 1)
		full := int(part * progressWidth)
		left := time.Duration(float64(time.Since(w.began)) * (1 - part) / max(part, 0.001)).Round(time.Second)
		bar = fmt.Sprintf("[%s%s] %3d%%  %s left  ", strings.Repeat("#", full), strings.Repeat("-", progressWidth-full), int(part*100), left)
	}
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s%d lines, %d created", bar, w.counts["all"], w.counts["created"]+w.counts["partly"])
}

func (w *accountsImport) clear() {
	if w.live && !w.shown.IsZero() {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
		w.shown = time.Time{}
	}
}

func (w *accountsImport) summary() {
	w.clear()
	would := ""
	if w.dryRun {
		would = " (dry run: nothing was changed)"
	}
	partly := ""
	if n := w.counts["partly"]; n > 0 {
		partly = fmt.Sprintf(" (%d of them not wholly)", n)
	}
	fmt.Printf("%d created%s, %d exist already, %d refused%s\n", w.counts["created"]+w.counts["partly"], partly, w.counts["exists"], w.counts["refused"], would)
}

func (e *exportAccounts) Run(ctx context.Context, c *commands) (err error) {
	dir, err := c.base()
	if err != nil {
		return err
	}
	client, err := server.Connect(dir)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, client.Interrupt)
	defer stop()
	defer func() {
		if ctx.Err() != nil {
			err = errLeft
		}
		err = errors.Join(err, client.Close())
	}()
	request := dataformat.Dict{"domain": dataformat.String(e.Domain)}
	columns, err := askControl[dataformat.Array](client, "GATEPOST ACCOUNTS COLUMNS", request)
	if err != nil {
		return err
	}
	out := os.Stdout
	if e.Path != "" {
		if out, err = os.OpenFile(e.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, strings.Join(dataformat.Dict{"c": columns}.Strings("c"), "\t"))
	request["columns"] = columns
	lacking := 0
	for after := ""; ; {
		request["after"] = dataformat.String(after)
		list, err := askControl[dataformat.Array](client, "GATEPOST ACCOUNTS EXPORT", request)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, v := range list {
			d, _ := v.(dataformat.Dict)
			after = d.String("Name")
			fmt.Fprintln(w, d.String("Text"))
			if lacks := d.String("Lacks"); lacks != "" {
				lacking++
				fmt.Fprintf(os.Stderr, "%s: without %s\n", after, lacks)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if lacking > 0 {
		return errSaidNo
	}
	return nil
}
