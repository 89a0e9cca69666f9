package vcard

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/server/fault"
)

// Convert returns the card in version 3.0 or 4.0: its own text if that is its version. Groups (item1.X-ABLabel) are
// kept, and so is what is the same in both versions, byte for byte. A version 2.1 card can be converted to both.
//
//	3.0                                           4.0
//	PHOTO;ENCODING=b;TYPE=JPEG:...                PHOTO:data:image/jpeg;base64,...    also LOGO, SOUND, KEY
//	TYPE=PREF                                     PREF=1
//	X-ADDRESSBOOKSERVER-KIND, -MEMBER             KIND, MEMBER                        groups of Apple
//	X-ABShowAs:COMPANY                            KIND:org
//	BDAY:1985-04-12                               BDAY:19850412
//	BDAY;X-APPLE-OMIT-YEAR=1604:1604-04-12        BDAY:--0412
//	X-ABDate with the label Anniversary           ANNIVERSARY                         also X-ANNIVERSARY, X-EVOLUTION-ANNIVERSARY
//	GEO:52.5;13.4                                 GEO:geo:52.5,13.4
//	TEL:+49 30 1                                  TEL;VALUE=uri:tel:+49-30-1          to 3.0 only
func (c *Card) Convert(version string) ([]byte, error) {
	if version == c.Version {
		return []byte(c.Text), nil
	}
	b := []byte("BEGIN:VCARD\r\nVERSION:" + version + "\r\n")
	switch version {
	case "3.0":
		b = c.to3(b)
	case "4.0":
		b = c.to4(b)
	default:
		return nil, fault.Newf("vcard", fault.Unsupported, "cards of version %.20q are not written", version)
	}
	return append(b, "END:VCARD\r\n"...), nil
}

// plain returns a copy of a property without what only version 2.1 has.
func plain(p *Property) Property {
	q := *p
	q.Params = slices.Clone(q.Params)
	for i, param := range q.Params {
		if param.Name != "TYPE" {
			continue
		}
		// RFC 6350 section 5.6 writes TYPE="voice,home" for two values.
		var values []string
		for _, v := range param.Values {
			values = append(values, strings.Split(v, ",")...)
		}
		q.Params[i].Values = values
	}
	if q.ParamIs("ENCODING", "QUOTED-PRINTABLE") {
		q.Value = decoded(p)
		drop(&q, "ENCODING")
	}
	drop(&q, "CHARSET")
	return q
}

// appendProperty appends a property: the bytes of the card if it is what it was.
func (c *Card) appendProperty(b []byte, now, was *Property) []byte {
	if c.Version != "2.1" && now.Name == was.Name && now.Value == was.Value && reflect.DeepEqual(now.Params, was.Params) {
		return append(b, c.Text[was.Start:was.End]...)
	}
	return now.Append(b)
}

func drop(p *Property, name string) {
	p.Params = slices.DeleteFunc(p.Params, func(q contentline.Param) bool { return q.Name == name })
}

func isBinary(name string) bool {
	return name == "PHOTO" || name == "LOGO" || name == "SOUND" || name == "KEY"
}

// label returns the X-ABLabel of a group of properties, as Apple writes it.
func (c *Card) label(group string) string {
	for i := range c.Properties {
		if p := &c.Properties[i]; group != "" && p.Group == group && p.Name == "X-ABLABEL" {
			return p.Value
		}
	}
	return ""
}

// anniversary is Apple's label of that day.
const anniversary = "_$!<Anniversary>!$_"

func (c *Card) to4(b []byte) []byte {
	hasDay := c.Property("ANNIVERSARY") != nil
	for i := range c.Properties {
		p := &c.Properties[i]
		q := plain(p)
		switch p.Name {
		case "VERSION":
			continue
		case "X-ABLABEL":
			if p.Value == anniversary && c.count(p.Group) == 2 {
				continue // it goes with its date
			}
		case "X-ABDATE", "X-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY":
			if p.Name == "X-ABDATE" && (c.label(p.Group) != anniversary || c.count(p.Group) != 2) {
				break
			}
			if hasDay { // RFC 6350 section 6.2.6: one at most
				continue
			}
			hasDay = true
			q.Name, q.Group = "ANNIVERSARY", ""
		case "X-ABSHOWAS":
			if strings.EqualFold(p.Value, "COMPANY") && c.Property("KIND") == nil && c.Property("X-ADDRESSBOOKSERVER-KIND") == nil {
				q.Name, q.Value = "KIND", "org"
			}
		}
		to4(&q)
		b = c.appendProperty(b, &q, p)
	}
	return b
}

// count is how many properties a group has.
func (c *Card) count(group string) (n int) {
	for i := range c.Properties {
		if c.Properties[i].Group == group {
			n++
		}
	}
	return n
}

func to4(p *Property) {
	switch p.Name {
	case "X-ADDRESSBOOKSERVER-KIND":
		p.Name = "KIND"
		p.Value = strings.ToLower(p.Value)
	case "X-ADDRESSBOOKSERVER-MEMBER":
		p.Name = "MEMBER"
	case "BDAY", "ANNIVERSARY":
		dateTo4(p)
	case "REV":
		p.Value = strings.NewReplacer("-", "", ":", "").Replace(p.Value)
	case "GEO":
		if lat, long, ok := strings.Cut(p.Value, ";"); ok && !strings.Contains(p.Value, ":") {
			p.Value = "geo:" + strings.TrimSpace(lat) + "," + strings.TrimSpace(long)
		}
	}
	media, preferred := "", false
	params := p.Params[:0:0]
	for _, q := range p.Params {
		if q.Name == "TYPE" {
			values := q.Values[:0:0]
			for _, v := range q.Values {
				switch {
				case strings.EqualFold(v, "PREF"):
					preferred = true
				case strings.EqualFold(v, "INTERNET") && p.Name == "EMAIL":
				default:
					values = append(values, strings.ToLower(v))
				}
			}
			if len(values) == 0 {
				continue
			}
			media = values[0]
			q.Values = values
		}
		params = append(params, q)
	}
	p.Params = params
	if preferred {
		p.Params = append(p.Params, contentline.Param{Name: "PREF", Values: []string{"1"}})
	}
	if isBinary(p.Name) && p.ParamIs("VALUE", "URI") {
		drop(p, "VALUE") // the default
	}
	if isBinary(p.Name) && (p.ParamIs("ENCODING", "B") || p.ParamIs("ENCODING", "BASE64")) {
		p.Value = strings.Join(strings.Fields(p.Value), "")
		p.Value = "data:" + mediaType(p.Name, media, p.Value) + ";base64," + p.Value
		drop(p, "ENCODING")
		drop(p, "TYPE")
		drop(p, "VALUE")
	}
}

// mediaType returns the media type of a property in base64, by its TYPE, or by how the data begins.
func mediaType(name, kind, data string) string {
	switch {
	case strings.Contains(kind, "/"):
		return kind
	case kind == "jpg":
		kind = "jpeg"
	case kind != "":
	case strings.HasPrefix(data, "/9j/"):
		kind = "jpeg"
	case strings.HasPrefix(data, "iVBORw0KGgo"):
		kind = "png"
	case strings.HasPrefix(data, "R0lGOD"):
		kind = "gif"
	default:
		return "application/octet-stream"
	}
	switch name {
	case "SOUND":
		return "audio/" + kind
	case "KEY":
		return "application/" + kind
	}
	return "image/" + kind
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// dateTo4 writes 1985-04-12 as 19850412, and a day without year as --0412.
func dateTo4(p *Property) {
	omit, omits := p.Param("X-APPLE-OMIT-YEAR")
	date, clock, hasTime := strings.Cut(p.Value, "T")
	short := strings.ReplaceAll(date, "-", "")
	switch {
	case omits && strings.HasPrefix(date, omit) && len(short) == len(omit)+4 && allDigits(short):
		p.Value = "--" + short[len(omit):]
		drop(p, "X-APPLE-OMIT-YEAR")
	case len(date) == 10 && date[4] == '-' && date[7] == '-' && len(short) == 8 && allDigits(short):
		p.Value = short
		if hasTime {
			p.Value += "T" + strings.ReplaceAll(clock, ":", "")
		}
	case len(date) == 7 && strings.HasPrefix(date, "--") && len(short) == 4 && allDigits(short):
		p.Value = "--" + short
	}
	if p.ParamIs("VALUE", "DATE") || p.ParamIs("VALUE", "DATE-TIME") {
		drop(p, "VALUE")
	}
}

func (c *Card) to3(b []byte) []byte {
	dates := 0
	for i := range c.Properties {
		p := &c.Properties[i]
		q := plain(p)
		switch p.Name {
		case "VERSION":
			continue
		case "KIND":
			if strings.EqualFold(p.Value, "org") {
				q.Name, q.Value = "X-ABShowAs", "COMPANY"
			}
		case "ANNIVERSARY":
			group := ""
			for group == "" || c.count(group) > 0 {
				dates++
				group = "day" + strconv.Itoa(dates)
			}
			q.Name, q.Group = "X-ABDate", group
			dateTo3(&q)
			to3(&q)
			b = q.Append(b)
			b = contentline.Fold(b, fmt.Sprintf("%s.X-ABLabel:%s", group, anniversary))
			continue
		}
		to3(&q)
		b = c.appendProperty(b, &q, p)
	}
	if c.Property("N") == nil { // RFC 2426 section 3.1.2: N must be there, and Apple shows nothing else
		name := ""
		if fn := c.Property("FN"); fn != nil {
			name = contentline.EscapeText(Text(fn))
		}
		b = contentline.Fold(b, "N:"+name+";;;;")
	}
	return b
}

func to3(p *Property) {
	switch p.Name {
	case "KIND":
		p.Name = "X-ADDRESSBOOKSERVER-KIND"
	case "MEMBER":
		p.Name = "X-ADDRESSBOOKSERVER-MEMBER"
	case "BDAY":
		dateTo3(p)
	case "GEO":
		if v, ok := strings.CutPrefix(p.Value, "geo:"); ok {
			v, _, _ = strings.Cut(v, ";")
			if lat, long, ok := strings.Cut(v, ","); ok {
				p.Value = lat + ";" + long
			}
		}
	}
	if pref, ok := p.Param("PREF"); ok {
		if n, err := strconv.Atoi(pref); err == nil && n == 1 {
			drop(p, "PREF")
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

// dateTo3 writes 19850412 as 1985-04-12, and a day without year in Apple's way.
func dateTo3(p *Property) {
	if p.ParamIs("VALUE", "DATE") || p.ParamIs("VALUE", "DATE-AND-OR-TIME") {
		drop(p, "VALUE") // the default
	}
	switch v := p.Value; {
	case len(v) == 6 && strings.HasPrefix(v, "--") && allDigits(v[2:]):
		p.Value = "1604-" + v[2:4] + "-" + v[4:]
		p.Params = append(p.Params, contentline.Param{Name: "X-APPLE-OMIT-YEAR", Values: []string{"1604"}})
	case len(v) == 8 && allDigits(v):
		p.Value = v[:4] + "-" + v[4:6] + "-" + v[6:]
	case len(v) > 8 && v[8] == 'T' && allDigits(v[:8]):
		p.Value = v[:4] + "-" + v[4:6] + "-" + v[6:]
		if t := v[9:]; len(t) >= 6 && allDigits(t[:6]) {
			p.Value = v[:4] + "-" + v[4:6] + "-" + v[6:8] + "T" + t[:2] + ":" + t[2:4] + ":" + t[4:]
		}
	}
}
