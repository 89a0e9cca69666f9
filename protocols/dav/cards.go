package dav

import (
	"net/http"
	"strconv"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/vcard"
	"gatepost/server/fault"
)

// addressbookQuery answers addressbook-query (RFC 6352 section 8.6).
func (e *exchange) addressbookQuery(body *element) error {
	ctx := e.r.Context()
	want, err := readAsked(body)
	if err != nil {
		return err
	}
	f, err := readCardFilter(body.child(card("filter")))
	if err != nil {
		return err
	}
	limit := 0
	if l := body.child(card("limit")).child(card("nresults")); l != nil {
		if limit, err = strconv.Atoi(strings.TrimSpace(l.text)); err != nil || limit < 1 {
			return fault.New("dav.query", fault.Invalid, "The limit is not a number above 0.")
		}
	}
	if err := e.at.readable(); err != nil {
		return err
	}
	list := []mailbox.Item{}
	if e.at.kind == itemKind {
		list = append(list, *e.at.item)
	} else if list, err = e.at.coll.Items(ctx); err != nil {
		return err
	}
	m := e.newMultistatus()
	found := 0
	for i := range list {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("dav.query", fault.Canceled, err)
		}
		r := e.at.itemOf(&list[i])
		if len(f.Props) > 0 {
			text, err := r.readText(ctx)
			if isGone(err) {
				continue
			}
			if err != nil {
				return err
			}
			if c, err := vcard.Parse(text); err != nil || !c.Match(f) {
				continue // one that cannot be read was stored by another wire
			}
		}
		if found++; limit > 0 && found > limit {
			m.raw("<D:response>")
			m.href(e.at.href())
			m.raw("<D:status>" + statusLine(http.StatusInsufficientStorage) + "</D:status><D:error><D:number-of-matches-within-limits/></D:error></D:response>\n")
			break
		}
		if err := e.response(ctx, m, r, want); err != nil {
			return err
		}
	}
	return m.end()
}

// invalidCardFilter is the answer to a filter that cannot be carried out.
func invalidCardFilter(text string) error {
	return &precondition{status: http.StatusForbidden, name: card("supported-filter"), text: text}
}

// readCardFilter reads a filter (RFC 6352 section 10.5). One that is missing lets all cards pass.
func readCardFilter(root *element) (*vcard.Filter, error) {
	f := new(vcard.Filter)
	if root == nil {
		return f, nil
	}
	f.All = root.attr("test") == "allof"
	left := maxFilter
	for _, c := range root.children {
		if c.name != card("prop-filter") || c.attr("name") == "" {
			return nil, invalidCardFilter("A filter consists of prop-filters with a name.")
		}
		p := vcard.PropFilter{Name: strings.ToUpper(c.attr("name")), All: c.attr("test") == "allof"}
		for _, part := range c.children {
			if left--; left < 0 {
				return nil, invalidCardFilter("The filter has too many elements.")
			}
			switch part.name {
			case card("is-not-defined"):
				p.IsNotDefined = true
			case card("text-match"):
				m, err := readCardMatch(part)
				if err != nil {
					return nil, err
				}
				p.Texts = append(p.Texts, *m)
			case card("param-filter"):
				pf := vcard.ParamFilter{Name: strings.ToUpper(part.attr("name")), IsNotDefined: part.child(card("is-not-defined")) != nil}
				if m := part.child(card("text-match")); m != nil {
					var err error
					if pf.Text, err = readCardMatch(m); err != nil {
						return nil, err
					}
				}
				p.Params = append(p.Params, pf)
			default:
				return nil, invalidCardFilter("A filter with " + part.name.Local + " is not supported.")
			}
		}
		if left--; left < 0 {
			return nil, invalidCardFilter("The filter has too many elements.")
		}
		f.Props = append(f.Props, p)
	}
	return f, nil
}

// readCardMatch reads a text-match (section 10.5.4), whose default collation is i;unicode-casemap.
func readCardMatch(el *element) (*contentline.TextMatch, error) {
	m := &contentline.TextMatch{Value: el.text, Collation: contentline.UnicodeCasemap, Negate: strings.EqualFold(el.attr("negate-condition"), "yes")}
	if name := el.attr("collation"); name != "" && name != "default" {
		var err error
		if m.Collation, err = contentline.ParseCollation(name); err != nil {
			return nil, &precondition{status: http.StatusForbidden, name: card("supported-collation"), text: "The collation is not supported."}
		}
	}
	switch el.attr("match-type") {
	case "", "contains":
		m.Mode = contentline.Contains
	case "equals":
		m.Mode = contentline.Equals
	case "starts-with":
		m.Mode = contentline.StartsWith
	case "ends-with":
		m.Mode = contentline.EndsWith
	default:
		return nil, invalidCardFilter("The match-type is not one of equals, contains, starts-with and ends-with.")
	}
	return m, nil
}

// cardPart is what a report asks for of a card (RFC 6352 section 10.4).
type cardPart struct {
	version string // "" for that in which it was stored
	parts   []vcard.Part
}

// readCardPart reads an address-data element; nil asks for the whole card as it was stored.
func readCardPart(el *element) (*cardPart, error) {
	if el == nil || el.name != card("address-data") {
		return nil, nil
	}
	ask := &cardPart{version: el.attr("version")}
	kind := el.attr("content-type")
	if kind != "" && kind != "text/vcard" || ask.version != "" && ask.version != "3.0" && ask.version != "4.0" {
		return nil, &precondition{status: http.StatusForbidden, name: card("supported-address-data"), text: "Cards are text/vcard of the versions 3.0 and 4.0."}
	}
	for _, c := range el.children {
		switch c.name {
		case card("allprop"):
			ask.parts = nil
			return ask, nil
		case card("prop"):
			ask.parts = append(ask.parts, vcard.Part{Name: strings.ToUpper(c.attr("name")), NoValue: strings.EqualFold(c.attr("novalue"), "yes")})
		}
	}
	return ask, nil
}

// of returns the part of a card. A card that cannot be read is returned as it is.
func (p *cardPart) of(text []byte) ([]byte, error) {
	if p == nil || p.version == "" && len(p.parts) == 0 {
		return text, nil
	}
	c, err := vcard.Parse(text)
	if err != nil {
		return text, nil
	}
	if p.version != "" {
		if text, err = c.Convert(p.version); err != nil {
			return nil, &precondition{status: http.StatusNotAcceptable, name: card("supported-address-data-conversion"), text: "The card cannot be converted."}
		}
		if len(p.parts) == 0 {
			return text, nil
		}
		if c, err = vcard.Parse(text); err != nil {
			return nil, err
		}
	}
	return c.Retrieve(p.parts), nil
}
