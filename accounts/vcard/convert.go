package vcard

import (
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/server/fault"
)

// Convert returns the card in version 3.0 or 4.0: its own text if that is its version. Groups (item1.X-ABLabel) are
// kept. A version 2.1 card can be converted to both.
func (c *Card) Convert(version string) ([]byte, error) {
	if version == c.Version {
		return []byte(c.Text), nil
	}
	if version != "3.0" && version != "4.0" {
		return nil, fault.Newf("vcard", fault.Unsupported, "cards of version %.20q are not written", version)
	}
	b := []byte("BEGIN:VCARD\r\nVERSION:" + version + "\r\n")
	hasName := c.Property("N") != nil
	for i := range c.Properties {
		p := c.Properties[i]
		if p.Name == "VERSION" {
			continue
		}
		p.Params = slices.Clone(p.Params)
		if p.ParamIs("ENCODING", "QUOTED-PRINTABLE") {
			p.Value = decoded(&p)
			drop(&p, "ENCODING")
		}
		drop(&p, "CHARSET")
		if version == "4.0" {
			to4(&p)
		} else {
			to3(&p)
		}
		b = p.Append(b)
	}
	if version == "3.0" && !hasName {
		b = append(b, "N:;;;;\r\n"...) // RFC 2426 section 3.1.2: N must be there
	}
	return append(b, "END:VCARD\r\n"...), nil
}

func drop(p *Property, name string) {
	p.Params = slices.DeleteFunc(p.Params, func(q contentline.Param) bool { return q.Name == name })
}

func isBinary(name string) bool {
	return name == "PHOTO" || name == "LOGO" || name == "SOUND" || name == "KEY"
}

func to4(p *Property) {
	switch p.Name {
	case "X-ADDRESSBOOKSERVER-KIND":
		p.Name = "KIND"
		p.Value = strings.ToLower(p.Value)
	case "X-ADDRESSBOOKSERVER-MEMBER":
		p.Name = "MEMBER"
	case "BDAY", "ANNIVERSARY", "X-ANNIVERSARY":
		p.Name = strings.TrimPrefix(p.Name, "X-")
		// Apple writes a birthday without year with the year 1604.
		if omit, ok := p.Param("X-APPLE-OMIT-YEAR"); ok && strings.HasPrefix(p.Value, omit) {
			p.Value = "--" + strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(p.Value, omit), "-"), "-", "")
			drop(p, "X-APPLE-OMIT-YEAR")
			drop(p, "VALUE")
		} else if date, _, _ := strings.Cut(p.Value, "T"); len(date) == 10 {
			p.Value = strings.Replace(p.Value, date, strings.ReplaceAll(date, "-", ""), 1)
			if p.ParamIs("VALUE", "DATE") {
				drop(p, "VALUE")
			}
		}
	case "REV":
		p.Value = strings.NewReplacer("-", "", ":", "").Replace(p.Value)
	}
	types, preferred := p.Params[:0:0], false
	kind := ""
	for _, q := range p.Params {
		if q.Name == "TYPE" {
			q.Values = slices.DeleteFunc(slices.Clone(q.Values), func(v string) bool {
				if strings.EqualFold(v, "PREF") {
					preferred = true
					return true
				}
				return strings.EqualFold(v, "INTERNET") && p.Name == "EMAIL"
			})
			if len(q.Values) == 0 {
				continue
			}
			for i, v := range q.Values {
				q.Values[i] = strings.ToLower(v)
			}
			kind = q.Values[0]
		}
		types = append(types, q)
	}
	p.Params = types
	if preferred {
		p.Params = append(p.Params, contentline.Param{Name: "PREF", Values: []string{"1"}})
	}
	if isBinary(p.Name) && (p.ParamIs("ENCODING", "B") || p.ParamIs("ENCODING", "BASE64")) {
		media := kind
		if !strings.Contains(media, "/") {
			family := "image/"
			switch p.Name {
			case "SOUND":
				family = "audio/"
			case "KEY":
				family = "application/"
			}
			if media = family + kind; kind == "" {
				media = "application/octet-stream"
			}
		}
		drop(p, "ENCODING")
		drop(p, "TYPE")
		drop(p, "VALUE")
		p.Value = "data:" + media + ";base64," + strings.Join(strings.Fields(p.Value), "")
	}
}

func to3(p *Property) {
	switch p.Name {
	case "KIND":
		p.Name = "X-ADDRESSBOOKSERVER-KIND"
	case "MEMBER":
		p.Name = "X-ADDRESSBOOKSERVER-MEMBER"
	case "ANNIVERSARY":
		p.Name = "X-ANNIVERSARY"
		datesTo3(p)
	case "BDAY":
		datesTo3(p)
	}
	if pref, ok := p.Param("PREF"); ok {
		drop(p, "PREF")
		if n, err := strconv.Atoi(pref); err == nil && n == 1 {
			p.Params = append(p.Params, contentline.Param{Name: "TYPE", Values: []string{"PREF"}})
		}
	}
	if p.Name == "TEL" && strings.HasPrefix(strings.ToLower(p.Value), "tel:") {
		p.Value = p.Value[len("tel:"):]
		drop(p, "VALUE")
	}
	if !isBinary(p.Name) {
		return
	}
	head, data, ok := strings.Cut(p.Value, ",")
	if !strings.HasPrefix(strings.ToLower(head), "data:") || !ok {
		if !p.ParamIs("VALUE", "URI") && strings.Contains(p.Value, "://") {
			p.Params = append(p.Params, contentline.Param{Name: "VALUE", Values: []string{"uri"}})
		}
		return
	}
	media, isBase64 := strings.CutSuffix(head[len("data:"):], ";base64")
	if !isBase64 {
		return
	}
	drop(p, "MEDIATYPE")
	drop(p, "VALUE")
	p.Params = append(p.Params, contentline.Param{Name: "ENCODING", Values: []string{"b"}})
	media, _, _ = strings.Cut(media, ";")
	if _, kind, ok := strings.Cut(media, "/"); ok && kind != "octet-stream" {
		p.Params = append(p.Params, contentline.Param{Name: "TYPE", Values: []string{strings.ToUpper(kind)}})
	}
	p.Value = data
}

// datesTo3 writes 19850412 as 1985-04-12, and a day without year in Apple's way.
func datesTo3(p *Property) {
	allDigits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	switch v := p.Value; {
	case len(v) == 6 && strings.HasPrefix(v, "--") && allDigits(v[2:]):
		p.Value = "1604-" + v[2:4] + "-" + v[4:]
		p.Params = append(p.Params, contentline.Param{Name: "X-APPLE-OMIT-YEAR", Values: []string{"1604"}})
	case len(v) >= 8 && allDigits(v[:8]):
		p.Value = v[:4] + "-" + v[4:6] + "-" + v[6:]
	}
}
