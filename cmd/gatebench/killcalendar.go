package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// anItem is the kind of what a davClient has on the server.
const anItem = "item"

// mostItems is how many items a davClient keeps at most.
const mostItems = 40

// A davClient does one thing at a time with the main calendar, or the main address book, of one account: it makes, changes and
// deletes items. It writes down what it is owed, and keeps a copy of the collection that follows it by its changes.
type davClient struct {
	promises
	user, url string
	cards     bool
	http      *http.Client
	names     int

	copied map[string]string // ETags by name, as the changes told them
	token  string
}

func newDAVClient(n int, addr string) *davClient {
	c := &davClient{promises: newPromises(), user: fmt.Sprintf("u%03d@%s", n, killDomain), cards: n%2 == 1, copied: map[string]string{}}
	c.url = "http://" + addr + "/CalDAV/Calendar/"
	if c.cards {
		c.url = "http://" + addr + "/CardDAV/Contacts/"
	}
	c.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	return c
}

// statusError is an answer that says no.
type statusError struct {
	request string
	code    int
	body    string
}

func (e *statusError) Error() string { return fmt.Sprintf("%s: %d %.300s", e.request, e.code, e.body) }

// do sends a request, again while the server says that it is busy: then nothing has happened.
func (c *davClient) do(ctx context.Context, method, name, body string, header ...string) ([]byte, error) {
	for {
		r, err := http.NewRequestWithContext(ctx, method, c.url+name, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.SetBasicAuth(c.user, killPassword)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		a, err := c.http.Do(r)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(a.Body)
		a.Body.Close()
		switch {
		case err != nil:
			return nil, &url.Error{Op: method, URL: r.URL.String(), Err: err}
		case a.StatusCode == http.StatusServiceUnavailable:
			time.Sleep(50 * time.Millisecond)
			continue
		case a.StatusCode/100 != 2:
			return nil, &statusError{method + " " + r.URL.Path, a.StatusCode, string(text)}
		}
		return text, nil
	}
}

// text is an item of a name; each is another one.
func (c *davClient) text(name string) string {
	c.names++
	lines := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//gatebench//EN", "BEGIN:VEVENT", "UID:" + name, "DTSTAMP:20260101T000000Z",
		fmt.Sprintf("DTSTART:202601%02dT090000Z", 1+c.names%28), "DURATION:PT1H", fmt.Sprintf("SUMMARY:version %d", c.names)}
	end := []string{"END:VEVENT", "END:VCALENDAR", ""}
	if c.cards {
		lines = []string{"BEGIN:VCARD", "VERSION:4.0", "UID:" + name, fmt.Sprintf("FN:Version %d", c.names)}
		end = []string{"END:VCARD", ""}
	}
	if rand.IntN(10) == 0 {
		for range 200 {
			lines = append(lines, "X-FILL:"+strings.Repeat("x", 60))
		}
	}
	return strings.Join(append(lines, end...), "\r\n")
}

// act does one thing.
func (c *davClient) act(ctx context.Context) error {
	have := c.kept.of(anItem)
	choice := rand.IntN(10)
	if len(have) == 0 || choice < 5 && len(have) < mostItems {
		name := fmt.Sprintf("%s-%d", strings.TrimSuffix(c.user, "@"+killDomain), c.names)
		return c.put(ctx, name, "If-None-Match", "*")
	}
	name := have[rand.IntN(len(have))]
	if choice < 8 && len(have) < mostItems {
		return c.put(ctx, name)
	}
	c.ask("DELETE "+name, change{{anItem, name, ""}: nil})
	if _, err := c.do(ctx, "DELETE", name, ""); err != nil {
		return err
	}
	c.acknowledged()
	return nil
}

func (c *davClient) put(ctx context.Context, name string, header ...string) error {
	text := c.text(name)
	c.ask("PUT "+name, change{{anItem, name, ""}: {text: text}})
	if _, err := c.do(ctx, "PUT", name, text, header...); err != nil {
		return err
	}
	c.acknowledged()
	return nil
}

// multistatus is what is read of an answer.
type multistatus struct {
	Responses []struct {
		Href   string `xml:"DAV: href"`
		Status string `xml:"DAV: status"`
		ETag   string `xml:"DAV: propstat>prop>getetag"`
	} `xml:"DAV: response"`
	Token string `xml:"DAV: sync-token"`
}

func (c *davClient) multistatus(ctx context.Context, method, body string, header ...string) (m multistatus, err error) {
	text, err := c.do(ctx, method, "", body, header...)
	if err == nil {
		err = xml.NewDecoder(bytes.NewReader(text)).Decode(&m)
	}
	return m, err
}

// look compares what there is with what was promised, and with what the changes since the last look tell.
func (c *davClient) look(ctx context.Context) error {
	m, err := c.multistatus(ctx, "PROPFIND", `<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>`, "Depth", "1")
	if err != nil {
		return err
	}
	have, etags := state{}, map[string]string{}
	for _, r := range m.Responses {
		if strings.HasSuffix(r.Href, "/") {
			continue // the collection
		}
		name := path.Base(r.Href)
		text, err := c.do(ctx, "GET", name, "")
		if err != nil {
			return err
		}
		have[key{anItem, name, ""}] = item{text: string(text)}
		etags[name] = r.ETag
	}
	if findings := c.judge(have); len(findings) > 0 {
		return fmt.Errorf("%s after %s:\n%s", c.user, c.what, strings.Join(findings, "\n"))
	}
	m, err = c.multistatus(ctx, "REPORT", `<sync-collection xmlns="DAV:"><sync-token>`+c.token+`</sync-token><sync-level>1</sync-level><prop><getetag/></prop></sync-collection>`)
	if err != nil {
		return err
	}
	for _, r := range m.Responses {
		name := path.Base(r.Href)
		if strings.Contains(r.Status, " 404 ") {
			delete(c.copied, name)
		} else {
			c.copied[name] = r.ETag
		}
	}
	c.token = m.Token
	if !maps.Equal(c.copied, etags) {
		return fmt.Errorf("%s: the changes give %v, and there is %v", c.user, c.copied, etags)
	}
	return nil
}

// runCalendars kills the server while clients change calendars and address books.
func (c *killCommand) runCalendars(ctx context.Context, out *report) error {
	clients := make([]*davClient, c.Accounts)
	for n := range clients {
		clients[n] = newDAVClient(n, c.addr(8100))
	}
	for run := range c.Runs {
		err := c.killCalendars(ctx, clients)
		if err == nil && run%2 == 1 {
			err = c.killAtStart(ctx)
		}
		if err == nil {
			err = c.lookAtCalendars(ctx, clients)
		}
		if err != nil {
			return fmt.Errorf("run %d: %w", run+1, err)
		}
	}
	done, items := 0, 0
	for _, d := range clients {
		done += d.done
		items += len(d.kept)
	}
	return errors.Join(out.print("kills", "times", float64(c.Runs+c.Runs/2)), out.print("acknowledged and kept", "changes", float64(done)), out.print("left", "items", float64(items)))
}

func (c *killCommand) killCalendars(ctx context.Context, clients []*davClient) error {
	cmd, err := c.start(ctx, true)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- parallel(len(clients), func(i int) error {
			for {
				if err := clients[i].act(ctx); err != nil {
					return cutOffHTTP(err)
				}
			}
		})
	}()
	// The first requests log in, which takes long.
	time.Sleep(200*time.Millisecond + rand.N(c.Longest))
	if err := kill(cmd); err != nil {
		return err
	}
	return <-ended
}

// cutOffHTTP returns nil for what a killed server leaves to a client, and what it said otherwise.
func cutOffHTTP(err error) error {
	var broken *url.Error
	if errors.As(err, &broken) && !broken.Timeout() {
		return nil
	}
	return err
}

// lookAtCalendars lets the server recover and compares all.
func (c *killCommand) lookAtCalendars(ctx context.Context, clients []*davClient) error {
	cmd, err := c.start(ctx, true)
	if err != nil {
		return err
	}
	err = parallel(len(clients), func(i int) error { return clients[i].look(ctx) })
	if err == nil {
		_, err = c.gatepost(ctx, "", "check")
	}
	return errors.Join(err, stop(cmd))
}
