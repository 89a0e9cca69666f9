package smtp

import (
	"strconv"
	"strings"

	"gatepost/queue/envelope"
)

// Limits of parameters (RFC 3461 sections 4.2 and 4.4).
const (
	maxEnvelopeID = 100
	maxOriginal   = 500
)

// param is one parameter of MAIL or RCPT (RFC 5321 4.1.2): its keyword in upper
// case and its value.
type param struct {
	key, value string
	valued     bool // there was a =
}

// splitParams takes the text behind a path apart.
func splitParams(rest string) ([]param, bool) {
	words := strings.Fields(rest)
	list := make([]param, 0, len(words))
	for _, word := range words {
		key, value, valued := strings.Cut(word, "=")
		if key == "" || valued && value == "" || !isKeyword(key) || strings.ContainsFunc(value, isControl) {
			return nil, false
		}
		list = append(list, param{strings.ToUpper(key), value, valued})
	}
	return list, true
}

func isKeyword(key string) bool {
	for i, c := range []byte(key) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (c != '-' || i == 0) {
			return false
		}
	}
	return true
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

var (
	replyBadParams    = reply{501, envelope.Code{5, 5, 4}, "syntax error in parameters"}
	replyUnknownParam = reply{555, envelope.Code{5, 5, 4}, "parameter not recognized"}
	replyTwice        = reply{501, envelope.Code{5, 5, 4}, "a parameter is given twice"}
	replyNeedsEHLO    = reply{555, envelope.Code{5, 5, 4}, "parameters need EHLO"}
)

// mailParams are the parameters of MAIL.
type mailParams struct {
	size     int64 // declared, or 0; what does not fit is the largest number
	body     envelope.Body
	ret      envelope.Return
	id       envelope.EnvelopeID
	smtpUTF8 bool
	// requireTLS is REQUIRETLS (RFC 8689).
	requireTLS bool
}

// eachParam calls apply for each parameter, unless one is given twice. Both
// return the reply to what is wrong.
func eachParam(rest string, apply func(p param) *reply) *reply {
	list, ok := splitParams(rest)
	if !ok {
		return &replyBadParams
	}
	for i, p := range list {
		for _, earlier := range list[:i] {
			if earlier.key == p.key {
				return &replyTwice
			}
		}
		if bad := apply(p); bad != nil {
			return bad
		}
	}
	return nil
}

func parseMailParams(rest string) (m mailParams, bad *reply) {
	bad = eachParam(rest, func(p param) *reply {
		ok := p.valued
		switch p.key {
		case "SIZE":
			ok = ok && m.setSize(p.value)
		case "BODY":
			ok = ok && m.setBody(p.value)
		case "RET":
			ok = ok && m.setReturn(p.value)
		case "ENVID":
			id, err := envelope.DecodeXText(p.value)
			ok = ok && err == nil && len(p.value) <= maxEnvelopeID && printable(id)
			m.id = envelope.EnvelopeID(id)
		case "SMTPUTF8":
			ok, m.smtpUTF8 = !p.valued, true
		case "REQUIRETLS":
			ok, m.requireTLS = !p.valued, true
		case "AUTH":
			// Whom another server names as the author; we don't trust its word
			// and treat it as <>, as RFC 4954 section 5 wants.
			_, err := envelope.DecodeXText(p.value)
			ok = ok && err == nil
		default:
			return &replyUnknownParam
		}
		if !ok {
			return &replyBadParams
		}
		return nil
	})
	return m, bad
}

func (m *mailParams) setSize(value string) bool {
	if len(value) > 20 || strings.Trim(value, "0123456789") != "" {
		return false
	}
	// RFC 1870: up to 20 digits; the error of a number out of range comes with
	// the largest number, which is too large in any case.
	m.size, _ = strconv.ParseInt(value, 10, 64)
	return true
}

func (m *mailParams) setBody(value string) bool {
	switch strings.ToUpper(value) {
	case "7BIT":
		m.body = envelope.Body7Bit
	case "8BITMIME":
		m.body = envelope.Body8BitMIME
	case "BINARYMIME":
		m.body = envelope.BodyBinaryMIME
	default:
		return false
	}
	return true
}

func (m *mailParams) setReturn(value string) bool {
	switch strings.ToUpper(value) {
	case "FULL":
		m.ret = envelope.ReturnFull
	case "HDRS":
		m.ret = envelope.ReturnHeaders
	default:
		return false
	}
	return true
}

// parseRcptParams reads the parameters of RCPT into a recipient.
func parseRcptParams(rest string, to *envelope.Recipient) *reply {
	return eachParam(rest, func(p param) *reply {
		var ok bool
		switch p.key {
		case "NOTIFY":
			to.Notify, ok = parseNotify(p.value)
		case "ORCPT":
			to.Original, ok = parseOriginal(p.value)
		default:
			return &replyUnknownParam
		}
		if !ok {
			return &replyBadParams
		}
		return nil
	})
}

// parseNotify reads NEVER, or a list of the others (RFC 3461 4.1).
func parseNotify(value string) (n envelope.Notify, ok bool) {
	if strings.EqualFold(value, "NEVER") {
		return envelope.NotifyNever, true
	}
	for word := range strings.SplitSeq(value, ",") {
		switch strings.ToUpper(word) {
		case "SUCCESS":
			n |= envelope.NotifySuccess
		case "FAILURE":
			n |= envelope.NotifyFailure
		case "DELAY":
			n |= envelope.NotifyDelay
		default:
			return 0, false
		}
	}
	if n == envelope.NotifyDefault {
		n |= envelope.NotifyGiven
	}
	return n, true
}

// parseOriginal reads type;xtext (RFC 3461 4.2, RFC 6533 3) into type;address.
func parseOriginal(value string) (string, bool) {
	kind, text, ok := strings.Cut(value, ";")
	if !ok || !isKeyword(kind) || kind == "" || text == "" || len(value) > maxOriginal {
		return "", false
	}
	original, err := envelope.DecodeOriginal(value)
	return original, err == nil && !strings.ContainsFunc(original, isControl)
}
