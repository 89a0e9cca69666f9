package vcard

import "gatepost/accounts/contentline"

// Filter is the filter of an addressbook-query (RFC 6352 section 10.5). Without Props every card passes.
type Filter struct {
	// All asks for all of Props (test="allof"), not for one of them.
	All   bool
	Props []PropFilter
}

// PropFilter is a prop-filter. Its conditions have to hold for one and the same property.
type PropFilter struct {
	Name         string // in upper case
	IsNotDefined bool
	All          bool
	Texts        []contentline.TextMatch
	Params       []ParamFilter
}

// ParamFilter is a param-filter.
type ParamFilter struct {
	Name         string
	IsNotDefined bool
	Text         *contentline.TextMatch
}

// Match reports whether the card passes a filter.
func (c *Card) Match(f *Filter) bool {
	if len(f.Props) == 0 {
		return true
	}
	for i := range f.Props {
		if c.matches(&f.Props[i]) != f.All {
			return !f.All
		}
	}
	return f.All
}

func (c *Card) matches(f *PropFilter) bool {
	for i := range c.Properties {
		p := &c.Properties[i]
		if p.Name != f.Name {
			continue
		}
		if f.IsNotDefined {
			return false
		}
		if propertyMatches(p, f) {
			return true
		}
	}
	return f.IsNotDefined
}

func propertyMatches(p *Property, f *PropFilter) bool {
	if len(f.Texts)+len(f.Params) == 0 {
		return true
	}
	for i := range f.Texts {
		t := &f.Texts[i]
		if (t.Found(Text(p)) != t.Negate) != f.All {
			return !f.All
		}
	}
	for i := range f.Params {
		if paramMatches(p, &f.Params[i]) != f.All {
			return !f.All
		}
	}
	return f.All
}

func paramMatches(p *Property, f *ParamFilter) bool {
	defined, found := false, false
	for _, q := range p.Params {
		if q.Name != f.Name {
			continue
		}
		defined = true
		for _, v := range q.Values {
			found = found || f.Text != nil && f.Text.Found(v)
		}
	}
	switch {
	case f.IsNotDefined:
		return !defined
	case f.Text == nil:
		return defined
	}
	return defined && found != f.Text.Negate
}

// Part is one prop of address-data (RFC 6352 section 10.4.2).
type Part struct {
	Name    string
	NoValue bool
}

// Retrieve returns the named properties of the card; what is returned keeps its bytes. VERSION is always among them.
func (c *Card) Retrieve(parts []Part) []byte {
	b := []byte(c.Text[:c.from])
	for i := range c.Properties {
		p := &c.Properties[i]
		keep, bare := p.Name == "VERSION", false
		for _, q := range parts {
			if q.Name == p.Name {
				keep, bare = true, q.NoValue && p.Name != "VERSION"
				break
			}
		}
		switch {
		case bare:
			b = contentline.Fold(b, string(p.AppendHead(nil)))
		case keep:
			b = append(b, c.Text[p.Start:p.End]...)
		}
	}
	return append(b, c.Text[c.to:]...)
}
