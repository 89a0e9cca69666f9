package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

type davCommand struct {
	URL       string `help:"URL of a calendar; it is made if there is none." required:""`
	User      string `help:"Name to log in with."`
	Password  string `help:"Password." default:"secret"`
	Events    int    `help:"Events to store." default:"5000"`
	Repeating int    `help:"How many in 100 of them repeat each week." default:"10"`
	Rounds    int    `help:"Samples of each figure." default:"20"`
	Clients   int    `help:"Clients that query at a time while memory is measured." default:"200"`
	Bulk      bool   `help:"Store the events by one PUT of the whole calendar, which some servers take."`
	PID       int    `help:"Process of the server; its children count too. Without it no memory is measured."`

	client *http.Client
}

// davStart is where the events begin; they are spread over two years.
var davStart = time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)

func (c *davCommand) Run(ctx context.Context, out *report) error {
	c.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.Clients, MaxConnsPerHost: c.Clients}}
	defer c.client.CloseIdleConnections()
	c.URL = strings.TrimSuffix(c.URL, "/") + "/"
	if _, status, err := c.do(ctx, "MKCALENDAR", "", "", ""); err != nil {
		return err
	} else if status >= 500 {
		return fmt.Errorf("MKCALENDAR: status %d", status)
	}
	if err := c.fill(ctx, out); err != nil {
		return err
	}
	month := `<C:time-range start="20261001T000000Z" end="20261101T000000Z"/>`
	for _, q := range []struct{ name, prop string }{{"query of a month", `<D:getetag/>`}, {"query of a month with data", `<D:getetag/><C:calendar-data/>`}} {
		if err := c.query(ctx, out, q.name, q.prop, month); err != nil {
			return err
		}
	}
	far := `<C:time-range start="20461001T000000Z" end="20461101T000000Z"/>`
	if err := c.query(ctx, out, "query of a month after 20 years", `<D:getetag/>`, far); err != nil {
		return err
	}
	if err := c.sync(ctx, out); err != nil {
		return err
	}
	return c.memory(ctx, out, davQuery(`<D:getetag/>`, month))
}

// event is the text of an event.
func (c *davCommand) event(i int, title string) string {
	at := davStart.Add(2 * 365 * 24 * time.Hour / time.Duration(c.Events) * time.Duration(i)).Truncate(15 * time.Minute)
	rule := ""
	if i%100 < c.Repeating {
		rule = "RRULE:FREQ=WEEKLY\r\n"
	}
	const form = "20060102T150405Z"
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Gatepost//gatebench//EN\r\nBEGIN:VEVENT\r\nUID:bench-" + fmt.Sprint(i) + "\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:" +
		at.Format(form) + "\r\nDTEND:" + at.Add(time.Hour).Format(form) + "\r\n" + rule + "SUMMARY:" + title + " " + fmt.Sprint(i) + "\r\nLOCATION:Room " + fmt.Sprint(i%20) +
		"\r\nDESCRIPTION:" + strings.Repeat("What there is to say of it. ", 2) + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
}

func (c *davCommand) put(ctx context.Context, i int, title string) (time.Duration, error) {
	began := time.Now()
	_, status, err := c.do(ctx, "PUT", fmt.Sprintf("bench-%d.ics", i), c.event(i, title), "text/calendar; charset=utf-8")
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("PUT: status %d", status)
	}
	return time.Since(began), err
}

// fill stores the events, and measures the PUT of more of them into the full calendar.
func (c *davCommand) fill(ctx context.Context, out *report) error {
	began := time.Now()
	var all strings.Builder
	for i := range c.Events {
		if c.Bulk {
			text := c.event(i, "Event")
			all.WriteString(text[strings.Index(text, "BEGIN:VEVENT"):strings.Index(text, "END:VCALENDAR")])
		} else if _, err := c.put(ctx, i, "Event"); err != nil {
			return err
		}
	}
	if c.Bulk {
		text := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Gatepost//gatebench//EN\r\n" + all.String() + "END:VCALENDAR\r\n"
		if answer, status, err := c.do(ctx, "PUT", "", text, "text/calendar; charset=utf-8"); err != nil || status/100 != 2 {
			return fmt.Errorf("PUT of the calendar: status %d, %w: %.200s", status, err, answer)
		}
	}
	if err := out.print("to fill the calendar", "s", time.Since(began).Seconds()); err != nil {
		return err
	}
	var took []time.Duration
	for i := range c.Rounds {
		d, err := c.put(ctx, c.Events+i, "Event")
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	return out.print("PUT of an event", "ms", milliseconds(took)...)
}

func davQuery(prop, span string) string {
	return `<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop>` + prop + `</D:prop><C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">` +
		span + `</C:comp-filter></C:comp-filter></C:filter></C:calendar-query>`
}

var davResponse = regexp.MustCompile(`</([A-Za-z0-9]+:)?response>`)

func (c *davCommand) query(ctx context.Context, out *report, name, prop, span string) error {
	var took []time.Duration
	hits := 0
	for range c.Rounds {
		began := time.Now()
		body, err := c.report(ctx, davQuery(prop, span))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took = append(took, time.Since(began))
		hits = len(davResponse.FindAll(body, -1))
	}
	if err := out.print(name, "ms", milliseconds(took)...); err != nil {
		return err
	}
	return out.print("  found", "events", float64(hits))
}

var davToken = regexp.MustCompile(`sync-token>([^<]+)<`)

// sync measures sync-collection after one change.
func (c *davCommand) sync(ctx context.Context, out *report) error {
	var took []time.Duration
	token := ""
	for round := range c.Rounds + 1 {
		if round > 0 {
			if _, err := c.put(ctx, round, fmt.Sprint("Changed ", round)); err != nil {
				return err
			}
		}
		began := time.Now()
		body, err := c.report(ctx, `<sync-collection xmlns="DAV:"><sync-token>`+token+`</sync-token><sync-level>1</sync-level><prop><getetag/></prop></sync-collection>`)
		if err != nil {
			return fmt.Errorf("sync-collection: %w", err)
		}
		m := davToken.FindSubmatch(body)
		if m == nil {
			return fmt.Errorf("sync-collection: no token in %.200q", body)
		}
		token = string(m[1])
		if n := len(davResponse.FindAll(body, -1)); round > 0 && n != 1 {
			return fmt.Errorf("sync-collection after one change has %d responses", n)
		}
		if round > 0 {
			took = append(took, time.Since(began))
		}
	}
	return out.print("sync-collection after one change", "ms", milliseconds(took)...)
}

// memory lets many clients query at a time, twice, and says what the server takes before and after each.
func (c *davCommand) memory(ctx context.Context, out *report, query string) error {
	if c.PID == 0 {
		return nil
	}
	var list []float64
	for round := range 3 {
		if round > 0 {
			ended := make(chan error, c.Clients)
			for range c.Clients {
				go func() {
					var err error
					for range 3 {
						if err == nil {
							_, err = c.report(ctx, query)
						}
					}
					ended <- err
				}()
			}
			var failed error
			for range c.Clients {
				failed = cmp.Or(failed, <-ended)
			}
			if failed != nil {
				return fmt.Errorf("%d clients: %w", c.Clients, failed)
			}
		}
		n, err := memory(c.PID)
		if err != nil {
			return err
		}
		list = append(list, float64(n)/(1<<20))
	}
	for i, name := range []string{"memory before many clients", "memory after a round of them", "memory after another round"} {
		if err := out.print(name, "MB", list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *davCommand) report(ctx context.Context, body string) ([]byte, error) {
	answer, status, err := c.do(ctx, "REPORT", "", body, "application/xml")
	if err == nil && status != http.StatusMultiStatus {
		err = fmt.Errorf("status %d: %.200s", status, answer)
	}
	return answer, err
}

func (c *davCommand) do(ctx context.Context, method, name, body, kind string) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+name, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, 0, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("Depth", "1")
	if c.User != "" {
		req.SetBasicAuth(c.User, c.Password)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return answer, resp.StatusCode, err
}
