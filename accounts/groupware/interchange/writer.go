package interchange

import (
	"bytes"
	"io"
	"strings"

	"gatepost/accounts/contentline"
)

// Writer makes one file of calendar objects or of cards: one VCALENDAR with all components and each time zone once, or
// all cards one after another. What cannot be read is left out.
type Writer struct {
	w     io.Writer
	name  string
	cards bool
	begun bool
	zones map[string]bool
}

// NewWriter begins a file. The name is that of the calendar, for people.
func NewWriter(w io.Writer, name string) *Writer {
	return &Writer{w: w, name: name, zones: map[string]bool{}}
}

// Add writes an object.
func (w *Writer) Add(text []byte) error {
	if isCard(text) {
		w.cards = true
		if !bytes.HasSuffix(text, []byte("\n")) {
			text = append(bytes.Clone(text), "\r\n"...)
		}
		_, err := w.w.Write(text)
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	for _, part := range blocks(string(text)) {
		if part.zone != "" {
			if w.zones[part.zone] {
				continue
			}
			w.zones[part.zone] = true
		}
		if _, err := io.WriteString(w.w, part.text); err != nil {
			return err
		}
	}
	return nil
}

func isCard(text []byte) bool {
	const begin = "BEGIN:VCARD"
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	return len(text) >= len(begin) && bytes.EqualFold(text[:len(begin)], []byte(begin))
}

func (w *Writer) begin() error {
	if w.begun {
		return nil
	}
	w.begun = true
	_, err := io.WriteString(w.w, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Gatepost//Gatepost//EN\r\n"+
		string(contentline.Fold(nil, "X-WR-CALNAME:"+contentline.EscapeText(w.name))))
	return err
}

// Close ends the file; it does not close what is written to. A file without any object is an empty calendar.
func (w *Writer) Close() error {
	if w.cards {
		return nil
	}
	if err := w.begin(); err != nil {
		return err
	}
	_, err := io.WriteString(w.w, "END:VCALENDAR\r\n")
	return err
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
