package groupware

import (
	"bytes"
	"context"
	"io"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/server/fault"
)

// Export writes the whole collection as one text: one VCALENDAR with all components, a time zone once, or all cards one after another.
// What cannot be read any more is left out. Errors: NoMailbox, Denied, those of w.
func (c *Collection) Export(ctx context.Context, w io.Writer) error {
	list, err := c.Items(ctx)
	if err != nil {
		return err
	}
	if c.Kind != Contacts {
		head := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Gatepost//Gatepost//EN\r\n" +
			string(contentline.Fold(nil, "X-WR-CALNAME:"+contentline.EscapeText(c.Name)))
		if _, err := io.WriteString(w, head); err != nil {
			return err
		}
	}
	zones := make(map[string]bool)
	for i := range list {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("groupware.Export", fault.Canceled, err)
		}
		_, text, err := c.Text(ctx, list[i].Name)
		if fault.Is(err, fault.NoMessage) {
			continue
		}
		if err != nil {
			return err
		}
		if err := c.exportOne(w, text, zones); err != nil {
			return err
		}
	}
	if c.Kind != Contacts {
		_, err = io.WriteString(w, "END:VCALENDAR\r\n")
	}
	return err
}

func (c *Collection) exportOne(w io.Writer, text []byte, zones map[string]bool) error {
	if c.Kind == Contacts {
		if !bytes.HasSuffix(text, []byte("\n")) {
			text = append(text, "\r\n"...)
		}
		_, err := w.Write(text)
		return err
	}
	for _, part := range blocks(string(text)) {
		if part.zone != "" {
			if zones[part.zone] {
				continue
			}
			zones[part.zone] = true
		}
		if _, err := io.WriteString(w, part.text); err != nil {
			return err
		}
	}
	return nil
}

// block is a component of a calendar object; zone is its TZID if it is a time zone.
type block struct{ text, zone string }

// blocks returns the components of a calendar object, each as it was written. It stops at what it cannot read.
func blocks(text string) (list []block) {
	s := contentline.NewScanner(text)
	var name, zone string
	depth, start := 0, 0
	for {
		l, err := s.Next()
		if err != nil {
			return list
		}
		switch {
		case strings.EqualFold(l.Name, "BEGIN"):
			if depth++; depth == 2 {
				name, zone, start = strings.ToUpper(l.Value), "", l.Start
			}
		case strings.EqualFold(l.Name, "END"):
			if depth--; depth == 1 {
				if name != "VTIMEZONE" {
					zone = ""
				}
				list = append(list, block{text[start:l.End], zone})
			}
		case depth == 2 && strings.EqualFold(l.Name, "TZID"):
			zone = l.Value
		}
	}
}
