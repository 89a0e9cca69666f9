package webadmin

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// This file turns values of settings into the text that a field shows, and back.

// The kinds of fields.
const (
	oneLine   = "line"
	lines     = "lines"
	menu      = "menu"
	boxes     = "boxes"
	password  = "password"
	listeners = "listeners"
)

// kindOf is how a setting is shown.
func kindOf(s settings.Setting) string {
	switch {
	case s.Secret:
		return password
	case len(s.Values) > 0 || s.Type == "flag":
		return menu
	case s.Type == "services":
		return boxes
	case s.Type == "listeners":
		return listeners
	case slices.Contains(longTexts, s.Key):
		return lines
	case s.Type == "list" || s.Type == "IP list" || s.Type == "dictionary" || s.Type == "settings" || s.Type == "any" || s.Key == "RouterTable":
		return lines
	}
	return oneLine
}

// longTexts are settings that are texts of several lines.
var longTexts = []string{
	"MailTrailer", "MailTrailerHTML", "ClientCertCA",
	"Description", "ConfirmationText", "PolicyText", "ByeText", "WarningText", "FeedHeader", "FeedTrailer", "ListFields", "DigestHeader", "TOCTrailer", "DigestTrailer",
}

// syntax says how a value is written.
func syntax(s settings.Setting) string {
	switch s.Type {
	case "size":
		return "such as 512K, 10M, 3G or unlimited"
	case "period":
		return "such as 30s, 10m, 2h, 7d or never"
	case "rate":
		return "such as 20 in 15s, or unlimited"
	case "IP list":
		return "one address, range a-b or network a/n per line; ! in front excludes it; ; begins a comment"
	case "list":
		return "one per line"
	case "dictionary", "settings", "any":
		return "in the data format, such as {Key=value;} or (a,b)"
	}
	return ""
}

// textOf is a value as a field shows it.
func textOf(s settings.Setting, v dataformat.Value) string {
	if v == nil {
		return ""
	}
	switch s.Type {
	case "rate":
		var r settings.Rate
		if r.SetValue(v) != nil {
			return dataformat.Compact(v)
		}
		if r.Unlimited() {
			return "unlimited"
		}
		return fmt.Sprintf("%d in %s", r.Count, r.Period)
	case "list":
		if a, ok := v.(dataformat.Array); ok {
			lines := make([]string, len(a))
			for i, e := range a {
				if lines[i], ok = dataformat.Text(e); !ok {
					lines[i] = dataformat.Compact(e)
				}
			}
			return strings.Join(lines, "\n")
		}
	case "services":
		if a, ok := v.(dataformat.Array); ok {
			list := words(a)
			if len(list) > 0 {
				if _, err := strconv.Atoi(list[0]); err == nil {
					list = list[1:]
				}
			}
			return strings.Join(list, ",")
		}
	case "dictionary", "settings", "any":
		if d, ok := v.(dataformat.Dict); ok {
			return dataformat.Pretty(d)
		}
	}
	if t, ok := dataformat.Text(v); ok {
		return strings.ReplaceAll(t, "\r\n", "\n")
	}
	return dataformat.Compact(v)
}

func words(a dataformat.Array) []string {
	out := make([]string, 0, len(a))
	for _, e := range a {
		t, ok := dataformat.Text(e)
		if !ok {
			t = dataformat.Compact(e)
		}
		out = append(out, t)
	}
	return out
}

// valueOf reads what a field gave. The error is a reason.
func valueOf(s settings.Setting, text string) (dataformat.Value, error) {
	text = strings.TrimRight(text, "\n")
	if kindOf(s) != lines {
		text = strings.TrimSpace(text)
	}
	word := dataformat.String(text)
	switch s.Type {
	case "number":
		if _, err := strconv.ParseInt(text, 10, 32); err != nil {
			return nil, fmt.Errorf("%q is not a number", text)
		}
	case "size":
		_, err := settings.ParseSize(text)
		return word, err
	case "period":
		_, err := settings.ParsePeriod(text)
		return word, err
	case "rate":
		return rateOf(text)
	case "IP list":
		_, err := settings.ParseIPList(text)
		return word, err
	case "list":
		a := dataformat.Array{}
		for l := range strings.SplitSeq(text, "\n") {
			if l = strings.TrimSpace(l); l == "" {
				continue
			}
			e := dataformat.Value(dataformat.String(l))
			if strings.HasPrefix(l, "{") { // an entry that is a dictionary
				var err error
				if e, err = dataOf(l); err != nil {
					return nil, err
				}
			}
			a = append(a, e)
		}
		return a, nil
	case "services":
		return servicesOf(text)
	case "flag":
		if text != "YES" && text != "NO" {
			return nil, fmt.Errorf("%q is neither YES nor NO", text)
		}
	case "dictionary", "settings", "any":
		return dataOf(text)
	}
	if len(s.Values) > 0 && !slices.Contains(s.Values, text) {
		return nil, fmt.Errorf("%q is not one of %s", text, strings.Join(s.Values, ", "))
	}
	return word, nil
}

// dataOf reads an object of the data format; other text is a string.
func dataOf(text string) (dataformat.Value, error) {
	if text == "" || strings.IndexByte("({[#", text[0]) < 0 {
		return dataformat.String(text), nil
	}
	return dataformat.Parse([]byte(text))
}

// rateOf reads "20 in 15s".
func rateOf(text string) (dataformat.Value, error) {
	if strings.EqualFold(text, "unlimited") {
		return dataformat.Array{dataformat.String("-1"), dataformat.String("30")}, nil
	}
	bad := fmt.Errorf("%q is not a rate (such as 20 in 15s, or unlimited)", text)
	n, period, ok := strings.Cut(text, " in ")
	if !ok {
		return nil, bad
	}
	count, err := strconv.ParseInt(strings.TrimSpace(n), 10, 31)
	p, perr := settings.ParsePeriod(period)
	if err != nil || perr != nil || count < 0 || p <= 0 {
		return nil, bad
	}
	return settings.Rate{Count: int(count), Period: p}.DataValue(), nil
}

// servicesOf reads the boxes that were ticked.
func servicesOf(text string) (dataformat.Value, error) {
	list := strings.Split(text, ",")
	switch {
	case slices.Contains(list, "All"):
		return dataformat.String("All"), nil
	case text == "" || text == "None":
		return dataformat.String("None"), nil
	}
	a := dataformat.Array{dataformat.String(strconv.Itoa(len(accounts.ServiceNames())))}
	for _, s := range list {
		a = append(a, dataformat.String(s))
	}
	return a, nil
}

// listenerRow is a line of the table of listeners, as text.
type listenerRow struct {
	Port, Address, TLS, Allow, PerIP, Proxies string
	Modes                                     []choice
}

var tlsModes = []string{"none", "start", "implicit"}

// rowsOf are the lines of the table, with an empty one at the end.
func rowsOf(text string) []listenerRow {
	var ls settings.Listeners
	if v, err := dataOf(text); err == nil {
		_ = ls.SetValue(v) // what cannot be read is shown as no listener, and the file says more
	}
	var out []listenerRow
	for _, l := range ls {
		r := listenerRow{Port: strconv.Itoa(l.Port), Address: l.Address, TLS: l.TLS.String(), Allow: l.Allow.String(), PerIP: strconv.Itoa(l.PerIP), Proxies: l.Proxies.String()}
		out = append(out, r)
	}
	out = append(out, listenerRow{TLS: "start"})
	for i := range out {
		out[i].Modes = choices(tlsModes, out[i].TLS)
	}
	return out
}

// listenersOf reads the table back. A line without a port goes.
func listenersOf(get func(name string) string, rows int) (dataformat.Value, error) {
	var ls settings.Listeners
	for i := range rows {
		name := func(column string) string { return "Listener." + strconv.Itoa(i) + "." + column }
		port := strings.TrimSpace(get(name("port")))
		if port == "" {
			continue
		}
		var l settings.Listener
		var err error
		if l.Port, err = strconv.Atoi(port); err != nil || l.Port < 1 || l.Port > 65535 {
			return nil, fmt.Errorf("%q is not a port number", port)
		}
		if l.Address = strings.TrimSpace(get(name("address"))); l.Address != "" {
			if _, err := netip.ParseAddr(l.Address); err != nil {
				return nil, fmt.Errorf("%q is not an IP address", l.Address)
			}
		}
		if err := l.TLS.SetValue(dataformat.String(get(name("tls")))); err != nil {
			return nil, err
		}
		if l.Allow, err = settings.ParseIPList(get(name("allow"))); err != nil {
			return nil, err
		}
		if l.Proxies, err = settings.ParseIPList(get(name("proxies"))); err != nil {
			return nil, err
		}
		if n := strings.TrimSpace(get(name("perip"))); n != "" {
			if l.PerIP, err = strconv.Atoi(n); err != nil || l.PerIP < 0 {
				return nil, fmt.Errorf("%q is not a number", n)
			}
		}
		if slices.ContainsFunc(ls, func(o settings.Listener) bool { return o.Port == l.Port && o.Address == l.Address }) {
			return nil, fmt.Errorf("port %d is there twice", l.Port)
		}
		ls = append(ls, l)
	}
	if len(ls) == 0 {
		return nil, errors.New("without a listener nobody reaches the module; to close it, allow 127.0.0.1 alone")
	}
	return ls.DataValue(), nil
}
