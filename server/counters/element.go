package counters

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Elements of statistics have numbers below Base: our metrics have two parts there, the module and the element; those that
// administrators set by commands have 1000 and a number of their own. Some documents leave out the last part of Base: both
// forms are understood.
const (
	Base      = "1.3.6.1.4.1.5678.2.1.1"
	shortBase = "1.3.6.1.4.1.5678.2.1"
	// maxCustom is how many elements administrators can set.
	maxCustom = 100
	customIn  = "1000"
)

// OID is the whole number of an element.
func OID(part string) string { return Base + "." + part }

// customElement is one that administrators set.
type customElement struct{ n int64 }

// Element is an element of statistics.
type Element struct {
	OID   string
	Name  string
	Count bool // it rises only; else it is a state
	Value int64
	Help  string
	Key   string // of its history; empty: none. Of several series it is the name of their metric.
}

// Elements lists all elements in the order of their numbers.
func (r *Registry) Elements() []Element {
	at := map[*Metric]int{}
	var out []Element
	for _, v := range r.Values() {
		if v.Metric.Element == "" {
			continue
		}
		i, there := at[v.Metric]
		if !there {
			i = len(out)
			at[v.Metric] = i
			out = append(out, r.element(v.Metric))
		}
		out[i].Value += int64(v.Total)
	}
	r.mu.Lock()
	for _, m := range r.metrics { // those without a value yet
		if _, there := at[m]; !there && m.Element != "" {
			out = append(out, r.element(m))
		}
	}
	for id, c := range r.custom {
		out = append(out, Element{OID: OID(customIn + "." + id), Name: "custom" + id, Value: c.n, Help: "Set by SETSTATELEMENT."})
	}
	r.mu.Unlock()
	slices.SortFunc(out, func(a, b Element) int { return compareOID(a.OID, b.OID) })
	return out
}

func (r *Registry) element(m *Metric) Element {
	return Element{OID: OID(m.OID), Name: m.Element, Count: m.isCount(), Help: m.Help, Key: Key(m.Name, m.Labels...)}
}

// compareOID compares numbers part by part.
func compareOID(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		n, err := strconv.ParseUint(x, 10, 32)
		k, err2 := strconv.ParseUint(y, 10, 32)
		if err != nil || err2 != nil {
			return strings.Compare(x, y)
		}
		return cmp.Compare(n, k)
	})
}

// whole returns the number that is meant, in its long form.
func whole(oid string) string {
	oid = strings.TrimPrefix(strings.TrimSpace(oid), ".")
	if rest, ok := strings.CutPrefix(oid, shortBase+"."); ok && (strings.HasPrefix(rest, customIn+".") || rest == customIn) {
		return OID(rest)
	}
	return oid
}

// Find returns the element with a number or a name.
func (r *Registry) Find(text string) (Element, bool) {
	oid := whole(text)
	list := r.Elements()
	i := slices.IndexFunc(list, func(e Element) bool { return e.OID == oid || strings.EqualFold(e.Name, oid) })
	if i < 0 {
		return Element{}, false
	}
	return list[i], true
}

// Next returns the element after a number, the first one after "". False at the end.
func (r *Registry) Next(text string) (Element, bool) {
	oid := whole(text)
	list := r.Elements()
	if i := slices.IndexFunc(list, func(e Element) bool { return strings.EqualFold(e.Name, oid) }); i >= 0 {
		oid = list[i].OID
	}
	for _, e := range list {
		if oid == "" || compareOID(e.OID, oid) > 0 {
			return e, true
		}
	}
	return Element{}, false
}

// Set sets an element of administrators, or adds to it. It reports false for a number that is none of theirs, and when
// there would be too many.
func (r *Registry) Set(text string, n int64, add bool) bool {
	id, ok := strings.CutPrefix(whole(text), OID(customIn)+".")
	if !ok || !isCustom(id) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.custom[id]
	if c == nil {
		if len(r.custom) >= maxCustom {
			return false
		}
		c = new(customElement)
		r.custom[id] = c
	}
	if add {
		n += c.n
	}
	c.n = n
	return true
}

// isCustom reports whether an element may have this number.
func isCustom(id string) bool {
	n, err := strconv.ParseUint(id, 10, 31)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == id
}
