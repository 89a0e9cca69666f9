package server

import (
	"slices"

	"gatepost/server/settings"
)

// stockListeners are the listeners of modules whose settings name none, with the limit of connections
// from one address that is not a Client IP.
var stockListeners = map[string]settings.Listeners{
	"SMTP":  {stock(25, settings.TLSStart, 20), stock(587, settings.TLSStart, 20), stock(465, settings.TLSImplicit, 20)},
	"IMAP":  {stock(143, settings.TLSStart, 100), stock(993, settings.TLSImplicit, 100)},
	"POP":   {stock(110, settings.TLSStart, 50), stock(995, settings.TLSImplicit, 50)},
	"PWD":   {stock(106, settings.TLSStart, 20)},
	"HTTPA": {stock(8010, settings.TLSNone, 50), stock(9010, settings.TLSImplicit, 50)},
	"HTTPU": {stock(8100, settings.TLSNone, 50), stock(9100, settings.TLSImplicit, 50)},
}

func stock(port int, mode settings.TLSMode, perIP int) settings.Listener {
	return settings.Listener{Port: port, TLS: mode, PerIP: perIP}
}

// StockPorts lists the ports of the stock listeners, sorted.
func StockPorts() []int {
	var ports []int
	for _, list := range stockListeners {
		for _, l := range list {
			ports = append(ports, l.Port)
		}
	}
	slices.Sort(ports)
	return ports
}

// maxShift leaves room for the highest of the stock ports.
func maxShift() int { return 65535 - slices.Max(StockPorts()) }
