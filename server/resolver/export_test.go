package resolver

import (
	"log/slog"

	"github.com/miekg/dns"

	"gatepost/server/logs"
	"gatepost/server/settings"
)

// ReadForTest reads bytes as the answer to a question for the addresses of mx.example.org.
func ReadForTest(wire []byte) {
	ask := new(dns.Msg)
	ask.SetQuestion("mx.example.org.", dns.TypeA)
	if len(wire) > 1 {
		ask.Id = uint16(wire[0])<<8 | uint16(wire[1])
	}
	if msg := answerTo(ask, wire, true); msg != nil {
		read(question{"mx.example.org", dns.TypeA}, msg, maxLinks)
	}
}

// NewForTest is New with files of a test in place of the system's.
func NewForTest(cfg *settings.Live[Settings], log *slog.Logger, conf, hostsPath string) *Resolver {
	n := newNameServers(cfg, logs.Component(log, "DNR"), conf)
	return &Resolver{source: n, hosts: &hosts{path: hostsPath}, close: n.close}
}
