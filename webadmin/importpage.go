package webadmin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatepost/server/admin"
	"gatepost/server/fault"
)

// This file has the import of accounts from a table, and their export (package admin, accounttable.go). An import goes on
// when the browser has its answer: the page of the domain shows how far it is, and can end it.

func importPages() []*page {
	return []*page{
		{path: "Users/Domains/{domain}/Import", title: "Import", call: "CREATEACCOUNT", tab: true, get: (*call).importPage, post: map[string]func(*call) error{
			"import": (*call).importAccounts, "try": (*call).tryAccounts, "cancel": (*call).cancelImport, "export": (*call).exportAccounts,
		}},
	}
}

const (
	// importPatience is how long the answer to a form waits for the end of its import.
	importPatience = 2 * time.Second
	// importRefresh is after how many seconds a browser asks again how far an import is.
	importRefresh = "2"
	// importBatch is how many lines are done between two looks at whether the import is to end.
	importBatch = 64
	// maxImportFailures bounds the lines that are listed.
	maxImportFailures = 200
	// maxImports is how many imports run at a time, and how many that have ended are remembered.
	maxImports = 4
)

// imports are the imports that run or have ended lately, by domain.
type imports struct {
	mu   sync.Mutex
	jobs map[string]*importJob
	wg   sync.WaitGroup
}

// importJob is an import of a table.
type importJob struct {
	imports *imports
	cancel  context.CancelFunc
	done    chan struct{}

	// Guarded by imports.mu.
	importView
	began time.Time
}

// importView is how far an import is.
type importView struct {
	Domain, Error, Attributes    string
	Tried, Stop                  bool // as the form said
	Begun, Running, Canceled     bool
	Lines, Done, Created, Partly int
	Failed                       []importFailure
	More                         int // failures that are not shown
	Notes                        []string
}

type importFailure struct {
	Line       int
	Name, Text string
}

// view is a copy of the state of the import of a domain.
func (i *imports) view(domain string) *importView {
	i.mu.Lock()
	defer i.mu.Unlock()
	j := i.jobs[domain]
	if j == nil {
		return &importView{Domain: domain}
	}
	v := j.importView
	return &v
}

// start runs an import.
func (i *imports) start(im *admin.AccountImport, v *importView, rows []admin.AccountRow) (*importJob, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	running := 0
	var oldest string
	for domain, j := range i.jobs {
		switch {
		case j.Running && domain == v.Domain:
			return nil, fault.New("webadmin.Import", fault.Invalid, "An import into the domain is running. Wait for its end, or end it.")
		case j.Running:
			running++
		case oldest == "" || j.began.Before(i.jobs[oldest].began):
			oldest = domain
		}
	}
	if running >= maxImports {
		return nil, fault.New("webadmin.Import", fault.Invalid, "Too many imports are running. Wait for the end of one.")
	}
	if len(i.jobs) >= 2*maxImports && oldest != "" {
		delete(i.jobs, oldest)
	}
	ctx, cancel := context.WithCancel(context.Background())
	j := &importJob{imports: i, cancel: cancel, done: make(chan struct{}), importView: *v, began: time.Now()}
	j.Begun, j.Running, j.Lines = true, true, len(rows)
	i.jobs[v.Domain] = j
	i.wg.Go(func() { j.run(ctx, im, rows) })
	return j, nil
}

func (j *importJob) run(ctx context.Context, im *admin.AccountImport, rows []admin.AccountRow) {
	defer close(j.done)
	defer j.cancel()
	var err error
	for len(rows) > 0 && err == nil && ctx.Err() == nil && !im.Over() {
		n := min(len(rows), importBatch)
		var results []admin.AccountResult
		results, err = im.Rows(ctx, rows[:n])
		j.add(n, results, im.Notes())
		rows = rows[n:]
	}
	j.imports.mu.Lock()
	defer j.imports.mu.Unlock()
	j.Running = false
	switch {
	case ctx.Err() != nil:
		j.Canceled = true
	case err != nil:
		j.Error = fault.Text(err)
	}
}

func (j *importJob) add(lines int, results []admin.AccountResult, notes []string) {
	j.imports.mu.Lock()
	defer j.imports.mu.Unlock()
	j.Done += lines
	j.Notes = append(j.Notes[:len(j.Notes):len(j.Notes)], notes...)
	for _, r := range results {
		switch r.Outcome {
		case admin.AccountCreated:
			j.Created++
		case admin.AccountPartly:
			j.Created++
			j.Partly++
		}
		switch {
		case !r.Outcome.Bad():
		case len(j.Failed) < maxImportFailures: // views share what is there already
			j.Failed = append(j.Failed[:len(j.Failed):len(j.Failed)], importFailure{r.Line, r.Name, r.Reason})
		default:
			j.More++
		}
	}
}

// close ends all imports.
func (i *imports) close() {
	i.mu.Lock()
	for _, j := range i.jobs {
		j.cancel()
	}
	i.mu.Unlock()
	i.wg.Wait()
}

func (c *call) importPage() error {
	v := c.imports.view(c.domainName())
	if v.Running {
		c.w.Header().Set("Refresh", importRefresh)
	}
	return c.drawImport(http.StatusOK, v)
}

func (c *call) drawImport(status int, v *importView) error {
	v.Domain = c.params["domain"]
	v.Error = c.T(v.Error)
	return c.show(status, "import", c.T("Import"), v)
}

// domainName is the real name of the domain of the page.
func (c *call) domainName() string {
	if real, known := c.Accounts.DomainName(c.params["domain"]); known {
		return real
	}
	return c.params["domain"]
}

func (c *call) importAccounts() error { return c.beginImport(false) }
func (c *call) tryAccounts() error    { return c.beginImport(true) }

func (c *call) beginImport(try bool) error {
	v := &importView{Domain: c.domainName(), Tried: try, Stop: c.field("stop") != "", Attributes: c.field("attributes")}
	text, err := c.importText()
	if err != nil {
		return err
	}
	header, rows, err := tableRows(text)
	var im *admin.AccountImport
	if err == nil {
		split := func(r rune) bool { return r == ',' || r == ' ' }
		im, err = c.actor.ImportAccounts(c.ctx(), v.Domain, header, admin.AccountImportOptions{DryRun: try, Stop: v.Stop, Attributes: strings.FieldsFunc(v.Attributes, split)})
	}
	var job *importJob
	if err == nil {
		job, err = c.imports.start(im, v, rows)
	}
	switch {
	case err != nil && !kept(err) && !fault.Is(err, fault.Denied):
		return err
	case err != nil:
		v.Error = fault.Text(err)
		return c.drawImport(http.StatusUnprocessableEntity, v)
	}
	select {
	case <-job.done:
	case <-time.After(importPatience):
	case <-c.ctx().Done():
	}
	return c.redirect(c.r.URL.EscapedPath())
}

// importText is the table that the form has.
func (c *call) importText() (string, error) {
	text := c.field("text")
	if c.r.MultipartForm == nil {
		return text, nil
	}
	defer c.r.MultipartForm.RemoveAll()
	f, _, err := c.r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) {
		return text, nil
	}
	if err != nil {
		return "", fault.Wrap("webadmin.Import", fault.Invalid, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxBody))
	if err != nil {
		return "", fault.Wrap("webadmin.Import", fault.Internal, err)
	}
	if len(b) > 0 {
		text = string(b)
	}
	return text, nil
}

// tableRows cuts a table into its first line and the others.
func tableRows(text string) (header string, rows []admin.AccountRow, err error) {
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, MaxBody)
	if !lines.Scan() || strings.TrimSpace(lines.Text()) == "" {
		return "", nil, fault.New("webadmin.Import", fault.Invalid, "The file is empty.")
	}
	header = lines.Text()
	for n := 2; lines.Scan(); n++ {
		rows = append(rows, admin.AccountRow{Line: n, Text: lines.Text()})
	}
	return header, rows, nil
}

// cancelImport ends the import into the domain. What is made stays.
func (c *call) cancelImport() error {
	c.imports.mu.Lock()
	j := c.imports.jobs[c.domainName()]
	c.imports.mu.Unlock()
	if j != nil {
		j.cancel()
		<-j.done
	}
	return c.redirect(c.r.URL.EscapedPath())
}

// exportAccounts sends the accounts of the domain as a table. What it lacks is not told here: the command line does.
func (c *call) exportAccounts() error {
	columns, err := c.actor.ExportColumns(c.ctx(), c.domainName())
	if err != nil {
		return err
	}
	begun := false
	for after := ""; ; {
		list, err := c.actor.ExportAccounts(c.ctx(), c.domainName(), columns, after)
		switch {
		case err != nil && !begun:
			return err
		case err != nil:
			panic(http.ErrAbortHandler) // the browser must not take what it has for all of it
		}
		if !begun {
			begun = true
			c.startFile("text/tab-separated-values; charset=utf-8", c.domainName()+".txt")
			if _, err := io.WriteString(c.w, strings.Join(columns, "\t")+"\n"); err != nil {
				return fault.Wrap("webadmin.Import", fault.Canceled, err)
			}
		}
		if len(list) == 0 {
			return nil
		}
		for _, l := range list {
			after = l.Name
			if _, err := io.WriteString(c.w, l.Text+"\n"); err != nil {
				return fault.Wrap("webadmin.Import", fault.Canceled, err)
			}
		}
	}
}
