package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"gatepost/accounts"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// CommandLine carries out commands of the command line.
type CommandLine interface {
	// Command carries out one command for an account that has logged in.
	Command(ctx context.Context, who *accounts.Account, peer accounts.Peer, line string) CommandAnswer
}

// CommandAnswer is the answer to a command.
type CommandAnswer struct {
	// Code and Text are what the command line answers; Text is the data if there is some.
	Code int
	Text string
	// Err is why the command was not carried out, or nil.
	Err error
	// After, if any, is called once the answer is out.
	After func()
}

const (
	// A command line has 10 MB at most. Encoded for a form, a byte takes three.
	maxCommand = 10 << 20
	maxForm    = 3*maxCommand + 1<<10
	// largeForm is what counts as large: only one of them is in memory at a time.
	largeForm = 128 << 10
)

// MountCLI mounts the command line at /CLI/:
//
//	curl -u postmaster@example.com https://example.com:9100/CLI/ --data-urlencode "command=LISTDOMAINS"
//
// The command is the parameter command of a form or of the query. The answer is text: the data, OK if
// there is none, or the code and the text of an error. The setting CLIAccess opens it; the service of
// the login and the rights are those of port 106.
func (s *Server) MountCLI(cli CommandLine) error {
	return s.Mount("/CLI/", Options{
		Methods: []string{http.MethodGet, http.MethodPost},
		Login:   true, Service: "PWD", Realm: "CLI", MaxBody: settings.Size(maxForm), FoldCase: true, Part: PartCLI,
	}, &cliPart{cli: cli, large: make(chan struct{}, 1)})
}

type cliPart struct {
	cli   CommandLine
	large chan struct{} // holds one
}

func (p *cliPart) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A link would do as well as a form.
	if err := SameOrigin(r); err != nil {
		Refuse(w, r, err)
		return
	}
	if q := Of(r.Context()); len(q.Path) > 0 {
		Refuse(w, r, fault.New("http.CLI", fault.NotFound, ""))
		return
	}
	a, err := p.command(r)
	if err != nil {
		Refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	text, status := a.Text, http.StatusOK
	if a.Err != nil {
		text = fmt.Sprintf("%d %s", a.Code, a.Text)
		if status, _ = told(a.Err); status == http.StatusUnauthorized {
			status = http.StatusForbidden // the login was right; what the command has tried was not
		}
	}
	w.WriteHeader(status)
	_, err = io.WriteString(w, text+"\n")
	if a.After != nil {
		// A client that is gone has given its command all the same.
		_ = errors.Join(err, http.NewResponseController(w).Flush())
		a.After()
	}
}

// command reads the command and carries it out.
func (p *cliPart) command(r *http.Request) (CommandAnswer, error) {
	q := Of(r.Context())
	form := r.URL.RawQuery
	if r.Method == http.MethodPost {
		body, err := q.Spool(r.Body)
		if err != nil {
			return CommandAnswer{}, err
		}
		defer body.Close()
		if body.Size > largeForm {
			select {
			case p.large <- struct{}{}:
				defer func() { <-p.large }()
			case <-r.Context().Done():
				return CommandAnswer{}, fault.Wrap("http.CLI", fault.Canceled, r.Context().Err())
			}
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return CommandAnswer{}, err
		}
		if len(text) > 0 {
			form = string(text)
		}
	}
	line, err := parameter(form, "command")
	if err != nil {
		return CommandAnswer{}, err
	}
	return p.cli.Command(r.Context(), q.Account, q.Peer, line), nil
}

// parameter reads one parameter of a form. Package net/url refuses semicolons that are not encoded,
// of which commands are full.
func parameter(form, name string) (string, error) {
	const op = "http.Form"
	value, found := "", false
	for pair := range strings.SplitSeq(form, "&") {
		key, raw, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err != nil || k != name {
			continue
		}
		v, err := url.QueryUnescape(raw)
		if err != nil {
			return "", fault.Newf(op, fault.Invalid, "The parameter %s has a bad percent-encoding.", name)
		}
		if found {
			return "", fault.Newf(op, fault.Invalid, "The parameter %s is there twice.", name)
		}
		value, found = v, true
	}
	if strings.TrimSpace(value) == "" {
		return "", fault.Newf(op, fault.Invalid, "The parameter %s is missing.", name)
	}
	return value, nil
}
