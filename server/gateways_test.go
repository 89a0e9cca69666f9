package server

import (
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestGateways(t *testing.T) {
	s, ctx := open(t), t.Context()
	dict := func(text string) dataformat.Dict {
		t.Helper()
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return v.(dataformat.Dict)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.CreateGateway(ctx, "ISP", dict(`{host="smtp.isp.net";User=joe;Password=secret;}`)))
	stored := func() string {
		t.Helper()
		d, err := s.Gateway(ctx, "isp")
		must(err)
		return d.String("Password")
	}
	sealed := stored()
	if !strings.HasPrefix(sealed, "{A-CRPT}") {
		t.Errorf("stored as %s", sealed)
	}
	if plain, err := s.accounts.Unseal(s.gateways.Get().Gateways["isp"].Password); plain != "secret" || err != nil {
		t.Errorf("reads back %q, %v", plain, err)
	}
	must(s.UpdateGateway(ctx, "isp", dict(`{Default=YES;}`)))
	if got := stored(); got != sealed {
		t.Errorf("an update has changed the password: %s", got)
	}
	must(s.UpdateGateway(ctx, "isp", dict(`{Host=smtp2.isp.net;Password=other;}`)))
	if plain, err := s.accounts.Unseal(stored()); plain != "other" || err != nil {
		t.Errorf("reads back %q, %v", plain, err)
	}
	// What was read can be written back, and the general command seals too.
	d, err := s.Module(ctx, "Gateways")
	must(err)
	must(s.SetModule(ctx, "Gateways", d))
	must(s.UpdateModule(ctx, "Gateways", dict(`{Gateways={two={Host=h;User=u;Password=plain;};};}`)))
	if d, err := s.Module(ctx, "Gateways"); err != nil || strings.Contains(dataformat.Compact(d), "plain") {
		t.Errorf("%s, %v", dataformat.Compact(d), err)
	}
	for what, c := range map[string]struct {
		err  error
		kind fault.Kind
		text string
	}{
		"twice":          {s.CreateGateway(ctx, "Two", dict("{Host=h;}")), fault.Exists, "there is a gateway two already"},
		"unknown":        {s.UpdateGateway(ctx, "none", dict("{Host=h;}")), fault.NotFound, "there is no gateway none"},
		"no such":        {s.DeleteGateway(ctx, "none"), fault.NotFound, "there is no gateway none"},
		"misspelt":       {s.CreateGateway(ctx, "x", dict("{Host=h;Passwort=x;}")), fault.Invalid, "unknown setting Passwort; is Password meant?"},
		"no host":        {s.CreateGateway(ctx, "x", dict("{}")), fault.Invalid, "Gateways: x: a Host is needed"},
		"bad name":       {s.CreateGateway(ctx, "a b", dict("{Host=h;}")), fault.Invalid, `"a b" cannot be the name of a gateway`},
		"sent elsewhere": {s.UpdateGateway(ctx, "two", dict("{Host=evil.example;}")), fault.Invalid, "Host: the Password has to be given with it, so that nobody has it sent elsewhere"},
		"two defaults":   {s.UpdateModule(ctx, "Gateways", dict("{Gateways={a={Host=h;Default=YES;};b={Host=h;Default=YES;};};}")), fault.Invalid, "Gateways: a and b are both the default"},
		"a destination":  {s.UpdateModule(ctx, "SMTPSending", dict("{Destinations={x.org={Channel=1;};};}")), fault.Invalid, "unknown setting Channel; is Channels meant?"},
	} {
		if !fault.Is(c.err, c.kind) || fault.Text(c.err) != c.text {
			t.Errorf("%s: %v", what, c.err)
		}
	}
	must(s.DeleteGateway(ctx, "TWO"))
	if names, err := s.Gateways(ctx); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
}
