package relay

import (
	"strconv"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// mail makes the MAIL command.
func (t *transaction) mail() string {
	env, ext := t.item.Envelope, &t.c.ext
	b := append(make([]byte, 0, 128), "MAIL FROM:<"...)
	if path, local := t.mailFrom(); !path.IsNull() {
		b = appendPath(b, path, local)
	}
	b = append(b, '>')
	if ext.size {
		b = strconv.AppendInt(append(b, " SIZE="...), t.size(), 10)
	}
	switch {
	case t.binary():
		b = append(b, " BODY=BINARYMIME"...)
	case ext.eightBit && (env.Body == envelope.Body8BitMIME || env.SMTPUTF8):
		b = append(b, " BODY=8BITMIME"...)
	}
	if ext.utf8 && t.needsUTF8() {
		b = append(b, " SMTPUTF8"...)
	}
	if env.RequireTLS && ext.requireTLS {
		b = append(b, " REQUIRETLS"...)
	}
	if ext.dsn {
		switch env.Return {
		case envelope.ReturnFull:
			b = append(b, " RET=FULL"...)
		case envelope.ReturnHeaders:
			b = append(b, " RET=HDRS"...)
		}
		if env.ID != "" {
			b = envelope.AppendXText(append(b, " ENVID="...), string(env.ID))
		}
	}
	return string(b)
}

// rcpt makes the RCPT command of a recipient.
func (t *transaction) rcpt(i int) string {
	r := &t.item.Envelope.Recipients[t.rcpts[i].rcpt]
	b := append(make([]byte, 0, 128), "RCPT TO:<"...)
	b = append(appendPath(b, t.rcpts[i].to, t.rcpts[i].local), '>')
	if t.c.ext.dsn {
		if n := notifyText(r.Notify); n != "" {
			b = append(append(b, " NOTIFY="...), n...)
		}
		if r.Original != "" {
			b = envelope.AppendOriginal(append(b, " ORCPT="...), r.Original)
		}
	}
	return string(b)
}

// appendPath appends an address; local, if there is one, is its local part as it was written.
func appendPath(b []byte, a address.Address, local string) []byte {
	if local == "" {
		return append(b, a.String()...)
	}
	return append(b, a.Written(local)...)
}

// notifyText is the value of NOTIFY, or empty if there was none.
func notifyText(n envelope.Notify) string {
	switch n {
	case envelope.NotifyDefault:
		return ""
	case envelope.NotifyNever:
		return "NEVER"
	}
	var words []string
	for _, w := range []struct {
		bit  envelope.Notify
		word string
	}{{envelope.NotifySuccess, "SUCCESS"}, {envelope.NotifyFailure, "FAILURE"}, {envelope.NotifyDelay, "DELAY"}} {
		if n&w.bit != 0 {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ",")
}
