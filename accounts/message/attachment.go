package message

import (
	"bytes"
	"strings"
)

// Attachment reports whether the part is one that a person would call an attachment:
// marked so, or with a file name and not shown in the text, or of a kind that
// is neither text nor a report or signature that programs read.
func (p *Part) Attachment() bool {
	switch {
	case len(p.Children) > 0:
		return false
	case p.Disposition == "attachment":
		return !machineRead(p)
	case p.Type == "text":
		return p.Disposition != "inline" && p.Filename() != "" && p.Subtype != "calendar"
	case p.Type == "message":
		return p.Message != nil && p.Disposition != "inline"
	case p.ID != "" && p.Type == "image":
		return false // shown in the page that refers to it
	}
	return !machineRead(p)
}

func machineRead(p *Part) bool {
	switch p.Subtype {
	case "pgp-signature", "pgp-encrypted", "pkcs7-signature", "x-pkcs7-signature", "delivery-status",
		"disposition-notification", "feedback-report", "rfc822-headers":
		return true
	}
	return false
}

// hasMedia looks for an attachment; those of an attached message don't count.
func hasMedia(p *Part) bool {
	if p.Attachment() {
		return true
	}
	for _, c := range p.Children {
		if hasMedia(c) {
			return true
		}
	}
	return false
}

// Filename returns the name that the part gives its content, decoded to UTF-8,
// or "". The forms of RFC 2231, encoded-words in quotes, which are wrong and
// common, and the name parameter of the Content-Type are understood. It is a stranger's text:
// it may hold slashes.
func (p *Part) Filename() string {
	if v := longParam(p.DispositionParams, "filename"); v != "" {
		return v
	}
	return longParam(p.Params, "name")
}

// longParam returns a parameter in UTF-8. Its pieces come before a plain one, which
// is there for older readers; that one may be made of encoded-words.
func longParam(params []Param, name string) string {
	raw, charset, ok := joined(params, name)
	if !ok {
		return DecodeHeader([]byte(param(params, name)))
	}
	return strings.TrimSpace(oneLine(toUTF8(bytes.TrimSpace(raw), charset)))
}
