package accounts

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatepost/server/dataformat"
)

// TrailerText is a text that is added to mail: lines of UTF-8.
type TrailerText string

// maxTrailer bounds a TrailerText.
const maxTrailer = 16 << 10

// SetValue reads the text.
func (t *TrailerText) SetValue(v dataformat.Value) error {
	text, ok := dataformat.Text(v)
	switch {
	case !ok:
		return fmt.Errorf("%s is not a text", dataformat.Compact(v))
	case len(text) > maxTrailer:
		return fmt.Errorf("the text has more than %d bytes", maxTrailer)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, control):
		return errors.New("the text has control characters, or is not UTF-8")
	}
	*t = TrailerText(text)
	return nil
}

// DataValue is the text.
func (t TrailerText) DataValue() dataformat.Value { return dataformat.String(t) }

func control(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == 0x7f }

// MailTrailer returns the texts that are added to mail which an account submits for other servers; both are empty for none.
func (s *Store) MailTrailer(a *Account) (plain, html string, err error) {
	if !bool(a.Settings().AddMailTrailer) {
		return "", "", nil
	}
	d, err := s.domain(a.Domain)
	if err != nil {
		return "", "", err
	}
	return string(d.settings.MailTrailer), string(d.settings.MailTrailerHTML), nil
}
