package message

import (
	"bytes"
	"strings"
)

// Attachment reports whether a user would call the part an attachment: it has that
// disposition, or it has a file name and is not shown in the text, or it is
// neither text nor a report or signature for programs.
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

// hasMedia reports whether there is an attachment. Those of an attached message do not count.
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

// Filename returns the part's file name in UTF-8,
// or "". It comes from the Content-Disposition or the name parameter of the Content-Type, in the forms of RFC
// 2231 or as encoded-words in quotes, which are wrong but common. It comes from the sender and
// may contain slashes.
func (p *Part) Filename() string {
	if v := decodedParam(p.DispositionParams, "filename"); v != "" {
		return v
	}
	return decodedParam(p.Params, "name")
}

// decodedParam returns a parameter in UTF-8. The forms of RFC 2231 are preferred to a plain parameter, which is
// for older readers and may consist of encoded-words.
func decodedParam(params []Param, name string) string {
	raw, charset, ok := joined(params, name)
	if !ok {
		return DecodeHeader([]byte(param(params, name)))
	}
	return strings.TrimSpace(oneLine(toUTF8(bytes.TrimSpace(raw), charset)))
}
