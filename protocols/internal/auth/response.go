package auth

import (
	"encoding/base64"
	"errors"
	"strings"
)

// ErrCanceled is a response by which the client gives the exchange up, and ErrBase64 one that is not
// base64.
var (
	ErrCanceled = errors.New("authentication canceled")
	ErrBase64   = errors.New("the response is not base64")
)

// DecodeResponse decodes a line by which a client answers a challenge, or the initial response in its
// command, of which "=" is an empty one (RFC 4954 section 4, RFC 5034 section 4, RFC 4959 section 3). It is
// never nil, which Exchange.Next takes for no response. Blanks at the end are no part of it.
func DecodeResponse(line string) ([]byte, error) {
	line = strings.TrimRight(line, " \t")
	switch line {
	case "*":
		return nil, ErrCanceled
	case "=":
		line = ""
	}
	raw, err := base64.StdEncoding.Strict().AppendDecode([]byte{}, []byte(line))
	if err != nil {
		return nil, ErrBase64
	}
	return raw, nil
}
